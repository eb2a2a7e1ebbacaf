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
    Workspace,
    WriteContext,
    check_axis,
)

SAMPLE = Type("real", (2, 3, 4))


class Ordering(Operator):
    """What the two share: an axis, operands that have an order, no derivative."""

    axis: int

    def check(self, x: Type) -> None:
        if x.kind not in ("real", "int"):
            raise TypeRuleError("E202", f"`{self.name}` takes numbers, not {x}", blame=[0])
        check_axis(self.axis, x)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        """Comparisons of a merge sort: at most ⌈log₂ k⌉ an element for k of them. A symbolic axis
        counts 20, which is enough for 2²⁰ elements: a logarithm is no polynomial."""
        length = types[0].shape[self.axis]
        return result.size * ((length - 1).bit_length() if isinstance(length, int) else 20)


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

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        order = f'argsort(axis={self.axis}, kind="stable")'
        if not self.descending:
            return f"np.copyto({out}, {args[0]}.{order})"
        (negated,) = w.workspace
        return f"np.negative({args[0]}, out={negated}); np.copyto({out}, {negated}.{order})"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return (Workspace(types[0]),) if self.descending else ()

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """The result, and a row and its order where they do not lie in one piece."""
        size = result.shape[self.axis]
        return result, types[0].with_shape((size,)), Type("int", (size,))

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

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """The helper function works in plain NumPy: eight arrays of numbers, four of truth values,
        positions along each axis."""
        shape, positions = result.shape, Type("int", (sum(result.shape),))
        return *(Type("int", shape),) * 8, *(Type("bool", shape),) * 4, positions

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("ranks", *args)

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        """Sorting, and comparing each element with its neighbour."""
        return super().cost(types, result) + result.size

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(1), (SAMPLE,)),
            Sample(cls(1), (Type("int", (2, 9)),)),
            Sample(cls(0), (Type("real", (1,)),)),
        ]
