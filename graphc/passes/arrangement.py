"""Rules of ``simplify`` for operators that only arrange elements."""

from __future__ import annotations

from dataclasses import replace

from graphc.ir import Builder, Node, Size, Value, divide_exactly
from graphc.ops.indexing import Index
from graphc.ops.reductions import Reduction
from graphc.ops.shapes import Pad, Transpose
from graphc.ops.windows import Windowing, Windows, WindowsAdjoint

__all__ = [
    "apart_windows",
    "apart_windows_adjoint",
    "joined_alone",
    "no_padding",
    "reduced_transpose",
    "whole_index",
]


def joined_alone(builder: Builder, node: Node) -> Value | None:
    """A concatenation of one tensor."""
    return builder.value(node.inputs[0]) if len(node.inputs) == 1 else None


def no_padding(builder: Builder, node: Node) -> Value | None:
    """A padding of no width."""
    assert isinstance(node.op, Pad)
    return None if any(map(any, node.op.widths)) else builder.value(node.inputs[0])


def whole_index(builder: Builder, node: Node) -> Value | None:
    """An index that takes everything."""
    assert isinstance(node.op, Index)
    whole = all(item == (None, None, None) for item in node.op.items)
    return builder.value(node.inputs[0]) if whole else None


def apart_windows(builder: Builder, node: Node) -> Value | None:
    """Windows side by side: every windowed axis is cut in two, the inner halves moved together."""
    assert isinstance(node.op, Windows)
    source = builder.value(node.inputs[0])
    cut = _cut_shape(node.op, source.shape)
    if cut is None:
        return None
    return source.apply("reshape", shape=cut).apply("transpose", axes=_gathering(node.op, len(cut)))


def apart_windows_adjoint(builder: Builder, node: Node) -> Value | None:
    """Windows side by side put back: no place is in two of them."""
    assert isinstance(node.op, WindowsAdjoint)
    cut = _cut_shape(node.op, node.op.shape)
    if cut is None:
        return None
    order = _gathering(node.op, len(cut))
    inverse = tuple(order.index(axis) for axis in range(len(order)))
    moved = builder.value(node.inputs[0]).apply("transpose", axes=inverse)
    return moved.apply("reshape", shape=node.op.shape)


def _cut_shape(op: Windowing, shape: tuple[Size, ...]) -> tuple[Size, ...] | None:
    """The shape with every windowed axis as (windows, size); None where windows overlap, leave
    gaps, or do not fill the axis."""
    result: list[Size] = []
    for axis, length in enumerate(shape):
        if axis not in op.axes:
            result.append(length)
            continue
        number = op.axes.index(axis)
        size, stride, dilation = op.sizes[number], op.strides[number], op.dilations[number]
        count = divide_exactly(length, size)
        beside = stride == size or count == 1
        if count is None or not beside or (dilation != 1 and size != 1):
            return None
        result += [count, size]
    return tuple(result)


def _gathering(op: Windowing, rank: int) -> tuple[int, ...]:
    """The permutation that moves the inner halves behind the last windowed axis."""
    outer, inner = [], []
    position, last = 0, 0
    for axis in range(rank - len(op.axes)):
        outer.append(position)
        position += 1
        if axis in op.axes:
            inner.append(position)
            position += 1
            last = len(outer)
    return (*outer[:last], *inner, *outer[last:])


def reduced_transpose(builder: Builder, node: Node) -> Value | None:
    """A reduction of a transpose that leaves the other axes in order needs no transpose."""
    inner = builder.graph[node.inputs[0]]
    op = node.op
    if not isinstance(inner.op, Transpose) or not isinstance(op, Reduction) or op.keep:
        return None
    order = inner.op.axes
    left = [axis for position, axis in enumerate(order) if position not in op.axis]
    if left != sorted(left):
        return None
    axes = tuple(sorted(order[position] for position in op.axis))
    return builder.emit(replace(op, axis=axes), builder.value(inner.inputs[0]))  # type: ignore[type-var]
