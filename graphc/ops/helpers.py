"""NumPy functions that the source of some operators calls; printed into modules that use them."""

from __future__ import annotations

import inspect
import re
from functools import cache
from textwrap import dedent
from typing import Any

import numpy as np

from graphc.ops.draw_helpers import (
    _bernoulli,
    _bernoulli_into,
    _bernoulli_numbers,
    _normal,
    _normal_into,
    _normal_numbers,
    _orthogonal,
    _uniform,
    _uniform_into,
    _uniform_numbers,
    _uniform_source,
)

Array = Any


def _taken(x: Any, shape: Any) -> Array:
    """A slice, whole: where an axis is too short, NumPy takes fewer elements in silence."""
    if x.shape != shape:
        raise ValueError(f"a slice of shape {shape} is taken, but there is {x.shape}")
    return np.asarray(x)


def _placed(d: Any, shape: Any, index: Any) -> Array:
    """Zeros with `d` at `index`."""
    result = np.zeros(shape, dtype=np.asarray(d).dtype)
    result[index] = d
    return result


def _check_range(index: Any, size: int, extreme: Any) -> None:
    """IndexError unless all of -size <= index < size; `extreme` is scratch for one integer."""
    if not index.size:
        return
    # seen as unsigned, a negative index is a large one: mostly there is none
    unsigned = extreme.view(np.uint64)
    np.maximum.reduce(index.view(np.uint64), axis=None, out=unsigned)
    if int(unsigned) < size:
        return
    lowest = int(np.minimum.reduce(index, axis=None, out=extreme))
    highest = int(np.maximum.reduce(index, axis=None, out=extreme))
    if lowest < -size or highest >= size:
        wrong = highest if highest >= size else lowest
        raise IndexError(f"index {wrong} is out of bounds for axis 0 with size {size}")


def _add_rows(out: Any, d: Any, index: Any) -> Array:
    """The rows of `d` added to those of `out` at `index`."""
    index, width = np.asarray(index), int(np.prod(out.shape[1:]))
    firsts, places = np.empty_like(index), np.empty((*index.shape, width), dtype=np.int64)
    _add_rows_into(out, d, index, np.arange(width), firsts, places)
    return out


def _add_rows_into(out: Any, d: Any, index: Any, columns: Any, firsts: Any, places: Any) -> None:
    """The rows of `d` added to those of `out` at `index`; flat, which is several times as fast.
    `columns` counts the elements of a row; `firsts`, of the first of a row, and `places`, of all
    of them, are scratch for positions."""
    firsts.fill(columns.size)
    np.multiply(firsts, index, out=firsts)
    np.add(firsts[..., None], columns, out=places)
    np.add.at(out.reshape(-1), places.reshape(-1), np.ravel(d))


def _add_along(out: Any, d: Any, index: Any, axis: int) -> Array:
    """The elements of `d` added to `out` at the positions that `index` holds along an axis."""
    places = list(np.ogrid[tuple(slice(size) for size in index.shape)])
    places[axis] = index
    flat = np.ravel_multi_index(tuple(places), out.shape, mode="wrap")
    np.add.at(out.reshape(-1), flat.reshape(-1), np.ravel(d))
    return out


def _ranks(x: Any, axis: int, real: Any) -> Array:
    """Ranks from 1 along an axis; equal elements share the mean of theirs."""
    x = np.moveaxis(np.asarray(x), axis, -1)
    order = np.argsort(x, axis=-1, kind="stable")
    inside = np.take_along_axis(x, order, axis=-1)
    inside = inside[..., 1:] == inside[..., :-1]
    edge, places = np.zeros((*x.shape[:-1], 1), bool), np.arange(x.shape[-1])
    first = np.where(np.concatenate([edge, inside], axis=-1), 0, places)
    last = np.where(np.concatenate([inside, edge], axis=-1), x.shape[-1], places)
    first = np.maximum.accumulate(first, axis=-1)
    last = np.minimum.accumulate(last[..., ::-1], axis=-1)[..., ::-1]
    result = np.empty(x.shape, real)
    np.put_along_axis(result, order, ((first + last) / 2 + 1).astype(real), axis=-1)
    return np.moveaxis(result, -1, axis)


