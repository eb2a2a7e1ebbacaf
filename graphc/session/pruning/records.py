"""What happened in a pruning, as lines of ``pruning.jsonl`` and as a summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from graphc.numerics.pruning.engine import Check, Event, Outcome
from graphc.numerics.vectors import Layout
from graphc.session.pruning.plan import Settled

__all__ = ["CURES", "MEANINGS", "as_line", "cure", "failed_checks", "summary"]

MEANINGS = {
    "gradient": "the norm of the gradient",
    "damping": "the damping that makes the Hessian positive definite",
    "inverse": "the norm of I − H⁻¹H",
    "move": "the largest move of a weight that stays",
}
CURES = {
    "gradient": "the network has not converged, so the rise is not of second order: train on, with "
    "optimizer = lbfgs{} and batch = all where the data are few",
    "damping": "the Hessian is indefinite or singular: train on to a minimum, or add weight decay",
    "inverse": "raise --damping",
    "move": "remove less at a time, or allow more: --set prune.max_move=…",
}
"""What to do about a check that fails."""
_MOVED_AWAY = (
    "deletions have moved the others away from the minimum, so the rise is not of second order: "
    "train in between, --retrain"
)
_FEW = 20
"""Deletions of no more weights than this name them."""
_WHY = {
    "sparsity": "the sparsity is reached",
    "max_rise": "the objective would rise by more than max_rise",
    "score": "the next deletion makes {stop} worse",
    "check": "a check fails",
    "interrupted": "interrupted",
    "exhausted": "nothing more can go",
}


def as_line(event: Event, layout: Layout, total: int) -> dict[str, Any]:
    """An event as JSON; weights with their places and former values where they are few."""
    named = len(event.removed) <= _FEW
    return {
        "round": event.round,
        "event": event.kind,
        "removed": len(event.removed),
        "left": event.left,
        "sparsity": 1 - event.left / total,
        "predicted": event.predicted,
        "measured": event.measured,
        "objective": event.objective,
        "scores": {part: dict(values) for part, values in event.scores.items()},
        "retrained": event.kind == "retraining",
        "undone": event.undone,
        "checks": {
            check.name: {"value": check.value, "limit": check.limit, "holds": check.holds}
            for check in event.checks
        },
        "weights": [
            [*layout.entry(int(index)), float(value)]
            for index, value in zip(event.removed, event.values, strict=True)
        ]
        if named
        else None,
    }


def cure(name: str, events: Sequence[Event]) -> str:
    """What to do about a check that failed in some of the events."""
    began = [check for check in events[0].checks if check.name == name] if events else []
    if name == "gradient" and any(check.holds for check in began):
        return _MOVED_AWAY
    return CURES[name]


def failed_checks(events: Iterable[Event]) -> dict[str, tuple[int, Check]]:
    """By the name of each check that failed: how often, and the worst time."""
    found: dict[str, tuple[int, Check]] = {}
    for event in events:
        for check in event.checks:
            if check.holds:
                continue
            count, worst = found.get(check.name, (0, check))
            found[check.name] = count + 1, max(worst, check, key=_excess)
    return found


def _excess(check: Check) -> float:
    """How many times its limit a value is; one that is no number is beyond all."""
    if check.limit <= 0 or not np.isfinite(check.value):
        return np.inf
    return check.value / check.limit


def summary(settled: Settled, outcome: Outcome, total: int, left: int) -> dict[str, Any]:
    """How a pruning went, in a few numbers. ``total`` weights could go, ``left`` are left."""
    kept = [event for event in outcome.events if not event.undone]
    deletions = [event for event in kept if event.kind == "deletion"]
    last = kept[-1] if kept else None
    plan = settled.plan
    return {
        "method": plan.method,
        "curvature": settled.curvature,
        "remove": plan.remove,
        "schedule": settled.schedule,
        "retrain": settled.retrain,
        "stopped": outcome.stopped,
        "why": _WHY[outcome.stopped].format(stop=plan.stop),
        "weights": total,
        "left": left,
        "sparsity": 1 - left / total,
        "objective": [outcome.start, outcome.start if last is None else last.objective],
        "predicted": sum(event.predicted or 0.0 for event in deletions),
        "measured": sum(event.measured for event in deletions),
        "scores": [
            _plain(outcome.start_scores),
            _plain(outcome.start_scores if last is None else last.scores),
        ],
        "checks": {
            name: {"failed": count, "worst": check.value, "limit": check.limit}
            for name, (count, check) in failed_checks(outcome.events).items()
        },
    }


def _plain(scores: Any) -> dict[str, dict[str, float]]:
    return {part: dict(values) for part, values in scores.items()}
