"""Comparisons, truth values, choice between elements, and change of kind."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir import (
    Formula,
    KernelContext,
    Notation,
    Sample,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
)
from graphc.ops.elementwise import REAL2, Elementwise, numeric


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

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.truth(args[0], self.infix, args[1])

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

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.truth(Formula(f.bare(args[0])), self.infix, Formula(f.bare(args[1])))

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), (Type("bool", (2, 3)),) * cls.arity)]


@dataclass(frozen=True)
class And(Logic):
    """Both."""

    name, ufunc, infix, written = "and", "logical_and", "&", "and"
    c = "&&"


@dataclass(frozen=True)
class Or(Logic):
    """Either."""

    name, ufunc, infix, written = "or", "logical_or", "|", "or"
    c = "||"


@dataclass(frozen=True)
class Not(Logic):
    """The opposite."""

    name, ufunc, arity = "not", "logical_not", 1

    def kernel(self, k: KernelContext, *args: str) -> str:
        return f"!{args[0]}"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.opposite(args[0])


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

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.choice(*args)

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"_select({out}, {', '.join(args)})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        x, y = k.as_kind(args[1:], k.result.kind, first=1)
        return f"{args[0]} ? {x} : {y}"

    def may_overwrite(self, i: int) -> bool:
        return False

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        return ()

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), (Type("bool", (2, 3)), *REAL2))]


@dataclass(frozen=True)
class Cast(Elementwise):
    """The same numbers as another kind: int or bool to real."""

    name = "cast"
    flops = 0
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

    def kernel(self, k: KernelContext, *args: str) -> str:
        if k.types[0].kind == k.result.kind:
            return args[0]
        return f"{args[0]} != 0" if self.kind == "bool" else k.as_kind(args, k.result.kind)[0]

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        return ()

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
    flops = 0

    def element_type(self, types: tuple[Type, ...]) -> Type:
        return types[0].with_shape(())

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None

    def numpy(self, w: WriteContext, *args: str) -> str:
        return args[0]

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"np.copyto({out}, {args[0]})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return args[0]

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), REAL2[:1])]
