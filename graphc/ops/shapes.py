"""Operators that move elements without computing on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphc.ir import (
    Formula,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
    broadcast_shapes,
    product,
)

CUBE = Type("real", (2, 3, 4))

IndexItem = int | None | tuple[Any, ...]
"""An axis taken at a position, or ``(start, stop, step)`` with None for an open end."""


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
        (x,) = xs
        missing = len(self.shape) + 1 - len(x.shape)
        if missing:
            x = x.apply("reshape", shape=(size, *[1] * missing, *x.shape[1:]))
        return x.apply("broadcast", shape=(size, *self.shape))

    def formula(self, f: Notation, *args: Formula) -> Formula:
        """NumPy's broadcasting goes without saying."""
        return args[0]

    def numpy(self, w: WriteContext, *args: str) -> str:
        if w.types[0].shape == ():
            dtype = {"real": w.real, "bool": "np.bool_"}.get(w.types[0].kind, "np.int64")
            return f"np.full({w.shape(self.shape)}, {args[0]}, dtype={dtype})"
        return f"np.broadcast_to({args[0]}, {w.shape(self.shape)})"

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
    """Tensors joined along an axis."""

    name = "concat"
    arity = 2
    flops = 0
    axis: int

    def infer(self, *types: Type) -> Type:
        x, y = types
        axis = self.axis
        if x.rank != y.rank or not 0 <= axis < x.rank:
            raise TypeRuleError("E205", f"cannot join {x} and {y} along axis {axis}", blame=(0, 1))
        rest = [(a, b) for i, (a, b) in enumerate(zip(x.shape, y.shape, strict=True)) if i != axis]
        if x.kind != y.kind or any(a != b for a, b in rest):
            raise TypeRuleError(
                "E201", f"cannot join {x} and {y} along axis {axis}: the rest differs", blame=(0, 1)
            )
        joined = x.shape[axis] + y.shape[axis]
        return x.with_shape((*x.shape[:axis], joined, *x.shape[axis + 1 :]))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        left = xs[0].shape[self.axis]
        bounds = (None, left, None) if i == 0 else (left, None, None)
        items: list[IndexItem] = [(None, None, None)] * len(d.shape)
        items[self.axis] = bounds
        return d.apply("index", items=tuple(items))

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        joined = xs[0].builder.all_mapped(size, xs, mapped)
        return joined[0].apply("concat", *joined[1:], axis=self.axis + 1)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"np.concatenate([{args[0]}, {args[1]}], axis={self.axis})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"np.concatenate([{args[0]}, {args[1]}], axis={self.axis}, out={out})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(1), (CUBE, Type("real", (2, 5, 4))))]


@dataclass(frozen=True)
class Index(Operator):
    """Basic indexing. ``items`` has one entry an axis: a position, or ``(start, stop, step)``."""

    name = "index"
    flops = 0
    view = True
    items: tuple[Any, ...]

    def infer(self, *types: Type) -> Type:
        (x,) = types
        if len(self.items) != x.rank:
            raise TypeRuleError("E203", f"{len(self.items)} indices for {x}", blame=[0])
        shape: list[Size] = []
        for axis, (item, size) in enumerate(zip(self.items, x.shape, strict=True)):
            if isinstance(item, int):
                _check_position(x, axis, item, size)
            else:
                shape.append(_slice_length(x, axis, item, size))
        return x.with_shape(tuple(shape))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d.apply("index_adjoint", items=self.items, shape=xs[0].shape)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("index", items=((None, None, None), *self.items))

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.index(args[0], *map(_item_formula, self.items))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"{args[0]}[{_items_text(w, self.items)}]"

    @classmethod
    def samples(cls) -> list[Sample]:
        full = (None, None, None)
        return [
            Sample(cls((1, full, (1, 3, None))), (CUBE,)),
            Sample(cls((full, (None, None, 2), -1)), (CUBE,)),
            Sample(cls((full, (None, None, -1), 0)), (CUBE,)),
        ]


@dataclass(frozen=True)
class IndexAdjoint(Operator):
    """Zeros of ``shape`` with the operand at the places that ``items`` names."""

    name = "index_adjoint"
    flops = 0
    items: tuple[Any, ...]
    shape: tuple[Size, ...]

    def infer(self, *types: Type) -> Type:
        return Type("real", self.shape)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d.apply("index", items=self.items)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        items = ((None, None, None), *self.items)
        return xs[0].apply("index_adjoint", items=items, shape=(size, *self.shape))

    def numpy(self, w: WriteContext, *args: str) -> str:
        index = ", ".join(_item_object(w, item) for item in self.items)
        comma = "," if len(self.items) == 1 else ""
        return f"_placed({args[0]}, {w.shape(self.shape)}, ({index}{comma}))"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"{out}.fill(0); {out}[{_items_text(w, self.items)}] = {args[0]}"

    @classmethod
    def samples(cls) -> list[Sample]:
        items = (1, (None, None, None), (1, 3, None))
        return [Sample(cls(items, (2, 3, 4)), (Type("real", (3, 2)),))]


def _check_position(x: Type, axis: int, item: int, size: Size) -> None:
    if isinstance(size, int) and not -size <= item < size:
        raise TypeRuleError(
            "E209", f"index {item} is out of range for axis {axis} of {x}", blame=[0]
        )


