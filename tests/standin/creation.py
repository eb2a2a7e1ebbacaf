"""Functions of `cupy` that make arrays: those that send something from the host count it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import device_array, fresh, ndarray, number, unwrap
from .array import empty as _empty
from .device import DEVICE
from .streams import Copy, Stream
from .ufuncs import result_array

__all__ = ["CREATION", "Grid", "copied"]

# ------------------------------------------------------------------- arrays from the host


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """What is on the host is sent; a number is no copy over the bus but an array made by a kernel,
    and counted all the same: in a step neither should be."""
    if subok or ndmin:
        raise NotImplementedError("array(subok=, ndmin=): its stand-in does not have them")
    if isinstance(obj, ndarray):
        if copy is False and dtype is not None and np.dtype(dtype) != obj.dtype:
            raise ValueError("Unable to avoid copy while creating an array as requested.")
        return obj.astype(dtype or obj.dtype, order=order or "K", copy=bool(copy))
    if isinstance(obj, list | tuple) and obj and all(isinstance(x, ndarray) for x in obj):
        return _stacked(obj, dtype)
    host = np.asarray(obj, dtype=dtype, order=None if order == "K" else order)
    if host.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    result = _empty(host.shape, host.dtype.newbyteorder("="), "F" if host.flags.fnc else "C")
    stream = Stream.current()
    DEVICE.sent(host.nbytes, stream)
    if host is obj and DEVICE.is_pinned(host) and not stream.is_null:
        result._memory.copies.append(Copy(result._a, host, stream))
    else:
        result._a[...] = host
    if blocking:
        stream.synchronize()
    return result


def _stacked(arrays: Any, dtype: Any) -> ndarray:
    DEVICE.work("stack")
    return fresh(np.stack([unwrap(each) for each in arrays], dtype=dtype))


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return array(a, dtype, copy, order, blocking=blocking)


def asanyarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return array(a, dtype, copy, order, blocking=blocking)


def ascontiguousarray(a, dtype=None):
    """At least one dimension, as NumPy's."""
    a = device_array(a)
    if a.flags.c_contiguous and (dtype is None or np.dtype(dtype) == a.dtype):
        return a.reshape(1) if a.ndim == 0 else a
    result = a.astype(dtype or a.dtype, order="C")
    return result.reshape(1) if a.ndim == 0 else result


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    if isinstance(a, ndarray):
        return a.get(stream=stream, order=order, out=out, blocking=blocking)
    host = np.asarray(a, order=order)
    if out is None:
        return host
    out[...] = host
    return out


# ------------------------------------------------------------------- new arrays


def empty(shape, dtype=float, order="C"):
    DEVICE.work("empty")
    return _empty(shape, dtype, order)


def zeros(shape, dtype=float, order="C"):
    return _filled("zeros", _empty(shape, dtype, order), 0)


def ones(shape, dtype=float, order="C"):
    return _filled("ones", _empty(shape, dtype, order), 1)


def full(shape, fill_value, dtype=None, order="C"):
    if dtype is None:
        dtype = (
            fill_value.dtype if isinstance(fill_value, ndarray) else np.asarray(fill_value).dtype
        )
    return _filled("full", _empty(shape, dtype, order), fill_value)


def empty_like(prototype, dtype=None, order="K", subok=None, shape=None):
    DEVICE.work("empty_like")
    return _like(prototype, dtype, order, subok, shape)


def zeros_like(a, dtype=None, order="K", subok=None, shape=None):
    return _filled("zeros_like", _like(a, dtype, order, subok, shape), 0)


def ones_like(a, dtype=None, order="K", subok=None, shape=None):
    return _filled("ones_like", _like(a, dtype, order, subok, shape), 1)


def full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None):
    return _filled("full_like", _like(a, dtype, order, subok, shape), fill_value)


def _like(a: Any, dtype: Any, order: str, subok: Any, shape: Any) -> ndarray:
    if subok is not None:
        raise TypeError("subok is not supported yet")
    made = np.empty_like(device_array(a)._a, dtype=dtype, order=order, shape=shape)
    return _empty(made.shape, made.dtype, "F" if made.flags.fnc else "C")


def _filled(name: str, array: ndarray, value: Any) -> ndarray:
    DEVICE.work(name)
    copied(array, value, "unsafe")
    return array


def arange(start, stop=None, step=1, dtype=None):
    if any(isinstance(x, ndarray | np.ndarray) for x in (start, stop, step)):
        raise TypeError("the stand-in's arange takes numbers")
    DEVICE.work("arange")
    return fresh(np.arange(*((0, start) if stop is None else (start, stop)), step, dtype=dtype))


def eye(N, M=None, k=0, dtype=float, order="C"):
    DEVICE.work("eye")
    return fresh(np.eye(N, M, k, dtype, order))


def identity(n, dtype=float):
    return eye(n, dtype=dtype)


class Grid:
    """`ogrid` and `mgrid`."""

    def __init__(self, grid: Any) -> None:
        self._grid = grid

    def __getitem__(self, key: Any) -> Any:
        DEVICE.work("grid")
        found = self._grid[key]
        return list(map(fresh, found)) if isinstance(found, list | tuple) else fresh(found)


def copied(dst: ndarray, src: Any, casting: str, where: Any = None) -> None:
    """Values of a number or an array on the device."""
    if isinstance(src, np.ndarray):
        if src.size != 1:
            raise ValueError("non-scalar numpy.ndarray cannot be used for copyto")
        src = src.reshape(())[()]
    source = src if number(src) else unwrap(src)
    mask = True if where is None else (where if number(where) else unwrap(where))
    with np.errstate(all="ignore"):
        np.copyto(result_array(dst)._a, source, casting=casting, where=mask)


CREATION = [
    arange, array, asanyarray, asarray, ascontiguousarray, asnumpy, empty, empty_like, eye, full,
    full_like, identity, ones, ones_like, zeros, zeros_like,
]  # fmt: skip
