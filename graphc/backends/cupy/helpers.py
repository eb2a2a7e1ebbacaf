"""Functions that operators' source calls, where those for NumPy have no like in CuPy.

They are printed in place of the ones of the same name in ``graphc.ops.helpers``; ``cp`` stands for
CuPy. No one of them reads anything back to the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["HELPERS"]

Array = Any
cp: Any = None
_kernels: Any = None
_each: Any = None


def _add_rows(out: Any, d: Any, index: Any) -> Array:
    """The rows of `d` added to those of `out` at `index`."""
    width = math.prod(out.shape[1:])
    places = index[..., None] * width + cp.arange(width)
    cp.add.at(out.reshape(-1), places.reshape(-1), cp.ascontiguousarray(d).reshape(-1))
    return out


def _add_along(out: Any, d: Any, index: Any, axis: int) -> Array:
    """The elements of `d` added to `out` at the positions that `index` holds along an axis."""
    places, step = cp.zeros(index.shape, cp.int64), 1
    for number in reversed(range(index.ndim)):
        size = out.shape[number]
        own = index % size if number == axis else cp.arange(index.shape[number])
        shape = [1] * index.ndim
        shape[number] = index.shape[number]
        places += step * (own if number == axis else own.reshape(shape))
        step *= size
    cp.add.at(out.reshape(-1), places.reshape(-1), cp.ascontiguousarray(d).reshape(-1))
    return out


def _ranks(x: Any, axis: int, real: Any) -> Array:
    """Ranks from 1 along an axis; equal elements share the mean of theirs. Runs of equal elements
    are counted: a rank is what comes before the run and half of what is in it."""
    x = cp.moveaxis(x, axis, -1)
    order = cp.argsort(x, axis=-1)
    ordered = cp.take_along_axis(x, order, axis=-1)
    run = cp.zeros(x.shape, cp.int64)
    cp.cumsum(ordered[..., 1:] != ordered[..., :-1], axis=-1, out=run[..., 1:])
    sizes = _add_along(cp.zeros(x.shape, cp.float64), cp.ones(x.shape), run, x.ndim - 1)
    before = cp.cumsum(sizes, axis=-1) - sizes
    ranks = cp.take_along_axis(before + (sizes + 1) / 2, run, axis=-1)
    result = cp.empty(x.shape, real)
    cp.put_along_axis(result, order, ranks.astype(real), axis=-1)
    return cp.moveaxis(result, -1, axis)


def _windows(x: Any, axes: Any, sizes: Any, strides: Any, dilations: Any) -> Array:
    """A view of all windows over some axes; the axes of a window stand behind the last of them."""
    shape, steps, inner = list(x.shape), list(x.strides), []
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        shape[axis] = (x.shape[axis] - dilation * (size - 1) - 1) // stride + 1
        if shape[axis] < 0:
            raise ValueError(f"windows of {size} are taken, but there are {x.shape[axis]}")
        steps[axis] *= stride
        inner.append(x.strides[axis] * dilation)
    last = axes[-1] + 1
    shape[last:last], steps[last:last] = sizes, inner
    return cp.lib.stride_tricks.as_strided(x, shape, steps)


def _product_before(x: Any, axis: int) -> Array:
    """Along an axis, the product of all elements before each."""
    x = cp.moveaxis(x, axis, 0)
    result = cp.ones(x.shape, x.dtype)
    result[1:] = cp.cumprod(x[:-1], axis=0)
    return cp.moveaxis(result, 0, axis)


def _recurrence(a: Any, b: Any, axis: int, reverse: bool) -> Array:
    """h[i] = b[i] + a[i]·h[i - 1] along an axis, by doubling the part of the sum that is known:
    W. D. Hillis and G. L. Steele, Data Parallel Algorithms (1986)."""
    way = -1 if reverse else 1
    h, a = (cp.moveaxis(x, axis, 0)[::way] for x in (b.copy(), a.copy()))
    step = 1
    while step < len(h):
        h[step:] += a[step:] * h[:-step]
        a[step:] *= a[:-step].copy()
        step *= 2
    return cp.moveaxis(h[::way], 0, axis)


def _orthogonal(shape: Any, seed: int, place: int, step: int, real: Any) -> Array:
    """Orthonormal columns, or rows where those are fewer."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    high = cp.empty((max(rows, columns), min(rows, columns)), cp.float64)
    _each(_kernels(cp.float64).normal, high.size, high, high.size, seed, np.uint64(place), step)
    q, r = cp.linalg.qr(high)
    q = q * cp.where(cp.diagonal(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).astype(real).reshape(shape)


HELPERS: list[Callable[..., Any]] = [
    _add_rows,
    _add_along,
    _ranks,
    _windows,
    _product_before,
    _recurrence,
    _orthogonal,
]
