"""Slots for arrays whose lifetimes are all known: the largest first, each in the smallest slot in
which nothing lives at any time that it does (greedy by size for shared objects; Pisarchyk and Lee,
Efficient memory management for deep neural net inference, 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from graphc.schedule.memory import Precision, Slot
from graphc.schedule.plan import Plan

__all__ = ["packed", "shared_slots"]


def packed(plan: Plan, precision: Precision, dims: Mapping[str, int]) -> Plan:
    """A plan made without ``share``, with slots that arrays share. They come first, the longest
    before the others; what is given or held stays apart."""
    lives = _lives(plan)
    own = [slot for slot in plan.slots if slot.id in lives]
    apart = [slot for slot in plan.slots if slot.id not in lives]
    arrays = [(slot.bytes(precision, dims), *lives[slot.id]) for slot in own]
    place = dict(zip((slot.id for slot in own), shared_slots(arrays), strict=True))
    count = 1 + max(place.values(), default=-1)
    place.update((slot.id, count + i) for i, slot in enumerate(apart))
    shared: list[list[Slot]] = [[] for _ in range(count + len(apart))]
    for slot in plan.slots:
        shared[place[slot.id]].append(slot)
    steps = (
        replace(
            step,
            slot=None if step.slot is None else place[step.slot],
            workspace=tuple(place[slot] for slot in step.workspace),
        )
        for step in plan.steps
    )
    return replace(
        plan,
        steps=tuple(steps),
        slots=tuple(_merged(id, slots) for id, slots in enumerate(shared)),
        finals=tuple((id, place[slot]) for id, slot in plan.finals),
        filled={workspace: place[slot] for workspace, slot in plan.filled.items()},
    )


def _merged(id: int, slots: Sequence[Slot]) -> Slot:
    residents = dict.fromkeys(resident for slot in slots for resident in slot.residents)
    return Slot(id, tuple(residents), slots[0].target, any(slot.kept for slot in slots))


def _lives(plan: Plan) -> dict[int, tuple[int, int]]:
    """First and last step in which something lives in each slot that may be shared."""
    apart = {slot.id for slot in plan.slots if slot.target} | set(plan.filled.values())
    apart.update(s.slot for s in plan.steps if s.how == "static" and s.slot is not None)
    lives: dict[int, tuple[int, int]] = {}
    owner: dict[int, int] = {}
    slot_of: dict[int, int | None] = {}

    def extend(slots: Iterable[int | None], position: int) -> None:
        for slot in slots:
            if slot is not None and slot not in apart:
                lives[slot] = lives.get(slot, (position, 0))[0], position

    for position, step in enumerate(plan.steps):
        node = step.node
        owner[node.id] = owner[node.inputs[0]] if step.how == "view" else node.id
        slot_of[node.id] = step.slot
        read = (slot_of[owner[id]] for id in node.inputs)
        extend((*read, *step.workspace, *[step.slot] * (step.how == "compute")), position)
    ends = (*plan.roots.values(), *(id for id, _ in plan.finals))
    extend((slot_of[owner[id]] for id in ends), len(plan.steps))
    return lives


def shared_slots(arrays: Sequence[tuple[int, int, int]]) -> list[int]:
    """The slot of each array, given by its bytes and the first and last step that it lives in.

    Slots are numbered from 0 in descending order of their length.
    """
    taken = _Taken(1 + max((last for _, _, last in arrays), default=0))
    slots = [0] * len(arrays)
    count = 0
    for index in sorted(range(len(arrays)), key=lambda i: (-arrays[i][0], arrays[i][1], i)):
        _, first, last = arrays[index]
        free = ((1 << count) - 1) & ~taken.between(first, last)
        slot = free.bit_length() - 1 if free else count
        count = max(count, slot + 1)
        taken.take(slot, first, last)
        slots[index] = slot
    return slots


class _Taken:
    """For each step the slots that are taken, as bits of a number, in a segment tree: node i has
    the children 2i and 2i + 1, and step s is the leaf ``size + s``."""

    def __init__(self, steps: int) -> None:
        self._size = 1 << (steps - 1).bit_length()
        self._all = [0] * (2 * self._size)
        """Taken in every step below a node."""
        self._some = [0] * (2 * self._size)
        """Taken in any step below a node."""

    def take(self, slot: int, first: int, last: int) -> None:
        bit = 1 << slot
        for node in self._cover(first, last):
            self._all[node] |= bit
            while node and not self._some[node] & bit:
                self._some[node] |= bit
                node //= 2

    def between(self, first: int, last: int) -> int:
        """The slots that are taken in any of some steps."""
        found = 0
        for node in self._cover(first, last):
            found |= self._some[node]
            while node := node // 2:
                found |= self._all[node]
        return found

    def _cover(self, first: int, last: int) -> list[int]:
        """The largest nodes that have exactly those steps below them."""
        nodes = []
        low, high = first + self._size, last + self._size + 1
        while low < high:
            if low & 1:
                nodes.append(low)
                low += 1
            if high & 1:
                high -= 1
                nodes.append(high)
            low //= 2
            high //= 2
        return nodes
