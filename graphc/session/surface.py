"""The objective about the path of an optimizer: along two directions, or along one.

A run keeps no path, so its training is done again in memory. The objective is that of evaluation,
penalties included, on the training part, as a function of the parameters; all other state is as it
was at the end. Of a model with one or two learned numbers these are the axes. Otherwise the plane
goes through the last parameters, along the first two principal directions of the path (Li et al.,
2018, "Visualizing the Loss Landscape of Neural Nets"), and the path is seen from above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphc.ir import Dim
from graphc.model import ModelSpec, Program
from graphc.ops import evaluate
from graphc.passes import run_passes
from graphc.passes.project import Project
from graphc.passes.regularize import Regularize
from graphc.runtime import Arrays, Module, RunError, computing, initial_state
from graphc.runtime.device import state_for_evaluation
from graphc.runtime.examples import Examples, load_examples, on_device
from graphc.runtime.replay import replay
from graphc.runtime.wording import count
from graphc.schedule import forward_report
from graphc.session.checking import deep_recursion
from graphc.session.explaining import input_lengths
from graphc.session.model import Model
from graphc.session.parts import DataLike
from graphc.session.run import Run
from graphc.session.training import train_config

__all__ = ["Objective", "Surface", "Tell", "explore"]

Tell = Callable[[str], None]
Vector = NDArray[np.float64]

_GRID = {1: 201, 2: 41}
"""Points along one axis and along each of two, for models for which that takes no more than about a
minute."""
_MOST_EXAMPLES = 2048
_LEAST = ((256, 25), (64, 15))
"""Examples, and points along an axis, that are left to a model for which more would take long; of
the second two for one that takes long even so."""
_WORK = 1.2e11
"""Bytes that could be moved in the time that all points may take together, half a minute or so."""
_CALL = 100_000
"""Bytes that could be moved in the time that the call of a function takes, ..."""
_FLOPS_A_BYTE = 25
"""... and operations that could be done in the time that moving one takes."""
_POINTS = 200
"""Points of a path, ..."""
_PATH_BYTES = 128 * 2**20
"""... fewer where they would take more memory than this; 20 at least."""
_MARGIN = 0.2
"""How far beyond the path the axes reach, beside its longest extent."""
_NARROWEST = 0.3
"""How short the path counts along an axis at least, beside the longest."""
_CLOSE = 1e-2
"""How far the end of the replayed path may be from the run's, beside the distance from start to
end, for the picture to be the same."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The objective on a grid, and a path among its points.

    ``axes`` are the coordinates along each axis, one or two; ``values`` the objective, of shape
    ``[len(axes[1]), len(axes[0])]`` or ``[len(axes[0])]``; ``path [points, len(axes)]``, its first
    point the start; ``heights`` the objective at each of its points, for one axis only. ``shares``
    are those of the path's variance along principal directions, None where the axes are the
    learned numbers. ``note`` says where the replayed path differs from the run's.
    """

    labels: tuple[str, ...]
    axes: tuple[Vector, ...]
    values: Vector
    path: Vector
    heights: Vector | None
    shares: tuple[float, ...] | None
    end: float
    examples: int
    steps: int
    note: str


def explore(
    run: Run, data: DataLike | None = None, *, grid: int | None = None, tell: Tell | None = None
) -> Surface:
    """The surface about the path of a run, with ``grid`` points along each axis.

    ``tell`` is told what takes time. RunError for a run without a path, and where training once
    more does not arrive at the run's last state.
    """
    _expect_path(run)
    model = run.over(data)
    module, parts = model.parts()
    if tell is not None:
        told = f"training {run_name(run)} again in memory to see its path"
        tell(f"{told}: {count(_epochs(run), 'epoch')}")
    path = _replayed(run, model, module, parts.train)
    note = _expect_same_end(run, path)
    plane = _plane(model.spec, _flat(run.last, model.spec.learned), path)
    objective, points = _objective(model, module, run.last, parts.train, grid, plane.rank)
    if tell is not None:
        rows = objective.examples.count
        tell(f"computing the objective of {rows:,} examples at {points**plane.rank:,} points")
    return _surface(run, plane, path, objective, points, note)


def run_name(run: Run) -> str:
    """The name of a run's folder, or of the model of one that is kept nowhere."""
    return run.model.name if run.path is None else run.path.resolve().name


