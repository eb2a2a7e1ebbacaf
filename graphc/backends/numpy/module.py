"""A whole module, from its docstring to its self-test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from os.path import basename
from typing import Any

from graphc.backends.numpy import driver_selftest, selftest, support
from graphc.backends.numpy.columns import print_fit, print_prepare, print_restore
from graphc.backends.numpy.drivers import DRIVER_FUNCTIONS, print_driver
from graphc.backends.numpy.functions import (
    gap,
    print_gradients,
    print_losses,
    print_metrics,
    print_predict,
)
from graphc.backends.numpy.products import print_products
from graphc.backends.numpy.rules import print_init, print_update
from graphc.backends.numpy.text import CLOCKS_OF_A_RUN, clocks_read
from graphc.backends.numpy.trainer import print_trainer
from graphc.backends.numpy.writer import Writer, harmless, quoted
from graphc.ir import Type
from graphc.model.program import COUNTERS, MASK, ModelSpec, Program, Programs
from graphc.ops.helpers import helper_source, helpers_used, plain_source
from graphc.ops.leaves import number_text
from graphc.schedule import TILE, opened

__all__ = ["print_module"]

_RUN = COUNTERS[2:]
"""The counters of a module that reads the clocks of a run."""


def print_module(
    programs: Programs,
    *,
    classes: dict[str, list[str]],
    version: str,
    steps_per_epoch: int | None = None,
    weights: str | None = None,
    reuse: bool = True,
) -> str:
    """Source of the module of a model.

    ``classes`` names the classes of targets. ``steps_per_epoch`` is written down where the data is
    known. ``weights`` is the name of an .npz file beside the module, the default of ``load``.
    Without ``reuse`` each array of a step has memory of its own.
    ValueError if the model uses a name that the state of a module needs for itself.
    """
    spec = programs.spec
    _check_names(spec)
    programs = _opened(programs)
    clock_of = _run_clocks(programs)
    w = Writer()
    _print_docstring(w, spec, version, weights)
    _print_imports(w, spec)
    _print_constants(w, programs, clock_of is not None, steps_per_epoch, weights)
    _print_literal(w, "classes", {name: list(values) for name, values in classes.items()})
    _print_literal(w, "signature", _signature(programs))
    _print_literal(w, "example", _example(spec))
    _print_face(w, programs, clock_of, weights, reuse)
    _print_helpers(w)
    _print_main(w)
    return w.text()


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


# ------------------------------------------------------------------------------ the head


def _print_docstring(w: Writer, spec: ModelSpec, version: str, weights: str | None) -> None:
    start = "load()" if weights else "init(seed=0)"
    name, path, by = harmless(spec.name), harmless(basename(spec.path)), harmless(version)
    w.docstring(
        f"Model {name}, compiled from {path} by graphc {by}.",
        "",
        "Needs NumPy only. A state is a flat dict of arrays, a batch a dict of inputs and targets:",
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


def _print_imports(w: Writer, spec: ModelSpec) -> None:
    w.line()
    for name in ("math", "operator", "os", "sys", "tempfile", "zipfile"):
        if name != "operator" or spec.driver is None:
            w.line(f"import {name}")
    w.line()
    w.line("import numpy as np")
    w.line()


def _print_constants(
    w: Writer, programs: Programs, runs: bool, steps_per_epoch: int | None, weights: str | None
) -> None:
    spec = programs.spec
    real = {"f32": "np.float32", "f64": "np.float64"}[spec.train.precision]
    w.line(f"REAL = {real}")
    w.line(f"EPOCHS = {spec.train.epochs!r}")
    w.line(f"STEPS_PER_EPOCH = {steps_per_epoch!r}")
    if weights is not None:
        w.line(
            f"WEIGHTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), {quoted(weights)})"
        )
    counters = COUNTERS if runs else COUNTERS[:2]
    w.line(f"COUNTERS = {_literal(counters)}", "what a state holds beside arrays of the model")
    if programs.training is not None and spec.driver is None:
        w.line(f"TILE = {TILE}", "elements that long updates take at a time")
    _print_literal(w, "GROUPS", tuple(group.parameters for group in spec.groups))
    moments = tuple(tuple(state.name for state in group.states) for group in spec.groups)
    _print_literal(w, "MOMENTS", moments)
    if programs.training is not None and spec.driver is not None:
        _print_literal(w, "DRIVER", dict(spec.driver.options))
    w.line()


def _print_literal(w: Writer, name: str, value: Any) -> None:
    """``name = value``, as a formatter would break it into lines."""
    w.source(_assignment(f"{name} = ", value, ""))


def _assignment(head: str, value: Any, tail: str) -> str:
    line = f"{head}{_literal(value)}{tail}"
    if len(line) <= 92 or not isinstance(value, dict | list | tuple) or not value:
        return line
    opening, closing = {dict: ("{", "}"), list: ("[", "]"), tuple: ("(", ")")}[type(value)]
    pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    lines = [head + opening]
    for key, item in pairs:
        prefix = "" if key is None else f"{_literal(key)}: "
        text = _assignment(prefix, item, ",")
        lines.extend("    " + row for row in text.splitlines())
    return "\n".join([*lines, closing + tail])


def _literal(value: Any) -> str:
    """Source of strings, numbers and containers of them, strings in double quotes."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return number_text(value) if isinstance(value, float) else repr(value)


