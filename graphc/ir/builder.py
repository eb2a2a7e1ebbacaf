"""Building graph: values with operators, so that a derivative rule reads like its formula.

A :class:`Builder` knows the graph and the origin that new nodes get. A :class:`Value` is a node of
it. Operators are found by name in the registry, since the primitives live in a room above.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Origin
from graphc.ir.operator import OPERATORS, Operator
from graphc.ir.types import AnyType, TupleType, Type

__all__ = ["Builder", "Value"]

Number = int | float | bool


class Builder:
    """Adds nodes to ``graph``; every one gets ``origin``."""

    def __init__(self, graph: Graph, origin: Origin | None = None) -> None:
        self.graph = graph
        self.origin = origin or Origin()

    @contextmanager
    def at(self, origin: Origin) -> Iterator[None]:
        """Give new nodes another origin for a while."""
        before, self.origin = self.origin, origin
        try:
            yield
        finally:
            self.origin = before

    def emit(self, op: Operator, *inputs: Value, name: str = "") -> Value:
        """Apply ``op``; its type rule decides the type, or raises TypeRuleError."""
        type = op.infer(*(value.any_type for value in inputs))  # type: ignore[arg-type]
        return self.place(op, tuple(value.id for value in inputs), type, name)

    def place(self, op: Operator, inputs: tuple[int, ...], type: AnyType, name: str = "") -> Value:
        """Add a node whose type is already known."""
        return Value(self, self.graph.add(op, inputs, type, self.origin, name))

    def value(self, id: int) -> Value:
        return Value(self, id)

    def op(self, name: str, *inputs: Value | Number, **attributes: Any) -> Value:
        """Apply the operator of that name; numbers become constants."""
        values = [v if isinstance(v, Value) else self.constant(v) for v in inputs]
        return self.emit(OPERATORS[name](**attributes), *values)

    def constant(self, value: Any) -> Value:
        """A scalar constant, or an array written as nested tuples."""
        return self.emit(OPERATORS["constant"](value))  # type: ignore[call-arg]

    def zeros(self, type: Type) -> Value:
        return self.op("broadcast", self.constant(0.0), shape=type.shape)

    def repeated(self, value: Value, size: Size) -> Value:
        """The same value ``size`` times along a new leading axis."""
        return self.op("broadcast", value, shape=(size, *value.shape))

    def aligned(self, value: Value, rank: int) -> Value:
        """A mapped value with axes of length 1 behind the new one, up to ``rank`` in all."""
        missing = rank - len(value.shape)
        if not missing:
            return value
        shape = (value.shape[0], *[1] * missing, *value.shape[1:])
        return self.op("reshape", value, shape=shape)

    def all_mapped(
        self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]
    ) -> tuple[Value, ...]:
        """Every operand with a leading axis: for a vectorization rule that needs it."""
        return tuple(
            x if own else self.repeated(x, size) for x, own in zip(xs, mapped, strict=True)
        )

    def items(self, value: Value) -> list[Value]:
        """The parts of a tuple, or the value alone."""
        if not isinstance(value.any_type, TupleType):
            return [value]
        return [self.op("item", value, index=i) for i in range(len(value.any_type.items))]

    def unbroadcast(self, value: Value, shape: tuple[Size, ...]) -> Value:
        """Sum a gradient over the axes along which an operand of ``shape`` was broadcast."""
        if value.shape == shape:
            return value
        if len(value.shape) < len(shape) or any(
            small not in (1, big)
            for small, big in zip(shape[::-1], value.shape[::-1], strict=False)
        ):
            return self.op("broadcast", value, shape=shape)
        extra = len(value.shape) - len(shape)
        axes = tuple(range(extra)) + tuple(
            extra + axis
            for axis, size in enumerate(shape)
            if size == 1 and value.shape[extra + axis] != 1
        )
        if axes:
            value = self.op("sum", value, axis=axes, keep=True)
        if value.shape == shape:
            return value
        return self.op("reshape", value, shape=shape)


@dataclass(frozen=True)
class Value:
    """A node of a builder's graph, with NumPy's operators."""

    builder: Builder
    id: int

    @property
    def any_type(self) -> AnyType:
        return self.builder.graph[self.id].type

    @property
    def type(self) -> Type:
        return self.builder.graph[self.id].tensor

    @property
    def shape(self) -> tuple[Size, ...]:
        return self.type.shape

    def apply(self, name: str, *others: Value | Number, **attributes: Any) -> Value:
        """``op(self, *others)`` by the operator's name."""
        return self.builder.op(name, self, *others, **attributes)

    def __add__(self, other: Value | Number) -> Value:
        return self.apply("add", other)

    def __radd__(self, other: Number) -> Value:
        return self.builder.op("add", other, self)

    def __sub__(self, other: Value | Number) -> Value:
        return self.apply("subtract", other)

    def __rsub__(self, other: Number) -> Value:
        return self.builder.op("subtract", other, self)

    def __mul__(self, other: Value | Number) -> Value:
        return self.apply("multiply", other)

    def __rmul__(self, other: Number) -> Value:
        return self.builder.op("multiply", other, self)

    def __truediv__(self, other: Value | Number) -> Value:
        return self.apply("divide", other)

    def __rtruediv__(self, other: Number) -> Value:
        return self.builder.op("divide", other, self)

    def __neg__(self) -> Value:
        return self.apply("negative")

    def __matmul__(self, other: Value) -> Value:
        return self.apply("matmul", other)

    def __pow__(self, other: Value | Number) -> Value:
        return self.apply("power", other)
