"""Elements at positions that a tensor holds: rows, or one along an axis."""

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
    product,
)


def _moved(x: Value, source: int, target: int) -> Value:
    """One axis moved to another place, the others in order."""
    axes = [axis for axis in range(len(x.shape)) if axis != source]
    axes.insert(target, source)
    return x if axes == sorted(axes) else x.apply("transpose", axes=tuple(axes))


def _in_own_block(index: Value, size: Size, rows: Size) -> Value:
    """Positions in each of ``size`` blocks of ``rows`` rows, the blocks one after another."""
    builder = index.builder
    first = builder.op("positions", size=size) * builder.op("length", size=rows)
    first = first.apply("reshape", shape=(size, *[1] * (len(index.shape) - 1)))
    return index.apply("cast", kind="int") + first


@dataclass(frozen=True)
class Take(Operator):
    """Rows of the first operand at the positions that the second holds."""

    name = "take"
    arity = 2
    flops = 0

    def infer(self, *types: Type) -> Type:
        x, index = types
        if x.rank == 0:
            raise TypeRuleError("E203", "a scalar cannot be indexed", blame=[0])
        if index.kind not in ("int", "label"):
            raise TypeRuleError("E202", f"an index is int or label, not {index}", blame=[1])
        if index.kind == "label" and index.classes != x.shape[0]:
            raise TypeRuleError(
                "E207",
                f"{index} indexes {x.shape[0]} rows: the number of classes must be equal",
                blame=(0, 1),
            )
        return x.with_shape((*index.shape, *x.shape[1:]))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        return d.apply("take_adjoint", xs[1], rows=xs[0].shape[0]) if i == 0 else None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        (x, index), (own_x, own_index) = xs, mapped
        if not own_x:
            return x.apply("take", index)
        if own_index:
            rows = x.apply("reshape", shape=(size * x.shape[1], *x.shape[2:]))
            return rows.apply("take", _in_own_block(index, size, x.shape[1]))
        rank = len(index.shape)
        taken = _moved(x, 0, 1).apply("take", index)
        return _moved(taken, rank, 0)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.index(args[0], args[1].text)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"{args[0]}[{args[1]}]"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        """A label that is out of range, which ``clip`` would hide, is refused before a step."""
        if w.types[1].kind == "label":
            return f'{args[0]}.take({args[1]}, axis=0, mode="clip", out={out})'
        check = f"_check_range({args[1]}, {w.size(w.types[0].shape[0])}, {w.workspace[0]})"
        return f'{check}; {args[0]}.take({args[1]}, axis=0, mode="wrap", out={out})'

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return () if types[1].kind == "label" else (Workspace(Type("int")),)

    def reads(self, types: tuple[Type, ...], result: Type) -> tuple[Size, ...]:
        return result.size, types[1].size

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(), (Type("real", (5, 3)), Type("label", (4,), 5))),
            Sample(cls(), (Type("real", (5, 3)), Type("int", (2, 4)))),
        ]


@dataclass(frozen=True)
class TakeAdjoint(Operator):
    """Zeros with the rows of the first operand added at the positions of the second."""

    name = "take_adjoint"
    arity = 2
    rows: Size

    def infer(self, *types: Type) -> Type:
        d, index = types
        return Type("real", (self.rows, *d.shape[index.rank :]))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        return d.apply("take", xs[1]) if i == 0 else None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        (d, index), (own_d, own_index) = xs, mapped
        if not own_index:
            placed = _moved(d, 0, len(index.shape)).apply("take_adjoint", index, rows=self.rows)
            return _moved(placed, 1, 0)
        d = d if own_d else d.builder.repeated(d, size)
        rows = _in_own_block(index, size, self.rows)
        flat = d.apply("take_adjoint", rows, rows=size * self.rows)
        return flat.apply("reshape", shape=(size, self.rows, *flat.shape[1:]))

    def numpy(self, w: WriteContext, *args: str) -> str:
        zeros = f"np.zeros({w.shape(w.result.shape)}, dtype={w.real})"
        return f"_add_rows({zeros}, {args[0]}, {args[1]})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        operands = f"{args[0]}, {args[1]}, {', '.join(w.workspace)}"
        return f"{out}.fill(0); _add_rows_into({out}, {operands})"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        d, index = types
        width = product(d.shape[index.rank :])
        columns = Workspace(Type("int", (width,)), start=0, step=1)
        scratch = Type("int", index.shape), Type("int", (*index.shape, width))
        return columns, *map(Workspace, scratch)

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        return types[0].size

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(5), (Type("real", (4, 3)), Type("label", (4,), 5)))]


