"""A plan as text, for people: memory first, then one step a line."""

from __future__ import annotations

from graphc.schedule.plan import Plan, Step

__all__ = ["plan_text"]


def plan_text(plan: Plan) -> str:
    """Slots with their sizes, then every step with what it is and where it is kept."""
    lines = [
        f"slot {slot.id}: {slot.kind}[{slot.size}]" + (f", {slot.target}" if slot.target else "")
        for slot in plan.slots
    ]
    number = {step.node.id: i for i, step in enumerate(plan.steps)}
    lines += [_step_text(step, number) for step in plan.steps]
    for (role, name), id in plan.roots.items():
        lines.append(f"root {role} {name or '-'} = %{number[id]}")
    return "\n".join(lines) + "\n"


def _step_text(step: Step, number: dict[int, int]) -> str:
    node = step.node
    operands = ", ".join(f"%{number[i]}" for i in node.inputs)
    where = "" if step.slot is None else f" in slot {step.slot}"
    name = f"  # {node.name}" if node.name else ""
    text = f"%{number[node.id]} = {node.op.name}({operands}) : {node.type}"
    return f"{text}, {step.how}{where}{name}"
