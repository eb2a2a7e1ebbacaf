"""Operators without operands, and those that only concern the compiler's own structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphc.ir import (
    AnyType,
    Formula,
    Kind,
    Notation,
    Operator,
    Size,
    TupleType,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
)


class Leaf(Operator):
    """A value that comes from outside the graph; its type is given with it."""

    arity = 0
    flops = 0

    def infer(self, *types: Type) -> AnyType:
        raise TypeError("the type of a leaf is given, not inferred")


@dataclass(frozen=True)
class Input(Leaf):
    """What the data supplies: ``input`` or ``target``."""

    name = "input"
    label: str


@dataclass(frozen=True)
class Column(Leaf):
    """A raw column of the data, before the data section's preprocessing."""

    name = "column"
    label: str


@dataclass(frozen=True)
class Parameter(Leaf):
    """A learned tensor."""

    name = "parameter"
    label: str


@dataclass(frozen=True)
class StateRead(Leaf):
    """A state's value before the step."""

    name = "state"
    label: str


@dataclass(frozen=True)
class Flat(Leaf):
    """What belongs to the parameters of an optimizer, one after the other: real[size].

    ``what`` is ``parameter``, ``gradient``, ``weight decay`` or the name of one of the optimizer's
    states, ``group`` counts the optimizers, ``count`` is the number of elements. The operands are
    the values that lie there, where they are values of the graph.
    """

    name = "flat"
    arity = -1
    what: str
    group: int
    count: int
    size: Size

    def infer(self, *types: Type) -> Type:
        return Type("real", (self.size,))


@dataclass(frozen=True)
class Tangent(Leaf):
    """A direction in the space of one parameter, given by who asks for a product."""

    name = "tangent"
    label: str


@dataclass(frozen=True)
class Direction(Tangent):
    """A direction of what one weight gives as a linear map, of one example, named by the weight."""

    name = "direction"


@dataclass(frozen=True)
class Clock(Leaf):
    """A run-time scalar: ``epoch``, ``step``, ``epochs``, ``steps``, or ``t``, the steps from 1."""

    name = "clock"
    which: str

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.symbol(self.which)


@dataclass(frozen=True)
class Constant(Operator):
    """A number, or an array written as nested tuples of numbers."""

    name = "constant"
    arity = 0
    flops = 0
    value: Any

    def infer(self, *types: Type) -> Type:
        shape: list[Size] = []
        value = self.value
        while isinstance(value, tuple):
            shape.append(len(value))
            value = value[0] if value else 0.0
        kind: Kind = "bool" if isinstance(value, bool) else "real"
        if isinstance(value, int) and not isinstance(value, bool):
            kind = "int"
        return Type(kind, tuple(shape))

    def numpy(self, w: WriteContext, *args: str) -> str:
        if isinstance(self.value, tuple):
            dtype = {"real": w.real, "int": "np.int64", "bool": "np.bool_"}[w.result.kind]
            return f"np.array({_brackets(self.value)}, dtype={dtype})"
        return number_text(self.value)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.symbol("…") if isinstance(self.value, tuple) else f.number(self.value)


def number_text(value: float | int | bool) -> str:
    """A number as source; infinities and NaN have no literal."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "np.nan" if value != value else "np.inf" if value > 0 else "-np.inf"
    return repr(value).replace("e+", "e")


def _brackets(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_brackets, value))}]"
    return number_text(value)


@dataclass(frozen=True)
class Item(Operator):
    """One value of a call that returns several."""

    name = "item"
    flops = 0
    index: int

    def infer(self, *types: AnyType) -> Type:
        (tuple_type,) = types
        if not isinstance(tuple_type, TupleType):
            raise TypeRuleError("E202", "only a call that returns several values has items")
        return tuple_type.items[self.index]


@dataclass(frozen=True)
class IfTraining(Operator):
    """The first operand in training, the second in evaluation and prediction."""

    name = "if_training"
    arity = 2
    flops = 0

    def infer(self, *types: Type) -> Type:
        if types[0] != types[1]:
            raise TypeRuleError(
                "E210",
                f"training and evaluation give different types: {types[0]} and {types[1]}",
                blame=(0, 1),
            )
        return types[0]

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        zeros = d.builder.zeros(d.type)
        return d.apply("if_training", zeros) if i == 0 else zeros.apply("if_training", d)


@dataclass(frozen=True)
class Fitted(Operator):
    """A constant of the data: the operand over the whole training part, computed once.

    ``place`` names it; ``default`` is its value before it is fitted.
    """

    name = "fitted"
    flops = 0
    place: str
    default: float = 0.0

    def infer(self, *types: Type) -> Type:
        return types[0]


@dataclass(frozen=True)
class Positions(Operator):
    """The integers 0, 1, …, size − 1."""

    name = "positions"
    arity = 0
    flops = 0
    size: Size

    def infer(self, *types: Type) -> Type:
        return Type("int", (self.size,))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"np.arange({w.size(self.size)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        """A running sum of a 0 and ones, since ``arange`` would make an array."""
        return f"{out}.fill(1); {out}[:1].fill(0); np.cumsum({out}, out={out})"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("positions", f.symbol(str(self.size)))


@dataclass(frozen=True)
class Length(Operator):
    """A dimension as an integer."""

    name = "length"
    arity = 0
    flops = 0
    size: Size

    def infer(self, *types: Type) -> Type:
        return Type("int")

    def numpy(self, w: WriteContext, *args: str) -> str:
        return w.size(self.size)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.symbol(str(self.size))


@dataclass(frozen=True)
class Dimension(Leaf):
    """A symbolic dimension as a real number."""

    name = "dimension"
    size: Size

    def infer(self, *types: Type) -> Type:
        return Type("real")

    def numpy(self, w: WriteContext, *args: str) -> str:
        return w.size(self.size)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.symbol(str(self.size))
