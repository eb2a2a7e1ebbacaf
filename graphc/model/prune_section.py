"""The prune section: how much, by which measure, in which steps."""

from __future__ import annotations

from typing import Any

from graphc.language import tree
from graphc.model.section import SectionReader
from graphc.model.settings import KEYS

__all__ = ["check_prune"]

METHODS = ("magnitude", "obd", "obs", "movement", "random", "lottery")
SCHEDULES = ("one_shot", "gradual", "recompute")


def check_prune(reader: SectionReader) -> dict[str, Any] | None:
    """The section's values by key; None where there is no section."""
    if "prune" not in reader.sections:
        return None
    entries = reader.entries("prune", KEYS["prune"])
    plan: dict[str, Any] = {}
    for key, expr in entries.items():
        if key in ("method", "schedule"):
            plan[key] = reader.word(key, expr, METHODS if key == "method" else SCHEDULES)
        elif key in ("steps", "retrain", "seed"):
            plan[key] = reader.number(key, expr, whole=True)
        elif key == "stop":
            plan[key] = reader.word(key, expr, ("accuracy",))
        else:
            plan[key] = reader.number(key, expr)
    if plan.get("sparsity") is not None and plan["sparsity"] >= 1:
        reader.frame.error(
            "E503", "`sparsity` is a fraction below 1, as in 80%", entries["sparsity"].span
        )
    for rule in reader.rules("prune"):
        if isinstance(rule, tree.Placed) and rule.preposition == "on":
            reader.select(rule.selector)
        else:
            reader.frame.error("E506", "a line of `prune` is `key = value`", rule.span)
    return plan