def _windows(x: Any, axes: Any, sizes: Any, strides: Any, dilations: Any) -> Array:
    """A view of all windows over some axes; the axes of a window stand behind the last of them."""
    x = np.asarray(x)
    shape, steps, inner = list(x.shape), list(x.strides), []
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        shape[axis] = (x.shape[axis] - dilation * (size - 1) - 1) // stride + 1
        steps[axis] *= stride
        inner.append(x.strides[axis] * dilation)
    last = axes[-1] + 1
    shape[last:last], steps[last:last] = sizes, inner
    return np.lib.stride_tricks.as_strided(x, shape, steps, writeable=False)


def _add_windows(out: Any, d: Any, axes: Any, sizes: Any, strides: Any, dilations: Any) -> Array:
    """Every window added to where `_windows` takes it from: one addition a place in a window."""
    before = (slice(None),) * (axes[-1] + 1)
    places: Any = [()]
    for size in sizes:
        places = [(*place, at) for place in places for at in range(size)]
    for place in places:
        target = [slice(None)] * out.ndim
        for axis, at, stride, dilation in zip(axes, place, strides, dilations, strict=True):
            first = at * dilation
            target[axis] = slice(first, first + stride * (d.shape[axis] - 1) + 1, stride)
        out[tuple(target)] += d[before + place]
    return out


def _at_labels(d: Any, labels: Any, classes: int) -> Array:
    """Zeros with a new last axis, `d` at each label."""
    here = np.asarray(labels)[..., None] == np.arange(classes)
    return np.where(here, np.asarray(d)[..., None], 0)


def _select(out: Any, condition: Any, x: Any, y: Any) -> None:
    """`x` where the condition holds, else `y`. Of large arrays by their bits, which is up to ten
    times as fast as a choice an element: those are hard to foresee for a processor."""
    if out.size <= 1024 or condition.ndim < 2 or not x.dtype == y.dtype == out.dtype:
        np.copyto(out, y)
        np.copyto(out, x, where=condition)
        return
    word = f"i{out.itemsize}"
    x, y, bits = x.view(word), y.view(word), out.view(word)
    np.bitwise_xor(x, y, out=bits)
    np.multiply(bits, condition, out=bits)
    np.bitwise_xor(bits, y, out=bits)


def _polynomial(x: Any, coefficients: Any, out: Any) -> Array:
    """Horner's rule; highest power first."""
    np.multiply(x, coefficients[0], out=out)
    for coefficient in coefficients[1:-1]:
        np.add(out, coefficient, out=out)
        np.multiply(out, x, out=out)
    return np.add(out, coefficients[-1], out=out)


def _erf(x: Any) -> Array:
    """Error function."""
    x = np.asarray(x)
    out, y, z, p, q = (np.empty_like(x) for _ in range(5))
    far = np.empty(x.shape, np.bool_)
    _erf_function(y, z, p, q, far, _erf_numbers(x.dtype))(x, out)
    return out[()]


def _erf_numbers(real: Any) -> Any:
    """Coefficients of the error function near 0 and far from it, highest power first: W. J. Cody,
    Rational Chebyshev Approximations for the Error Function, Mathematics of Computation 23 (1969);
    and 1, where far begins, and where all is 1."""
    near_p = [1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2]
    near_q = [1.0, 2.36012909523441209e1, 2.44024637934444173e2]
    near_p += [3.77485237685302021e2, 3.20937758913846947e3]
    near_q += [1.28261652607737228e3, 2.84423683343917062e3]
    far_p = [2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594]
    far_q = [1.0, 1.57449261107098347e1, 1.17693950891312499e2]
    far_p += [6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2]
    far_q += [5.37181101862009858e2, 1.62138957456669019e3, 3.29079923573345963e3]
    far_p += [1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3]
    far_q += [4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3]
    rows = (near_p, near_q, far_p, far_q, [1.0, 0.46875, 6.0])
    return [[np.array(number, dtype=real) for number in row] for row in rows]