def _signature(programs: Programs) -> dict[str, Any]:
    spec = programs.spec
    data = {
        role: {n: _entry(i.type) for n, i in spec.inputs.items() if i.role == role}
        for role in ("input", "target")
    }
    return {
        "model": spec.name,
        "batch": spec.batch,
        "objective": programs.training is not None,
        "inputs": data["input"],
        "targets": data["target"],
        "outputs": {
            name: {
                **_entry(programs.prediction.graph[id].tensor),
                "target": spec.outputs[name].target if name in spec.outputs else None,
            }
            for name, id in programs.prediction.named("output").items()
        },
        "losses": list(programs.losses.named("loss")),
        "metrics": list(programs.metrics.named("metric")),
        "parameters": {n: {"shape": _shape(i.type)} for n, i in spec.parameters.items()},
        "state": _state_entries(spec),
        "columns": {column: list(names) for column, names in spec.data.columns.items()},
    }


def _state_entries(spec: ModelSpec) -> dict[str, Any]:
    entries: dict[str, Any] = {
        name: {"shape": _shape(info.type), "kind": info.type.kind}
        for name, info in spec.states.items()
    }
    for group in spec.groups:
        for state in group.states:
            for name in group.parameters:
                shape = _shape(spec.parameters[name].type)
                entry: dict[str, Any] = {"shape": shape, "kind": "real"}
                if spec.masked and state.name == MASK:
                    entry["mask"] = True
                if state.unit != 1:
                    entry["unit"] = state.unit
                entries[f"{name}:{state.name}"] = entry
    return entries


def _entry(type: Type) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": type.kind, "shape": _shape(type)}
    if type.kind == "label":
        entry["classes"] = type.classes
    return entry


def _shape(type: Type) -> list[int | str]:
    return [size if isinstance(size, int) else str(size) for size in type.shape]


def _example(spec: ModelSpec) -> dict[str, Any] | None:
    values = {name: info.example for name, info in spec.inputs.items()}
    return None if not values or None in values.values() else values


# ----------------------------------------------------------------------------- the rest


def _print_face(
    w: Writer,
    programs: Programs,
    clock_of: dict[str, str] | None,
    weights: str | None,
    reuse: bool,
) -> None:
    spec = programs.spec
    gap(w)
    print_init(w, spec, clock_of is not None)
    _print_functions(w, support.FILES, load_default=weights is not None, masked=spec.masked)
    if spec.masked:
        _print_functions(w, support.MASKS)
    print_prepare(w, programs)
    if programs.fit.named("fitted"):
        print_fit(w, programs)
    print_predict(w, programs)
    print_losses(w, programs)
    print_metrics(w, programs)
    _print_evaluate(w)
    if programs.training is not None:
        print_gradients(w, programs)
    else:
        _print_untrainable(w, programs)
    print_products(w, programs)
    if programs.restore.named("restored"):
        print_restore(w, programs)
    if programs.training is not None and spec.driver is not None:
        print_driver(w, spec.driver)
    elif programs.training is not None:
        print_update(w, spec)
        print_trainer(w, spec, programs.training, clock_of or {}, reuse=reuse)


def _print_functions(
    w: Writer,
    functions: Iterable[Callable[..., Any]],
    load_default: bool = False,
    masked: bool = False,
) -> None:
    for function in functions:
        text = plain_source(function)
        if load_default:
            text = text.replace("def load(path):", "def load(path=WEIGHTS):")
        if masked and function is support._check_state:
            text += "    _check_masks(state)\n"
        w.source(text)
        gap(w)


def _print_evaluate(w: Writer) -> None:
    with w.block("def evaluate(state, batch):"):
        w.docstring("Losses and metrics by name.")
        w.line("return {**losses(state, batch)[1], **metrics(state, batch)}")
    gap(w)


def _print_untrainable(w: Writer, programs: Programs) -> None:
    lacks = "no objective" if not programs.losses.named("objective") else "nothing to learn"
    message = quoted(f"model {programs.spec.name} has {lacks}: it cannot be trained")
    with w.block("def loss_and_gradients(state, batch, training=False):"):
        w.docstring("ValueError: the model cannot be trained.")
        w.line(f"raise ValueError({message})")
    gap(w)
    with w.block("class Trainer:"):
        w.docstring("ValueError: the model cannot be trained.")
        w.line()
        with w.block("def __init__(self, state, batch_size, steps_per_epoch=None, epochs=None):"):
            w.line(f"raise ValueError({message})")
    gap(w)


def _print_helpers(w: Writer) -> None:
    """What the functions above call, and nothing else."""
    source = w.text()
    trained = "\nGROUPS" in source and "_bind_update" in source
    driven = "\nDRIVER" in source
    parts = [*support.VALUES, *support.FITTING, *support.RUN, *support.PRODUCTS, *support.TRAINING]
    parts += DRIVER_FUNCTIONS
    needed = _called(source, parts)
    _print_functions(w, [function for function in parts if function.__name__ in needed])
    for name in helpers_used(w.text()):
        w.source(helper_source(name))
        gap(w)
    if trained:
        _print_stepped(w, "def _training" in source)
    _print_functions(w, selftest.SELFTEST)
    if trained:
        _print_functions(w, selftest.TRAINER_SELFTEST)
    if driven:
        _print_functions(w, driver_selftest.DRIVER_SELFTEST)


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


def _print_stepped(w: Writer, following: bool) -> None:
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


def _print_main(w: Writer) -> None:
    with w.block('if __name__ == "__main__":'):
        with w.block('if sys.argv[1:] == ["--selftest"]:'):
            w.line("sys.exit(_selftest())")
        w.line('print(f"usage: python {sys.argv[0]} --selftest")')
        w.line('print("or: import it; its docstring says how")')
