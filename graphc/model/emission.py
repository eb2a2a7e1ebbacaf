"""Primitives into the graph, with the conversions that a model does not write.

Integers become reals beside reals, short shapes are broadcast where a type is declared; every type
rule that fails becomes an error at the operands to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc.diagnostics import Span
from graphc.ir import OPERATORS, Operator, Type, TypeRuleError, Value, broadcast_shapes
from graphc.model.constants import floats
from graphc.model.frame import MAX_ELEMENTS, Frame
from graphc.model.meanings import POISON, Meaning, Tensor
from graphc.model.nodes import known_elements
from graphc.ops.elementwise import Elementwise
from graphc.ops.functions import Function

__all__ = ["as_type", "emit", "to_real", "unify"]


def emit(
    frame: Frame,
    name: str,
    operands: list[Value],
    span: Span,
    spans: Sequence[tuple[Value, Span | None]] = (),
    at: Span | None = None,
    advice: str = "",
    **attributes: Any,
) -> Meaning:
    """Apply a primitive, converting ints to reals where NumPy would. ``advice`` is the help of an
    error that has none."""
    with frame.at(at or span):
        try:
            converted = unify(name, operands)
            if [value for value, _ in spans] == operands:
                spans = [(v, at) for v, (_, at) in zip(converted, spans, strict=True)]
            result = frame.builder.op(name, *converted, **attributes)
        except TypeRuleError as error:
            frame.type_error(error, span, spans or [(v, None) for v in operands], advice)
            return POISON
    problem = _undefined(result.builder.graph[result.id].op, converted)
    if problem:
        frame.error("E211", problem, span)
        return POISON
    size = result.type.size
    if isinstance(size, int) and size > MAX_ELEMENTS:
        frame.error("E318", f"this tensor has {size:,} elements: no memory holds it", span)
        return POISON
    return Tensor(result)


def _undefined(op: Operator, operands: list[Value]) -> str:
    """What is wrong with an operand that is a constant: ``division by zero``."""
    if not isinstance(op, Elementwise) or op.restricted is None:
        return ""
    numbers = known_elements(operands[op.restricted])
    wrong = [number for number in numbers if not op.defined_at(number)]
    return op.undefined(wrong[0]) if wrong else ""


KEEPS_KINDS = frozenset({"take", "pick", "gather", "index", "reshape", "concat"})
TAKES_REAL = frozenset(
    name for name, operator in OPERATORS.items() if issubclass(operator, Function)
) | {"divide", "matmul", "einsum"}


def unify(name: str, operands: list[Value]) -> list[Value]:
    """Ints become reals beside reals, and where only reals are taken."""
    mixed = len({value.type.kind for value in operands} & {"int", "real"}) == 2
    if name in TAKES_REAL or (mixed and name not in KEEPS_KINDS):
        return [to_real(value) if value.type.kind == "int" else value for value in operands]
    return operands


def to_real(value: Value) -> Value:
    """An integer as a real; a constant is made anew."""
    number = getattr(value.builder.graph[value.id].op, "value", None)
    if number is not None:
        return value.builder.constant(floats(number))
    return value.apply("cast", kind="real")


def as_type(frame: Frame, value: Value, wanted: Type, span: Span) -> Value | None:
    """The value as the wanted type: integers become reals, short shapes are broadcast."""
    with frame.at(span):
        if wanted.kind == "real" and value.type.kind == "int":
            value = to_real(value)
        if value.type.kind != wanted.kind or value.type.classes != wanted.classes:
            return None
        if value.shape == wanted.shape:
            return value
        if broadcast_shapes(value.shape, wanted.shape) == wanted.shape:
            return value.apply("broadcast", shape=wanted.shape)
    return None
