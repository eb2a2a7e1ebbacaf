"""A plan as text, for people: memory first, then one step a line, groups under their titles."""

from __future__ import annotations

from graphc.schedule.memory import Slot
from graphc.schedule.plan import Plan, Step
from graphc.schedule.training import TrainingPlan

__all__ = ["plan_text", "training_text"]


def training_text(training: TrainingPlan) -> str:
    """Forward and backward pass, then every update; its scratch lies in slots of the arena."""
    parts = [plan_text(training.passes)]
    for update in training.updates:
        places = ", ".join(f"slot {own} is slot {slot}" for own, slot in update.places.items())
        head = f"# update of {update.count} elements, {update.tile} at a time: {update.title}"
        parts.append(f"{head}\n# {places or 'no scratch'}\n{plan_text(update.plan)}")
    return "\n".join(parts)


def plan_text(plan: Plan) -> str:
    """Slots with their residents, then every step with what it is and where it is kept."""
    lines = [_slot_text(slot) for slot in plan.slots]
    number = {step.node.id: i for i, step in enumerate(plan.steps)}
    group = None
    for step in plan.steps:
        own = plan.groups.get(step.node.id)
        if own is not group and own is not None:
            lines.append(f"# {own.body.definition}: {own.body.title}")
        group = own
        lines.append(("  " if own is not None else "") + _step_text(step, number))
    for (role, name), id in plan.roots.items():
        lines.append(f"root {role} {name or '-'} = %{number[id]}")
    return "\n".join(lines) + "\n"


def _slot_text(slot: Slot) -> str:
    residents = ", ".join(f"{kind}[{size}]" for kind, size in slot.residents)
    kept = ", kept" if slot.kept else ""
    return f"slot {slot.id}: {residents}{kept}" + (f", {slot.target}" if slot.target else "")


def _step_text(step: Step, number: dict[int, int]) -> str:
    node = step.node
    operands = ", ".join(f"%{number[i]}" for i in node.inputs)
    where = "" if step.slot is None else f" in slot {step.slot}"
    if step.workspace:
        where += f" with {', '.join(f'slot {slot}' for slot in step.workspace)}"
    name = f"  # {node.name}" if node.name else ""
    text = f"%{number[node.id]} = {node.op.name}({operands}) : {node.type}"
    return f"{text}, {step.how}{where}{name}"