def _erf_function(y: Any, z: Any, p: Any, q: Any, far: Any, numbers: Any) -> Any:
    """A function of (x, out): the error function by rational approximations. What is given first
    is scratch of the shape of x, the last of it for truth values."""
    over_near, under_near, over_far, under_far, (one, edge, largest) = numbers

    def erf(x, out):  # type: ignore[no-untyped-def]
        np.absolute(x, out=y)
        np.minimum(y, largest, out=y)
        np.multiply(y, y, out=z)
        np.divide(_polynomial(z, over_near, p), _polynomial(z, under_near, q), out=p)
        np.multiply(y, p, out=out)
        np.divide(_polynomial(y, over_far, p), _polynomial(y, under_far, q), out=p)
        np.exp(np.negative(z, out=z), out=z)
        np.subtract(one, np.multiply(z, p, out=p), out=p)
        np.copyto(out, p, where=np.greater_equal(y, edge, out=far))
        np.copysign(out, x, out=out)

    return erf


def _product_before(x: Any, axis: int) -> Array:
    """Along an axis, the product of all elements before each."""
    x = np.moveaxis(np.asarray(x), axis, 0)
    result = np.ones_like(x)
    np.cumprod(x[:-1], axis=0, out=result[1:])
    return np.moveaxis(result, 0, axis)


def _recurrence(a: Any, b: Any, axis: int, reverse: bool) -> Array:
    """h[i] = b[i] + a[i]·h[i - 1] along an axis."""
    out, factors, products = (np.empty_like(b) for _ in range(3))
    _recurrence_into(out, a, b, axis, reverse, factors, products)
    return out


def _recurrence_into(
    out: Any, a: Any, b: Any, axis: int, reverse: bool, factors: Any, products: Any
) -> None:
    """h[i] = b[i] + a[i]·h[i - 1] along an axis, by doubling the part of the sum that is known:
    W. D. Hillis and G. L. Steele, Data Parallel Algorithms (1986). `factors` and `products` are
    scratch."""
    np.copyto(out, b)
    np.copyto(factors, a)
    way = -1 if reverse else 1
    h, a, new = (np.moveaxis(x, axis, 0)[::way] for x in (out, factors, products))
    step = 1
    while step < len(h):
        np.multiply(a[step:], h[:-step], out=new[step:])
        np.add(h[step:], new[step:], out=h[step:])
        np.multiply(a[step:], a[:-step], out=new[step:])
        np.copyto(a[step:], new[step:])
        step *= 2


FUNCTIONS = [
    _uniform_source,
    _uniform,
    _uniform_numbers,
    _uniform_into,
    _normal,
    _normal_numbers,
    _normal_into,
    _orthogonal,
    _bernoulli,
    _bernoulli_numbers,
    _bernoulli_into,
    _taken,
    _placed,
    _check_range,
    _add_rows,
    _add_rows_into,
    _add_along,
    _ranks,
    _windows,
    _add_windows,
    _at_labels,
    _select,
    _polynomial,
    _erf,
    _erf_numbers,
    _erf_function,
    _product_before,
    _recurrence,
    _recurrence_into,
]


@cache
def plain_source(function: Any) -> str:
    """Source without annotations: the printed module is plain Python. A function's file is read
    once: who prunes compiles one model several times."""
    source = re.sub(r"  # (type: ignore|noqa).*", "", dedent(inspect.getsource(function)))
    head, body = source.split(":\n", 1)
    body = re.sub(r"(?m)^(\s+[\w.]+): [^=\n]+ = ", r"\1 = ", body)
    parameters = inspect.signature(function).parameters.values()
    names = ", ".join(str(each.replace(annotation=each.empty)) for each in parameters)
    assert head.startswith("def ")
    return f"def {function.__name__}({names}):\n{body.rstrip()}\n"


_BY_NAME = {function.__name__: function for function in FUNCTIONS}


def helper_source(name: str) -> str:
    """Source of a helper, read when it is first printed: most commands print none."""
    return plain_source(_BY_NAME[name])


def helpers_used(source: str) -> list[str]:
    """Names of the helpers that a text calls, those that they call included, in a fixed order."""
    used: set[str] = set()
    texts = [source]
    while texts:
        called = set(_CALL.findall(texts.pop())) & _BY_NAME.keys()
        texts.extend(helper_source(name) for name in called - used)
        used |= called
    return [name for name in _BY_NAME if name in used]


_CALL = re.compile(r"\b(_\w+)\(")
