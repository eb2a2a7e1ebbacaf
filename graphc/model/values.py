"""From meanings to what a place needs: a tensor of the graph, a constant, an attribute, an integer.

Where a meaning cannot be that, the reason is reported here.
"""

from __future__ import annotations

from typing import Any

from graphc.diagnostics import Span
from graphc.ir import OPERATORS, Dim, Type, Value
from graphc.language import tree
from graphc.model import expressions
from graphc.model.clocks import mentions_clock
from graphc.model.constants import is_integer, kind_of_value, rectangular, shape_of
from graphc.model.emission import emit, unify
from graphc.model.frame import Frame
from graphc.model.meanings import (
    POISON,
    BoundLayer,
    Const,
    DefinitionUse,
    Meaning,
    Poison,
    ProjectionConst,
    RunTime,
    Scope,
    Several,
    Tensor,
)
from graphc.model.nodes import known_number

__all__ = ["as_tensor", "attribute", "constant", "integer", "tensor"]


def tensor(frame: Frame, scope: Scope, expr: tree.Expr) -> Value | None:
    """The value that an expression stands for."""
    return as_tensor(frame, expressions.evaluate(frame, scope, expr), expr.span)


def as_tensor(frame: Frame, meaning: Meaning, span: Span) -> Value | None:
    """A value of the frame's graph; None after reporting why there is none."""
    match meaning:
        case Tensor():
            if meaning.value.builder.graph is not frame.builder.graph:
                _foreign_tensor(frame, span)
                return None
            return meaning.value
        case Const():
            return _constant_tensor(frame, meaning.value, span)
        case ProjectionConst():
            merged = [as_tensor(frame, m, span) for m in (meaning.training, meaning.evaluation)]
            if merged[0] is None or merged[1] is None:
                return None
            both = unify("add", [merged[0], merged[1]])
            result = emit(frame, "if_training", both, span)
            return result.value if isinstance(result, Tensor) else None
        case RunTime():
            return _run_time_tensor(frame, meaning, span)
        case Poison():
            return None
        case DefinitionUse() | BoundLayer():
            name = meaning.name if isinstance(meaning, DefinitionUse) else meaning.use.name
            draws = frame.kind == "init"
            help_text = f"write ~ {name}" if draws else f"call it: {name}(x)"
            frame.error("E313", f"`{name}` is a definition, not a value", span, help=help_text)
        case Several():
            frame.error(
                "E314",
                f"{len(meaning.items)} values where one is needed",
                span,
                help="bind them to names: a, b = f(x)",
            )
        case _:
            frame.error("E313", "the rounds of a repeat are not a value", span, help="as in i[1].h")
    return None


def _foreign_tensor(frame: Frame, span: Span) -> None:
    if frame.kind == "init":
        frame.error(
            "E312",
            "an initial value cannot depend on a tensor",
            span,
            help="it is made before anything runs, from constants and draws",
        )
        return
    frame.error(
        "E312",
        "a definition cannot read a tensor of the model around it",
        span,
        help="give it the tensor in parentheses",
    )


def _constant_tensor(frame: Frame, value: Any, span: Span) -> Value | None:
    with frame.at(span):
        if isinstance(value, Dim):
            op = OPERATORS["dimension"](value)  # type: ignore[call-arg]
            return frame.builder.place(op, (), Type("real"), "")
        if isinstance(value, tuple):
            array = rectangular(value)
            if array is None:
                title = "the rows of a list must be numbers, equally many in each"
                if 0 in (shape_of(value) or ()):
                    title = "an empty list is no tensor"
                frame.error("E213", title, span)
                return None
            return frame.builder.constant(array)
        if isinstance(value, int | float):
            return frame.builder.constant(value)
    frame.error("E202", f"{kind_of_value(value)} cannot be used as a tensor", span)
    return None


def _run_time_tensor(frame: Frame, meaning: RunTime, span: Span) -> Value | None:
    """Evaluate a deferred attribute in this graph."""
    if frame.kind == "init":
        frame.error("E308", "an initial value cannot depend on a run-time scalar", span)
        return None
    before = frame.clocks, frame.home
    frame.clocks, frame.home = True, meaning.home
    try:
        result = expressions.evaluate(frame, meaning.scope, meaning.expr)
        return as_tensor(frame, result, span)
    finally:
        frame.clocks, frame.home = before


def attribute(frame: Frame, scope: Scope, expr: tree.Expr) -> Meaning:
    """The meaning of an attribute: a constant, a definition, or a deferred run-time scalar."""
    if isinstance(expr, tree.Text):
        return Const(expr.value)
    if mentions_clock(frame, scope, expr):
        return RunTime(expr, scope, frame.home)
    meaning = expressions.evaluate(frame, scope, expr)
    if isinstance(meaning, Tensor):
        known = known_number(meaning.value)
        if known is not None:
            return Const(known)
        frame.error(
            "E315",
            "an attribute is known when the model is compiled, but this is a tensor",
            expr.span,
            help="tensors go in parentheses: f(x)",
        )
        return POISON
    if isinstance(meaning, BoundLayer):
        frame.error(
            "E315",
            "a bound layer cannot be an attribute",
            expr.span,
            help=f"give the definition itself: {meaning.use.title}",
        )
        return POISON
    return meaning


def constant(frame: Frame, scope: Scope, expr: tree.Expr, what: str) -> Any:
    """The value of a constant expression, or POISON after an error. ``what`` names its place."""
    meaning = attribute(frame, scope, expr)
    if isinstance(meaning, Const):
        return meaning.value
    if isinstance(meaning, RunTime):
        frame.error("E308", f"{what} cannot depend on a run-time scalar", expr.span)
    elif isinstance(meaning, ProjectionConst):
        frame.error("E309", f"{what} cannot depend on `training`", expr.span)
    elif not isinstance(meaning, Poison):
        frame.error("E303", f"{what} is a constant", expr.span)
    return POISON


def integer(frame: Frame, scope: Scope, expr: tree.Expr, what: str) -> int | None:
    """An integer known when compiled, or None after an error."""
    value = constant(frame, scope, expr, what)
    if is_integer(value):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Dim):
        frame.error(
            "E309", f"{what} is an integer; a symbolic dimension cannot decide it", expr.span
        )
    elif value is not POISON:
        frame.error("E303", f"{what} is an integer, not {kind_of_value(value)}", expr.span)
    return None
