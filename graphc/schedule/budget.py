"""A training step within the memory that the model allows: ``train { memory = 200 MB }``.

What does not fit has its slots packed for the batch that the model names; then it keeps less of the
forward pass. Plans are tried in the order of the operations that they add, and the first that fits
is taken: as few of the cheap values computed again as it takes; then all of those, and the forward
pass in stretches, as long as they may be. The number of plans made is a logarithm of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from graphc.model.program import Program
from graphc.schedule.order import opened
from graphc.schedule.peak import Peak, peak
from graphc.schedule.rematerialise import (
    Lifetimes,
    cheap_drops,
    rematerialised,
    stretches,
)
from graphc.schedule.roots import Selection, selected, step_roots
from graphc.schedule.training import TrainingPlan, likely_sizes, plan_step

__all__ = ["BudgetError", "bytes_text", "plan_training"]

SHARES = tuple(0.8**power for power in range(1, 17))
"""Lengths of stretches that are tried: parts of all that the backward pass reads."""

ROUNDS = 4
"""Halvings between a length that fits and the next longer one."""

SMALLER = 0.9
"""A batch that was thought to fit and does not is made smaller by this, so many times."""
TRIES = 2


class BudgetError(Exception):
    """A step cannot be made to fit. ``message`` says what it needs, ``help`` what to do."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.message, self.help = message, help


def plan_training(
    program: Program,
    *,
    symbols: Iterable[str],
    dims: Mapping[str, int] | None = None,
    select: Selection | None = None,
    reuse: bool = True,
) -> TrainingPlan:
    """The plan of a training step, within the memory that the train section allows.

    ``symbols``, ``dims``, ``select``, ``reuse`` are those of ``plan``; without ``reuse`` memory is
    not limited. BudgetError where it does not fit, or where the size of a batch is not known.
    """
    known = tuple(symbols)
    plan = plan_step(program, symbols=known, dims=dims, select=select, reuse=reuse)
    budget = program.spec.train.memory
    if budget is None or not reuse:
        return plan
    sizes = {**likely_sizes(program.spec), **(dims or {})}
    unknown = [symbol for symbol in known if symbol not in sizes]
    if unknown:
        raise BudgetError(
            f"`memory` is for a step of known size, and nothing gives the dimension {unknown[0]}",
            f"write a number for {unknown[0]}, or leave `memory` out",
        )
    if peak(plan, program.spec, sizes).total <= budget:
        return plan
    search = _Search(_with_instructions(program, select), budget, sizes, known)
    found = search.fitting()
    if found is None:
        raise _error(search)
    return found


def _with_instructions(program: Program, select: Selection | None) -> Program:
    """The program with its groups open, instructions chosen before anything is computed again:
    a choice may depend on who reads a value, and makes other roundings."""
    program = opened(program)
    if select is not None:
        updates = {key: id for key, id in program.roots.items() if key[0] == "update"}
        graph, groups = program.graph, program.groups
        roots = selected(graph, step_roots(program), groups, select, updates.values())
        program.roots = roots | updates
    return program


@dataclass(frozen=True)
class _Try:
    plan: TrainingPlan
    peak: Peak


