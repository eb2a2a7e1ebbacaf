"""Methods of `cupy.ndarray`, with CuPy's parameters: a test compares them with the record."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import fresh, ndarray, number, unwrap, view_of, wrapped
from .device import DEVICE
from .indexing import take as _take
from .streams import Copy, Stream
from .ufuncs import result_array

__all__ = ["METHODS"]


def _reduced(name: str, array: ndarray, out: Any, **kwargs: Any) -> Any:
    """A reduction or scan by NumPy's method; an array of no dimension where nothing is left."""
    DEVICE.work(name)
    a = unwrap(array)
    kwargs = {key: value for key, value in kwargs.items() if value is not None or key == "axis"}
    with np.errstate(all="ignore"):
        if out is None:
            return fresh(getattr(a, name)(**kwargs))
        getattr(a, name)(out=result_array(out)._a, **kwargs)
    return out


def all(self, axis=None, out=None, keepdims=False):
    return _reduced("all", self, out, axis=axis, keepdims=keepdims)


def any(self, axis=None, out=None, keepdims=False):
    return _reduced("any", self, out, axis=axis, keepdims=keepdims)


def argmax(self, axis=None, out=None, dtype=None, keepdims=False):
    return _reduced("argmax", self, out, axis=axis, keepdims=keepdims)


def argmin(self, axis=None, out=None, dtype=None, keepdims=False):
    return _reduced("argmin", self, out, axis=axis, keepdims=keepdims)


def max(self, axis=None, out=None, keepdims=False):
    return _reduced("max", self, out, axis=axis, keepdims=keepdims)


def min(self, axis=None, out=None, keepdims=False):
    return _reduced("min", self, out, axis=axis, keepdims=keepdims)


def sum(self, axis=None, dtype=None, out=None, keepdims=False):
    return _reduced("sum", self, out, axis=axis, dtype=dtype, keepdims=keepdims)


def prod(self, axis=None, dtype=None, out=None, keepdims=None):
    return _reduced("prod", self, out, axis=axis, dtype=dtype, keepdims=bool(keepdims))


def mean(self, axis=None, dtype=None, out=None, keepdims=False):
    return _reduced("mean", self, out, axis=axis, dtype=dtype, keepdims=keepdims)


def var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return _reduced("var", self, out, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)


def std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return _reduced("std", self, out, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)


def cumsum(self, axis=None, dtype=None, out=None):
    return _reduced("cumsum", self, out, axis=axis, dtype=dtype)


def cumprod(self, axis=None, dtype=None, out=None):
    return _reduced("cumprod", self, out, axis=axis, dtype=dtype)


def clip(self, min=None, max=None, out=None):
    DEVICE.work("clip")
    bounds = [x if x is None or number(x) else unwrap(x) for x in (min, max)]
    if out is None:
        return fresh(np.clip(unwrap(self), *bounds))
    np.clip(unwrap(self), *bounds, out=result_array(out)._a)
    return out


def argsort(self, axis=-1, kind=None):
    _check_sort(self, kind)
    DEVICE.work("argsort")
    return fresh(np.argsort(unwrap(self), axis=axis, kind="stable"))


def sort(self, axis=-1, kind=None):
    _check_sort(self, kind)
    DEVICE.work("sort")
    result_array(self)._a.sort(axis=axis, kind="stable")


def _check_sort(array: ndarray, kind: Any) -> None:
    if kind not in (None, "stable"):
        raise NotImplementedError(f"the stand-in refuses kind={kind!r}: CuPy's sort is stable")
    if array.ndim == 0:
        raise np.exceptions.AxisError("Cannot sort array with the rank of zero")


def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
    if casting is not None or subok is not None:
        raise TypeError("casting and subok are not supported yet")
    if not copy and np.dtype(dtype) == self.dtype and order in ("K", "A"):
        return self
    DEVICE.work("astype")
    with np.errstate(all="ignore"):
        return fresh(unwrap(self).astype(dtype, order=order))


def copy(self, order="C"):
    DEVICE.work("copy")
    return fresh(unwrap(self).copy(order))


def flatten(self, order="C"):
    DEVICE.work("flatten")
    return fresh(unwrap(self).flatten(order))


def dot(self, b, out=None):
    from .functions import dot as function

    return function(self, b, out)


