"""Constants of the language: what kind they are, lists as arrays, and arithmetic on them.

Folding works on plain Python values. What only a tensor can say is left to ``operators``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, TypeGuard

from graphc.ir import Dim, divide_exactly
from graphc.language import tree
from graphc.model.frame import Frame
from graphc.model.meanings import (
    ALL,
    NONE,
    POISON,
    Const,
    DefinitionUse,
    Meaning,
    ProjectionConst,
    RunTime,
    Tensor,
)

__all__ = [
    "NAMED_CONSTANTS",
    "compares_kinds",
    "floats",
    "fold_binary",
    "fold_unary",
    "is_integer",
    "is_number",
    "kind_of",
    "kind_of_value",
    "rectangular",
    "shape_of",
]

NAMED_CONSTANTS: dict[str, Any] = {"pi": math.pi, "all": ALL, "none": NONE, "inf": math.inf}


# ------------------------------------------------------------------------------- kinds


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a constant is a number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether a constant is an integer; a truth value is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def kind_of_value(value: Any) -> str:
    """What a constant is, for a message that wants another."""
    if value is ALL or value is NONE:
        return f"`{value}`"
    names = {bool: "a truth value", str: "a text", tuple: "a list", Dim: "a symbolic dimension"}
    return names.get(type(value), f"{value}" if is_number(value) else "another thing")


def kind_of(meaning: Meaning) -> str:
    """What a meaning is, for a message that wants another."""
    if isinstance(meaning, Const):
        return kind_of_value(meaning.value)
    if isinstance(meaning, DefinitionUse):
        return f"the definition `{meaning.name}`"
    if isinstance(meaning, RunTime):
        return "a run-time scalar"
    if isinstance(meaning, ProjectionConst):
        return "one thing in training and another in evaluation"
    return "a tensor" if isinstance(meaning, Tensor) else "something else"


# ------------------------------------------------------------------------------ arrays


def rectangular(value: Any) -> Any:
    """Nested tuples of numbers as an array constant, all ints or all floats; None if ragged."""
    shape = shape_of(value)
    if shape is None or 0 in shape:
        return None
    return floats(value) if _any_float(value) else value


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of nested tuples of numbers; None if ragged or not numbers."""
    if isinstance(value, tuple):
        shapes = {shape_of(item) for item in value}
        if len(shapes) != 1:
            return None if shapes else (0,)
        inner = shapes.pop()
        return None if inner is None else (len(value), *inner)
    return () if isinstance(value, int | float) else None


def _any_float(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_any_float, value))
    return isinstance(value, float)


def floats(number: Any) -> Any:
    """A number or nested tuples of numbers, as floats."""
    return tuple(map(floats, number)) if isinstance(number, tuple) else float(number)


# ---------------------------------------------------------------------------- folding

PYTHON: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "^": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def fold_binary(frame: Frame, expr: tree.Binary, left: Any, right: Any) -> Meaning | None:
    """Constant arithmetic. None where only a tensor can say it (``sum(l) / n``)."""
    op = expr.op
    if compares_kinds(op, left, right):
        return Const((left == right) == (op == "=="))
    if isinstance(left, Dim) or isinstance(right, Dim):
        return _fold_dims(frame, expr, left, right)
    if op in ("and", "or"):
        if isinstance(left, bool) and isinstance(right, bool):
            return Const(left and right if op == "and" else left or right)
        return _not_a(frame, expr, "truth values", left, right)
    if op in ("==", "!=") and _comparable(left, right):
        return Const((left == right) == (op == "=="))
    if not is_number(left) or not is_number(right):
        return _not_a(frame, expr, "numbers", left, right)
    if op == "@":
        frame.error("E203", "`@` multiplies matrices; for numbers write *", expr.op_span)
        return POISON
    if op == "//" and not (isinstance(left, int) and isinstance(right, int)):
        frame.error("E202", "`//` divides integers", expr.op_span, help="write / for real numbers")
        return POISON
    return _arithmetic(frame, expr, left, right)


def _arithmetic(frame: Frame, expr: tree.Binary, left: Any, right: Any) -> Meaning:
    if expr.op in ("/", "//") and right == 0:
        frame.error("E211", "division by zero", expr.op_span)
        return POISON
    if expr.op == "^" and abs(right) > 4096:
        left = float(left)
    try:
        if expr.op == "^" and isinstance(left, int) and isinstance(right, int) and right < 0:
            left = float(left)
        value = PYTHON[expr.op](left, right)
    except (OverflowError, ZeroDivisionError):
        frame.error("E211", "the result is too large or undefined", expr.op_span)
        return POISON
    if not _usable(value, left, right):
        frame.error("E211", "the result is too large or undefined", expr.op_span)
        return POISON
    return Const(value)


def _usable(value: Any, left: Any, right: Any) -> bool:
    """Whether a result is a number of the language: 64 bits, finite unless an operand is not."""
    if isinstance(value, int):
        return abs(value) < 2**63
    if isinstance(value, complex) or math.isnan(value):
        return False
    return math.isfinite(value) or math.isinf(left) or math.isinf(right)


def _fold_dims(frame: Frame, expr: tree.Binary, left: Any, right: Any) -> Meaning | None:
    whole = all(
        isinstance(side, int | Dim) and not isinstance(side, bool) for side in (left, right)
    )
    if whole and expr.op in ("+", "-", "*"):
        return Const(PYTHON[expr.op](left, right))
    if expr.op == "//":
        quotient = divide_exactly(left, right) if whole else None
        if quotient is None:
            frame.error("E212", f"{left} // {right} is not a dimension", expr.op_span)
            return POISON
        return Const(quotient)
    return None


def compares_kinds(op: str, left: Any, right: Any) -> bool:
    """Whether a comparison asks if an attribute is a text, ``none`` or ``all``, whatever it may be
    otherwise: ``padding == "same"``, ``weights == none``."""
    return op in ("==", "!=") and any(
        isinstance(side, str) or side is NONE or side is ALL for side in (left, right)
    )


def _comparable(left: Any, right: Any) -> bool:
    """Whether two constants can be equal: two numbers or two truth values."""
    return (is_number(left) and is_number(right)) or type(left) is type(right)


def _not_a(frame: Frame, expr: tree.Binary, what: str, left: Any, right: Any) -> Meaning:
    found = " and ".join(kind_of_value(value) for value in (left, right))
    frame.error("E202", f"`{expr.op}` combines {what}, but got {found}", expr.op_span)
    return POISON


def fold_unary(frame: Frame, expr: tree.Unary, value: Any) -> Meaning:
    """A sign or ``not`` of a constant."""
    if expr.op == "not" and isinstance(value, bool):
        return Const(not value)
    if expr.op == "-" and (is_number(value) or isinstance(value, Dim)):
        return Const(-value)
    wanted = "a truth value" if expr.op == "not" else "a number"
    frame.error("E202", f"`{expr.op}` takes {wanted}, not {kind_of_value(value)}", expr.span)
    return POISON
