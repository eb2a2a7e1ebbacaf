"""Gradients and Hessian-vector products of a generated module, beside finite differences in f64.

First derivatives are compared with differences of the objective, in evaluation and in training;
second ones with differences of the gradient, for which the first comparison vouches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from graphc.ir import Body, Call, inline_calls
from graphc.model import Program
from graphc.runtime import Array, Arrays, RunError
from graphc.runtime.differences import Comparison, compare, rounding_noise
from graphc.session.checking import deep_recursion
from graphc.session.loading import gradients_of
from graphc.session.model import compile
from graphc.session.parts import DataLike
from graphc.session.tallies import GradCheck, ParameterCheck, Worst, entry_text
from graphc.session.targets import HOST, expect_target
from graphc.session.trial import Trial, default_rows, make_trial, typical_size

__all__ = ["gradcheck"]

_PRODUCT = "hessian_vector_products"
_SMALL = 64
"""A parameter with no more entries than this is looked at entry by entry, ..."""
_ENTRIES = 160
"""... smallest parameters first, as long as these are no more than so many in all."""
_FLOOR = 1e-2
"""Derivatives are judged as if they were this part of their tensor's root mean square at least."""


def gradcheck(
    path_or_text: str | os.PathLike[str],
    *,
    set: Mapping[str, object] | None = None,
    at: Mapping[str, object] | None = None,
    data: DataLike | None = None,
    rows: int | None = None,
    directions: int = 3,
    seed: int = 0,
    tolerance: float = 1e-6,
    target: str = HOST,
) -> GradCheck:
    """Compare the first and second derivatives of a model with finite differences.

    The batch is ``rows`` of the model's data, 8 by default, 2 for models of many steps; for one
    without data see :mod:`graphc.session.trial`. First derivatives are those by every entry of a
    small parameter, and along ``directions`` random directions of a large one and by as many of
    its entries. Second derivatives are those of the whole gradient along as many random directions
    of all parameters at once, or along every entry of a small model. ``target`` computes
    everything; ``auto`` is judged by a step of the batch. RunError for a model that has
    nothing to differentiate.
    """
    if not ((rows is None or rows > 0) and directions > 0 and tolerance > 0 and seed >= 0):
        raise RunError("rows, directions and tolerance must be above 0, the seed 0 or more")
    expect_target(target)
    model = compile(path_or_text, set=set, at=at, precision="f64", data=data, products=[_PRODUCT])
    examples = None if model.spec.batch is None else rows or default_rows(model)
    model = model.with_target(target, batch=examples)
    trial = make_trial(model, rows=rows, seed=seed, own_examples=bool(at))
    with deep_recursion(model.spec.path):
        training, stopped = _differences_by_intent(model.checked.program.copy())
    learned = model.spec.learned
    tallies = {
        name: ParameterCheck(name, trial.state[name].shape, name in stopped, tolerance)
        for name in learned
    }
    checker = _Checker(model.module, trial, tallies, tolerance, np.random.default_rng(seed))
    checker.first(directions, training=False)
    if training:
        checker.first(directions, training=True)
    checker.second(directions)
    return GradCheck(
        model.name,
        trial.origin,
        trial.moved,
        training,
        tolerance,
        tuple(tallies.values()),
        tuple(name for name, info in model.spec.parameters.items() if info.frozen),
        model.choice,
    )


@dataclass(frozen=True)
class _Direction:
    """A direction in the space of some parameters, as long as a step of size 1 is to be. ``entry``
    says which entry it is, or ``title`` that it is none."""

    arrays: Arrays
    entry: str = ""
    title: str = ""

    @property
    def length(self) -> float:
        return float(np.sqrt(sum(np.vdot(array, array) for array in self.arrays.values())))


