"""The distribution of targets that a model itself predicts, for its exact Fisher information.

An objective that is one loss is taken as -log p(target | input) of an example, up to a constant. A
label or a number that is 0 or 1 is enumerated: p(c) is exp(-loss with target c), and what these sum
to, 1, is checked. A squared error is the logarithm of a normal density, of which the Fisher matrix
is the generalised Gauss-Newton matrix (Martens, 2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from graphc.ir import Call
from graphc.model.program import DataInfo
from graphc.numerics.fisher import Weighted
from graphc.numerics.vectors import Matrix, Vector
from graphc.runtime import Array, Arrays, RunError, computing
from graphc.session.problem import Objective

__all__ = ["expected_gradients", "is_normal"]

_NORMAL = ("squared_error", "half_squared_error", "gaussian_nll_fixed")
"""Losses whose exponential is a normal density in the prediction, of one deviation for all."""
_SUM = 1e-6
"""How far probabilities of an example may sum to something else than 1."""


def is_normal(objective: Objective) -> bool:
    """Whether the objective is a squared error and nothing else."""
    checked = objective.model.checked
    program = checked.program
    op = program.graph[program.roots["objective", ""]].op
    return isinstance(op, Call) and op.body.prelude and op.body.definition in _NORMAL


def expected_gradients(objective: Objective, at: Vector) -> Weighted:
    """Gradients of each example for every target that it could have, weighted by the probability
    that the model gives to that target. ``objective`` is one without penalties. RunError for one
    that is no log-likelihood of a target that can be enumerated."""
    target, classes = _enumerable(objective)

    def rows() -> Iterator[tuple[Vector, Matrix]]:
        for batch, gradients in objective.batches_with_gradients(at):
            probabilities = _probabilities(objective, at, batch, target, classes)
            for place, c in enumerate(classes):
                changed = {**batch, target: np.full_like(batch[target], c)}
                yield probabilities[place], gradients(changed)

    return rows


def _enumerable(objective: Objective) -> tuple[str, list[Any]]:
    """The only target, and the values that it can have. RunError where there is no such."""
    spec = objective.model.spec
    targets = [info for info in spec.inputs.values() if info.role == "target"]
    if len(targets) != 1:
        what = "no target" if not targets else f"{len(targets)} targets"
        raise _unlikely(objective, f"it has {what}")
    target = targets[0]
    each = target.type.shape if spec.batch is None else target.type.shape[1:]
    if any(size != 1 for size in each):
        raise _unlikely(objective, f"the target {target.name} is not one number an example")
    if target.type.classes is not None:
        return target.name, list(range(target.type.classes))
    if target.type.kind == "bool" or _is_binary(objective, target):
        return target.name, [0, 1]
    raise _unlikely(objective, f"the target {target.name} is neither a label nor 0 or 1")


def _is_binary(objective: Objective, target: DataInfo) -> bool:
    return all(np.isin(batch[target.name], (0, 1)).all() for batch, _ in objective.batches())


def _probabilities(
    objective: Objective, at: Vector, batch: Arrays, target: str, classes: list[Any]
) -> Matrix:
    """p(c | x), [classes, examples]."""
    singles = list(_singles(objective, batch))
    losses = np.empty((len(classes), len(singles)))
    state = objective.at(at)
    with computing():
        for column, single in enumerate(singles):
            for row, c in enumerate(classes):
                changed = {**single, target: np.full_like(single[target], c)}
                losses[row, column] = objective.module.losses(state, changed)[0]
    found = cast(Matrix, np.exp(-losses))
    total = found.sum(axis=0)
    if not np.allclose(total, 1, atol=_SUM, rtol=0):
        off = float(total[np.argmax(np.abs(total - 1))])
        raise _unlikely(
            objective, f"exp(-objective) of all values of {target} sums to {off:.6g}, not to 1"
        )
    return found


def _singles(objective: Objective, batch: Arrays) -> Iterator[Arrays]:
    """Batches of one example each."""
    spec = objective.model.spec
    if spec.batch is None:
        yield batch
        return
    by_row = [name for name, info in spec.inputs.items() if _leads(info, spec.batch)]
    for row in range(len(batch[by_row[0]])):
        yield {n: _row(a, row) if n in by_row else a for n, a in batch.items()}


def _row(array: Array, row: int) -> Array:
    return array[row : row + 1]


def _leads(info: DataInfo, batch: str) -> bool:
    """Whether the first axis counts examples."""
    first = info.type.shape[:1]
    return bool(first) and not isinstance(first[0], int) and first[0].symbols == {batch}


def _unlikely(objective: Objective, why: str) -> RunError:
    return RunError(
        f"the exact Fisher matrix needs the log-likelihood of a target, which the objective of "
        f"{objective.model.name} is not: {why}",
        help="ask for the empirical Fisher matrix or the Gauss-Newton matrix instead",
    )
