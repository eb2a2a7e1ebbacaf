"""Running sums and products along one axis, and what their derivatives need.

Nothing here divides, so derivatives of every order are right where elements are 0.
"""

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
from graphc.ops.elementwise import numeric, real_only

SAMPLE = Type("real", (2, 3, 4))


class AlongAxis(Operator):
    """Base of the family: the result has the type of the first operand."""

    axis: int
    reverse: bool

    def infer(self, *types: Type) -> Type:
        x = types[0]
        check_axis(self.axis, x)
        return self.element_type(types).with_shape(x.shape)

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return numeric(self.name, types)

    def flipped(self, x: str) -> str:
        """The array ``x`` seen in the direction of the running sum."""
        return f"{x}[{':, ' * self.axis}::-1]" if self.reverse else x


@dataclass(frozen=True)
class CumSum(AlongAxis):
    """Σ of the elements up to each; ``reverse`` from each to the last."""

    name = "cumsum"
    axis: int = -1
    reverse: bool = False

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d.apply("cumsum", axis=self.axis, reverse=not self.reverse)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("cumsum", axis=self.axis + 1, reverse=self.reverse)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        mark = "reverse-cumsum" if self.reverse else "cumsum"
        return f.total(mark, args[0], (self.axis,))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return self.flipped(f"np.cumsum({self.flipped(args[0])}, axis={self.axis})")

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        source, target = self.flipped(args[0]), self.flipped(out)
        return f"np.cumsum({source}, axis={self.axis}, out={target})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(1), (SAMPLE,)), Sample(cls(2, reverse=True), (SAMPLE,))]


@dataclass(frozen=True)
class CumProd(AlongAxis):
    """Π of the elements up to each, or before each if ``exclusive``; ``reverse`` from the last."""

    name = "cumprod"
    axis: int = -1
    reverse: bool = False
    exclusive: bool = False

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        """Element i reaches each later result by the product of all others up to there: what
        stands before it, times a recurrence over what follows."""
        (x,) = xs
        axis, reverse = self.axis, self.reverse
        before = x.apply("cumprod", axis=axis, reverse=reverse, exclusive=True)
        if self.exclusive:
            later = x.apply("recurrence", d, axis=axis, reverse=not reverse)
            return before * shifted(later, axis, ahead=reverse)
        factors = shifted(x, axis, ahead=reverse)
        return before * factors.apply("recurrence", d, axis=axis, reverse=not reverse)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        attributes = {"reverse": self.reverse, "exclusive": self.exclusive}
        return xs[0].apply("cumprod", axis=self.axis + 1, **attributes)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        words = ["exclusive"] * self.exclusive + ["reverse"] * self.reverse + ["cumprod"]
        return f.total("-".join(words), args[0], (self.axis,))

    def numpy(self, w: WriteContext, *args: str) -> str:
        source = self.flipped(args[0])
        if self.exclusive:
            return self.flipped(f"_product_before({source}, {self.axis})")
        return self.flipped(f"np.cumprod({source}, axis={self.axis})")

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        if self.exclusive:
            return self._before_into(out, args[0])
        source, target = self.flipped(args[0]), self.flipped(out)
        return f"np.cumprod({source}, axis={self.axis}, out={target})"

    def _before_into(self, out: str, x: str) -> str:
        """1 first, behind it the products up to the last element but one."""
        ahead = ":, " * self.axis
        first, rest, but_last = ("-1:", "-2::-1", ":0:-1") if self.reverse else (":1", "1:", ":-1")
        products = f"np.cumprod({x}[{ahead}{but_last}], axis={self.axis}, out={out}[{ahead}{rest}])"
        return f"{out}[{ahead}{first}].fill(1); {products}"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(1, reverse, exclusive), (SAMPLE,))
            for reverse in (False, True)
            for exclusive in (False, True)
        ] + [Sample(cls(0), (Type("real", (1,)),))]


@dataclass(frozen=True)
class Recurrence(AlongAxis):
    """hᵢ = bᵢ + aᵢ·hᵢ₋₁ along an axis, 0 before the first; ``reverse`` from the last element."""

    name, arity, flops = "recurrence", 2, 2
    axis: int
    reverse: bool = False

    def infer(self, *types: Type) -> Type:
        a, b = types
        if a.shape != b.shape:
            raise TypeRuleError("E201", f"`recurrence` got {a} and {b}", blame=(0, 1))
        return super().infer(*types)

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return real_only(self.name, types)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        """The gradient by b runs the other way, each time by the factor of the next element."""
        ahead = shifted(xs[0], self.axis, ahead=self.reverse)
        by_b = ahead.apply("recurrence", d, axis=self.axis, reverse=not self.reverse)
        return by_b if i == 1 else by_b * shifted(y, self.axis, ahead=not self.reverse)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        a, b = xs[0].builder.all_mapped(size, xs, mapped)
        return a.apply("recurrence", b, axis=self.axis + 1, reverse=self.reverse)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_recurrence({args[0]}, {args[1]}, {self.axis}, {self.reverse})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        operands = f"{args[0]}, {args[1]}, {self.axis}, {self.reverse}, {', '.join(w.workspace)}"
        return f"_recurrence_into({out}, {operands})"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return (Workspace(result),) * 2

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(1), (Type("real", (2, 5)),) * 2),
            Sample(cls(0, reverse=True), (Type("real", (3, 2)),) * 2),
            Sample(cls(0), (Type("real", (1,)),) * 2),
        ]


def shifted(x: Value, axis: int, ahead: bool) -> Value:
    """Each element moved to the next place (``ahead``) or the one before; 0 where none comes."""
    if x.shape[axis] == 1:
        return x.builder.zeros(x.type)
    every = ((None, None, None),) * len(x.shape)
    first, last = (
        (*every[:axis], part, *every[axis + 1 :]) for part in ((None, -1, None), (1, None, None))
    )
    source, target = (first, last) if ahead else (last, first)
    return x.apply("index", items=source).apply("index_adjoint", items=target, shape=x.shape)
