"""Arithmetic, element by element: sums, products, quotients, powers."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir import Formula, KernelContext, Notation, Sample, Type, Value, WriteContext
from graphc.ops.elementwise import REAL2, Elementwise, numeric
from graphc.ops.functions import unbounded


@dataclass(frozen=True)
class Add(Elementwise):
    """Sum, element by element."""

    name, arity, commutative = "add", 2, True
    ufunc, infix = "add", "+"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> float:
        return 1.0

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.add(*args)

    @classmethod
    def samples(cls) -> list[Sample]:
        row = Type("real", (3,))
        return [
            Sample(cls(), REAL2),
            Sample(cls(), (REAL2[0], row)),
            Sample(cls(), (row, REAL2[0])),
        ]


@dataclass(frozen=True)
class Subtract(Elementwise):
    """Difference, element by element."""

    name, arity = "subtract", 2
    ufunc, infix = "subtract", "-"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> float:
        return 1.0 if i == 0 else -1.0

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.subtract(*args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2), Sample(cls(), (Type("real", (2, 1)), Type("real", (1, 3))))]


@dataclass(frozen=True)
class Multiply(Elementwise):
    """Product, element by element."""

    name, arity, commutative = "multiply", 2, True
    ufunc, infix = "multiply", "*"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return xs[1 - i]

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.multiply(*args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2), Sample(cls(), (REAL2[0], Type("real")))]


@dataclass(frozen=True)
class Divide(Elementwise):
    """Quotient, element by element; of integers, a real number."""

    name, arity = "divide", 2
    ufunc, infix, restricted = "divide", "/", 1
    flops = 4

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 1.0 / xs[1] if i == 0 else -(y / xs[1])

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d / xs[1] if i == 0 else -(d * (y / xs[1]))

    def element_type(self, types: tuple[Type, ...]) -> Type:
        numeric("/", types)
        return Type("real")

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """Integers are divided as f64, which takes as much room as they do."""
        if any(type.kind == "real" for type in types):
            return super().hidden(types, result)
        return tuple(Type("int", type.shape) for type in types if type.rank <= 1)

    def kernel(self, k: KernelContext, *args: str) -> str:
        if any(type.kind == "real" for type in k.types):
            return super().kernel(k, *args)
        return f"(double){args[0]} / (double){args[1]}"

    def defined_at(self, number: float) -> bool:
        return number != 0

    def undefined(self, number: float) -> str:
        return "division by zero"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.divide(*args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2, 0.5, 2.0), Sample(cls(), (Type("real"), REAL2[0]), 0.5, 2.0)]


@dataclass(frozen=True)
class Negative(Elementwise):
    """−x."""

    name = "negative"
    ufunc, written = "negative", "-"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> float:
        return -1.0

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"-{args[0]}"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return f"-{args[0]}"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.negative(*args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2[:1])]


@dataclass(frozen=True)
class Power(Elementwise):
    """x^p. The derivative by x is 0 where x is 0 and 0 < p < 1; that by p is 0 where x is 0."""

    name, arity, flops = "power", 2, 8
    ufunc, infix, written = "power", "**", "^"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        x, p = xs
        if i == 1:
            return y * x.apply("equal", 0.0).apply("where", 1.0, x).apply("log")
        exponent = constant_value(p)
        if exponent is None:
            return _slope(x, p)
        if exponent == 1.0:
            return x
        return exponent * (unbounded(x) if 0.0 < exponent < 1.0 else x) ** (exponent - 1.0)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        exponent = constant_value(xs[1])
        if exponent == 1.0 and i == 0:
            return d
        if exponent == 0.0 or (i == 1 and exponent is not None):
            return None
        if exponent == 2.0:
            return d * (2.0 * xs[0])
        return super().vjp(i, xs, y, d)

    def numpy(self, w: WriteContext, *args: str) -> str:
        tight = all(arg.replace(".", "", 1).replace("_", "a").isalnum() for arg in args)
        return f"{args[0]}**{args[1]}" if tight else f"{args[0]} ** {args[1]}"

    def kernel(self, k: KernelContext, *args: str) -> str:
        """Powers that NumPy computes without ``pow`` are computed so here."""
        x, p = k.alike(args)
        if k.result.kind == "int":
            return f"power_of_int({x}, {p})"
        known = {
            -1: f"(real)1 / {x}",
            0.5: f"sqrt({x})",
            1: x,
            2: f"{x} * {x}",
            3: f"{x} * {x} * {x}",
        }
        number = k.number(1)
        return f"pow({x}, {p})" if number is None else known.get(number, f"pow({x}, {p})")

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.power(*args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2, 0.5, 2.0)]


def _slope(x: Value, p: Value) -> Value:
    """p·x^(p − 1), and 0 where x is 0 and 0 <= p < 1: there the power is infinite."""
    low = p.apply("greater_equal", 0.0).apply("and", p.apply("less", 1.0))
    kink = x.apply("equal", 0.0).apply("and", low)
    slope = p * kink.apply("where", 1.0, x) ** (p - 1.0)
    return kink.apply("where", 0.0, slope)


def constant_value(value: Value) -> float | None:
    """The number that a scalar constant holds, None for anything else."""
    op = value.builder.graph[value.id].op
    number = getattr(op, "value", None) if op.name == "constant" else None
    return float(number) if isinstance(number, int | float) else None
