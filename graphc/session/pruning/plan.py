"""What a prune section leaves open is decided here, from the method and the size of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from graphc.model import PrunePlan
from graphc.numerics.hessian import LIMIT
from graphc.numerics.pruning.choosing import Candidates, Indices
from graphc.numerics.pruning.engine import Limits, Scores
from graphc.numerics.pruning.schedule import Schedule
from graphc.numerics.vectors import Layout, Mask, Vector
from graphc.runtime import RunError
from graphc.runtime.wording import listing
from graphc.session.model import Model

__all__ = ["SPARSITY", "Settled", "make_candidates", "make_limits", "make_worse", "settle"]

SPARSITY = 0.8
"""Share of the weights that goes where nothing says when to stop."""
EXACT = 2_000
"""Parameters up to which a whole Hessian is a matter of seconds."""
ONE_BY_ONE = 300
"""Weights up to which the curvature is computed anew before each deletion."""


@dataclass(frozen=True)
class Settled:
    """A plan without open questions."""

    plan: PrunePlan
    curvature: Literal["exact", "backpropagated", "fisher", "rows"] | None
    schedule: Schedule
    retrain: int


def settle(plan: PrunePlan, model: Model, layout: Layout, by_rows: Callable[[], bool]) -> Settled:
    """Defaults: ``by_rows`` tells whether every weight that may go is one of a linear map that is
    used once, so that layer inputs say all about it."""
    if not plan.parameters:
        raise RunError(
            f"{model.name} has no weight that may be pruned",
            help="weights have rank 2 or more; name others: prune { pruned on params }",
        )
    if plan.sparsity is None and plan.max_rise is None and plan.stop is None:
        plan = replace(plan, sparsity=SPARSITY)
    curvature = plan.curvature or _curvature(plan, layout.size, by_rows)
    retrain = _retrain(plan, model)
    _expect_training(plan, retrain)
    return Settled(plan, curvature, _schedule(plan, curvature, layout), retrain)


def _curvature(plan: PrunePlan, n: int, by_rows: Callable[[], bool]) -> Any:
    if plan.method == "obd":
        return "exact" if n <= LIMIT else "backpropagated"
    if plan.method != "obs":
        return None
    if n <= (LIMIT if plan.remove == "units" else EXACT):
        return "exact"
    return "rows" if plan.remove == "weights" and by_rows() else "fisher"


def _schedule(plan: PrunePlan, curvature: str | None, layout: Layout) -> Schedule:
    if plan.method == "lottery":
        return "geometric"
    if plan.schedule is not None:
        return plan.schedule
    if curvature in ("rows", "fisher"):
        return "one_shot"
    if plan.method in ("obs", "obd") and layout.size <= ONE_BY_ONE:
        return "recompute"
    return "gradual"


def _retrain(plan: PrunePlan, model: Model) -> int:
    if plan.retrain is not None:
        return plan.retrain
    if plan.method == "lottery":
        return model.spec.train.epochs
    return 1 if plan.method == "movement" else 0


def _expect_training(plan: PrunePlan, retrain: int) -> None:
    """Methods that are made of training have some."""
    if retrain == 0 and plan.method in ("lottery", "movement"):
        raise RunError(
            f"method = {plan.method} goes by training, and retrain is 0",
            help="leave it out, or give epochs: --retrain 10",
        )
    if plan.method == "lottery" and plan.rewind >= retrain:
        raise RunError(
            f"a training of {retrain} epochs that rewinds to epoch {plan.rewind} has none left",
            help="rewind to an earlier epoch, or train longer: --retrain N",
        )


def make_candidates(
    plan: PrunePlan, layout: Layout, units: Callable[[], list[list[Indices]]]
) -> Candidates:
    """What may go of the layout's parameters; ``units`` are asked for where whole units go."""
    mask = np.zeros(layout.size, dtype=bool)
    layers = [np.arange(layout.size)[layout.slices[name]] for name in plan.parameters]
    for layer in layers:
        mask[layer] = True
    whole = units() if plan.remove == "units" else []
    return Candidates(mask, layers, plan.scope == "layer", whole)


def make_limits(
    plan: PrunePlan,
    candidates: Candidates,
    alive: Mask,
    theta: Vector,
    worse: Callable[[Scores, Scores], bool] | None,
    strict: bool,
) -> Limits:
    """When pruning ends. RunError for a sparsity that cannot be reached."""
    total = int(np.count_nonzero(candidates.mask))
    left = int(np.count_nonzero(candidates.mask & alive))
    goal = 0 if plan.sparsity is None else total - round(plan.sparsity * total)
    if plan.sparsity is not None:
        _expect_reachable(plan.sparsity, total, left, goal, _least(candidates, alive))
    largest = float(np.max(np.abs(theta[alive]), initial=0.0))
    move = largest if plan.max_move is None else plan.max_move
    return Limits(goal, plan.max_rise, worse, move, strict)


def _least(candidates: Candidates, alive: Mask) -> int:
    """How few weights can be left: where units go, each layer keeps its smallest one."""
    if not candidates.units:
        return 0
    gone = np.zeros_like(alive)
    for layer in candidates.units:
        sizes = [np.count_nonzero(alive[unit] & candidates.mask[unit]) for unit in layer]
        for unit in (u for place, u in enumerate(layer) if place != int(np.argmin(sizes))):
            gone[unit] = True
    return int(np.count_nonzero(alive & ~gone & candidates.mask))


def _expect_reachable(sparsity: float, total: int, left: int, goal: int, least: int) -> None:
    if goal >= total:
        raise RunError(
            f"a sparsity of {sparsity:.4g} is less than one of {total:,} weights",
            help="ask for a higher one, as in 80%",
        )
    if goal >= left:
        raise RunError(
            f"a sparsity of {sparsity:.2%} is reached already: "
            f"of {total:,} weights {left:,} are left, which is {1 - left / total:.2%}",
            help="ask for a higher one",
        )
    if goal < max(least, 1):
        most = 1 - max(least, 1) / total
        why = "each layer keeps a unit" if least else "no weight would be left"
        raise RunError(
            f"a sparsity of {sparsity:.2%} cannot be reached: {why}",
            help=f"of {total:,} weights at most {most:.2%} can go",
        )


def make_worse(plan: PrunePlan, model: Model) -> Callable[[Scores, Scores], bool] | None:
    """Whether the loss or metric of ``stop`` is worse than at the start, on the training part."""
    name = plan.stop
    if name is None:
        return None
    rising = name in model.named("loss")

    def worse(start: Scores, now: Scores) -> bool:
        if name not in now["train"]:
            known = listing(list(now["train"]))
            raise RunError(f"stop = {name} has several values", help=f"single numbers are {known}")
        before, after = start["train"][name], now["train"][name]
        return after > before if rising else after < before

    return worse
