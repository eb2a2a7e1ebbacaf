"""A compiled model: its text, its generated source, and what can be done with it.

Checking happens when a :class:`Model` is made; the passes run and the source is printed when they
are first asked for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from numpy.typing import ArrayLike

from graphc.diagnostics import Diagnostics
from graphc.model import ModelSpec
from graphc.runtime import (
    Array,
    Arrays,
    EpochRecord,
    Evaluation,
    Module,
    Place,
    Reporter,
    RunError,
    Table,
    computing,
    evaluate,
    write_atomic,
)
from graphc.runtime.computing import on_machine
from graphc.runtime.wording import listing
from graphc.session.checking import Request, check
from graphc.session.generated import Generated
from graphc.session.loading import checked_batch, gradients_of, taking_prepared
from graphc.session.parts import (
    DataLike,
    Part,
    Parts,
    data_folder,
    differ,
    example_batch,
    gathered,
    make_parts,
    only_column,
)
from graphc.session.predicting import predict_arrays
from graphc.session.products import known_products
from graphc.session.targets import AUTO, HOST, Choice, choose_target, expect_target
from graphc.session.texts import as_texts, read_model

if TYPE_CHECKING:
    from graphc.schedule import CostReport
    from graphc.session.run import Run

__all__ = ["Model", "Report", "compile"]

Report = Reporter | Callable[[EpochRecord], None]


def compile(
    path_or_text: str | os.PathLike[str],
    *,
    set: Mapping[str, object] | None = None,
    at: Mapping[str, object] | None = None,
    precision: Literal["f32", "f64"] | None = None,
    data: DataLike | None = None,
    products: Sequence[str] = (),
    cut: str | Sequence[str] = (),
    fuse: bool = True,
    reuse: bool = True,
    target: str = HOST,
) -> Model:
    """Compile a model file, or a model text (a string with a line break).

    ``set`` overrides hypers and keys of sections (``{"hidden": 128, "train.epochs": 5}``), ``at``
    example values of inputs. ``data`` is the folder that the data section's files lie in, or a
    file, or arrays by name, in place of those. ``products`` are functions that the module holds
    on request (``per_example_gradients``, ``hessian_vector_products``,
    ``gauss_newton_products``, ``backpropagated_diagonal``, ``layer_inputs``,
    ``layer_curvatures``, ``layer_gradients``, ``layer_hessian_products``, ``penalty_products``);
    ``cut`` names the values between network and loss, the first
    arguments of the prelude's losses by default. Without ``fuse`` nothing is grouped, without
    ``reuse`` each array of a training step has memory of its own: slower, and the same numbers up
    to rounding. ``target`` is what the module is made for: ``numpy``, or ``auto`` for what
    :meth:`Model.with_target` takes. Raises CompileError for errors of the text,
    RunError for files that cannot be read and data that do not fit.
    """
    expect_target(target)
    source = read_model(path_or_text)
    folder = data_folder(data)
    table = gathered(data, {}) if folder is None else None
    request = Request(
        source,
        Place(Path(source.name).parent, folder),
        sets=as_texts(set or {}),
        examples=as_texts(at or {}),
        precision=precision,
        columns=None if table is None else table.describe(),
        products=known_products(products),
        cut=(cut,) if isinstance(cut, str) else tuple(cut),
        fuse=fuse,
        reuse=reuse,
        target=HOST if target == AUTO else target,
    )
    model = Model(Generated(check(request)), table)
    return model.with_target(AUTO) if target == AUTO else model


class Model:
    """A model that has been checked. Make one with :func:`graphc.compile`."""

    def __init__(
        self, generated: Generated, data: Table | None = None, choice: Choice | None = None
    ) -> None:
        self.checked = generated.checked
        self.generated = generated
        self.choice = choice
        """Why it is compiled for this target, where that was left to graphc."""
        self._data = data
        self._extended: dict[str, Model] = {}
        """This model with a function more, by its name."""

    # ------------------------------------------------------------------ what it is

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def spec(self) -> ModelSpec:
        """Inputs, parameters, sections: everything that compiling found out."""
        return self.checked.spec

    @property
    def warnings(self) -> Diagnostics:
        return self.checked.warnings

    @property
    def masked(self) -> bool:
        """Whether its states hold a mask of each learned parameter, so that it can be pruned."""
        return self.checked.request.masked

    @property
    def target(self) -> str:
        """What it is compiled for."""
        return self.checked.request.target

    @cached_property
    def host(self) -> Model:
        """This model for the target that runs everywhere."""
        return self if self.target == HOST else self.with_target(HOST)

    @property
    def data(self) -> Table | None:
        """The data given in place of what the model names."""
        return self._data

    @property
    def place(self) -> Place:
        """Where the files of the data section lie."""
        return self.checked.request.place

    @property
    def source(self) -> str:
        """The generated module: plain Python that imports NumPy and, for another target, its
        library, and nothing else."""
        return self.generated.source

    @property
    def module(self) -> Module:
        """The generated module, loaded. RunError where its target does not run here."""
        return self.generated.module

    def named(self, role: str) -> list[str]:
        """Names of the losses, metrics or outputs, in the order of the file."""
        return [name for kind, name in self.checked.roots if kind == role]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the generated module at ``path``, whole or not at all."""
        self.expect_other_file(path)
        write_atomic(Path(path), self.source.encode())

    def expect_other_file(self, path: str | os.PathLike[str]) -> None:
        """RunError for a path at which the model text itself lies."""
        with contextlib.suppress(OSError, ValueError):
            if os.path.samefile(path, self.checked.request.source.name):
                raise RunError(
                    f"{path} is the model file; the module would overwrite it",
                    help=f"write it elsewhere: -o {Path(path).stem}.py",
                )

    def report(self, batch: int | None = None, size: Mapping[str, int] | None = None) -> CostReport:
        """What a training step costs, known before it runs: operations and bytes moved by node and
        by group, and peak memory by what it is for.

        It is of a batch of ``batch`` examples, by default as many as the train section says;
        ``size`` gives other symbolic dimensions. Of a model that learns nothing it is about the
        functions for losses, metrics and outputs, without memory. RunError for sizes that nobody
        gives.
        """
        from graphc.session.reporting import cost_report

        return cost_report(self, batch, size or {})

    def __repr__(self) -> str:
        return f"<graphc model {self.name}: {self.parameter_count:,} parameters>"

    @property
    def parameter_count(self) -> int:
        sizes = (info.type.size for info in self.spec.parameters.values())
        return cast(int, sum(sizes))

    # ------------------------------------------------------------------ what it does

    def init(self, seed: int | None = None) -> Arrays:
        """A fresh state: parameters, layer and optimizer state. The seed is the model's own."""
        return self.module.init(seed=self.spec.train.seed if seed is None else seed)

    def train(
        self,
        data: DataLike | None = None,
        *,
        epochs: int | None = None,
        batch: int | None = None,
        seed: int | None = None,
        folder: str | os.PathLike[str] | Literal[False] | None = None,
        report: Report | None = None,
        masks: Mapping[str, ArrayLike] | None = None,
        **arrays: ArrayLike,
    ) -> Run:
        """Train from a fresh state and return the run.

        The data are the model's own, looked up in ``data`` if that is a folder; or a file; or
        arrays by the names of inputs and targets, or of the data section's columns. ``folder``
        is where the run is kept: the next free ``runs/NAME-N`` by default, False for nowhere.
        ``report`` is called with each epoch's record. ``masks`` are 0 where a weight is to be zero
        throughout, by parameter. Ctrl-C ends training with a run that can be resumed.
        """
        from graphc.session.training import start

        settings = {"epochs": epochs, "batch": batch, "seed": seed}
        sets = {f"train.{key}": value for key, value in settings.items() if value is not None}
        model = self.over(data, arrays).with_sets(sets)
        return start(model, folder=folder, report=report, masks=masks)

    def evaluate(
        self,
        state: Mapping[str, Array] | None = None,
        data: DataLike | None = None,
        part: Part = "all",
        **arrays: ArrayLike,
    ) -> Evaluation:
        """Objective, losses and metrics of a state (a fresh one by default) on a part of the data.

        Without data of any kind it is what the example values give.
        """
        model = self.over(data, arrays)
        known = model.init() if state is None else dict(state)
        if not model.has_data:
            return model.evaluate_examples(known)
        module, parts = model.parts()
        raw = parts.part(part, model.name)
        return evaluate(module, known, raw, model.spec.train.batch, part=part)

    def predict(
        self, state: Mapping[str, Array], data: DataLike | None = None, **arrays: ArrayLike
    ) -> Arrays:
        """Outputs by name, a row an example, in original units where the model knows them."""
        table = gathered(data, arrays, only_column(self.module.signature))
        if table is None:
            batch = self.example_batch()
            with computing():
                return self.module.predict(dict(state), batch)
        return predict_arrays(self.reading(table, need_targets=False), dict(state), table.columns)

    def loss_and_gradients(
        self,
        state: Mapping[str, Array] | None = None,
        batch: Mapping[str, ArrayLike] | None = None,
        *,
        training: bool = False,
    ) -> tuple[float, Arrays]:
        """The objective and its gradient by parameter, at a batch or at the example values."""
        known = self.init() if state is None else dict(state)
        arrays = self.example_batch() if batch is None else checked_batch(self.module, batch)
        return gradients_of(self.module, known, arrays, training=training)

    def per_example_gradients(
        self, state: Mapping[str, Array], batch: Mapping[str, ArrayLike]
    ) -> Arrays:
        """The gradient of each example's objective alone: arrays [n, …] by parameter."""
        return self._product("per_example_gradients", state, batch)

    def hessian_vector_products(
        self,
        state: Mapping[str, Array],
        batch: Mapping[str, ArrayLike],
        tangents: Mapping[str, ArrayLike],
    ) -> Arrays:
        """The objective's Hessian times k tangents: arrays [k, …] by parameter, as given."""
        return self._product("hessian_vector_products", state, batch, dict(tangents))

    def gauss_newton_products(
        self,
        state: Mapping[str, Array],
        batch: Mapping[str, ArrayLike],
        tangents: Mapping[str, ArrayLike],
    ) -> Arrays:
        """The generalised Gauss-Newton matrix times k tangents, cut where ``compile`` was told."""
        return self._product("gauss_newton_products", state, batch, dict(tangents))

    def backpropagated_diagonal(
        self, state: Mapping[str, Array], batch: Mapping[str, ArrayLike]
    ) -> Arrays:
        """The diagonal of the objective's Hessian as LeCun, Denker and Solla (1990) propagate it
        backwards, cross terms dropped: arrays of the parameters' shapes. Exact for penalties and
        for the last linear layer before a loss."""
        return self._product("backpropagated_diagonal", state, batch)

    def layer_inputs(self, state: Mapping[str, Array], batch: Mapping[str, ArrayLike]) -> Arrays:
        """What each weight W that is used once, in a linear map ``x @ W``, is multiplied by:
        [rows, fan in], a row an example, times positions for a convolution. RunError for a model
        without such weights."""
        return self._product("layer_inputs", state, batch)

    def layer_curvatures(
        self, state: Mapping[str, Array], batch: Mapping[str, ArrayLike]
    ) -> Arrays:
        """For the same weights and rows n·∂²E/∂z², of z = x @ W, as the backpropagated diagonal
        has it: [rows, fan out]. E is a mean over the n examples of the batch; n times it are
        numbers of each example that batches of any size agree on."""
        return self._product("layer_curvatures", state, batch)

    def _product(
        self, name: str, state: Mapping[str, Array], batch: Mapping[str, ArrayLike], *more: object
    ) -> Arrays:
        """What a function of the module gives, of a module that has it where this one has not."""
        request = self.checked.request
        if name not in request.products:
            if name not in self._extended:
                changed = replace(self.checked, request=replace(request, products=(name,)))
                self._extended[name] = Model(Generated(changed), self._data)
            return self._extended[name]._product(name, state, batch, *more)
        arrays = checked_batch(self.module, batch)
        with on_machine():
            return cast(Arrays, getattr(self.module, name)(dict(state), arrays, *more))

    def evaluate_examples(self, state: Mapping[str, Array]) -> Evaluation:
        """Objective, losses and metrics at the example values."""
        known, batch = dict(state), self.example_batch()
        metrics: dict[str, Any] = {}
        with computing():
            objective, losses = self.module.losses(known, batch)
            if self.module.signature["metrics"]:
                metrics = self.module.metrics(known, batch)
        return {
            "objective": float(objective),
            "losses": {name: float(value) for name, value in losses.items()},
            "metrics": metrics,
        }

    # ------------------------------------------------------------------ data

    @property
    def has_objective(self) -> bool:
        return ("objective", "") in self.checked.roots

    @property
    def has_data(self) -> bool:
        """Whether the model names data of its own, or was given some."""
        return self._data is not None or bool(self.spec.data.files or self.spec.data.arrays)

    @property
    def has_examples(self) -> bool:
        """Whether every input and target has an example value."""
        return all(info.example is not None for info in self.spec.inputs.values())

    def example_batch(self) -> Arrays:
        """The example values as a batch. RunError when one is missing."""
        batch = example_batch(self.spec, self.module)
        if batch is None:
            missing = [n for n, info in self.spec.inputs.items() if info.example is None]
            raise RunError(
                f"{self.name} has no example values for {listing(missing)}",
                help="write them, as in `input x: real = 1.5`, or give them with --at",
            )
        return batch

    def parts(self) -> tuple[Module, Parts]:
        """The data in parts, and the module that reads them."""
        module = self.module if self._data is None else self.reading(self._data)
        return module, make_parts(self.spec, module, self._data, self.place)

    def reading(self, table: Table, *, need_targets: bool = True) -> Module:
        """The module that can read a table: by the columns of the data section if they are all
        there, otherwise by the names of inputs and targets."""
        signature = self.module.signature
        wanted = [*signature["inputs"], *(signature["targets"] if need_targets else ())]
        columns = [
            column
            for column, readers in signature["columns"].items()
            if any(name in wanted for name in readers)
        ]
        by_column = all(column in table.columns for column in columns)
        by_name = all(name in table.columns for name in wanted)
        if by_name and not by_column:
            return taking_prepared(self.module, need_targets=need_targets)
        return self.module

    def over(self, data: DataLike | None, arrays: Mapping[str, ArrayLike]) -> Model:
        """This model over data given in any way; over its own where none are."""
        folder = data_folder(data)
        if folder is not None and not arrays:
            return self.with_folder(folder)
        return self.with_data(gathered(data, arrays))

    def with_folder(self, folder: Path) -> Model:
        """This model over its own data, which lie in a folder of their own."""
        request = self.checked.request
        changed = replace(
            request,
            place=replace(request.place, folder=folder),
            columns=None if self._data is not None else request.columns,
        )
        return Model(Generated(check(changed)), None, self.choice)

    def with_data(self, table: Table | None) -> Model:
        """This model with other data, compiled for their shapes and classes."""
        if table is None:
            return self
        columns = table.describe()
        read = [columns.get(name) for name in self.spec.data.columns]
        if None in read or not differ(self.spec, self.checked.columns, columns):
            return Model(self.generated, table, self.choice)
        changed = replace(self.checked.request, columns=columns)
        return Model(Generated(check(changed)), table, self.choice)

    def with_sets(self, sets: Mapping[str, object]) -> Model:
        """This model with more settings than it was compiled with."""
        if not sets:
            return self
        request = self.checked.request
        changed = replace(
            request, sets={**request.sets, **as_texts(sets)}, columns=self.checked.columns
        )
        return Model(Generated(check(changed)), self._data, self.choice)

    def with_target(self, target: str, *, training: bool = True, batch: int | None = None) -> Model:
        """This model for another target.

        ``auto`` is the accelerator that works here where the model is large enough to gain from
        it, judged by a training step of ``batch`` examples (those of the train section by default)
        or, without ``training``, by an evaluation; else the CPU. ``choice`` of the model says why.
        RunError for an unknown name.
        """
        expect_target(target)
        choice = None
        if target == AUTO:
            choice = choose_target(self.host, training=training, batch=batch)
            target = choice.target
        return Model(self.generated.on(target), self._data, choice)

    def with_masks(self) -> Model:
        """This model with a mask in the state of every optimizer: what is pruned stays at zero.

        RunError where an optimizer of the model has a state of that name.
        """
        if self.masked:
            return self
        changed = replace(self.checked.request, masked=True, columns=self.checked.columns)
        return Model(Generated(check(changed)), self._data, self.choice)