class Objective:
    """The objective as a function of the learned parameters, laid end to end.

    ``examples`` are taken ``batch`` at once, as in evaluation; everything else is ``state``.
    """

    def __init__(
        self, model: Model, module: Module, state: Arrays, examples: Examples, batch: int
    ) -> None:
        self.examples = on_device(module, examples)
        self._module = module
        self._state = state
        self._batch = batch
        self._learned = model.spec.learned
        self._penalty = _penalty_graph(model)

    def __call__(self, parameters: Vector) -> float:
        """The objective, penalties included; NaN or infinity where it has no value."""
        state = {**self._state, **_unflat(parameters, self._state, self._learned)}
        there = state_for_evaluation(self._module, state)
        total = 0.0
        for arrays, size in self.examples.batches(self._batch):
            with computing():
                total += float(self._module.losses(there, arrays)[0]) * size
        return total / self.examples.count + self._penalties(state)

    def _penalties(self, state: Arrays) -> float:
        if self._penalty is None:
            return 0.0
        root = self._penalty.roots["penalty", ""]
        return float(evaluate(self._penalty.graph, [root], state)[0])


def _penalty_graph(model: Model) -> Program | None:
    """What `regularize` adds to the objective, by itself."""
    if not model.spec.penalties:
        return None
    with deep_recursion(model.spec.path):
        program = model.checked.program.copy()
        program.roots = {("objective", ""): program.roots["objective", ""]}
        return run_passes(program, (Regularize(), Project(training=False)))


# ----------------------------------------------------------------------------- the path


def _expect_path(run: Run) -> None:
    if not run.model.has_objective or not run.model.spec.learned:
        raise RunError(f"{run.model.name} learns nothing, so there is no path to show")
    if _epochs(run) == 0:
        raise RunError(
            f"{run_name(run)} has not finished an epoch, so there is no path to show",
            help="train it first, or go on where it stopped: graphc train --help",
        )


def _epochs(run: Run) -> int:
    """Whole epochs behind the last state."""
    steps = run.steps_per_epoch
    return 0 if steps is None else int(run.last["step"]) // steps


