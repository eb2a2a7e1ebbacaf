"""A whole module, from its docstring to its self-test.

What targets do in a way of their own are the methods of ``ModulePrinter`` that say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from os.path import basename
from typing import Any, ClassVar

from graphc.backends.printing import driver_selftest, selftest, support
from graphc.backends.printing.columns import print_fit, print_prepare, print_restore
from graphc.backends.printing.drivers import DRIVER_FUNCTIONS, print_driver
from graphc.backends.printing.functions import (
    gap,
    print_gradients,
    print_losses,
    print_metrics,
    print_predict,
)
from graphc.backends.printing.plain import PlainBody
from graphc.backends.printing.products import print_products
from graphc.backends.printing.rules import print_init, print_update
from graphc.backends.printing.signature import example_of, print_literal, signature_of
from graphc.backends.printing.text import CLOCKS_OF_A_RUN, clocks_read
from graphc.backends.printing.writer import Writer, harmless, quoted
from graphc.model.program import COUNTERS, ModelSpec, Program, Programs
from graphc.ops.helpers import helper_source, helpers_used, plain_source
from graphc.schedule import opened

__all__ = ["ModulePrinter"]

_RUN = COUNTERS[2:]
"""The counters of a module that reads the clocks of a run."""

Functions = Iterable[Callable[..., Any]]


@dataclass
class ModulePrinter:
    """Prints the module of a model.

    ``classes`` names the classes of targets. ``steps_per_epoch`` is written down where the data is
    known. ``weights`` is the name of an .npz file beside the module, the default of ``load``.
    Without ``reuse`` each array of a step has memory of its own.
    """

    programs: Programs
    classes: dict[str, list[str]]
    version: str
    steps_per_epoch: int | None = None
    weights: str | None = None
    reuse: bool = True

    needs: ClassVar[str] = "NumPy"
    modules: ClassVar[tuple[str, ...]] = ("math", "operator", "os", "sys", "tempfile", "zipfile")
    imports: ClassVar[tuple[str, ...]] = ("import numpy as np",)
    values: ClassVar[Functions] = support.VALUES
    products: ClassVar[Functions] = support.PRODUCTS
    training: ClassVar[Functions] = ()
    """Functions that what reads arrays, products and a ``Trainer`` may call; a module holds those
    that are called."""

    def __post_init__(self) -> None:
        self.body: type[PlainBody] = PlainBody
        """What prints the statements of plain functions."""
        self.spec = self.programs.spec
        self.programs = _opened(self.programs)
        self.clock_of = _run_clocks(self.programs)
        self.w = Writer()

    def text(self) -> str:
        """The source. ValueError if the model uses a name that the state needs for itself."""
        _check_names(self.spec)
        self._print_docstring()
        self._print_imports()
        self._print_constants()
        print_literal(self.w, "classes", {name: list(v) for name, v in self.classes.items()})
        print_literal(self.w, "signature", signature_of(self.programs))
        print_literal(self.w, "example", example_of(self.spec))
        self._print_face()
        self._print_helpers()
        self._print_main()
        return self.w.text()

    # -------------------------------------------------------------- what targets do their own way

    def print_numbers(self) -> None:
        """Constants beside those that every module has."""

    def print_gradients(self) -> None:
        """``loss_and_gradients`` of a model that learns."""
        print_gradients(self.w, self.programs, self.body)

    def print_trainer(self, training: Program) -> None:
        """``Trainer`` of a model that an optimizer trains."""
        raise NotImplementedError

    def print_more(self) -> None:
        """Functions of the face beside those that every module has."""

    def printed(self, function: Callable[..., Any]) -> str:
        """Source of a function that every module may hold."""
        return plain_source(function)

    def print_helpers(self) -> None:
        """The functions that operators' source calls."""
        for name in helpers_used(self.w.text()):
            self.w.source(helper_source(name))
            gap(self.w)

    def print_stepped(self, following: bool) -> None:
        """``_stepped``, a step by the plain functions; ``following`` if there are next states."""
        w = self.w
        with w.block("def _stepped(state, batch):"):
            w.docstring("The objective and the state after one step, by the plain functions.")
            if following:
                w.line("objective, gradients, following = _training(state, batch)")
                w.line("new = {**_updated(state, gradients), **following}")
            else:
                w.line("objective, gradients = loss_and_gradients(state, batch, training=True)")
                w.line("new = _updated(state, gradients)")
            w.line('new["step"] = state["step"] + 1')
            w.line("return objective, new")
        gap(w)

    # ----------------------------------------------------------------------------- the head

    def _print_docstring(self) -> None:
        spec, start = self.spec, "load()" if self.weights else "init(seed=0)"
        name, path, by = harmless(spec.name), harmless(basename(spec.path)), harmless(self.version)
        self.w.docstring(
            f"Model {name}, compiled from {path} by graphc {by}.",
            "",
            f"Needs {self.needs} only. A state is a flat dict of arrays, a batch a dict of inputs "
            "and targets:",
            "",
            f"    state = {start}",
            "    batch = prepare(raw, state)              # raw: columns of the data by name",
            "    outputs = predict(state, batch)",
            "    values = evaluate(state, batch)          # losses and metrics",
            "    trainer = Trainer(state, batch_size=64)",
            "    objective = trainer.step(batch)",
            '    save("state.npz", trainer.state())',
            "",
            "`python FILE --selftest` checks the gradients against finite differences, and more.",
        )

    def _print_imports(self) -> None:
        w = self.w
        w.line()
        for name in self.modules:
            if name != "operator" or self.spec.driver is None:
                w.line(f"import {name}")
        w.line()
        for line in self.imports:
            w.line(line)
        w.line()

    def _print_constants(self) -> None:
        w, spec = self.w, self.spec
        real = {"f32": "np.float32", "f64": "np.float64"}[spec.train.precision]
        w.line(f"REAL = {real}")
        w.line(f"EPOCHS = {spec.train.epochs!r}")
        w.line(f"STEPS_PER_EPOCH = {self.steps_per_epoch!r}")
        if self.weights is not None:
            folder = "os.path.dirname(os.path.abspath(__file__))"
            w.line(f"WEIGHTS = os.path.join({folder}, {quoted(self.weights)})")
        counters = COUNTERS if self.clock_of is not None else COUNTERS[:2]
        names = ", ".join(map(quoted, counters))
        w.line(f"COUNTERS = ({names})", "what a state holds beside arrays of the model")
        self.print_numbers()
        print_literal(w, "GROUPS", tuple(group.parameters for group in spec.groups))
        moments = tuple(tuple(state.name for state in group.states) for group in spec.groups)
        print_literal(w, "MOMENTS", moments)
        if self.programs.training is not None and spec.driver is not None:
            print_literal(w, "DRIVER", dict(spec.driver.options))
        w.line()

    # ----------------------------------------------------------------------------- the rest

    def _print_face(self) -> None:
        w, spec, programs = self.w, self.spec, self.programs
        gap(w)
        print_init(w, spec, self.clock_of is not None)
        self._print_files()
        print_prepare(w, programs)
        if programs.fit.named("fitted"):
            print_fit(w, programs)
        print_predict(w, programs, self.body)
        print_losses(w, programs, self.body)
        print_metrics(w, programs, self.body)
        self._print_evaluate()
        if programs.training is not None:
            self.print_gradients()
        else:
            self._print_untrainable()
        print_products(w, programs, self.body)
        if programs.restore.named("restored"):
            print_restore(w, programs)
        if programs.training is not None and spec.driver is not None:
            print_driver(w, spec.driver, self.printed)
        elif programs.training is not None:
            print_update(w, spec)
            self.print_trainer(programs.training)
        self.print_more()

    def _print_files(self) -> None:
        for function in support.FILES:
            text = self.printed(function)
            if self.weights is not None:
                text = text.replace("def load(path):", "def load(path=WEIGHTS):")
            if self.spec.masked and function is support._check_state:
                text += "    _check_masks(state)\n"
            self.w.source(text)
            gap(self.w)
        if self.spec.masked:
            self.print_functions(support.MASKS)

    def print_functions(self, functions: Functions) -> None:
        """Functions as they are but without annotations."""
        for function in functions:
            self.w.source(self.printed(function))
            gap(self.w)

    def _print_evaluate(self) -> None:
        with self.w.block("def evaluate(state, batch):"):
            self.w.docstring("Losses and metrics by name.")
            self.w.line("return {**losses(state, batch)[1], **metrics(state, batch)}")
        gap(self.w)

    def _print_untrainable(self) -> None:
        w, programs = self.w, self.programs
        lacks = "no objective" if not programs.losses.named("objective") else "nothing to learn"
        message = quoted(f"model {self.spec.name} has {lacks}: it cannot be trained")
        with w.block("def loss_and_gradients(state, batch, training=False):"):
            w.docstring("ValueError: the model cannot be trained.")
            w.line(f"raise ValueError({message})")
        gap(w)
        with w.block("class Trainer:"):
            w.docstring("ValueError: the model cannot be trained.")
            w.line()
            head = "def __init__(self, state, batch_size, steps_per_epoch=None, epochs=None):"
            with w.block(head):
                w.line(f"raise ValueError({message})")
        gap(w)

    def _print_helpers(self) -> None:
        """What the functions above call, and nothing else."""
        source = self.w.text()
        trained = "\nGROUPS" in source and "def _updated" in source
        driven = "\nDRIVER" in source
        plain = [*self.values, *support.FITTING, *support.RUN, *self.products]
        parts = [*plain, *self.training, *DRIVER_FUNCTIONS]
        needed = _called(source, parts)
        self.print_functions([f for f in parts if f.__name__ in needed])
        self.print_helpers()
        if trained:
            self.print_stepped("def _training" in source)
        self.print_functions(selftest.SELFTEST)
        if trained:
            self.print_functions(selftest.TRAINER_SELFTEST)
        if driven:
            self.print_functions(driver_selftest.DRIVER_SELFTEST)

    def _print_main(self) -> None:
        w = self.w
        with w.block('if __name__ == "__main__":'):
            with w.block('if sys.argv[1:] == ["--selftest"]:'):
                w.line("sys.exit(_selftest())")
            w.line('print(f"usage: python {sys.argv[0]} --selftest")')
            w.line('print("or: import it; its docstring says how")')


