"""The loop of pruning: predict, delete, measure, check, retrain, and stop in time.

What deletes is a :class:`Method`; what the network is and how it trains, a :class:`World`. Every
deletion is recorded with the rise of the objective that was predicted before it and the one that
was measured after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.problem import Problem
from graphc.numerics.pruning.schedule import Schedule, deletions, targets
from graphc.numerics.vectors import Mask, Vector

__all__ = [
    "Check", "Event", "Limits", "Method", "Outcome", "Removal", "Scores", "World", "prune",
]  # fmt: skip

Scores = Mapping[str, Mapping[str, float]]
"""Losses and metrics by the part of the data that they are of."""
Reason = Literal["sparsity", "max_rise", "score", "check", "interrupted", "exhausted"]


@dataclass(frozen=True)
class Check:
    """Something that must be small for a prediction to hold, and how small."""

    name: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        return bool(self.value <= self.limit)


@dataclass(frozen=True)
class Removal:
    """θ after a deletion [n], the weights left [n], and the rise of the objective that the method
    predicts; None where it predicts none."""

    theta: Vector
    alive: Mask
    predicted: float | None


class Method(Protocol):
    """Decides which weights go and what the others become."""

    def prepare(self, theta: Vector, alive: Mask) -> Sequence[Check]:
        """Compute what decisions at θ need, and how far it can be trusted."""

    def remove(self, theta: Vector, alive: Mask, count: int) -> Removal:
        """Remove ``count`` candidates more. Asked again, it goes on from its last answer."""


class World(Protocol):
    """The network that is pruned."""

    @property
    def problem(self) -> Problem: ...

    def scores(self, theta: Vector) -> Scores:
        """What the network scores with parameters θ."""

    def retrain(self, theta: Vector, alive: Mask) -> Vector:
        """Parameters after more training in which removed weights stay zero."""


@dataclass(frozen=True)
class Limits:
    """When to stop. ``goal`` weights are to be left; the objective may rise by ``max_rise`` in
    all; ``worse(start, now)`` tells whether scores have dropped. ``max_move`` is what a weight may
    move in a deletion; ``strict`` stops at the first check that fails."""

    goal: int
    max_rise: float | None = None
    worse: Callable[[Scores, Scores], bool] | None = None
    max_move: float = np.inf
    strict: bool = False


@dataclass(frozen=True)
class Event:
    """A deletion or a retraining. ``removed`` are indices of weights and ``values`` what they
    were; ``predicted`` and ``measured`` are rises of the objective, ``objective`` and ``scores``
    what it came to. An event that was ``undone`` broke a limit: it is not part of the result."""

    round: int
    kind: Literal["deletion", "retraining"]
    removed: NDArray[np.int64]
    values: Vector
    left: int
    predicted: float | None
    measured: float
    objective: float
    scores: Scores
    checks: tuple[Check, ...] = ()
    undone: bool = False


@dataclass(frozen=True)
class Outcome:
    """θ and what is left of it, why pruning ended, and everything that happened."""

    theta: Vector
    alive: Mask
    stopped: Reason
    events: tuple[Event, ...]
    start: float
    start_scores: Scores


@dataclass
class _State:
    theta: Vector
    alive: Mask
    objective: float
    scores: Scores


@dataclass
class _Loop:
    world: World
    method: Method
    candidates: Mask
    limits: Limits
    retraining: bool
    tell: Callable[[Event], None]
    save: Callable[[Vector, Mask], None]
    now: _State
    start: _State
    events: list[Event] = field(default_factory=list)

    def run(self, schedule: Schedule, steps: int | None) -> Reason:
        rounds = targets(self._left(self.now), self.limits.goal, schedule, steps)
        for number, target in enumerate(rounds, start=1):
            try:
                reason = self._round(number, target, schedule)
            except KeyboardInterrupt:
                return "interrupted"
            if reason is not None:
                return reason
        return "sparsity"

    def _left(self, state: _State) -> int:
        return int(np.count_nonzero(state.alive & self.candidates))

    def _round(self, number: int, target: int, schedule: Schedule) -> Reason | None:
        """One round. What it changes counts once it is through."""
        checks = tuple(self.method.prepare(self.now.theta, self.now.alive))
        if self.limits.strict and not all(check.holds for check in checks):
            return self._failed(number, checks)
        state, pending, stuck = self.now, list[Event](), False
        for count in deletions(self._left(state) - target, schedule):
            if self._left(state) <= target:
                break
            after, event = self._delete(number, state, count, checks)
            if self._left(after) == self._left(state):
                stuck = True
                break
            moved = self.limits.strict and not all(check.holds for check in event.checks)
            reason: Reason | None = "check" if moved else None
            if not self.retraining:
                reason = reason or self._broken(after)
            if reason is not None:
                return self._undo(reason, [*pending, event])
            state, pending = after, [*pending, event]
            if not self.retraining:
                self._keep(state, pending)
                pending = []
        if pending:
            reason = self._retrain(number, state, pending)
            if reason is not None:
                return reason
        return "exhausted" if stuck else None

    def _undo(self, reason: Reason, events: list[Event]) -> Reason:
        """What has happened since the last state that was kept is no part of the result."""
        for event in events:
            self._note_undone(event)
        return reason

    def _failed(self, number: int, checks: tuple[Check, ...]) -> Reason:
        none = np.zeros(0, dtype=np.int64)
        now = self.now
        event = Event(
            number, "deletion", none, np.zeros(0), self._left(now), None, 0.0, now.objective,
            now.scores, checks,
        )  # fmt: skip
        self._note_undone(event)
        return "check"

    def _delete(
        self, number: int, before: _State, count: int, checks: tuple[Check, ...]
    ) -> tuple[_State, Event]:
        removal = self.method.remove(before.theta, before.alive, count)
        step = removal.theta - before.theta
        predicted = removal.predicted
        if predicted is None:
            predicted = _second_order(self.world.problem, before.theta, step)
        after = self._state(removal.theta, removal.alive)
        gone = np.flatnonzero(before.alive & ~removal.alive)
        moved = float(np.max(np.abs(step[removal.alive]), initial=0.0))
        event = Event(
            number,
            "deletion",
            gone,
            before.theta[gone],
            self._left(after),
            predicted,
            after.objective - before.objective,
            after.objective,
            after.scores,
            (*checks, Check("move", moved, self.limits.max_move)),
        )
        return after, event

    def _retrain(self, number: int, state: _State, pending: list[Event]) -> Reason | None:
        """Train the rest; the round is undone where a limit is broken all the same."""
        after = self._state(self.world.retrain(state.theta, state.alive), state.alive)
        none = np.zeros(0, dtype=np.int64)
        event = Event(
            number,
            "retraining",
            none,
            np.zeros(0),
            self._left(after),
            None,
            after.objective - state.objective,
            after.objective,
            after.scores,
        )
        reason = self._broken(after)
        if reason is not None:
            return self._undo(reason, [*pending, event])
        self._keep(after, [*pending, event])
        return None

    def _state(self, theta: Vector, alive: Mask) -> _State:
        return _State(theta, alive, self.world.problem.value(theta), self.world.scores(theta))

    def _broken(self, state: _State) -> Reason | None:
        limits = self.limits
        rise = state.objective - self.start.objective
        if not np.isfinite(rise) or (limits.max_rise is not None and rise > limits.max_rise):
            return "max_rise"
        if limits.worse is not None and limits.worse(self.start.scores, state.scores):
            return "score"
        return None

    def _keep(self, state: _State, events: list[Event]) -> None:
        """The state first: what is told of is safe by then, and an interruption in between leaves
        an older one that is whole."""
        self.save(state.theta, state.alive)
        self.now = state
        self.events.extend(events)
        for event in events:
            self.tell(event)

    def _note_undone(self, event: Event) -> None:
        self.events.append(replace(event, undone=True))
        self.tell(self.events[-1])


def prune(
    world: World,
    method: Method,
    theta: Vector,
    alive: Mask,
    candidates: Mask,
    limits: Limits,
    *,
    schedule: Schedule,
    steps: int | None = None,
    retraining: bool = False,
    tell: Callable[[Event], None] = lambda event: None,
    keep: Callable[[Vector, Mask], None] = lambda theta, alive: None,
) -> Outcome:
    """Remove weights among ``candidates`` [n] from θ [n] until a limit says stop.

    ``alive`` [n] are the weights that are left at the start, candidates or not. A round ends with
    training if ``retraining``; limits then hold after it, and a round that breaks one is undone as
    a whole, a deletion otherwise. Ctrl-C ends after the last whole round. ``tell`` is told of each
    event, ``keep`` is given θ and what is left whenever they are final as far as they go.
    """
    start = _State(theta, alive, world.problem.value(theta), world.scores(theta))
    loop = _Loop(world, method, candidates, limits, retraining, tell, keep, start, start)
    reason = loop.run(schedule, steps)
    return Outcome(
        loop.now.theta, loop.now.alive, reason, tuple(loop.events), start.objective, start.scores
    )


def _second_order(problem: Problem, theta: Vector, step: Vector) -> float:
    """Rise of the objective by its expansion at θ: gᵀδ + ½ δᵀHδ, exact in both orders."""
    _, gradient = problem.gradient(theta)
    curved = problem.hessian(theta, step[None])[0]
    return float(gradient @ step + 0.5 * step @ curved)