class _Checker:
    """Moves parameters about a trial's point, compares, and counts in ``found``."""

    def __init__(
        self,
        module: Any,
        trial: Trial,
        found: Mapping[str, ParameterCheck],
        tolerance: float,
        random: np.random.Generator,
    ) -> None:
        self.module = module
        self.trial = trial
        self.found = found
        self.tolerance = tolerance
        self.random = random
        self.sizes = {name: int(np.prod(check.shape)) for name, check in found.items()}

    # ------------------------------------------------------------------ comparisons

    def first(self, count: int, *, training: bool) -> None:
        """Slopes of the objective; the draws of training are the same at every step."""
        gradients = gradients_of(
            self.module, self.trial.state, self.trial.batch, training=training
        )[1]
        noise = rounding_noise(partial(self._jittered, partial(self._objective, training)))
        singly = self._looked_at_singly()
        for name, found in self.found.items():
            gradient = gradients[name]
            typical = _root_mean_square(gradient)
            for direction in self._directions(name, count, name in singly):
                compared = compare(
                    partial(self._along, partial(self._objective, training), direction),
                    np.array([np.vdot(gradient, direction.arrays[name])]),
                    floor=_FLOOR * typical * direction.length,
                    noise=noise,
                    tolerance=self.tolerance,
                )
                at = found.first.add(compared)
                if at is not None:
                    found.first.worst = self._worst(
                        1, training, name, direction.entry, direction, compared, at
                    )

    def second(self, count: int) -> None:
        """Slopes of every entry of the gradient. A parameter above a stop_gradient stays where it
        is: the values that are stopped depend on it."""
        noise = self._spread(rounding_noise(partial(self._jittered, self._gradient)), np.max)
        for direction in self._joint_directions(count):
            product = self._product(direction)
            typical = self._spread(product, _root_mean_square)
            compared = compare(
                partial(self._along, self._gradient, direction),
                product,
                floor=_FLOOR * typical,
                noise=noise,
                tolerance=self.tolerance,
            )
            for name, block in self._blocks(np.arange(product.size)).items():
                found = self.found[name]
                part = Comparison(*(array[block] for array in vars(compared).values()))
                at = found.second.add(part)
                if at is not None:
                    entry = entry_text(at, found.shape)
                    found.second.worst = self._worst(2, False, name, entry, direction, part, at)

    def _worst(
        self,
        order: int,
        training: bool,
        name: str,
        entry: str,
        direction: _Direction,
        compared: Comparison,
        at: int,
    ) -> Worst:
        return Worst(
            order,
            training,
            name,
            entry,
            direction.title,
            float(compared.exact[at]) / direction.length,
            float(compared.numeric[at]) / direction.length,
            float(compared.error[at]),
        )

    # ------------------------------------------------------------------ functions of the state

    def _objective(self, training: bool, state: Arrays) -> Array:
        return np.array([gradients_of(self.module, state, self.trial.batch, training=training)[0]])

    def _gradient(self, state: Arrays) -> Array:
        """Every entry, in the order of the parameters."""
        return self._flat(gradients_of(self.module, state, self.trial.batch)[1])

    def _product(self, direction: _Direction) -> Array:
        """The Hessian times a direction."""
        tangents = {
            name: direction.arrays.get(name, np.zeros(check.shape))[None]
            for name, check in self.found.items()
        }
        return self._flat(
            getattr(self.module, _PRODUCT)(self.trial.state, self.trial.batch, tangents)
        )

    def _along(
        self, value: Callable[[Arrays], Array], direction: _Direction, distance: float
    ) -> Array:
        state = self.trial.state
        moved = {name: state[name] + distance * d for name, d in direction.arrays.items()}
        return value({**state, **moved})

    def _jittered(self, value: Callable[[Arrays], Array], size: float) -> Array:
        """The value where every parameter is off by its last bit."""
        state = self.trial.state
        moved = {
            name: state[name] * (1 + size * self.random.integers(-1, 2, check.shape))
            for name, check in self.found.items()
        }
        return value({**state, **moved})

    # ------------------------------------------------------------------ directions

    def _looked_at_singly(self) -> frozenset[str]:
        """Parameters of which every entry is looked at."""
        smallest = sorted(self.sizes, key=self.sizes.__getitem__)
        total = np.cumsum([self.sizes[name] for name in smallest])
        return frozenset(
            name
            for name, entries in zip(smallest, total, strict=True)
            if self.sizes[name] <= _SMALL and entries <= _ENTRIES
        )

    def _directions(self, name: str, count: int, singly: bool) -> Iterator[_Direction]:
        """Every entry of a parameter, or random directions and then some entries."""
        entries = np.arange(self.sizes[name])
        if not singly:
            for number in range(1, count + 1):
                yield _Direction({name: self._random(name)}, title=f"random direction {number}")
            entries = self.random.choice(entries, min(count, entries.size), replace=False)
        for entry in entries:
            yield self._entry(name, int(entry))

    def _joint_directions(self, count: int) -> Iterator[_Direction]:
        """Every entry of a small model, or random directions, without parameters that are above a
        stop_gradient."""
        names = [name for name, check in self.found.items() if not check.stopped]
        if sum(self.sizes[name] for name in names) <= _SMALL:
            for name in names:
                for entry in range(self.sizes[name]):
                    single = self._entry(name, entry)
                    yield replace(single, title=name + single.entry)
            return
        for number in range(1, count + 1):
            arrays = {name: self._random(name) for name in names}
            yield _Direction(arrays, title=f"random direction {number}")

    def _entry(self, name: str, entry: int) -> _Direction:
        array = np.zeros(self.sizes[name])
        array[entry] = typical_size(self.trial.state[name])
        shape = self.found[name].shape
        return _Direction({name: array.reshape(shape)}, entry=entry_text(entry, shape))

    def _random(self, name: str) -> Array:
        """Long enough for a slope to rise above rounding, short enough to meet few kinks."""
        array = self.random.standard_normal(self.found[name].shape)
        length = typical_size(self.trial.state[name]) * self.sizes[name] ** 0.25
        return np.asarray(array * (length / np.linalg.norm(array)))

    # ------------------------------------------------------------------ flat arrays

    def _flat(self, arrays: Arrays) -> Array:
        return np.concatenate([np.ravel(arrays[name]) for name in self.found])

    def _blocks(self, flat: Array) -> dict[str, Array]:
        """A flat array in pieces, by parameter."""
        pieces = np.split(flat, np.cumsum([*self.sizes.values()])[:-1])
        return dict(zip(self.found, pieces, strict=True))

    def _spread(self, flat: Array, function: Callable[[Array], Any]) -> Array:
        """A number of each parameter's piece, repeated over the piece. Rounding errors are spread
        so because few draws show an entry's own."""
        numbers = [function(piece) for piece in self._blocks(flat).values()]
        return np.repeat(numbers, [*self.sizes.values()])


