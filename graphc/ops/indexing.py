"""Basic indexing: positions and slices known when compiled, and zeros around what they took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphc.ir import (
    Dim,
    Formula,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
    divide_exactly,
)

CUBE = Type("real", (2, 3, 4))


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
        text = f"{args[0]}[{_items_text(w, self.items)}]"
        if any(map(_may_fall_short, self.items, w.types[0].shape)):
            return f"_taken({text}, {w.shape(w.result.shape)})"
        return text

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        """One element is no view but a number, which ``copyto`` would make an array of."""
        if not w.result.shape:
            return f"{out}[()] = {self.numpy(w, *args)}"
        return super().numpy_into(w, out, *args)

    def reads(self, types: tuple[Type, ...], result: Type) -> tuple[Size, ...]:
        return (result.size,)

    @classmethod
    def samples(cls) -> list[Sample]:
        full = (None, None, None)
        return [
            Sample(cls((1, 0, -1)), (CUBE,)),
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

    def formula(self, f: Notation, *args: Formula) -> Formula:
        """``at[0](x)``: x there, zeros elsewhere."""
        return f.call(f"at[{', '.join(map(_item_formula, self.items))}]", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        items = (1, (None, None, None), (1, 3, None))
        return [
            Sample(cls(items, (2, 3, 4)), (Type("real", (3, 2)),)),
            Sample(cls((1, 0, -1), (2, 3, 4)), (Type("real"),)),
        ]


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
    if step is None or step > 0:
        length = _from_front(stop, size, size) - _from_front(start, size, 0)
    else:
        length = _from_front(start, size, size - 1) - _from_front(stop, size, -1)
    if isinstance(length, Dim) and any(names and factor < 0 for names, factor in length.terms):
        raise TypeRuleError(
            "E209",
            f"axis {axis} of {x} is symbolic: the slice may hold nothing",
            blame=[0],
        )
    count = _divided_up(length, abs(step or 1))
    if count is None:
        raise TypeRuleError(
            "E209", f"axis {axis} of {x} is symbolic: it cannot be taken in steps", blame=[0]
        )
    return count


def _may_fall_short(item: Any, size: Size) -> bool:
    """Whether a slice may reach beyond an axis whose length is not known yet: NumPy would take
    fewer elements in silence."""
    if isinstance(item, int) or isinstance(size, int):
        return False
    bounds = [p for p in item[:2] if p is not None]
    inside = [-p if isinstance(p, int) and p < 0 else p for p in bounds]
    return any(_least(p) < 0 or _least(size - p) < 0 for p in inside)


def _least(size: Size) -> int:
    """The smallest that a dimension can be, or -1 where that has no bound."""
    if isinstance(size, int):
        return size
    if any(names and factor < 0 for names, factor in size.terms):
        return -1
    least = size.bind(dict.fromkeys(size.symbols, 1))
    assert isinstance(least, int)
    return least


def _divided_up(length: Size, step: int) -> Size | None:
    """``length / step``, rounded up; None where that is no dimension."""
    if isinstance(length, int):
        return max(0, -(-length // step))
    constant = length.bind(dict.fromkeys(length.symbols, 0))
    assert isinstance(constant, int)
    return divide_exactly(length + -constant % step, step)


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
