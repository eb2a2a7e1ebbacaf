"""Indexing as CuPy does it: what is out of range wraps around, masks are counted on the host,
indices from the host are sent to the device each time."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import fresh, ndarray, number, unwrap, view_of
from .device import DEVICE
from .errors import UndefinedResultError

__all__ = ["add_at", "getitem", "setitem", "take"]

MASK_COUNT = 4
"""Bytes that are read to know how many elements of a mask are true."""

SCATTERED = ("int32", "float16", "float32", "float64", "uint32", "uint64")


def getitem(array: ndarray, key: Any) -> ndarray:
    """A view for numbers and slices, else a copy."""
    index, is_copy = _index(array, key)
    if not any(part is Ellipsis for part in index):
        index = (*index, Ellipsis)  # one element is an array too
    if not is_copy:
        return view_of(array, array._a[index])
    DEVICE.work("getitem")
    return fresh(unwrap(array)[index].copy())


def setitem(array: ndarray, key: Any, value: Any) -> None:
    """Set elements. Of several values for one place CuPy leaves open which stays."""
    index, is_copy = _index(array, key)
    DEVICE.work("setitem")
    source = _source(array, value, is_copy)
    DEVICE.write(array._memory)
    with np.errstate(all="ignore"):
        array._a[index] = source
        if is_copy:
            _check_unambiguous(array._a[index], np.asarray(source).astype(array.dtype))


def _check_unambiguous(found: np.ndarray, given: np.ndarray) -> None:
    """What was set at places must be there."""
    while given.ndim > found.ndim and given.shape[0] == 1:
        given = given[0]
    if found.tobytes() != np.broadcast_to(given, found.shape).tobytes():
        raise UndefinedResultError("several values are set at one place: any of them may stay")


def _source(array: ndarray, value: Any, scattered: bool) -> Any:
    if isinstance(value, ndarray):
        return unwrap(value)
    if number(value):
        return value
    if scattered:  # made an array on the device first
        sent = np.asarray(value, dtype=array.dtype)
        DEVICE.sent(sent.nbytes)
        return sent
    if isinstance(value, np.ndarray):
        if value.shape:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def take(array: ndarray, indices: Any, axis: int | None, out: ndarray | None) -> ndarray:
    """Elements along an axis, or of all in a row."""
    DEVICE.work("take")
    if number(indices):
        index = np.asarray(indices)
    elif isinstance(indices, ndarray):
        index = unwrap(indices)
    else:
        index = np.asarray(indices, dtype=int)
        DEVICE.sent(index.nbytes)
    a = unwrap(array)
    result = np.take(a, index, axis=axis, mode="wrap")
    if out is None:
        return fresh(result)
    if not isinstance(out, ndarray):
        raise TypeError(f"Unsupported type {type(out)}")
    if out.dtype != array.dtype:
        raise TypeError("Output dtype mismatch")
    if out.shape != np.shape(result):
        raise ValueError("Output shape mismatch")
    DEVICE.write(out._memory)
    out._a[...] = result
    return out


def add_at(name: str, function: Any, array: ndarray, key: Any, value: Any) -> None:
    """`ufunc.at`: atomic operations for some types alone."""
    DEVICE.work(f"{name}.at")
    if not isinstance(array, ndarray):
        raise TypeError(f"Unsupported type {type(array)}")
    index, is_copy = _index(array, key)
    if is_copy and array.dtype.name not in SCATTERED:
        raise TypeError(f"scatter_{name} only supports {', '.join(SCATTERED)}, as data type")
    source = _source(array, value, is_copy)
    DEVICE.write(array._memory)
    with np.errstate(all="ignore"):
        function.at(array._a, index, np.asarray(source).astype(array.dtype))


def _index(array: ndarray, key: Any) -> tuple[tuple[Any, ...], bool]:
    """An index for NumPy with the same meaning, and whether it copies."""
    parts = [_on_device(part) for part in (key if isinstance(key, tuple) else (key,))]
    taken = sum(_axes(part) for part in parts)
    if taken > array.ndim:
        raise IndexError(
            f"too many indices for array: array is {array.ndim}-dimensional, "
            f"but {taken} were indexed"
        )
    axis, index = 0, []
    for part in parts:
        if isinstance(part, ndarray):
            index.append(_plain(array, part, axis))
        else:
            index.append(part)
        axis += array.ndim - taken if part is Ellipsis else _axes(part)
    return tuple(index), any(isinstance(part, ndarray) for part in parts)


def _on_device(part: Any) -> Any:
    """A part of an index; anything but numbers and slices as an array on the device."""
    if part is None or part is Ellipsis or isinstance(part, ndarray):
        return part
    if isinstance(part, slice):
        if any(isinstance(end, ndarray) for end in (part.start, part.stop, part.step)):
            raise TypeError("'cupy.ndarray' object cannot be interpreted as an integer")
        return part
    if isinstance(part, int | np.integer) and not isinstance(part, bool):
        return part
    sent = np.asarray(part)
    if not sent.size and isinstance(part, list | tuple):
        sent = sent.astype(np.int32)
    DEVICE.sent(sent.nbytes)
    return fresh(np.array(sent))


def _axes(part: Any) -> int:
    """How many axes a part of an index takes."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, ndarray) and part.dtype.kind == "b" else 1


def _plain(array: ndarray, part: ndarray, axis: int) -> np.ndarray:
    """An array as index: a mask, or places that are all in range."""
    if part.dtype.kind == "b":
        DEVICE.fetched(MASK_COUNT)
        return unwrap(part)
    if part.dtype.kind not in "iu":
        raise IndexError(
            "arrays used as indices must be of integer or boolean type. "
            f"(actual: {part.dtype.type})"
        )
    return unwrap(part) % max(1, array.shape[axis])
