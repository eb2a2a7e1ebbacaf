"""Drivers: what trains over all examples at once, by a line search instead of an update rule.

No definition of the language can say what they do, for a rule sees one element at a time: here are
their names and options, and what they ask of a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphc.diagnostics import Span
from graphc.ir import Body, Builder, Call, Graph, Node, Operand, Origin
from graphc.language import format_expr, tree
from graphc.model.frame import Frame
from graphc.model.optimizers import FLAT
from graphc.model.program import (
    Driver,
    OptimizerGroup,
    OptimizerState,
    Penalty,
    RootKey,
    Splice,
    TrainPlan,
)
from graphc.model.section import SectionReader
from graphc.ops.leaves import Clock, IfTraining
from graphc.ops.random import Draw

__all__ = ["DRIVERS", "DriverInfo", "driver_group", "driver_named", "expect_constant_objective"]


@dataclass(frozen=True)
class DriverInfo:
    """What a driver is, in a comment's form, and its options with their defaults."""

    doc: str
    options: Mapping[str, int | float]


_LINE_SEARCH = {"tolerance": 1e-8, "c1": 1e-4, "c2": 0.9}

DRIVERS: dict[str, DriverInfo] = {
    "lbfgs": DriverInfo(
        "L-BFGS with a strong-Wolfe line search, over all examples at once (Nocedal and Wright, "
        "2006, algorithms 7.4 and 3.5). The memory is of that many steps; below the tolerance, a "
        "norm of the gradient, training ends; c1 and c2 are those of the Wolfe conditions. Needs "
        "batch = all; a gradient norm below 1e-6 needs precision = f64.",
        {"memory": 10, **_LINE_SEARCH},
    ),
    "newton": DriverInfo(
        "Damped Newton with a strong-Wolfe line search, over all examples at once. Up to `exact` "
        "parameters it takes the Hessian itself, its eigenvalues made positive, beyond that "
        "conjugate gradients that end at negative curvature (Nocedal and Wright, 2006, section 3.4 "
        "and algorithm 7.1). Below the tolerance, a norm of the gradient, training ends; c1 and c2 "
        "are those of the Wolfe conditions. Needs batch = all; a gradient norm below 1e-6 needs "
        "precision = f64.",
        {**_LINE_SEARCH, "exact": 2000},
    ),
}


def driver_named(frame: Frame, expr: tree.Expr) -> str | None:
    """The driver that an expression names, unless the file has a definition of that name."""
    named = isinstance(expr, tree.Name) or (isinstance(expr, tree.Apply) and expr.arguments is None)
    name: str = expr.name if named else ""  # type: ignore[attr-defined]
    return name if name in DRIVERS and frame.home.find(name) is None else None


def driver_group(
    reader: SectionReader, expr: tree.Expr, names: tuple[str, ...], plan: TrainPlan
) -> OptimizerGroup | None:
    """The parameters under a driver; None after errors."""
    before = len(reader.frame.diagnostics.errors)
    kinds = {name: tuple(info.options) for name, info in DRIVERS.items()}
    read = reader.options(expr, kinds, "optimizer")
    if read is None:
        return None
    name, given = read
    options = {**DRIVERS[name].options, **_numbers(reader, given)}
    _expect_wolfe(reader, options, given, expr)
    _expect_all_examples(reader, name, expr.span, plan)
    if len(reader.frame.diagnostics.errors) > before:
        return None
    memory = int(options.get("memory", 0))
    labels = [f"{kind}{i}" for kind in "sy" for i in range(1, memory + 1)]
    states = tuple(OptimizerState(label, 0.0) for label in labels)
    title = format_expr(expr)
    rule = _unchanged(title, name, labels)
    return OptimizerGroup(title, rule, states, names, Driver(name, options))


def _numbers(reader: SectionReader, given: Mapping[str, tree.Expr]) -> dict[str, Any]:
    whole = ("memory", "exact")
    least = {"memory": 1.0}
    found = {
        key: reader.number(key, expr, whole=key in whole, least=least.get(key, 0.0))
        for key, expr in given.items()
    }
    return {key: value for key, value in found.items() if value is not None}


