"""Element-wise operators: arithmetic, functions, comparisons, logic, choice.

Operands broadcast by NumPy's rule. A rule states ``partial``, the local derivative by one operand;
multiplying by the upstream gradient and summing over broadcast axes is the same for all of them.
Kinks: the derivative at a tie of ``max``/``min`` goes to the second operand, so ``max(x, 0)`` has
derivative 0 at 0; ``abs`` has derivative 0 at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphc.ir import Operator, Sample, Type, TypeRuleError, Value, WriteContext, broadcast_shapes

REAL2 = (Type("real", (2, 3)), Type("real", (2, 3)))


class Elementwise(Operator):
    """Base of the family: broadcasting, printing by ufunc, derivative by ``partial``."""

    elementwise = True
    ufunc: ClassVar[str] = ""
    infix: ClassVar[str] = ""

    def infer(self, *types: Type) -> Type:
        shape = broadcast_shapes(*(type.shape for type in types))
        if shape is None:
            raise _clash(self.infix or self.name, types)
        return self.element_type(types).with_shape(shape)

    def element_type(self, types: tuple[Type, ...]) -> Type:
        """Kind of the result; shapes are already known to fit."""
        return numeric(self.infix or self.name, types)

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value | float | None:
        """∂y/∂xs[i], element by element."""
        raise NotImplementedError(f"{self.name} has no derivative rule")

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        local = self.partial(i, xs, y)
        if local is None:
            return None
        return d if local == 1.0 else -d if local == -1.0 else d * local

    def numpy(self, w: WriteContext, *args: str) -> str:
        if self.infix:
            return f" {self.infix} ".join(args)
        return f"np.{self.ufunc}({', '.join(args)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"np.{self.ufunc}({', '.join(args)}, out={out})"

    def may_overwrite(self, i: int) -> bool:
        return True


def _clash(name: str, types: tuple[Type, ...]) -> TypeRuleError:
    shapes = " and ".join(str(type) for type in types if type.shape)
    return TypeRuleError(
        "E201",
        f"the operands of `{name}` do not broadcast: {shapes}",
        blame=range(len(types)),
        help="shapes are compared from the right; dimensions must be equal, or one of them 1",
    )


def numeric(name: str, types: tuple[Type, ...]) -> Type:
    """Arithmetic: real with real or bool (0 and 1) is real, int with int or bool is int."""
    kinds = {type.kind for type in types}
    if "label" in kinds:
        blame = [i for i, type in enumerate(types) if type.kind == "label"]
        raise TypeRuleError(
            "E206",
            f"a label has no arithmetic, but `{name}` got {types[blame[0]]}",
            blame=blame,
            help="compare it with ==, or use pick, one_hot or indexing",
        )
    if kinds <= {"real", "bool"} and "real" in kinds:
        return Type("real")
    if kinds <= {"int", "bool"} and "int" in kinds:
        return Type("int")
    if kinds == {"bool"}:
        raise TypeRuleError(
            "E202",
            f"`{name}` works on numbers, but got {' and '.join(map(str, types))}",
            blame=range(len(types)),
            help="combine truth values with and, or, not, or choose with where(c, a, b)",
        )
    raise TypeRuleError("E202", f"`{name}` mixes {' and '.join(map(str, types))}")


def real_only(name: str, types: tuple[Type, ...]) -> Type:
    for i, type in enumerate(types):
        if type.kind != "real":
            raise TypeRuleError("E202", f"`{name}` takes a real tensor, not {type}", blame=[i])
    return Type("real")


# ------------------------------------------------------------------------- arithmetic


@dataclass(frozen=True)
class Add(Elementwise):
    """Sum, element by element."""

    name, arity, commutative = "add", 2, True
    ufunc, infix = "add", "+"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> float:
        return 1.0

    def formula(self, *args: str) -> str:
        return f"{args[0]} + {args[1]}"

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

    def formula(self, *args: str) -> str:
        return f"{args[0]} − {args[1]}"

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

    def formula(self, *args: str) -> str:
        return f"{args[0]}·{args[1]}"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2), Sample(cls(), (REAL2[0], Type("real")))]


@dataclass(frozen=True)
class Divide(Elementwise):
    """Quotient, element by element; of integers, a real number."""

    name, arity = "divide", 2
    ufunc, infix = "divide", "/"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        return 1.0 / xs[1] if i == 0 else -(y / xs[1])

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d / xs[1] if i == 0 else -(d * (y / xs[1]))

    def element_type(self, types: tuple[Type, ...]) -> Type:
        numeric("/", types)
        return Type("real")

    def formula(self, *args: str) -> str:
        return f"{args[0]} / {args[1]}"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2, 0.5, 2.0), Sample(cls(), (Type("real"), REAL2[0]), 0.5, 2.0)]


@dataclass(frozen=True)
class Negative(Elementwise):
    """−x."""

    name = "negative"
    ufunc = "negative"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> float:
        return -1.0

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"-{args[0]}"

    def formula(self, *args: str) -> str:
        return f"−{args[0]}"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2[:1])]


@dataclass(frozen=True)
class Power(Elementwise):
    """x^p. With an exponent that varies, x must be positive for the derivative by it."""

    name, arity, flops = "power", 2, 20
    ufunc, infix = "power", "**"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        x, p = xs
        if i == 1:
            return y * x.apply("log")
        exponent = constant_value(p)
        if exponent is None:
            return p * x ** (p - 1.0)
        return x if exponent == 1.0 else exponent * x ** (exponent - 1.0)

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

    def formula(self, *args: str) -> str:
        return f"{args[0]}^{args[1]}"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2, 0.5, 2.0)]


def constant_value(value: Value) -> float | None:
    """The number that a scalar constant holds, None for anything else."""
    op = value.builder.graph[value.id].op
    number = getattr(op, "value", None) if op.name == "constant" else None
    return float(number) if isinstance(number, int | float) else None


# -------------------------------------------------------------------------- functions


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

    def formula(self, *args: str) -> str:
        return f"|{args[0]}|"


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

    def formula(self, *args: str) -> str:
        return f"⌊{args[0]}⌋"


@dataclass(frozen=True)
class Maximum(Elementwise):
    """The larger of two elements."""

    name, arity = "maximum", 2
    ufunc = "maximum"

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value:
        x, z = xs
        return x.apply("greater", z) if i == 0 else x.apply("less_equal", z)

    def formula(self, *args: str) -> str:
        return f"max({', '.join(args)})"

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

    def formula(self, *args: str) -> str:
        return f"min({', '.join(args)})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2)]


# --------------------------------------------------------------- comparisons and logic


class Comparison(Elementwise):
    """Two elements compared; labels only for equality."""

    arity = 2

    def element_type(self, types: tuple[Type, ...]) -> Type:
        kinds = {type.kind for type in types}
        if "label" in kinds:
            self._check_labels(types)
        elif kinds != {"bool"}:
            numeric(self.infix, types)
        return Type("bool")

    def _check_labels(self, types: tuple[Type, ...]) -> None:
        if self.infix not in ("==", "!="):
            raise TypeRuleError("E206", f"labels have no order, but `{self.infix}` got one")
        classes = {type.classes for type in types if type.kind == "label"}
        if len(classes) > 1:
            pair = " and ".join(map(str, types))
            raise TypeRuleError("E207", f"labels of different sets are compared: {pair}")
        if any(type.kind not in ("label", "int") for type in types):
            raise TypeRuleError(
                "E206", f"a label is compared with a number: {types[0]}, {types[1]}"
            )

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> None:
        return None

    def may_overwrite(self, i: int) -> bool:
        return False

    def formula(self, *args: str) -> str:
        return f"[{args[0]} {self.infix} {args[1]}]"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2)]


@dataclass(frozen=True)
class Less(Comparison):
    """x < y."""

    name, ufunc, infix = "less", "less", "<"


@dataclass(frozen=True)
class LessEqual(Comparison):
    """x <= y."""

    name, ufunc, infix = "less_equal", "less_equal", "<="


@dataclass(frozen=True)
class Greater(Comparison):
    """x > y."""

    name, ufunc, infix = "greater", "greater", ">"


@dataclass(frozen=True)
class GreaterEqual(Comparison):
    """x >= y."""

    name, ufunc, infix = "greater_equal", "greater_equal", ">="


@dataclass(frozen=True)
class Equal(Comparison):
    """x == y."""

    name, ufunc, infix = "equal", "equal", "=="


@dataclass(frozen=True)
class NotEqual(Comparison):
    """x != y."""

    name, ufunc, infix = "not_equal", "not_equal", "!="


class Logic(Elementwise):
    """Truth values combined."""

    arity = 2

    def element_type(self, types: tuple[Type, ...]) -> Type:
        for i, type in enumerate(types):
            if type.kind != "bool":
                raise TypeRuleError(
                    "E202", f"`{self.name}` takes truth values, not {type}", blame=[i]
                )
        return Type("bool")

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> None:
        return None

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), (Type("bool", (2, 3)),) * cls.arity)]


@dataclass(frozen=True)
class And(Logic):
    """Both."""

    name, ufunc, infix = "and", "logical_and", "&"


@dataclass(frozen=True)
class Or(Logic):
    """Either."""

    name, ufunc, infix = "or", "logical_or", "|"


@dataclass(frozen=True)
class Not(Logic):
    """The opposite."""

    name, ufunc, arity = "not", "logical_not", 1


@dataclass(frozen=True)
class Where(Elementwise):
    """x where the condition holds, else y."""

    name, arity = "where", 3
    ufunc = "where"

    def element_type(self, types: tuple[Type, ...]) -> Type:
        if types[0].kind != "bool":
            raise TypeRuleError(
                "E202", f"the condition of `where` is {types[0]}, not a truth value", blame=[0]
            )
        kinds = {type.kind for type in types[1:]}
        return types[1].with_shape(()) if len(kinds) == 1 else numeric("where", types[1:])

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        if i == 0:
            return None
        zero = d.builder.constant(0.0)
        return xs[0].apply("where", *((d, zero) if i == 1 else (zero, d)))

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"np.copyto({out}, np.where({', '.join(args)}))"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), (Type("bool", (2, 3)), *REAL2))]


@dataclass(frozen=True)
class Cast(Elementwise):
    """The same numbers as another kind: int or bool to real."""

    name = "cast"
    kind: str

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return Type(self.kind)  # type: ignore[arg-type]

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        return d if xs[0].type.kind == "real" else None

    def numpy(self, w: WriteContext, *args: str) -> str:
        target = {"real": w.real, "int": "np.int64", "bool": "np.bool_"}[self.kind]
        return f"np.asarray({args[0]}, dtype={target})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f'np.copyto({out}, {args[0]}, casting="unsafe")'

    def may_overwrite(self, i: int) -> bool:
        return False

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls("real"), (Type("bool", (2, 3)),)), Sample(cls("real"), REAL2[:1])]


@dataclass(frozen=True)
class StopGradient(Elementwise):
    """The value itself; no gradient flows through it."""

    name = "stop_gradient"
    view = True

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return types[0].with_shape(())

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None

    def numpy(self, w: WriteContext, *args: str) -> str:
        return args[0]

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"np.copyto({out}, {args[0]})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2[:1])]
