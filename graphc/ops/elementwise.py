"""What element-wise operators share: broadcasting, kinds, source by ufunc, local derivatives.

Operands broadcast by NumPy's rule. A rule states ``partial``, the local derivative by one operand;
multiplying by the upstream gradient and summing over broadcast axes is the same for all of them.
The operators are in ``arithmetic``, ``functions`` and ``logic``.
"""

from __future__ import annotations

from typing import ClassVar

from graphc.ir import (
    KernelContext,
    Operator,
    Size,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
    broadcast_shapes,
)

REAL2 = (Type("real", (2, 3)), Type("real", (2, 3)))


class Elementwise(Operator):
    """Base of the family: broadcasting, printing by ufunc, derivative by ``partial``."""

    elementwise = True
    ufunc: ClassVar[str] = ""
    infix: ClassVar[str] = ""
    c: ClassVar[str] = ""
    """How C writes it, where not as NumPy does: a function, or a sign between the operands."""
    written: ClassVar[str] = ""
    """How a model writes it, where not as the source does, nor by its name."""
    restricted: ClassVar[int | None] = None
    """The operand that not every number may be: a divisor is not 0."""

    def infer(self, *types: Type) -> Type:
        shape = broadcast_shapes(*(type.shape for type in types))
        if shape is None:
            raise _clash(self.title, types)
        return self.element_type(types).with_shape(shape)

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.written or self.infix or self.name

    def element_type(self, types: tuple[Type, ...]) -> Type:
        """Kind of the result; shapes are already known to fit."""
        return numeric(self.title, types)

    def partial(self, i: int, xs: tuple[Value, ...], y: Value) -> Value | float | None:
        """∂y/∂xs[i], element by element."""
        raise NotImplementedError(f"{self.name} has no derivative rule")

    def defined_at(self, number: float) -> bool:
        """Whether the operand ``restricted`` may be that number."""
        return True

    def undefined(self, number: float) -> str:
        """What is wrong with a number that it may not be."""
        return f"`{self.name}({number:g})` is undefined"

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        local = self.partial(i, xs, y)
        if local is None:
            return None
        return d if local == 1.0 else -d if local == -1.0 else d * local

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        """Operands of lower rank get axes of length 1 behind the new one."""
        rank = max(len(x.shape) - own for x, own in zip(xs, mapped, strict=True)) + 1
        builder = xs[0].builder
        aligned = [
            builder.aligned(x, rank) if own else x for x, own in zip(xs, mapped, strict=True)
        ]
        return builder.emit(self, *aligned)

    def numpy(self, w: WriteContext, *args: str) -> str:
        if self.infix:
            return f" {self.infix} ".join(args)
        return f"np.{self.ufunc}({', '.join(args)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"np.{self.ufunc}({', '.join(args)}, out={out})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        """C mixes truth values and numbers as NumPy does; a function takes operands of one type."""
        if self.infix:
            return f" {self.c or self.infix} ".join(args)
        return f"{self.c or self.ufunc}({', '.join(k.alike(args))})"

    def may_overwrite(self, i: int) -> bool:
        return True

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """A ufunc converts an operand of another kind than it works on by parts, but in one piece
        where it has one axis or none."""
        kinds = {_machine_kind(type) for type in types}
        works_on = next(kind for kind in ("real", "int", "bool") if kind in kinds)
        return tuple(
            Type(works_on, type.shape)
            for type in types
            if type.rank <= 1 and _machine_kind(type) != works_on
        )


def _machine_kind(type: Type) -> str:
    """The kind in memory: a label is an int."""
    return "int" if type.kind == "label" else type.kind


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
