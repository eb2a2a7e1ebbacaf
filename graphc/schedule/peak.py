"""Peak memory of training, by what it is for: every array of a trainer, counted from the plan.

What is measured never exceeds it; what the caller holds, a state given and batches, is not in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphc.ir import Graph, Node
from graphc.model.program import COUNTERS, ModelSpec
from graphc.schedule.memory import (
    ALIGNMENT,
    Precision,
    aligned,
    array_bytes,
    item_bytes,
    size_value,
)
from graphc.schedule.plan import Plan
from graphc.schedule.training import TrainingPlan, UpdatePlan

__all__ = ["Peak", "peak", "tile_dims"]

NUMBER = 8
"""Bytes of an array of no dimension, at most."""

PASSING = 32 * NUMBER
"""What NumPy makes of single numbers and of a generator's state on the way; freed at once."""


@dataclass(frozen=True)
class Peak:
    """Bytes. ``states`` are those of layers, frozen parameters, constants of the data and counters;
    ``numbers`` arrays of no dimension; ``constants`` arrays that never change; ``hidden`` what
    NumPy makes for itself, as much as there is at one time."""

    parameters: int
    gradients: int
    optimizer_states: int
    states: int
    weight_decay: int
    numbers: int
    constants: int
    arena: int
    hidden: int

    @property
    def total(self) -> int:
        return sum(dataclasses.astuple(self))


def peak(training: TrainingPlan, spec: ModelSpec, dims: Mapping[str, int]) -> Peak:
    """The most bytes that a trainer holds at one time, for batches of at most that size."""
    precision = spec.train.precision
    real = item_bytes("real", precision)
    passes, updates = training.passes, training.updates
    learned = {name: size_value(spec.parameters[name].type.size, {}) for name in spec.learned}
    moments = [
        len(group.states) * sum(learned[name] for name in group.parameters) for group in spec.groups
    ]
    decays = sum(update.count for update in updates if update.decay)
    return Peak(
        parameters=real * sum(learned.values()),
        gradients=real * sum(learned.values()),
        optimizer_states=real * sum(moments),
        states=_states(spec),
        weight_decay=real * decays,
        numbers=sum(map(_numbers, (passes, *(update.plan for update in updates)))) + PASSING,
        constants=sum(array_bytes(node.tensor, precision, dims) for node in _constants(passes)),
        arena=_arena(passes, precision, dims),
        hidden=max(
            [
                _hidden(passes, precision, dims),
                *(_hidden(update.plan, precision, tile_dims(update)) for update in updates),
            ]
        ),
    )


def tile_dims(update: UpdatePlan, count: int | None = None) -> dict[str, int]:
    """Symbols of an update's arrays, for ``count`` elements or as many as it takes at a time."""
    (size,) = update.body.graph[update.body.operands[0]].tensor.shape
    assert not isinstance(size, int)
    return dict.fromkeys(size.symbols, update.tile if count is None else count)


def _states(spec: ModelSpec) -> int:
    learned = set(spec.learned)
    frozen = (info.type for name, info in spec.parameters.items() if name not in learned)
    types = [*frozen, *(info.type for info in spec.states.values())]
    held = sum(array_bytes(type, spec.train.precision, {}) for type in types)
    return held + NUMBER * len(COUNTERS)


def _numbers(plan: Plan) -> int:
    """Each number as an array, the operands and the result of each function of numbers, and what
    operators keep."""
    total = 0
    for step in plan.steps:
        node = step.node
        total += NUMBER * node.op.numbers
        if step.how == "scalar":
            total += NUMBER * (2 + len(node.inputs))
        elif step.how in ("literal", "static") and not node.tensor.shape:
            total += NUMBER
    return total


def _constants(plan: Plan) -> Iterable[Node]:
    """Static arrays that are the same for every size of batch."""
    for step in plan.steps:
        if step.how == "static" and step.slot is None and step.node.tensor.shape:
            yield step.node


def _arena(plan: Plan, precision: Precision, dims: Mapping[str, int]) -> int:
    sizes = [slot.bytes(precision, dims) for slot in plan.slots if not slot.target]
    return sum(map(aligned, sizes)) + ALIGNMENT


def _hidden(plan: Plan, precision: Precision, dims: Mapping[str, int]) -> int:
    """The most that a step, or the making of a constant, in f64 before it is converted, takes."""
    steps = [s.node for s in plan.steps if s.slot is not None and s.how in ("compute", "static")]
    made = [
        _hidden_of(node, plan.graph, precision, dims) + NUMBER * size_value(node.tensor.size, dims)
        for node in _constants(plan)
    ]
    return max(0, *made, *(_hidden_of(node, plan.graph, precision, dims) for node in steps))


def _hidden_of(node: Node, graph: Graph, precision: Precision, dims: Mapping[str, int]) -> int:
    types = tuple(graph[id].tensor for id in node.inputs)
    return sum(array_bytes(type, precision, dims) for type in node.op.hidden(types, node.tensor))