def _root_mean_square(array: Array) -> float:
    """Of numbers whose squares may be too large for a float."""
    largest = float(np.max(np.abs(array)))
    return largest * float(np.sqrt(np.mean(np.square(array / largest)))) if largest else 0.0


def _differences_by_intent(program: Program) -> tuple[bool, frozenset[str]]:
    """Whether training has an objective of its own, and the parameters from which a stop_gradient
    hides a part of the objective. Those of the prelude are there for stability and hide nothing."""
    from graphc.passes.project import has_choice
    from graphc.passes.regularize import Regularize

    graph = Regularize().apply(program).graph
    memo: dict[int, bool] = {}
    roots = inline_calls(
        graph, program.roots, when=lambda _, call: _is_of_the_file(call.body, memo)
    )
    needed = graph.ancestors([roots["objective", ""]])
    stops = [node.id for node in graph if node.op.name == "stop_gradient" and node.id in needed]
    above = graph.ancestors(stops)
    parameters = [node for node in graph if node.op.name == "parameter" and node.id in above]
    return has_choice(graph), frozenset(node.name for node in parameters)


def _is_of_the_file(body: Body, memo: dict[int, bool]) -> bool:
    """Whether a body, or one below it, is written in the model file."""
    if id(body) not in memo:
        inner = [node.op.body for node in body.graph if isinstance(node.op, Call)]
        memo[id(body)] = not body.prelude or any(_is_of_the_file(b, memo) for b in inner)
    return memo[id(body)]
