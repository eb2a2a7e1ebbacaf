"""Slots that arrays share when all lifetimes are known."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from test_plan import check

import graphc
from graphc.schedule.memory import aligned
from graphc.schedule.packing import shared_slots
from graphc.schedule.training import plan_step

MODELS = Path(__file__).resolve().parents[2] / "models"

Arrays = list[tuple[int, int, int]]


def drawn(seed: int, sizes: list[int]) -> Arrays:
    """Bytes, first and last step of up to 60 arrays."""
    draw = random.Random(seed)
    lives = [sorted((draw.randrange(40), draw.randrange(40))) for _ in range(draw.randrange(60))]
    return [(draw.choice(sizes), first, last) for first, last in lives]


@pytest.mark.parametrize("seed", range(30))
def test_what_lives_at_one_time_shares_no_slot(seed: int) -> None:
    arrays = drawn(seed, [1, 2, 3, 10, 50])
    slots = shared_slots(arrays)
    for i, (_, first, last) in enumerate(arrays):
        for j, (_, start, end) in enumerate(arrays[:i]):
            assert slots[i] != slots[j] or last < start or end < first
    lengths = [
        max(size for (size, _, _), slot in zip(arrays, slots, strict=True) if slot == number)
        for number in range(len(set(slots)))
    ]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("seed", range(30))
def test_each_takes_the_smallest_slot_that_is_free(seed: int) -> None:
    """The same by looking at every slot."""
    arrays = drawn(seed, [1, 2, 3, 10, 50])
    lives: list[list[tuple[int, int]]] = []
    expected = {}
    for i in sorted(range(len(arrays)), key=lambda i: (-arrays[i][0], arrays[i][1], i)):
        _, first, last = arrays[i]
        free = [n for n, taken in enumerate(lives) if all(last < a or b < first for a, b in taken)]
        expected[i] = free[-1] if free else len(lives)
        if not free:
            lives.append([])
        lives[expected[i]].append((first, last))
    assert shared_slots(arrays) == [expected[i] for i in range(len(arrays))]


def test_arrays_of_one_size_take_as_many_slots_as_live_at_one_time() -> None:
    for seed in range(30):
        arrays = drawn(seed, [8])
        most = max((sum(a <= t <= b for _, a, b in arrays) for t in range(40)), default=0)
        assert len(set(shared_slots(arrays))) == most


def test_a_packed_plan_is_sound_and_smaller() -> None:
    program = graphc.compile(MODELS / "transformer.gc").generated.programs.training
    assert program is not None
    dims = {"n": 8}
    first, shared = (
        plan_step(program, symbols=["n"], dims=dims, pack=pack).passes for pack in (False, True)
    )
    check(shared)
    assert [step.node.id for step in shared.steps] == [step.node.id for step in first.steps]

    def arena(plan) -> int:
        return sum(aligned(slot.bytes("f32", dims)) for slot in plan.slots if not slot.target)

    assert arena(shared) < 0.9 * arena(first)
    assert {s.target for s in shared.slots} == {s.target for s in first.slots}
