"""Primitives that read or change shapes: reshape, transpose, join, pad, windows."""

from __future__ import annotations

from graphc.ir import product
from graphc.model.builtin_use import REQUIRED, Builtin, Use
from graphc.model.constants import is_integer, is_number
from graphc.model.emission import unify
from graphc.model.meanings import ALL, POISON, Const, Meaning, Poison, Tensor

__all__ = ["SHAPES"]


def _dim(use: Use) -> Meaning:
    axis = use.axis()
    return POISON if axis is None else Const(use.values[0].shape[axis])


def _count_elements(use: Use) -> Meaning:
    axes = use.axes()
    if axes is None:
        return POISON
    return Const(product(use.values[0].shape[axis] for axis in axes))


def _rank(use: Use) -> Meaning:
    return Const(len(use.values[0].shape))


def _reshape(use: Use) -> Meaning:
    shape = use.shape("shape", solve=True)
    return POISON if shape is None else use.emit("reshape", shape=shape)


def _broadcast(use: Use) -> Meaning:
    shape = use.shape("shape")
    return POISON if shape is None else use.emit("broadcast", shape=shape)


def _transpose(use: Use) -> Meaning:
    rank = len(use.values[0].shape)
    value = use.constant("axes")
    if isinstance(value, Poison):
        return POISON
    if value is ALL:
        value = tuple(reversed(range(rank)))
    listed = value if isinstance(value, tuple) else (value,)
    whole = all(isinstance(a, int) and -rank <= a < rank for a in listed)
    if not whole or sorted(a % rank for a in listed) != list(range(rank)):
        text = ", ".join(map(str, listed))
        return use.error("E205", f"axes [{text}] do not permute those of {use.values[0].type}")
    return use.emit("transpose", axes=tuple(a % rank for a in listed))


def _squeeze(use: Use) -> Meaning:
    axes = use.axes()
    if axes is None:
        return POISON
    shape = use.values[0].shape
    for axis in axes:
        if shape[axis] != 1:
            return use.error("E208", f"axis {axis} of {use.values[0].type} is not 1")
    return use.emit("reshape", shape=tuple(s for i, s in enumerate(shape) if i not in axes))


def _expand(use: Use) -> Meaning:
    axis = use.axis(extra=1)
    if axis is None:
        return POISON
    shape = use.values[0].shape
    return use.emit("reshape", shape=(*shape[:axis], 1, *shape[axis:]))


def _concat(use: Use) -> Meaning:
    axis = use.axis()
    if axis is None:
        return POISON
    return use.emit("concat", unify("add", use.values), axis=axis)


def _stack(use: Use) -> Meaning:
    axis = use.axis(extra=1)
    if axis is None:
        return POISON
    first = use.values[0].shape
    for value in use.values:
        if value.shape != first:
            title = f"`stack` takes tensors of one shape: {use.values[0].type} and {value.type}"
            return use.error("E201", title)
    layers = [
        use.emit("reshape", [value], shape=(*first[:axis], 1, *first[axis:]))
        for value in unify("add", use.values)
    ]
    present = [layer.value for layer in layers if isinstance(layer, Tensor)]
    return use.emit("concat", present, axis=axis)


def _pad(use: Use) -> Meaning:
    widths, value = _widths(use), use.constant("value")
    if widths is None or value is POISON:
        return POISON
    if not is_number(value):
        return use.error("E303", "`value` of `pad` is a number")
    return use.emit("pad", widths=widths, value=float(value))


def _widths(use: Use) -> tuple[tuple[int, int], ...] | None:
    """A pair (before, after) an axis, from one number, or a number or a pair for each axis."""
    value = use.constant("widths")
    if value is POISON:
        return None
    rank = len(use.values[0].shape)
    listed = value if isinstance(value, tuple) else (value,) * rank
    pairs = [item if isinstance(item, tuple) else (item, item) for item in listed]
    if len(pairs) != rank or not all(len(p) == 2 and all(map(_is_width, p)) for p in pairs):
        use.error(
            "E303",
            f"`widths` of `pad` is a number or a list of {rank} pairs [before, after], "
            f"one an axis of {use.values[0].type}",
            help="pad{[[0, 0], [1, 1]]}(x) pads the second of two axes",
        )
        return None
    return tuple((before, after) for before, after in pairs)


def _is_width(value: object) -> bool:
    return is_integer(value) and value >= 0


def _windows(use: Use) -> Meaning:
    axes = use.constant("axis")
    listed = axes if isinstance(axes, tuple) else (axes,)
    if axes is ALL:
        listed = tuple(range(len(use.values[0].shape)))
    elif use.axes() is None:
        return POISON
    numbers = [_per_axis(use, name, len(listed)) for name in ("size", "stride", "dilation")]
    if None in numbers:
        return POISON
    rank = len(use.values[0].shape)
    rows = sorted(zip((axis % rank for axis in listed), *filter(None, numbers), strict=True))
    if not rows:
        return Tensor(use.values[0])
    chosen, sizes, strides, dilations = zip(*rows, strict=True)
    return use.emit("windows", axes=chosen, sizes=sizes, strides=strides, dilations=dilations)


def _per_axis(use: Use, name: str, count: int) -> tuple[int, ...] | None:
    """One positive integer for every axis, or a list with one for each."""
    value = use.constant(name)
    if value is POISON:
        return None
    listed = value if isinstance(value, tuple) else (value,) * count
    if len(listed) != count or not all(is_integer(item) and item > 0 for item in listed):
        many = f", or a list of {count}" if count > 1 else ""
        use.error("E303", f"`{name}` of `windows` is a positive integer{many}")
        return None
    return tuple(listed)


_AXIS = ("axis", -1)

SHAPES = (
    Builtin("dim", "length of an axis, as an attribute", _dim, 1, 1, (_AXIS,)),
    Builtin("count", "number of elements along axes", _count_elements, 1, 1, (("axis", ALL),)),
    Builtin("rank", "number of axes", _rank, 1, 1),
    Builtin("reshape", "another shape", _reshape, 1, 1, (("shape", REQUIRED),)),
    Builtin("broadcast", "repeated to a shape", _broadcast, 1, 1, (("shape", REQUIRED),)),
    Builtin("transpose", "axes in another order", _transpose, 1, 1, (("axes", ALL),)),
    Builtin("squeeze", "axes of length 1 dropped", _squeeze, 1, 1, (("axis", REQUIRED),)),
    Builtin("expand", "a new axis of length 1", _expand, 1, 1, (("axis", REQUIRED),)),
    Builtin("concat", "tensors joined along an axis", _concat, 1, 100_000, (_AXIS,)),
    Builtin("stack", "tensors of one shape along a new axis", _stack, 1, 100_000, (_AXIS,)),
    Builtin(
        "pad",
        "a number around a tensor; widths is a number, or [before, after] for each axis",
        _pad,
        1,
        1,
        (("widths", REQUIRED), ("value", 0.0)),
    ),
    Builtin(
        "windows",
        "all windows over some axes: [n, h, w, c] by axes [1, 2] is [n, rows, columns, kh, kw, c]",
        _windows,
        1,
        1,
        (("axis", REQUIRED), ("size", REQUIRED), ("stride", 1), ("dilation", 1)),
    ),
)
