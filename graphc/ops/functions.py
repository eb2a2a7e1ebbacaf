"""Element-wise functions of one real tensor, and the larger and smaller of two elements.

Kinks: the derivative at a tie of ``max``/``min`` goes to the second operand, so ``max(x, 0)`` has
derivative 0 at 0; ``abs`` has derivative 0 at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir import Formula, Notation, Sample, Type, Value
from graphc.ops.elementwise import REAL2, Elementwise, numeric, real_only


class Function(Elementwise):
    """An element-wise function of one real tensor."""

    flops = 8

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return real_only(self.name, types)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2[:1])]


class PositiveFunction(Function):
    """A function whose samples are drawn from positive numbers."""

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2[:1], 0.5, 2.0)]


@dataclass(frozen=True)
class Exp(Function):
    """Exponential function."""

    name = ufunc = "exp"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return y


@dataclass(frozen=True)
class Expm1(Function):
    """exp(x) − 1, accurate near 0."""

    name = ufunc = "expm1"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return y + 1.0


@dataclass(frozen=True)
class Log(PositiveFunction):
    """Natural logarithm."""

    name = ufunc = "log"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 1.0 / xs[0]

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d / xs[0]


@dataclass(frozen=True)
class Log1p(PositiveFunction):
    """log(1 + x), accurate near 0."""

    name = ufunc = "log1p"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 1.0 / (1.0 + xs[0])

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d / (1.0 + xs[0])


@dataclass(frozen=True)
class Sqrt(PositiveFunction):
    """Square root."""

    name = ufunc = "sqrt"
    flops = 4

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 0.5 / y


@dataclass(frozen=True)
class Sin(Function):
    """Sine."""

    name = ufunc = "sin"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return xs[0].apply("cos")


@dataclass(frozen=True)
class Cos(Function):
    """Cosine."""

    name = ufunc = "cos"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return -xs[0].apply("sin")


@dataclass(frozen=True)
class Tanh(Function):
    """Hyperbolic tangent."""

    name = ufunc = "tanh"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 1.0 - y * y


@dataclass(frozen=True)
class Abs(Function):
    """Absolute value; its derivative at 0 is 0."""

    name = "abs"
    ufunc = "absolute"
    flops = 1

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return numeric(self.name, types)

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return xs[0].apply("sign")

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.between("|", args[0], "|")


@dataclass(frozen=True)
class Sign(Function):
    """−1, 0 or 1."""

    name = ufunc = "sign"
    flops = 1

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> None:
        return None


@dataclass(frozen=True)
class Floor(Function):
    """Largest integer not above x."""

    name = ufunc = "floor"
    flops = 1

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> None:
        return None

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.between("⌊", args[0], "⌋")


@dataclass(frozen=True)
class Maximum(Elementwise):
    """The larger of two elements."""

    name, arity = "maximum", 2
    ufunc = "maximum"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        x, z = xs
        return x.apply("greater", z) if i == 0 else x.apply("less_equal", z)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("max", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2)]


@dataclass(frozen=True)
class Minimum(Elementwise):
    """The smaller of two elements."""

    name, arity = "minimum", 2
    ufunc = "minimum"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        x, z = xs
        return x.apply("less", z) if i == 0 else x.apply("greater_equal", z)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("min", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2)]