def _replayed(run: Run, model: Model, module: Module, raw: Arrays) -> NDArray[np.floating]:
    """The learned parameters at points of the path, ``[points, parameters]``."""
    start = initial_state(module, raw, model.spec.train.seed)
    learned = model.spec.learned
    most = max(20, min(_POINTS, _PATH_BYTES // max(1, _flat(start, learned).nbytes)))
    every = -(-int(run.last["step"]) // most)
    states = replay(module, start, raw, train_config(model), epochs=_epochs(run), every=every)
    return np.stack([_flat(state, learned) for state in states])


def _expect_same_end(run: Run, path: NDArray[np.floating]) -> str:
    """A note where the replayed end is only close to the run's, RunError where it is another."""
    last = _flat(run.last, run.model.spec.learned)
    if np.array_equal(last, path[-1]):
        return ""
    gap = np.linalg.norm(path[-1].astype(np.float64) - last)
    extent = np.linalg.norm(last.astype(np.float64) - path[0])
    if not gap <= _CLOSE * extent:
        raise RunError(
            f"training {run_name(run)} again does not arrive at its last state, so its path is "
            f"not known: the end is off by {gap / extent if extent else np.inf:.2g} of the way",
            help="its data or the versions of NumPy have changed, or it was resumed under other "
            "settings; train it anew",
        )
    return f"the replayed end is off by {gap / extent:.1g} of the way: another version of NumPy?"


def _flat(state: Arrays, names: list[str]) -> NDArray[np.floating]:
    return np.concatenate([state[name].ravel() for name in names])


def _unflat(vector: Vector, state: Arrays, names: list[str]) -> Arrays:
    parts: Arrays = {}
    start = 0
    for name in names:
        old = state[name]
        parts[name] = vector[start : start + old.size].reshape(old.shape).astype(old.dtype)
        start += old.size
    return parts


# ---------------------------------------------------------------------------- the plane


@dataclass(frozen=True, eq=False)
class _Plane:
    """The points ``origin + Σ a_i · directions[i]``; the directions are orthonormal."""

    origin: Vector
    directions: Vector
    labels: tuple[str, ...]
    shares: tuple[float, ...] | None

    @property
    def rank(self) -> int:
        return len(self.directions)

    def at(self, *coordinates: float) -> Vector:
        point = self.origin
        for coordinate, direction in zip(coordinates, self.directions, strict=True):
            point = point + coordinate * direction
        return point

    def seen(self, points: NDArray[np.floating]) -> Vector:
        """Coordinates of points, from above the plane."""
        return np.asarray((points.astype(np.float64) - self.origin) @ self.directions.T)


def _plane(spec: ModelSpec, last: NDArray[np.floating], path: NDArray[np.floating]) -> _Plane:
    if last.size <= 2:
        return _Plane(np.zeros(last.size), np.eye(last.size), _scalars(spec), None)
    directions, shares = _principal(path)
    ordinals, percent = ("first", "second"), [100 * share for share in shares]
    labels = tuple(
        f"{ordinal} principal direction of the path,\n{share:.1f}% of its variance"
        for ordinal, share in zip(ordinals, percent, strict=False)
    )
    return _Plane(last.astype(np.float64), directions, labels, shares)


def _scalars(spec: ModelSpec) -> tuple[str, ...]:
    """A name for each learned number: ``b``, ``w[0]``."""
    names: list[str] = []
    for name in spec.learned:
        shape = [size for size in spec.parameters[name].type.shape if not isinstance(size, Dim)]
        for index in np.ndindex(*shape):
            names.append(f"{name}[{', '.join(map(str, index))}]" if index else name)
    return tuple(names)


def _principal(path: NDArray[np.floating]) -> tuple[Vector, tuple[float, ...]]:
    """The first two principal directions ``[2, parameters]`` of a path, the first alone where the
    path is straight, and each one's share of the variance. The path begins at the left."""
    centred = path - path.mean(axis=0, dtype=np.float64)
    sizes, vectors = np.linalg.eigh(centred @ centred.T)
    sizes, vectors = sizes[::-1], vectors[:, ::-1]
    if not sizes[0] > 0:
        raise _did_not_move()
    rank = 2 if len(sizes) > 2 and sizes[1] > 1e-10 * sizes[0] else 1
    directions = vectors[:, :rank].T @ centred
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    start = directions @ (path[0] - path[-1])
    directions[start > 0] *= -1
    total = sizes.clip(0).sum()
    return directions, tuple(float(size / total) for size in sizes[:rank])


# ----------------------------------------------------------------------------- the grid


def _objective(
    model: Model, module: Module, state: Arrays, raw: Arrays, grid: int | None, rank: int
) -> tuple[Objective, int]:
    """The objective on some examples, and the number of points along an axis. Both depend on the
    model and its data only, not on how fast it is here, so that pictures are the same."""
    whole = len(next(iter(raw.values()))) if raw else 1
    rows, points = min(whole, _MOST_EXAMPLES), grid or _GRID[rank]
    single = model.spec.batch is None
    batch = 1 if single else min(rows, model.spec.train.batch or rows)
    cost = _cost(model, _examples(module, state, raw, batch), batch)

    def work() -> int:
        return int(points**rank) * -(-rows // batch) * cost

    for fewest, smallest in _LEAST:
        while work() > _WORK and rows > fewest:
            rows = max(rows // 2, fewest)
        while work() > _WORK and grid is None and points > smallest:
            points -= 2
    return Objective(model, module, state, _examples(module, state, raw, rows), batch), points


def _examples(module: Module, state: Arrays, raw: Arrays, rows: int) -> Examples:
    """Rows at equal distances, because files may be sorted."""
    some = {
        name: column[np.linspace(0, len(column) - 1, rows).astype(np.intp)]
        for name, column in raw.items()
    }
    return load_examples(module, state, some, part="the training part")


def _cost(model: Model, examples: Examples, batch: int) -> int:
    """About how many bytes could be moved in the time that the objective of a batch takes."""
    arrays, _ = next(examples.batches(batch))
    known = {name: arrays[name] for name in model.spec.inputs}
    dims = {**dict.fromkeys(model.spec.symbols, 1), **input_lengths(model.spec, known)}
    report = forward_report(model.generated.programs, dims)
    rows = [row for row in report.rows if row.part == "losses"]
    return _CALL + sum(row.bytes_moved + row.flops // _FLOPS_A_BYTE for row in rows)


def _surface(
    run: Run,
    plane: _Plane,
    path: NDArray[np.floating],
    objective: Objective,
    points: int,
    note: str,
) -> Surface:
    seen = plane.seen(path)
    axes = tuple(np.linspace(*ends, points) for ends in _extents(seen))
    heights = None
    if plane.rank == 1:
        values = np.array([objective(plane.at(x)) for x in axes[0]])
        heights = np.array([objective(plane.at(x)) for x in seen[:, 0]])
    else:
        values = np.array([[objective(plane.at(x, y)) for x in axes[0]] for y in axes[1]])
    if not np.isfinite(values).any():
        raise RunError("the objective is finite nowhere about the path, so there is no surface")
    return Surface(
        labels=plane.labels,
        axes=axes,
        values=values,
        path=seen,
        heights=heights,
        shares=plane.shares,
        end=objective(_flat(run.last, run.model.spec.learned).astype(np.float64)),
        examples=objective.examples.count,
        steps=int(run.last["step"]),
        note=note,
    )


def _extents(path: Vector) -> list[tuple[float, float]]:
    """From where to where each axis goes: all of the path and a margin, none far shorter than the
    longest. RunError for a path that is one point."""
    low, high = path.min(axis=0), path.max(axis=0)
    longest = float((high - low).max())
    if longest == 0:
        raise _did_not_move()
    half = np.maximum((high - low) / 2, longest * _NARROWEST / 2) + longest * _MARGIN
    middle = (low + high) / 2
    return [(float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True)]


def _did_not_move() -> RunError:
    return RunError("training did not move the parameters, so there is no path to show")
