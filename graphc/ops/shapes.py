"""Operators that arrange elements: other shapes, axes in another order, joined, padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphc.ir import (
    Formula,
    KernelContext,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
    broadcast_shapes,
    check_axis,
    product,
)
from graphc.ops.leaves import number_text

CUBE = Type("real", (2, 3, 4))


@dataclass(frozen=True)
class Reshape(Operator):
    """The same elements in the same order under another shape."""

    name = "reshape"
    view = True
    flops = 0
    shape: tuple[Size, ...]

    def infer(self, *types: Type) -> Type:
        (x,) = types
        if product(self.shape) != x.size:
            text = ", ".join(map(str, self.shape))
            raise TypeRuleError(
                "E208", f"{x} has {x.size} elements, [{text}] has {product(self.shape)}", blame=[0]
            )
        return x.with_shape(self.shape)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d.apply("reshape", shape=xs[0].shape)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("reshape", shape=(size, *self.shape))

    def numpy(self, w: WriteContext, *args: str) -> str:
        if w.types[0].rank == 0:
            return f"np.reshape({args[0]}, {w.shape(self.shape)})"
        return f"{args[0]}.reshape({w.shape(self.shape)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        """Only for an operand whose elements do not lie in order; otherwise it is a view."""
        return f"np.copyto({out}.reshape({w.shape(w.types[0].shape)}), {args[0]})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return args[0]

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls((6, 4)), (CUBE,))]


@dataclass(frozen=True)
class Transpose(Operator):
    """Axes in another order."""

    name = "transpose"
    view = True
    flops = 0
    axes: tuple[int, ...]

    def infer(self, *types: Type) -> Type:
        (x,) = types
        if sorted(self.axes) != list(range(x.rank)):
            raise TypeRuleError("E205", f"axes {self.axes} do not permute those of {x}", blame=[0])
        return x.with_shape(tuple(x.shape[a] for a in self.axes))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        inverse = tuple(self.axes.index(a) for a in range(len(self.axes)))
        return d.apply("transpose", axes=inverse)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("transpose", axes=(0, *(axis + 1 for axis in self.axes)))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"{args[0]}.T" if self.axes == (1, 0) else f"{args[0]}.transpose({self.axes})"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        rank = len(self.axes)
        swapped = (*range(rank - 2), rank - 1, rank - 2)
        return f.transpose(*args) if self.axes == swapped else super().formula(f, *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls((2, 0, 1)), (CUBE,)), Sample(cls((1, 0)), (Type("real", (2, 3)),))]


@dataclass(frozen=True)
class Broadcast(Operator):
    """Repeated along axes of length 1 and new leading axes."""

    name = "broadcast"
    flops = 0
    shape: tuple[Size, ...]

    def infer(self, *types: Type) -> Type:
        (x,) = types
        if broadcast_shapes(x.shape, self.shape) != self.shape:
            text = ", ".join(map(str, self.shape))
            raise TypeRuleError("E201", f"{x} does not broadcast to [{text}]", blame=[0])
        return x.with_shape(self.shape)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d.builder.unbroadcast(d, xs[0].shape)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        x = xs[0].builder.aligned(xs[0], len(self.shape) + 1)
        return x.apply("broadcast", shape=(size, *self.shape))

    def formula(self, f: Notation, *args: Formula) -> Formula:
        """NumPy's broadcasting goes without saying."""
        return args[0]

    def numpy(self, w: WriteContext, *args: str) -> str:
        if w.types[0].shape == ():
            dtype = {"real": w.real, "bool": "np.bool_"}.get(w.types[0].kind, "np.int64")
            return f"np.full({w.shape(self.shape)}, {args[0]}, dtype={dtype})"
        return f"np.broadcast_to({args[0]}, {w.shape(self.shape)})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return args[0]

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"np.copyto({out}, {args[0]})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls((2, 3, 4)), (Type("real", (3, 1)),)),
            Sample(cls((2, 3)), (Type("real"),)),
        ]