def fill(self, value):
    if isinstance(value, ndarray | np.ndarray) and value.shape != ():
        kind = "cupy" if isinstance(value, ndarray) else "numpy"
        raise ValueError(f"non-scalar {kind}.ndarray cannot be used for fill")
    if isinstance(value, ndarray):
        value = unwrap(value)
    elif not (number(value) or isinstance(value, np.ndarray)):
        raise TypeError(f"Unsupported type {type(value)}")
    DEVICE.work("fill")
    with np.errstate(all="ignore"):
        result_array(self)._a.fill(value)


def take(self, indices, axis=None, out=None):
    return _take(self, indices, axis, out)


def diagonal(self, offset=0, axis1=0, axis2=1):
    return view_of(self, self._a.diagonal(offset, axis1, axis2))


def reshape(self, *shape, order="C", copy=None):
    if copy is not None:
        raise NotImplementedError("reshape(copy=): CuPy has it, its stand-in does not")
    result = self._a.reshape(*shape, order=order)
    if self.size and not np.may_share_memory(result, self._a):
        DEVICE.work("reshape")
        return fresh(unwrap(self).reshape(*shape, order=order).copy())
    return view_of(self, result)


def ravel(self, order="C"):
    return reshape(self, -1, order=order)


def squeeze(self, axis=None):
    return view_of(self, self._a.squeeze(axis))


def swapaxes(self, axis1, axis2):
    return view_of(self, self._a.swapaxes(axis1, axis2))


def transpose(self, *axes):
    return view_of(self, self._a.transpose(*axes))


def view(self, dtype=None, type=None):
    if type is not None:
        raise NotImplementedError("view(type=): CuPy has it, its stand-in does not")
    if dtype is None:
        return view_of(self, self._a.view())
    if self.ndim == 0 and np.dtype(dtype).itemsize != self.itemsize:
        raise ValueError(
            "Changing the dtype of a 0d array is only supported if the itemsize is unchanged"
        )
    return view_of(self, self._a.view(dtype))


def nonzero(self):
    """The host must know how many there are: it reads."""
    DEVICE.work("nonzero")
    DEVICE.fetched(4)
    return wrapped(np.nonzero(unwrap(self)), [])


# ------------------------------------------------------------------- to the host and back


def get(self, stream=None, order="C", out=None, blocking=True):
    """The host waits, unless `blocking` is false."""
    with stream or Stream.current() as used:
        a = unwrap(self)
        DEVICE.work("get")
        DEVICE.fetched(self.nbytes)
        if out is None:
            out = np.empty(self.shape, self.dtype, "F" if order == "F" else "C")
        elif not isinstance(out, np.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        if out.dtype != self.dtype or out.shape != self.shape:
            raise ValueError(f"{self.dtype}{self.shape} cannot be got as {out.dtype}{out.shape}")
        out[...] = a
        if blocking:
            used.synchronize()
    return out


def set(self, arr, stream=None):
    """From pinned memory the copy is made later, on a stream of its own; the source must stay."""
    if not isinstance(arr, np.ndarray):
        raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
    if self.dtype != arr.dtype:
        raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
    if self.shape != arr.shape:
        raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
    if not (self._a.flags.c_contiguous or self._a.flags.f_contiguous):
        raise RuntimeError("Cannot set to non-contiguous array")
    stream = stream or Stream.current()
    with stream:
        DEVICE.work("set")
        result_array(self)
        DEVICE.sent(self.nbytes, stream)
        if DEVICE.is_pinned(arr) and arr.flags.c_contiguous and not stream.is_null:
            self._memory.copies.append(Copy(self._a, arr, stream))
        else:
            self._a[...] = arr


def item(self):
    if self.size != 1:
        raise ValueError("can only convert an array of size 1 to a Python scalar")
    return get(self).item()


def tolist(self):
    return get(self).tolist()


def tobytes(self, order="C"):
    return get(self).tobytes(order)


METHODS = [
    all, any, argmax, argmin, argsort, astype, clip, copy, cumprod, cumsum, diagonal, dot, fill,
    flatten, get, item, max, mean, min, nonzero, prod, ravel, reshape, set, sort, squeeze, std, sum,
    swapaxes, take, tobytes, tolist, transpose, var, view,
]  # fmt: skip
for _method in METHODS:
    setattr(ndarray, _method.__name__, _method)
