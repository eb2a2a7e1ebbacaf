"""The prune section: which weights may go, by which measure, in which steps, until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphc.language import format_expr, tree
from graphc.model.frame import nearest
from graphc.model.program import PrunePlan
from graphc.model.section import SectionReader
from graphc.model.settings import KEYS

__all__ = ["check_prune"]

WORDS = {
    "method": ("magnitude", "random", "movement", "obd", "obs", "lottery"),
    "curvature": ("exact", "backpropagated", "fisher", "rows"),
    "remove": ("weights", "units"),
    "scope": ("global", "layer"),
    "schedule": ("one_shot", "gradual", "recompute"),
}
CURVATURES = {"obd": ("exact", "backpropagated"), "obs": ("exact", "fisher", "rows")}
"""Which curvature a method can be computed from."""
COUNTS = {"steps": 1, "retrain": 0, "rewind": 0, "seed": 0}
"""Whole numbers, and the least that each may be."""


def check_prune(reader: SectionReader, frozen: set[str]) -> PrunePlan:
    """The section as a plan; of defaults where there is no section."""
    entries = reader.entries("prune", KEYS["prune"])
    found = {key: _value(reader, key, expr) for key, expr in entries.items()}
    plan = {key: value for key, value in found.items() if value is not None}
    _leave_out_of_other_methods(reader, plan)
    _expect_fraction(reader, plan, entries)
    _expect_fitting(reader, plan, entries)
    return PrunePlan(**plan, parameters=_parameters(reader, frozen))


def _leave_out_of_other_methods(reader: SectionReader, plan: dict[str, Any]) -> None:
    """A method from the command line takes from the section what fits it: the rest was written for
    another one."""
    given = {name.partition(".")[2] for name in reader.overrides if name.startswith("prune.")}
    if "method" not in given or "method" not in plan:
        return
    for key in [key for key in plan if key not in given and not _fits(plan["method"], key, plan)]:
        del plan[key]


def _fits(method: str, key: str, plan: Mapping[str, Any]) -> bool:
    if key == "curvature":
        return plan[key] in CURVATURES.get(method, ())
    if key == "rewind":
        return method == "lottery"
    return not (key == "schedule" and method == "lottery")


def _value(reader: SectionReader, key: str, expr: tree.Expr) -> Any:
    if key in WORDS:
        return reader.word(key, expr, WORDS[key])
    if key in COUNTS:
        return reader.number(key, expr, whole=True, least=COUNTS[key])
    if key == "stop":
        return _stop(reader, expr)
    return reader.number(key, expr)


def _stop(reader: SectionReader, expr: tree.Expr) -> str | None:
    """The loss or metric at whose first step for the worse pruning stops."""
    names = [name for role, name in reader.roots if role in ("loss", "metric")]
    text = expr.value if isinstance(expr, tree.Text) else format_expr(expr)
    if text in names or not reader.sound:
        return text
    hint = nearest(text, names) or f"losses and metrics are: {', '.join(names) or 'none'}"
    reader.frame.error("E504", f"`stop` names no loss or metric: `{text}`", expr.span, help=hint)
    return None


def _expect_fraction(
    reader: SectionReader, plan: Mapping[str, Any], entries: Mapping[str, tree.Expr]
) -> None:
    if plan.get("sparsity", 0) >= 1:
        reader.frame.error(
            "E503", "`sparsity` is a fraction below 1, as in 80%", entries["sparsity"].span
        )


def _expect_fitting(
    reader: SectionReader, plan: Mapping[str, Any], entries: Mapping[str, tree.Expr]
) -> None:
    """Keys that only some methods have."""
    method = plan.get("method", PrunePlan.method)
    allowed = CURVATURES.get(method, ())
    if "curvature" in plan and plan["curvature"] not in allowed:
        known = [f"{name}: {' or '.join(words)}" for name, words in CURVATURES.items()]
        reader.frame.error(
            "E509",
            f"`{method}` does not prune by `curvature = {plan['curvature']}`",
            entries["curvature"].span,
            help="; ".join(known),
        )
    if plan.get("rewind") and method != "lottery":
        reader.frame.error(
            "E509", "only `method = lottery` rewinds", entries["rewind"].span, help="leave it out"
        )
    if method == "lottery" and plan.get("schedule", "gradual") != "gradual":
        reader.frame.error(
            "E509",
            "a lottery ticket is found in rounds of training: `schedule` is gradual",
            entries["schedule"].span,
            help="write gradual or leave it out; `steps` is the number of rounds",
        )


def _parameters(reader: SectionReader, frozen: set[str]) -> tuple[str, ...]:
    """Parameters whose elements may go: what ``pruned on`` selects, by default the weights."""
    chosen: set[str] = set()
    rules = reader.rules("prune")
    for rule in rules:
        if isinstance(rule, tree.Placed) and _is_pruned_on(rule):
            chosen.update(reader.select(rule.selector))
        else:
            reader.frame.error(
                "E506", "a line of `prune` is `key = value` or `pruned on …`", rule.span
            )
    if not rules:
        chosen = {name for name, type in reader.parameters.items() if type.rank >= 2}
    return tuple(name for name in reader.parameters if name in chosen - frozen)


def _is_pruned_on(rule: tree.Placed) -> bool:
    word = rule.value
    return rule.preposition == "on" and isinstance(word, tree.Name) and word.name == "pruned"