def _expect_wolfe(
    reader: SectionReader,
    options: Mapping[str, Any],
    given: Mapping[str, tree.Expr],
    expr: tree.Expr,
) -> None:
    if not 0.0 < options["c1"] < options["c2"] < 1.0:
        span = next((given[key].span for key in ("c1", "c2") if key in given), expr.span)
        reader.frame.error(
            "E503", f"0 < c1 < c2 < 1, but c1 = {options['c1']:g} and c2 = {options['c2']:g}", span
        )


def _expect_all_examples(reader: SectionReader, name: str, span: Span, plan: TrainPlan) -> None:
    if reader.batch is None and reader.inputs:
        reader.frame.error(
            "E608",
            f"`{name}` takes all examples at once, and this model takes one",
            span,
            help="give every input a batch dimension, as in: input x: real[n, 4]",
        )
    elif plan.batch is not None:
        reader.frame.error(
            "E608",
            f"`{name}` takes all examples at once, and `batch` is {plan.batch}",
            span,
            help="write: batch = all",
        )


def _unchanged(title: str, name: str, states: Iterable[str]) -> Body:
    """The rule that leaves everything as it is: what a driver does is no rule."""
    builder = Builder(Graph(), Origin())
    labels = ("w", "g", *states)
    values = [builder.place(Operand(i, n), (), FLAT, n) for i, n in enumerate(labels)]
    ids = tuple(value.id for value in values)
    return Body(title, name, builder.graph, ids, (ids[0], *ids[2:]))


# --------------------------------------------------------------- the same objective each time


def expect_constant_objective(
    frame: Frame,
    groups: Iterable[OptimizerGroup],
    roots: Mapping[RootKey, int],
    splices: Iterable[Splice],
    penalties: Iterable[Penalty],
) -> None:
    """An error where a driver is to minimise what is not the same at each step."""
    driver = next((group.driver for group in groups if group.driver is not None), None)
    if driver is None or ("objective", "") not in roots:
        return
    found = next(_changes(frame, roots, splices, penalties), None)
    if found is not None:
        why, span = found
        frame.error(
            "E610",
            f"`{driver.name}` needs an objective that is the same at each step, but {why}",
            span,
            help="take it out, or train by an optimizer such as adam{}",
        )


def _changes(
    frame: Frame,
    roots: Mapping[RootKey, int],
    splices: Iterable[Splice],
    penalties: Iterable[Penalty],
) -> Iterator[tuple[str, Span | None]]:
    """What makes an objective another one from step to step, and where it stands."""
    graph = frame.builder.graph
    needed = graph.ancestors([roots["objective", ""]])
    for node in graph.topological():
        why = _change(node, set()) if node.id in needed else ""
        if why:
            title = node.op.body.title if isinstance(node.op, Call) else "it"
            yield f"{title} {why}", node.origin.span
    added: list[Splice | Penalty] = [*splices, *penalties]
    for item in added:
        for body in item.bodies.values():
            why = _change_inside(body.graph, set())
            if why:
                yield f"{item.title} {why}", item.span
    for name, (_, span) in frame.updates.items():
        yield f"the state `{name}` moves", span


def _change(node: Node, seen: set[int]) -> str:
    """Why a node, or one in a body below it, differs from step to step; empty if none does."""
    if isinstance(node.op, Clock):
        return f"reads the clock `{node.op.which}`"
    if isinstance(node.op, Draw):
        return "draws random numbers"
    if isinstance(node.op, IfTraining):
        return "is another one in training than in evaluation"
    if isinstance(node.op, Call) and id(node.op.body) not in seen:
        seen.add(id(node.op.body))
        return _change_inside(node.op.body.graph, seen)
    return ""


def _change_inside(graph: Graph, seen: set[int]) -> str:
    return next((why for node in graph.topological() if (why := _change(node, seen))), "")
