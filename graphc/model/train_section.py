"""The train section: epochs, batches, stopping, and which optimizer updates which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphc.diagnostics import Source, Span
from graphc.language import format_expr, tree
from graphc.model.drivers import DRIVERS, driver_group, driver_named
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import Definition, DefinitionUse, Poison
from graphc.model.optimizers import expand_optimizer
from graphc.model.program import OptimizerGroup, TrainPlan
from graphc.model.section import SectionReader
from graphc.model.settings import KEYS

__all__ = ["CheckedTrain", "check_train"]


@dataclass(frozen=True)
class CheckedTrain:
    """The plan, the optimizers with their parameters, and the parameters that stay as they are."""

    plan: TrainPlan
    groups: tuple[OptimizerGroup, ...]
    frozen: set[str]


def check_train(reader: SectionReader) -> CheckedTrain:
    """The train section of a model; defaults where there is none."""
    entries = reader.entries("train", KEYS["train"])
    plan: dict[str, Any] = {}
    for key, least in (("epochs", 1), ("seed", 0)):
        if (
            key in entries
            and (value := reader.number(key, entries[key], whole=True, least=least)) is not None
        ):
            plan[key] = value
    if plan.get("seed", 0) >= 2**63:
        reader.frame.error("E503", "`seed` is below 2^63", entries["seed"].span)
    if "batch" in entries:
        plan["batch"] = _batch_size(reader, entries["batch"])
    plan["precision"] = _precision(reader, entries)
    plan.update(_stopping(reader, entries))
    if "memory" in entries:
        plan["memory"] = _memory(reader, entries["memory"], plan)
    frozen = _frozen(reader)
    checked = TrainPlan(**{key: value for key, value in plan.items() if value is not ...})
    groups = _optimizers(reader, entries.get("optimizer"), frozen, checked)
    return CheckedTrain(checked, groups, frozen)


def _batch_size(reader: SectionReader, expr: tree.Expr) -> Any:
    if isinstance(expr, tree.Name) and expr.name == "all":
        return None
    value = reader.number("batch", expr, whole=True, least=1)
    return ... if value is None else value


def _memory(reader: SectionReader, expr: tree.Expr, plan: Mapping[str, Any]) -> Any:
    value = reader.number("memory", expr, least=1)
    if value is None:
        return ...
    if plan.get("batch", ...) is None:
        reader.frame.error(
            "E508",
            "`memory` is for a batch of known size, and `batch` is all",
            expr.span,
            help="say how many examples a batch has: batch = 64",
        )
    return int(value)


def _precision(reader: SectionReader, entries: Mapping[str, tree.Expr]) -> Any:
    if reader.settings.precision is not None:
        return reader.settings.precision
    if "precision" not in entries:
        return ...
    return reader.word("precision", entries["precision"], ("f32", "f64")) or ...


# ---------------------------------------------------------------------------- stopping


def _stopping(reader: SectionReader, entries: Mapping[str, tree.Expr]) -> dict[str, Any]:
    plan: dict[str, Any] = {}
    if "stop" in entries:
        plan.update(_early(reader, entries["stop"]))
    if "watch" in entries:
        plan.update(_watch(reader, entries["watch"]))
    if "mode" in plan and plan["mode"] not in ("min", "max"):
        reader.frame.error("E503", '`mode` is "min" or "max"', entries["stop"].span)
    return plan


def _early(reader: SectionReader, expr: tree.Expr) -> dict[str, Any]:
    options = reader.options(expr, {"early": ("patience", "watch", "mode")}, "stop")
    if options is None:
        return {}
    _, given = options
    plan: dict[str, Any] = {"patience": 10}
    if "patience" in given:
        plan["patience"] = reader.number("patience", given["patience"], whole=True, least=1)
    if "watch" in given:
        plan.update(_watch(reader, given["watch"]))
    if "mode" in given:
        plan["mode"] = reader.constant("mode", given["mode"])
    return plan


def _watch(reader: SectionReader, expr: tree.Expr) -> dict[str, Any]:
    names = [name for role, name in reader.roots if role in ("loss", "metric")]
    text = expr.value if isinstance(expr, tree.Text) else format_expr(expr)
    if text not in names and not reader.sound:
        return {}
    if text not in names:
        hint = nearest(text, names) or f"losses and metrics are: {', '.join(names) or 'none'}"
        reader.frame.error(
            "E504", f"`watch` names no loss or metric: `{text}`", expr.span, help=hint
        )
        return {}
    return {"watch": text, "mode": "max" if ("metric", text) in reader.roots else "min"}


# -------------------------------------------------------------------------- optimizers


def _frozen(reader: SectionReader) -> set[str]:
    frozen: set[str] = set()
    for rule in reader.rules("train"):
        is_frozen = (
            isinstance(rule, tree.Placed)
            and isinstance(rule.value, tree.Name)
            and rule.value.name == "frozen"
            and rule.preposition == "on"
        )
        if not is_frozen:
            reader.frame.error(
                "E506", "a line of `train` is `key = value` or `frozen on …`", rule.span
            )
            continue
        assert isinstance(rule, tree.Placed)
        frozen.update(reader.select(rule.selector))
    return frozen


def _optimizers(
    reader: SectionReader, expr: tree.Expr | None, frozen: set[str], plan: TrainPlan
) -> tuple[OptimizerGroup, ...]:
    if not reader.parameters:
        return ()
    rest = [name for name in reader.parameters if name not in frozen]
    groups = []
    items = _optimizer_items(expr)
    driver = next((item for item in items if driver_named(reader.frame, _placed(item))), None)
    if driver is not None:
        return _driven(reader, driver, items, rest, plan)
    for item in items:
        chosen = rest
        if isinstance(item, tree.Placed):
            if item.preposition != "on":
                reader.frame.error("E506", "an optimizer works `on` parameters", item.span)
                continue
            named = reader.select(item.selector)
            chosen = [name for name in rest if name in named]
        group = _group(reader, _placed(item), chosen)
        taken = set(chosen)
        rest = [name for name in rest if name not in taken]
        if group is not None and chosen:
            groups.append(group)
    if rest and expr is not None and not reader.frame.diagnostics.errors:
        reader.frame.error(
            "E605",
            f"no optimizer updates `{rest[0]}`",
            expr.span,
            help="end the list with one on params, or write: frozen on …",
        )
    return tuple(groups)


def _driven(
    reader: SectionReader,
    driver: tree.Expr,
    items: list[tree.Expr],
    names: list[str],
    plan: TrainPlan,
) -> tuple[OptimizerGroup, ...]:
    """All parameters under a driver, which has to be the only item."""
    if len(items) > 1 or isinstance(driver, tree.Placed):
        reader.frame.error(
            "E609",
            f"`{driver_named(reader.frame, _placed(driver))}` moves all parameters together: "
            "it stands alone",
            driver.span,
            help="what is not to move: frozen on …",
        )
        return ()
    group = driver_group(reader, driver, tuple(names), plan)
    return () if group is None or not names else (group,)


def _placed(item: tree.Expr) -> tree.Expr:
    """What stands before an `on`."""
    return item.value if isinstance(item, tree.Placed) else item


def _optimizer_items(expr: tree.Expr | None) -> list[tree.Expr]:
    if expr is None:
        source = Source("default", "adam{}", prelude=True)
        span = Span(source, 0, 6)
        return [tree.Apply(span, "adam", span, (), None)]
    return list(expr.items) if isinstance(expr, tree.ListExpr) else [expr]


def _group(reader: SectionReader, expr: tree.Expr, names: list[str]) -> OptimizerGroup | None:
    frame = reader.frame
    meaning = reader.definition(expr)
    if isinstance(meaning, Poison):
        return None
    use = meaning if isinstance(meaning, DefinitionUse) else None
    definition = use.definition if use else None
    if use is None or not isinstance(definition, Definition) or definition.tree.kind != "optimizer":
        known = [*(n for n in frame.home.known() if _is_optimizer(frame, n)), *DRIVERS]
        frame.error(
            "E606", "`optimizer` is an optimizer definition", expr.span,
            help=f"known ones are: {', '.join(known)}",
        )  # fmt: skip
        return None
    return expand_optimizer(frame, use, definition, tuple(names), expr.span)


def _is_optimizer(frame: Frame, name: str) -> bool:
    definition = frame.home.find(name)
    return definition is not None and definition.tree.kind == "optimizer"
