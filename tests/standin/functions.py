"""Functions of `cupy` that differ from NumPy's in what they take, read or send."""

from __future__ import annotations

import numpy as np

from .array import device_array, fresh, ndarray, number, unwrap, unwrapped, view_of
from .creation import copied
from .device import DEVICE
from .ufuncs import UFUNCS, result_array

__all__ = ["FUNCTIONS"]

# ------------------------------------------------------------------- copies and choices


def copyto(dst, src, casting="same_kind", where=None):
    DEVICE.work("copyto")
    copied(device_array(dst), src, casting, where)


def where(condition, x=None, y=None):
    """Without `x` and `y` it is `nonzero`, which reads."""
    if x is None and y is None:
        return device_array(condition).nonzero()
    if x is None or y is None:
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    DEVICE.work("where")
    chosen = [each if number(each) else unwrap(each) for each in (x, y)]
    return fresh(np.where(unwrap(condition).astype(bool, copy=False), *chosen))


def take(a, indices, axis=None, out=None):
    return device_array(a).take(indices, axis, out)


def take_along_axis(a, indices, axis):
    """Out of range wraps around."""
    DEVICE.work("take_along_axis")
    if device_array(indices).dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if axis is None:
        raise NotImplementedError("the stand-in wants an axis")
    x, index = unwrap(a), unwrap(indices)
    if x.ndim != index.ndim:
        raise ValueError("`indices` and `a` must have the same number of dimensions")
    return fresh(np.take_along_axis(x, index % max(1, x.shape[axis]), axis))


def put_along_axis(arr, indices, values, axis):
    """As setting elements: values are cast, what is out of range wraps around."""
    arr, indices = device_array(arr), device_array(indices)
    places = list(np.ogrid[tuple(slice(n) for n in arr.shape)])
    DEVICE.work("put_along_axis")
    key = [fresh(np.array(place)) for place in places]
    key[axis] = indices
    arr[tuple(key)] = values


def ravel_multi_index(multi_index, dims, mode="wrap", order="C"):
    DEVICE.work("ravel_multi_index")
    if mode == "raise":
        DEVICE.fetched(1)
    return fresh(np.ravel_multi_index(tuple(map(unwrap, multi_index)), dims, mode, order))


def flatnonzero(a):
    return device_array(a).ravel().nonzero()[0]


def broadcast_to(array, shape):
    """A view that can be written to, which is an error waiting to happen; NumPy's cannot."""
    return view_of(device_array(array), np.broadcast_to(array._a, shape))


def broadcast_arrays(*args):
    common = np.broadcast_shapes(*(device_array(each).shape for each in args))
    return [broadcast_to(each, common) for each in args]


def as_strided(x, shape=None, strides=None):
    """CuPy does not look where the view ends; the stand-in does."""
    from .memory import MemoryPointer

    shape = x.shape if shape is None else tuple(shape)
    strides = x.strides if strides is None else tuple(strides)
    pointer: MemoryPointer = x.data
    return view_of(x, pointer.array(shape, x.dtype, strides)._a)


def pad(array, pad_width, mode="constant", **kwargs):
    if mode != "constant" or set(kwargs) - {"constant_values"}:
        raise NotImplementedError("the stand-in pads with constants alone")
    value = kwargs.get("constant_values", 0)
    if not number(value):
        raise TypeError(f"constant_values must be a number, not {type(value)}")
    DEVICE.work("pad")
    return fresh(np.pad(unwrap(array), pad_width, constant_values=value))


def concatenate(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    DEVICE.work("concatenate")
    for each in tup:
        if not isinstance(each, ndarray):
            raise TypeError("Only cupy arrays can be concatenated")
    parts = [unwrap(each) for each in tup]
    if out is None:
        return fresh(np.concatenate(parts, axis, dtype=dtype, casting=casting))
    np.concatenate(parts, axis, out=result_array(out)._a, casting=casting)
    return out


# ------------------------------------------------------------------- products


def matmul(
    *args, axes=None, axis=None, keepdims=False, casting="same_kind", dtype=None, signature=None,
    order="K", out=None,
):  # fmt: skip
    if axes is not None or axis is not None or keepdims or signature is not None or order != "K":
        raise NotImplementedError("matmul: the stand-in takes out, dtype and casting alone")
    a, b = (unwrap(x) for x in args)
    DEVICE.work("matmul")
    if out is None:
        return fresh(np.matmul(a, b, dtype=dtype, casting=casting))
    np.matmul(a, b, out=result_array(out)._a, dtype=dtype, casting=casting)
    return out


def dot(a, b, out=None):
    if number(a) or number(b):
        return UFUNCS["multiply"](a, b, out=out)
    x, y = unwrap(a), unwrap(b)
    DEVICE.work("dot")
    if out is None:
        return fresh(np.dot(x, y))
    if out.dtype != np.result_type(x, y) or not out.flags.c_contiguous:
        raise ValueError("Output dtype mismatch, or output array is not C-contiguous")
    np.dot(x, y, out=result_array(out)._a)
    return out


def einsum(*operands, **kwargs):
    wrong = [key for key in kwargs if key not in ("dtype", "optimize")]
    if wrong:
        raise TypeError(f"Did not understand the following kwargs: {wrong}")
    found: list[ndarray] = []
    arrays = [each if isinstance(each, str) else unwrapped(each, found) for each in operands]
    DEVICE.work("einsum")
    return fresh(np.einsum(*arrays, **kwargs))


def get_array_module(*args):
    import cupy

    return cupy if any(isinstance(each, ndarray) for each in args) else np


def size(a, axis=None):
    return device_array(a).size if axis is None else a.shape[axis]


def shape(a):
    return a.shape if isinstance(a, ndarray) else np.shape(a)


def ndim(a):
    return a.ndim if isinstance(a, ndarray) else np.ndim(a)


FUNCTIONS = [
    broadcast_arrays, broadcast_to, concatenate, copyto, dot, einsum, flatnonzero,
    get_array_module, matmul, ndim, pad, put_along_axis, ravel_multi_index, shape, size, take,
    take_along_axis, where,
]  # fmt: skip
