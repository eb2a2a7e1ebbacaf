"""Sliding windows over some axes, for convolution and pooling, and the sum back over them."""

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
    check_axis,
    divide_exactly,
)


class Windowing(Operator):
    """What the two share: windowed axes in order, and size, stride, dilation of each."""

    flops = 0
    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    def windowed_shape(self, x: Type) -> tuple[Size, ...]:
        """``x.shape`` with the counts of windows, and the windows' axes behind the last of them."""
        shape = list(x.shape)
        for number, axis in enumerate(self.axes):
            shape[axis] = self._count(x, number)
        inner = self.axes[-1] + 1
        shape[inner:inner] = self.sizes
        return tuple(shape)

    def check_axes(self, x: Type) -> None:
        for axis in self.axes:
            check_axis(axis, x)
        if list(self.axes) != sorted(set(self.axes)):
            raise TypeRuleError("E205", "an axis of windows is named twice", blame=[0])
        if any(number < 1 for number in (*self.sizes, *self.strides, *self.dilations)):
            raise TypeRuleError("E240", "size, stride and dilation of windows are 1 or more")

    def _count(self, x: Type, number: int) -> Size:
        """How many windows fit into an axis; what is left over at its end is in none."""
        axis, stride = self.axes[number], self.strides[number]
        size, length = self.sizes[number], x.shape[axis]
        span = self.dilations[number] * (size - 1) + 1
        if isinstance(length, int):
            if span > length:
                spread = f" (spread over {span})" if span > size else ""
                raise TypeRuleError(
                    "E240",
                    f"a window of size {size}{spread} is larger than axis {axis} of {x}, "
                    f"which has length {length}",
                    blame=[0],
                )
            return (length - span) // stride + 1
        steps = divide_exactly(length - span, stride)
        if steps is None:
            raise TypeRuleError(
                "E240",
                f"axis {axis} of {x} is symbolic: windows of size {size} cannot go by {stride}",
                blame=[0],
            )
        return steps + 1

    def options(self, moved: int = 0) -> dict[str, Any]:
        """The attributes, with axes moved back by that many places."""
        return {
            "axes": tuple(axis + moved for axis in self.axes),
            "sizes": self.sizes,
            "strides": self.strides,
            "dilations": self.dilations,
        }

    def arguments(self) -> str:
        """The attributes as arguments of the helper functions."""
        return ", ".join(map(repr, self.options().values()))


@dataclass(frozen=True)
class Windows(Windowing):
    """All windows over some axes, a view: ``[n, h, w, c]`` by axes 1 and 2 becomes
    ``[n, rows, columns, kh, kw, c]``."""

    name = "windows"
    view = True
    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    def infer(self, *types: Type) -> Type:
        (x,) = types
        self.check_axes(x)
        return x.with_shape(self.windowed_shape(x))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d.apply("windows_adjoint", **self.options(), shape=xs[0].shape)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("windows", **self.options(moved=1))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_windows({args[0]}, {self.arguments()})"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("windows", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        image = Type("real", (2, 5, 6, 3))
        return [
            Sample(cls((1, 2), (3, 2), (1, 2), (1, 1)), (image,)),
            Sample(cls((1, 2), (2, 3), (2, 1), (2, 2)), (image,)),
            Sample(cls((0,), (3,), (1,), (1,)), (Type("real", (7,)),)),
            Sample(cls((0, 2), (2, 2), (2, 2), (1, 1)), (Type("real", (4, 3, 6)),)),
        ]


@dataclass(frozen=True)
class WindowsAdjoint(Windowing):
    """Zeros of ``shape`` with every window added where it was taken from."""

    name = "windows_adjoint"
    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    shape: tuple[Size, ...]

    def infer(self, *types: Type) -> Type:
        (d,) = types
        result = Type("real", self.shape)
        self.check_axes(result)
        if d.shape != self.windowed_shape(result):
            raise TypeRuleError("E240", f"{d} is no windows of {result}", blame=[0])
        return result

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return d.apply("windows", **self.options())

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        options = self.options(moved=1)
        return xs[0].apply("windows_adjoint", **options, shape=(size, *self.shape))

    def numpy(self, w: WriteContext, *args: str) -> str:
        zeros = f"np.zeros({w.shape(self.shape)}, dtype={w.real})"
        return f"_add_windows({zeros}, {args[0]}, {self.arguments()})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"{out}.fill(0); _add_windows({out}, {args[0]}, {self.arguments()})"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("overlap_add", *args)

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        return types[0].size

    @classmethod
    def samples(cls) -> list[Sample]:
        image = (2, 5, 6, 3)
        return [
            Sample(cls((1, 2), (3, 2), (1, 2), (1, 1), image), (Type("real", (2, 3, 3, 3, 2, 3)),)),
            Sample(cls((0,), (3,), (2,), (2,), (7,)), (Type("real", (2, 3)),)),
        ]
