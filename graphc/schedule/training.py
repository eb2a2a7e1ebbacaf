"""The plan of a whole training step: forward, backward and the updates, over one arena.

The updates come when the arrays of the passes are dead, so their scratch lies in the same slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from graphc.ir import Body, Group, Node, Operand
from graphc.model.program import ModelSpec, Program
from graphc.ops.leaves import Flat
from graphc.passes.updates import DECAY
from graphc.schedule.memory import Precision, Slot, likely_bytes
from graphc.schedule.packing import packed
from graphc.schedule.plan import Plan, plan, plan_update
from graphc.schedule.roots import Selection, update_groups

__all__ = ["TILE", "TrainingPlan", "UpdatePlan", "likely_sizes", "plan_step", "update_plans"]

TILE = 131072
"""Elements that a long update takes at a time, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class UpdatePlan:
    """One optimizer's update. ``places`` gives the slot of the arena of each slot of its scratch.

    ``decay`` holds the weight decay of each parameter where they differ, by name.
    """

    title: str
    body: Body
    labels: tuple[str, ...]
    count: int
    plan: Plan
    places: Mapping[int, int]
    decay: Mapping[str, float]

    @property
    def tile(self) -> int:
        """Elements at a time."""
        return min(self.count, TILE)


@dataclass(frozen=True)
class TrainingPlan:
    """``passes`` are forward and backward; its slots are those of the arena."""

    passes: Plan
    updates: tuple[UpdatePlan, ...]


def likely_sizes(spec: ModelSpec) -> dict[str, int]:
    """The batch's size where the model says it."""
    known = spec.batch is not None and spec.train.batch is not None
    return {spec.batch: spec.train.batch} if known else {}  # type: ignore[dict-item]


def plan_step(
    program: Program,
    *,
    symbols: Iterable[str],
    dims: Mapping[str, int] | None = None,
    select: Selection | None = None,
    reuse: bool = True,
    pack: bool = False,
) -> TrainingPlan:
    """The plan of a training step, all that the backward pass reads kept. ``symbols``, ``dims``,
    ``select`` and ``reuse`` are those of ``plan``; ``pack`` shares slots as if ``dims`` were sure.
    """
    passes = plan(program, symbols=symbols, dims=dims, select=select, reuse=reuse, share=not pack)
    if pack:
        passes = packed(passes, program.spec.train.precision, dims or {})
    slots = list(passes.slots)
    updates = []
    for update in update_plans(program):
        places = _placed(update, slots, program.spec.train.precision, dims or {}, reuse)
        updates.append(replace(update, places=places))
    return TrainingPlan(replace(passes, slots=tuple(slots)), tuple(updates))


def update_plans(program: Program) -> list[UpdatePlan]:
    """The rule of each optimizer, its scratch without places."""
    return [_update(program, node) for node in update_groups(program)]


def _update(program: Program, node: Node) -> UpdatePlan:
    assert isinstance(node.op, Group)
    body, graph = node.op.body, program.graph
    labels = []
    for id in body.operands:
        op = body.graph[id].op
        assert isinstance(op, Operand)
        labels.append(op.label)
    first, last = graph[node.inputs[0]].op, graph[node.inputs[-1]]
    assert isinstance(first, Flat)
    decay = {}
    if labels[-1] == DECAY:
        names = program.spec.groups[first.group].parameters
        values = [graph[id].op.value for id in last.inputs]  # type: ignore[attr-defined]
        decay = dict(zip(names, values, strict=True))
    planned = plan_update(body, tuple(labels), program.spec.train.precision)
    return UpdatePlan(body.title, body, tuple(labels), first.count, planned, {}, decay)


def _placed(
    update: UpdatePlan,
    slots: list[Slot],
    precision: Precision,
    dims: Mapping[str, int],
    reuse: bool,
) -> dict[int, int]:
    """Slots of the arena for an update's scratch: the longest of those that are free by then."""
    places: dict[int, int] = {}
    for own in update.plan.slots:
        if own.target:
            continue
        taken = places.values()
        free = [s for s in slots if reuse and not (s.target or s.kept or s.id in taken)]
        longest = max(free, key=lambda s: likely_bytes(s, precision, dims), default=None)
        slot = longest or Slot(len(slots), ())
        residents = (*slot.residents, *((kind, update.tile) for kind, _ in own.residents))
        slots[slot.id : slot.id + 1] = [replace(slot, residents=tuple(dict.fromkeys(residents)))]
        places[own.id] = slot.id
    return places
