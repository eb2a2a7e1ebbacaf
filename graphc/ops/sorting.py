"""Order along an axis: the permutation that sorts, and ranks."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir import (
    Formula,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
    check_axis,
)

SAMPLE = Type("real", (2, 3, 4))


class Ordering(Operator):
    """What the two share: an axis, operands that have an order, no derivative."""

    flops = 20
    axis: int

    def check(self, x: Type) -> None:
        if x.kind not in ("real", "int"):
            raise TypeRuleError("E202", f"`{self.name}` takes numbers, not {x}", blame=[0])
        check_axis(self.axis, x)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None


@dataclass(frozen=True)
class Argsort(Ordering):
    """Positions that put an axis in order; equal elements stay in the order that they have."""

    name = "argsort"
    axis: int
    descending: bool = False

    def infer(self, *types: Type) -> Type:
        (x,) = types
        self.check(x)
        return Type("int", x.shape)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("argsort", axis=self.axis + 1, descending=self.descending)

    def numpy(self, w: WriteContext, *args: str) -> str:
        sign = "-" if self.descending else ""
        return f'np.argsort({sign}{args[0]}, axis={self.axis}, kind="stable")'

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("argsort", f.negative(args[0]) if self.descending else args[0])

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(1), (SAMPLE,)),
            Sample(cls(0, True), (Type("real", (5,)),)),
            Sample(cls(1, True), (Type("int", (2, 6)),)),
        ]


@dataclass(frozen=True)
class Ranks(Ordering):
    """Ranks from 1 along an axis, the smallest first; equal elements share the mean of theirs."""

    name = "ranks"
    axis: int

    def infer(self, *types: Type) -> Type:
        (x,) = types
        self.check(x)
        return Type("real", x.shape)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("ranks", axis=self.axis + 1)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_ranks({args[0]}, {self.axis}, {w.real})"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("ranks", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(1), (SAMPLE,)),
            Sample(cls(1), (Type("int", (2, 9)),)),
            Sample(cls(0), (Type("real", (1,)),)),
        ]