@dataclass(frozen=True)
class Concat(Operator):
    """Any number of tensors joined along an axis."""

    name = "concat"
    arity = -1
    flops = 0
    axis: int

    def infer(self, *types: Type) -> Type:
        first, axis = types[0], self.axis
        check_axis(axis, first)
        for i, other in enumerate(types):
            if not _joins(first, other, axis):
                raise TypeRuleError(
                    "E201",
                    f"cannot join {first} and {other} along axis {axis}: the rest differs",
                    blame=(0, i),
                )
        joined: Size = 0
        for type in types:
            joined = joined + type.shape[axis]
        return first.with_shape((*first.shape[:axis], joined, *first.shape[axis + 1 :]))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        start: Size = 0
        for x in xs[:i]:
            start = start + x.shape[self.axis]
        stop = start + xs[i].shape[self.axis]
        items: list[Any] = [(None, None, None)] * len(d.shape)
        items[self.axis] = (start if i else None, stop if i < len(xs) - 1 else None, None)
        return d.apply("index", items=tuple(items))

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        joined = xs[0].builder.all_mapped(size, xs, mapped)
        return joined[0].apply("concat", *joined[1:], axis=self.axis + 1)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"np.concatenate([{', '.join(args)}], axis={self.axis})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"np.concatenate([{', '.join(args)}], axis={self.axis}, out={out})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(1), (CUBE, Type("real", (2, 5, 4)))),
            Sample(cls(0), (Type("real", (2,)), Type("real", (1,)), Type("real", (3,)))),
            Sample(cls(2), (CUBE,)),
        ]


def _joins(x: Type, y: Type, axis: int) -> bool:
    """Whether two types are equal apart from the length of one axis."""
    if x.rank != y.rank or x.kind != y.kind or x.classes != y.classes:
        return False
    return all(a == b for i, (a, b) in enumerate(zip(x.shape, y.shape, strict=True)) if i != axis)


@dataclass(frozen=True)
class Pad(Operator):
    """``value`` around a tensor: ``widths`` has a pair (before, after) an axis."""

    name = "pad"
    flops = 0
    widths: tuple[tuple[int, int], ...]
    value: float = 0.0

    def infer(self, *types: Type) -> Type:
        (x,) = types
        if x.kind == "label":
            raise TypeRuleError("E202", f"`pad` takes no labels, but got {x}", blame=[0])
        if len(self.widths) != x.rank or x.rank == 0:
            raise TypeRuleError(
                "E203", f"`pad` has widths of {len(self.widths)} axes for {x}", blame=[0]
            )
        if any(width < 0 for pair in self.widths for width in pair):
            raise TypeRuleError("E203", f"`pad` of {x} has a negative width", blame=[0])
        sizes = zip(x.shape, self.widths, strict=True)
        return x.with_shape(tuple(size + (before + after) for size, (before, after) in sizes))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d.apply("index", items=self._inside())

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("pad", widths=((0, 0), *self.widths), value=self.value)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"np.pad({args[0]}, {self.widths}, constant_values={self._number(w)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        inside = ", ".join(
            f"{'' if start is None else start}:{'' if stop is None else stop}"
            for start, stop, _ in self._inside()
        )
        return f"{out}.fill({self._number(w)}); {out}[{inside or '...'}] = {args[0]}"

    def _inside(self) -> tuple[tuple[int | None, int | None, None], ...]:
        """Where the operand lies in the result, as items of ``index``."""
        return tuple((before or None, -after or None, None) for before, after in self.widths)

    def _number(self, w: WriteContext) -> str:
        if w.result.kind == "real":
            return number_text(self.value)
        return repr(bool(self.value) if w.result.kind == "bool" else int(self.value))

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("pad", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(((0, 0), (1, 2), (3, 0)), -1.5), (CUBE,)),
            Sample(cls(((2, 0),)), (Type("real", (3,)),)),
            Sample(cls(((1, 1), (0, 0))), (Type("bool", (2, 3)),)),
        ]
