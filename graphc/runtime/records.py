"""What a training run tells about itself: plain values, shared by the loop and its reporters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from graphc.runtime.errors import RunError
from graphc.runtime.face import Arrays
from graphc.runtime.wording import did_you_mean, listing

__all__ = [
    "Best",
    "EpochRecord",
    "Evaluation",
    "RunStart",
    "Stopped",
    "TrainResult",
    "is_better",
    "watched_value",
]

Stopped = Literal["finished", "early", "interrupted"]


class Evaluation(TypedDict):
    """The objective without penalties, every loss, every metric. Metrics may be arrays."""

    objective: float
    losses: dict[str, float]
    metrics: dict[str, Any]


@dataclass(frozen=True)
class RunStart:
    """What is known before the first step. ``validation`` is None without that part."""

    model: str
    epochs: int
    start_epoch: int
    steps_per_epoch: int
    examples: int
    validation: int | None
    watch: str


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: its number from 1, all steps so far, and what came out.

    ``objective`` is the mean over the epoch's examples, penalties included; ``value`` is the
    watched value; ``best`` tells whether it is the best so far.
    """

    epoch: int
    step: int
    objective: float
    validation: Evaluation | None
    value: float
    best: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The line of metrics.jsonl."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "objective": self.objective,
            "validation": None if self.validation is None else dict(self.validation),
            "watch": self.value,
            "best": self.best,
            "seconds": round(self.seconds, 4),
        }


@dataclass(frozen=True)
class Best:
    """The best epoch so far, the watched value after it, and the state."""

    epoch: int
    value: float
    state: Arrays

    def beaten_by(self, value: float, mode: Literal["min", "max"]) -> bool:
        """A tie does not beat; neither does NaN."""
        return value < self.value if mode == "min" else value > self.value


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    ``state`` is the best epoch's, or ``last`` when no epoch had a finite watched value; ``last``
    is that of the last whole epoch. ``best_epoch`` is 0 when there is none. ``epochs_run`` and
    ``history`` are of this call, not of the run that it resumed. Of a trainer that goes down by a
    line search ``gradient_norm`` is that of ``last``, and ``converged`` tells whether further steps
    would change nothing; of others it is None.
    """

    state: Arrays
    last: Arrays
    best_epoch: int
    best_value: float | None
    epochs_run: int
    history: tuple[EpochRecord, ...]
    stopped: Stopped
    gradient_norm: float | None = None
    converged: bool = False


def watched_value(watch: str | None, evaluation: Evaluation) -> float:
    """The objective, or the loss or metric called ``watch``. RunError when there is none."""
    if watch is None:
        return evaluation["objective"]
    known: dict[str, Any] = {**evaluation["losses"], **evaluation["metrics"]}
    if watch == "objective" and watch not in known:
        return evaluation["objective"]
    if watch not in known:
        raise RunError(
            f"watch = {watch} names no loss or metric",
            help=f"{did_you_mean(watch, known)}there are {listing(['objective', *known])}",
        )
    value = known[watch]
    if not isinstance(value, float):
        raise RunError(
            f"watch = {watch} names a metric with several values",
            help="watch one that is a single number",
        )
    return value


def is_better(value: float, best: Best | None, mode: Literal["min", "max"]) -> bool:
    """Whether an epoch with this watched value is the best so far."""
    if not math.isfinite(value):
        return False
    return best is None or best.beaten_by(value, mode)
