"""Element-wise functions of one real tensor, and the larger and smaller of two elements.

Kinks. Where a derivative does not exist, one value is chosen, for derivatives of every order:

- ``abs``, ``sign``, ``floor``, ``ceil``, ``round``, comparisons and ``argmax``: 0;
- ``max(x, y)``, ``min(x, y)`` at a tie: the second operand has it, so ``max(x, 0)`` has 0 at 0;
- ``max``, ``min`` over axes: equal elements share it;
- finite value, infinite slope (``sqrt`` and x^p with 0 < p < 1 at 0, ``arcsin`` and ``arccos`` at
  ±1, ``arccosh`` at 1): 0, so the norm √Σx² has gradient 0 at 0;
- x^p by a variable p: y·log(x), and 0 where x is 0.

At a pole, where the value is infinite too, nothing is chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from graphc.ir import (
    Formula,
    KernelContext,
    Notation,
    Sample,
    Type,
    Value,
    Workspace,
    WriteContext,
)
from graphc.ops.elementwise import REAL2, Elementwise, numeric, real_only


class Function(Elementwise):
    """An element-wise function of one real tensor, sampled between ``low`` and ``high``."""

    flops = 8
    low: ClassVar[float] = -2.0
    high: ClassVar[float] = 2.0

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return real_only(self.name, types)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2[:1], cls.low, cls.high)]


class InverseFunction(Function):
    """A function whose derivative is one over something: logarithms, arc functions."""

    def divisor(self, x: Value, y: Value) -> Value:
        """dx/dy, element by element."""
        raise NotImplementedError(f"{self.name} has no derivative rule")

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 1.0 / self.divisor(xs[0], y)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d / self.divisor(xs[0], y)


def unbounded(divisor: Value) -> Value:
    """A divisor with ∞ for 0: what is divided by it is 0 there, and so are all its derivatives."""
    return divisor.apply("equal", 0.0).apply("where", math.inf, divisor)


class Step(Function):
    """A function that is constant between jumps."""

    flops = 1

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> None:
        return None


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
        return xs[0].apply("exp")  # y + 1 would cancel where y is close to −1


@dataclass(frozen=True)
class Log(InverseFunction):
    """Natural logarithm."""

    name = ufunc = "log"
    restricted = 0
    low = 0.5

    def divisor(self, x: Value, y: Value) -> Value:
        return x

    def defined_at(self, number: float) -> bool:
        return number > 0


@dataclass(frozen=True)
class Log1p(InverseFunction):
    """log(1 + x), accurate near 0."""

    name = ufunc = "log1p"
    restricted = 0
    low = 0.5

    def divisor(self, x: Value, y: Value) -> Value:
        return 1.0 + x

    def defined_at(self, number: float) -> bool:
        return number > -1


@dataclass(frozen=True)
class Sqrt(Function):
    """Square root; its derivative at 0 is 0."""

    name = ufunc = "sqrt"
    restricted = 0
    flops = 4
    low = 0.5

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 0.5 / unbounded(y)

    def defined_at(self, number: float) -> bool:
        return number >= 0

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.root(*args)


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
class Tan(Function):
    """Tangent."""

    name = ufunc = "tan"
    low, high = -1.0, 1.0

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 1.0 + y * y


@dataclass(frozen=True)
class Arcsin(InverseFunction):
    """Angle whose sine is x, from −π/2 to π/2."""

    name = ufunc = "arcsin"
    c = "asin"
    restricted = 0
    low, high = -0.9, 0.9

    def divisor(self, x: Value, y: Value) -> Value:
        return unbounded(((1.0 - x) * (1.0 + x)).apply("sqrt"))

    def defined_at(self, number: float) -> bool:
        return abs(number) <= 1


@dataclass(frozen=True)
class Arccos(InverseFunction):
    """Angle whose cosine is x, from 0 to π."""

    name = ufunc = "arccos"
    c = "acos"
    restricted = 0
    low, high = -0.9, 0.9

    def divisor(self, x: Value, y: Value) -> Value:
        return -unbounded(((1.0 - x) * (1.0 + x)).apply("sqrt"))

    def defined_at(self, number: float) -> bool:
        return abs(number) <= 1


@dataclass(frozen=True)
class Arctan(InverseFunction):
    """Angle whose tangent is x, between −π/2 and π/2."""

    name = ufunc = "arctan"
    c = "atan"

    def divisor(self, x: Value, y: Value) -> Value:
        return 1.0 + x * x


@dataclass(frozen=True)
class Sinh(Function):
    """Hyperbolic sine."""

    name = ufunc = "sinh"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return xs[0].apply("cosh")


@dataclass(frozen=True)
class Cosh(Function):
    """Hyperbolic cosine."""

    name = ufunc = "cosh"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return xs[0].apply("sinh")


@dataclass(frozen=True)
class Tanh(Function):
    """Hyperbolic tangent."""

    name = ufunc = "tanh"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 1.0 - y * y


@dataclass(frozen=True)
class Arcsinh(InverseFunction):
    """Inverse of the hyperbolic sine."""

    name = ufunc = "arcsinh"
    c = "asinh"

    def divisor(self, x: Value, y: Value) -> Value:
        return (1.0 + x * x).apply("sqrt")


@dataclass(frozen=True)
class Arccosh(InverseFunction):
    """Inverse of the hyperbolic cosine, not negative."""

    name = ufunc = "arccosh"
    c = "acosh"
    restricted = 0
    low, high = 1.2, 3.0

    def divisor(self, x: Value, y: Value) -> Value:
        return unbounded(((x - 1.0) * (x + 1.0)).apply("sqrt"))

    def defined_at(self, number: float) -> bool:
        return number >= 1


@dataclass(frozen=True)
class Arctanh(InverseFunction):
    """Inverse of the hyperbolic tangent."""

    name = ufunc = "arctanh"
    c = "atanh"
    restricted = 0
    low, high = -0.9, 0.9

    def divisor(self, x: Value, y: Value) -> Value:
        return (1.0 - x) * (1.0 + x)

    def defined_at(self, number: float) -> bool:
        return abs(number) < 1


@dataclass(frozen=True)
class Erf(Function):
    """Error function, 2/√π·∫₀ˣ exp(−t²) dt."""

    name = c = "erf"
    numbers = 29

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 2.0 / math.sqrt(math.pi) * (-(xs[0] * xs[0])).apply("exp")

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_erf({args[0]})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        numbers = w.fixed(f"_erf_numbers({w.real})")
        erf = w.once(f"_erf_function({', '.join(w.workspace)}, {numbers})")
        return f"{erf}({args[0]}, {out})"

    def may_overwrite(self, i: int) -> bool:
        return False

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return *(Workspace(result),) * 4, Workspace(Type("bool", result.shape))


@dataclass(frozen=True)
class Abs(Elementwise):
    """Absolute value; of an int, an int. Its derivative at 0 is 0."""

    name = "abs"
    ufunc = "absolute"
    c = "fabs"

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return numeric(self.name, types)

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return xs[0].apply("sign")

    def kernel(self, k: KernelContext, *args: str) -> str:
        (x,) = args
        return super().kernel(k, x) if k.result.kind == "real" else f"{x} < 0 ? -{x} : {x}"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.between("|", args[0], "|")

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2[:1])]


@dataclass(frozen=True)
class Sign(Step):
    """−1, 0 or 1."""

    name = ufunc = "sign"


@dataclass(frozen=True)
class Floor(Step):
    """Largest integer not above x."""

    name = ufunc = "floor"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.between("⌊", args[0], "⌋")


@dataclass(frozen=True)
class Ceil(Step):
    """Smallest integer not below x."""

    name = ufunc = "ceil"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.between("⌈", args[0], "⌉")


@dataclass(frozen=True)
class Round(Step):
    """Nearest integer, the even one of two."""

    name = "round"
    ufunc = "rint"


@dataclass(frozen=True)
class Maximum(Elementwise):
    """The larger of two elements."""

    name, arity = "maximum", 2
    ufunc, written = "maximum", "max"

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
    ufunc, written = "minimum", "min"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        x, z = xs
        return x.apply("less", z) if i == 0 else x.apply("greater_equal", z)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("min", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2)]