@dataclass
class _Search:
    """Plans of one program, its groups open, for one size of batch. Slots are packed."""

    program: Program
    budget: int
    dims: Mapping[str, int]
    symbols: tuple[str, ...]
    least: _Try | None = None
    """The smallest so far."""

    def fitting(self) -> TrainingPlan | None:
        """The first plan that fits, in the order of the operations that they add."""
        found = self._try(self.program)
        if self._fits(found):
            return found.plan
        return self._without_cheap() or self._in_stretches()

    def _try(self, program: Program) -> _Try:
        plan = plan_step(program, symbols=self.symbols, dims=self.dims, pack=True)
        found = _Try(plan, peak(plan, program.spec, self.dims))
        if self.least is None or found.peak.total < self.least.peak.total:
            self.least = found
        return found

    def _fits(self, found: _Try) -> bool:
        return found.peak.total <= self.budget

    @cached_property
    def _lifetimes(self) -> Lifetimes:
        return Lifetimes(self.program, self.dims)

    @cached_property
    def _cheap(self) -> list[int]:
        return [drop.id for drop in cheap_drops(self._lifetimes)]

    def _bytes(self, ids: Iterable[int]) -> int:
        return sum(map(self._lifetimes.bytes, ids))

    def _without_cheap(self) -> TrainingPlan | None:
        """As few of the cheap drops as it takes, cheapest first."""
        lifetimes, drops = self._lifetimes, self._cheap

        def without(count: int) -> _Try:
            return self._try(rematerialised(lifetimes, lifetimes.kept.difference(drops[:count])))

        few, many = 0, len(drops)
        if not drops or not self._fits(best := without(many)):
            return None
        while many - few > 1:
            middle = (few + many) // 2
            found = without(middle)
            if self._fits(found):
                best, many = found, middle
            else:
                few = middle
        return best.plan

    def _in_stretches(self) -> TrainingPlan | None:
        """The longest stretches that fit."""
        start = self._first_likely()
        for index in (*range(start, len(SHARES)), *range(start)):
            found = self._stretched(SHARES[index])
            if self._fits(found):
                longer = SHARES[index - 1] if index else 1.0
                return self._longest(found, SHARES[index], longer).plan
        return None

    def _first_likely(self) -> int:
        """Where to begin among the lengths: a stretch takes at least what is not cheap in it."""
        assert self.least is not None
        room = self.budget - (self.least.peak.total - self.least.peak.arena)
        dear = self._bytes(self._lifetimes.late.difference(self._cheap))
        return sum(share * dear > room for share in SHARES) % len(SHARES)

    def _longest(self, best: _Try, fits: float, longer: float) -> _Try:
        for _ in range(ROUNDS):
            middle = (fits + longer) / 2
            found = self._stretched(middle)
            if self._fits(found):
                best, fits = found, middle
            else:
                longer = middle
        return best

    def _stretched(self, share: float) -> _Try:
        """The forward pass in stretches of a length, and nothing cheap kept in any of them."""
        lifetimes = self._lifetimes
        limit = int(share * self._bytes(lifetimes.late))
        inside = Lifetimes(rematerialised(lifetimes, stretches(lifetimes, limit)), self.dims)
        cheap = {drop.id for drop in cheap_drops(inside)}
        return self._try(rematerialised(inside, inside.kept - cheap))


# --------------------------------------------------------------------------- if it does not fit


def _error(search: _Search) -> BudgetError:
    """What was the least, and a batch that fits."""
    assert search.least is not None
    spec, least = search.program.spec, search.least.peak
    needed = bytes_text(least.total, up=True)
    batch = "" if spec.batch is None else f" of batch {search.dims[spec.batch]}"
    message = (
        f"a training step{batch} takes {needed} at least, `memory` is {bytes_text(search.budget)}"
    )
    fitting = _batch_that_fits(search)
    if fitting:
        return BudgetError(message, f"a batch of {fitting} fits; or allow {needed}")
    own = bytes_text(least.parameters + least.gradients + least.optimizer_states)
    return BudgetError(
        message, f"allow {needed}; parameters, gradients and the optimizer's state are {own} of it"
    )


def _batch_that_fits(search: _Search) -> int:
    """About the largest batch that fits, 0 if there is none. It has been planned."""
    name, least = search.program.spec.batch, search.least
    if name is None or least is None:
        return 0
    fits, size = 0, search.dims[name]
    while size - fits > 1:
        middle = (fits + size) // 2
        found = peak(least.plan, search.program.spec, {**search.dims, name: middle})
        fits, size = (middle, size) if found.total <= search.budget else (fits, middle)
    for _ in range(TRIES):
        smaller = replace(search, dims={**search.dims, name: fits}, least=None)
        if fits == 0 or smaller.fitting() is not None:
            return fits
        fits = int(fits * SMALLER)
    return 0


def bytes_text(count: int, *, up: bool = False) -> str:
    """Bytes as the language writes them, in tenths, rounded down or up."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= size:
            tenths = -(-10 * count // size) if up else 10 * count // size
            return f"{tenths / 10:g} {unit}"
    return f"{count} bytes"