def _slice_length(x: Type, axis: int, item: tuple[Any, ...], size: Size) -> Size:
    start, stop, step = item
    if step == 0:
        raise TypeRuleError("E209", "the step of a slice is 0", blame=[0])
    if isinstance(size, int) and all(p is None or isinstance(p, int) for p in (start, stop)):
        return len(range(*slice(start, stop, step).indices(size)))
    if step not in (None, 1, -1):
        raise TypeRuleError(
            "E209", f"axis {axis} of {x} is symbolic: it cannot be taken in steps", blame=[0]
        )
    if step == -1:
        if start is None and stop is None:
            return size
        raise TypeRuleError("E209", f"axis {axis} of {x} is symbolic", blame=[0])
    low = _from_front(start, size, 0)
    high = _from_front(stop, size, size)
    return high - low


def _from_front(bound: Any, size: Size, default: Size) -> Size:
    if bound is None:
        return default
    if isinstance(bound, int) and bound < 0:
        return size + bound
    result: Size = bound
    return result


def _items_text(w: WriteContext, items: tuple[Any, ...]) -> str:
    return ", ".join(_item_text(w, item) for item in items)


def _bound(w: WriteContext, value: Any) -> str:
    return "" if value is None else w.size(value)


def _item_text(w: WriteContext, item: Any) -> str:
    if isinstance(item, int):
        return str(item)
    start, stop, step = item
    text = f"{_bound(w, start)}:{_bound(w, stop)}"
    return f"{text}:{step}" if step is not None else text


def _item_formula(item: Any) -> str:
    if isinstance(item, int):
        return str(item)
    start, stop, step = ("" if part is None else str(part) for part in item)
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"


def _item_object(w: WriteContext, item: Any) -> str:
    if isinstance(item, int):
        return str(item)
    parts = ("None" if part is None else w.size(part) for part in item)
    return f"slice({', '.join(parts)})"


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

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), (Type("real", (5, 3)), Type("label", (4,), 5)))]


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
        return f"_added_rows({args[0]}, {args[1]}, {w.shape(w.result.shape)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"{out}.fill(0); np.add.at({out}, {args[1]}, {args[0]})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(5), (Type("real", (4, 3)), Type("label", (4,), 5)))]


@dataclass(frozen=True)
class Pick(Operator):
    """Along the last axis, the element at each label: ``x[i, y[i]]``."""

    name = "pick"
    arity = 2
    flops = 0

    def infer(self, *types: Type) -> Type:
        x, y = types
        if y.kind != "label":
            raise TypeRuleError("E202", f"`pick` takes labels, not {y}", blame=[1])
        if x.rank == 0 or x.shape[-1] != y.classes:
            raise TypeRuleError(
                "E207",
                f"the classes do not fit: {y} has {y.classes}, "
                f"the last dimension of {x} is {x.shape[-1] if x.shape else 'missing'}",
                blame=(0, 1),
                help="the class dimension must equal k of label{k}",
            )
        if x.shape[:-1] != y.shape:
            raise TypeRuleError("E201", f"`pick` got {x} and {y}: rows differ", blame=(0, 1))
        return x.with_shape(x.shape[:-1])

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        classes = xs[0].shape[-1]
        return d.apply("pick_adjoint", xs[1], classes=classes) if i == 0 else None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        x, y = xs[0].builder.all_mapped(size, xs, mapped)
        return x.apply("pick", y)

    def numpy(self, w: WriteContext, *args: str) -> str:
        if w.types[0].rank == 2:
            return f"{args[0]}[np.arange(len({args[0]})), {args[1]}]"
        return f"np.take_along_axis({args[0]}, np.asarray({args[1]})[..., None], axis=-1)[..., 0]"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        if w.types[0].rank == 2:
            rows = w.once(f"np.arange({w.size(w.types[1].shape[0])})")
            return f"np.copyto({out}, {args[0]}[{rows}, {args[1]}])"
        return super().numpy_into(w, out, *args)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.index(args[0], args[1].text)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(), (Type("real", (4, 3)), Type("label", (4,), 3))),
            Sample(cls(), (Type("real", (2, 4, 3)), Type("label", (2, 4), 3))),
            Sample(cls(), (Type("real", (3,)), Type("label", (), 3))),
        ]


@dataclass(frozen=True)
class PickAdjoint(Operator):
    """Zeros with a new last axis of ``classes``, the operand at each label."""

    name = "pick_adjoint"
    arity = 2
    flops = 0
    classes: Size

    def infer(self, *types: Type) -> Type:
        return Type("real", (*types[0].shape, self.classes))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        return d.apply("pick", xs[1]) if i == 0 else None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        d, y = xs[0].builder.all_mapped(size, xs, mapped)
        return d.apply("pick_adjoint", y, classes=self.classes)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_at_labels({args[0]}, {args[1]}, {w.size(self.classes)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        if w.types[0].rank == 1:
            rows = w.once(f"np.arange({w.size(w.types[0].shape[0])})")
            return f"{out}.fill(0); {out}[{rows}, {args[1]}] = {args[0]}"
        return super().numpy_into(w, out, *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(3), (Type("real", (4,)), Type("label", (4,), 3)))]


@dataclass(frozen=True)
class OneHot(Operator):
    """A label as a row of zeros with a one at its place."""

    name = "one_hot"
    flops = 0

    def infer(self, *types: Type) -> Type:
        (y,) = types
        if y.kind != "label" or y.classes is None:
            raise TypeRuleError("E202", f"`one_hot` takes labels, not {y}", blame=[0])
        return Type("real", (*y.shape, y.classes))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("one_hot")

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"np.eye({w.types[0].classes}, dtype={w.real})[{args[0]}]"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        every = w.once(f"np.arange({w.types[0].classes})")
        return f"np.equal({args[0]}[..., None], {every}, out={out})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), (Type("label", (4,), 3),))]