def _opened(programs: Programs) -> Programs:
    """The programs with their groups open, for statements are written one by one."""
    training = programs.training and opened(programs.training)
    evaluation = programs.evaluation
    if training is not None and evaluation is not None:
        shared = programs.training is not None and evaluation.graph is programs.training.graph
        roots = {key: training.roots[key] for key in evaluation.roots} if shared else {}
        evaluation = replace(training, roots=roots) if shared else opened(evaluation)
    return replace(
        programs,
        training=training,
        evaluation=evaluation,
        losses=opened(programs.losses),
        metrics=opened(programs.metrics),
        prediction=opened(programs.prediction),
        products={name: opened(program) for name, program in programs.products.items()},
    )


def _check_names(spec: ModelSpec) -> None:
    for name in (*spec.parameters, *spec.states):
        if name in COUNTERS:
            raise ValueError(
                f"the state of a module holds {name} itself: no parameter has that name"
            )


def _run_clocks(programs: Programs) -> dict[str, str] | None:
    """For each length of the run the clock whose training needs it, "" if none; None: not kept."""
    step = _clocks(programs.training) | _group_clocks(programs.spec)
    every = step | _clocks(
        programs.training,
        programs.evaluation,
        programs.losses,
        programs.metrics,
        programs.prediction,
        programs.prepare,
        programs.fit,
        programs.restore,
        *programs.products.values(),
    )
    if not every & CLOCKS_OF_A_RUN.keys():
        return None
    needed = dict.fromkeys(_RUN, "")
    for clock, names in CLOCKS_OF_A_RUN.items():
        for name in names:
            if clock in step and not needed[name]:
                needed[name] = clock
    return needed


def _clocks(*programs: Program | None) -> set[str]:
    found: set[str] = set()
    for program in programs:
        if program is not None:
            found |= clocks_read(program.graph, program.roots.values())
    return found


def _group_clocks(spec: ModelSpec) -> set[str]:
    bodies = (group.body for group in spec.groups)
    return {clock for body in bodies for clock in clocks_read(body.graph, body.results)}


def _called(source: str, functions: Iterable[Callable[..., Any]]) -> set[str]:
    by_name = {function.__name__: plain_source(function) for function in functions}
    found: set[str] = {"_dtype"}
    texts = [source, by_name["_dtype"]]
    while texts:
        text = texts.pop()
        new = {name for name in by_name if name not in found and f"{name}(" in text}
        found |= new
        texts.extend(by_name[name] for name in new)
    return found