@dataclass(frozen=True)
class Gather(Operator):
    """Along an axis, the elements at the positions that the second operand holds, which has the
    first one's shape apart from that axis: NumPy's ``take_along_axis``."""

    name = "gather"
    arity = 2
    flops = 0
    axis: int

    def infer(self, *types: Type) -> Type:
        x, index = types
        check_axis(self.axis, x)
        if index.kind not in ("int", "label"):
            raise TypeRuleError("E202", f"an index is int or label, not {index}", blame=[1])
        if index.kind == "label" and index.classes != x.shape[self.axis]:
            raise TypeRuleError(
                "E207",
                f"{index} indexes {x.shape[self.axis]} places: the number of classes must be equal",
                blame=(0, 1),
            )
        same_rank = x.rank == index.rank
        if not same_rank or _without(x.shape, self.axis) != _without(index.shape, self.axis):
            raise TypeRuleError(
                "E201",
                f"`gather` along axis {self.axis} got {x} and {index}: the other axes differ",
                blame=(0, 1),
            )
        return x.with_shape(index.shape)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        size = xs[0].shape[self.axis]
        return d.apply("gather_adjoint", xs[1], axis=self.axis, size=size) if i == 0 else None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        x, index = xs[0].builder.all_mapped(size, xs, mapped)
        return x.apply("gather", index, axis=self.axis + 1)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"np.take_along_axis({args[0]}, {args[1]}, axis={self.axis})"

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """The result, and positions along the other axes."""
        return result, Type("int", (sum(_without(result.shape, self.axis)),))

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.index(args[0], args[1].text)

    def reads(self, types: tuple[Type, ...], result: Type) -> tuple[Size, ...]:
        return result.size, types[1].size

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(1), (Type("real", (2, 3, 4)), Type("int", (2, 5, 4)))),
            Sample(cls(0), (Type("real", (3,)), Type("label", (6,), 3))),
            Sample(cls(2), (Type("real", (2, 2, 3)), Type("int", (2, 2, 1)))),
        ]


@dataclass(frozen=True)
class GatherAdjoint(Operator):
    """Zeros with ``size`` places along an axis, and the elements of the first operand added at the
    positions of the second."""

    name = "gather_adjoint"
    arity = 2
    axis: int
    size: Size

    def infer(self, *types: Type) -> Type:
        d, index = types
        if d.shape != index.shape:
            raise TypeRuleError("E201", f"`gather_adjoint` got {d} and {index}", blame=(0, 1))
        shape = list(d.shape)
        shape[self.axis] = self.size
        return Type("real", tuple(shape))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        return d.apply("gather", xs[1], axis=self.axis) if i == 0 else None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        d, index = xs[0].builder.all_mapped(size, xs, mapped)
        return d.apply("gather_adjoint", index, axis=self.axis + 1, size=self.size)

    def numpy(self, w: WriteContext, *args: str) -> str:
        zeros = f"np.zeros({w.shape(w.result.shape)}, dtype={w.real})"
        return f"_add_along({zeros}, {args[0]}, {args[1]}, {self.axis})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"{out}.fill(0); _add_along({out}, {args[0]}, {args[1]}, {self.axis})"

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """Positions along each axis, those of all elements twice, and the elements in order."""
        d, index = types
        return Type("int", (sum(index.shape),)), *(Type("int", index.shape),) * 2, d

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        return types[0].size

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(1, 3), (Type("real", (2, 5)), Type("int", (2, 5)))),
            Sample(cls(0, 4), (Type("real", (2, 2, 3)), Type("int", (2, 2, 3)))),
        ]


def _without(shape: tuple[Size, ...], axis: int) -> tuple[Size, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
