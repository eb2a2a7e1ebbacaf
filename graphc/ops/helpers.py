"""NumPy functions that the source of some operators calls; printed into modules that use them."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any

import numpy as np

Array = Any


def _words(count: int, seed: int, place: int, step: int) -> Array:
    """`count` 64-bit words that depend only on (seed, place, step): Philox4x64-10."""
    counter = np.array([0, 0, step, 0], dtype=np.uint64)
    key = np.array([seed, place], dtype=np.uint64)
    return np.random.Philox(counter=counter, key=key).random_raw(count)


def _word_source(seed: int, place: int) -> Any:
    """`_words` at one place from one generator: making one takes longer than a small draw."""
    generator = np.random.Philox(counter=0, key=np.array([seed, place], dtype=np.uint64))
    start = generator.state
    counter = start["state"]["counter"]

    def words(count, step):  # type: ignore[no-untyped-def]
        counter[2] = step
        generator.state = start
        return generator.random_raw(count)

    return words


def _uniform(shape: Any, seed: int, place: int, step: int, real: Any) -> Array:
    """Uniform on [0, 1)."""
    return _uniform_of(_words(int(np.prod(shape)), seed, place, step), shape, real)


def _uniform_of(words: Any, shape: Any, real: Any) -> Array:
    """Uniform on [0, 1): the leading bits of one word an element."""
    bits = np.finfo(real).nmant + 1
    return ((words >> np.uint64(64 - bits)) * real(2.0**-bits)).astype(real).reshape(shape)


def _normal(shape: Any, seed: int, place: int, step: int, real: Any) -> Array:
    """Standard normal."""
    return _normal_of(_words(2 * int(np.prod(shape)), seed, place, step), shape, real)


def _normal_of(words: Any, shape: Any, real: Any) -> Array:
    """Standard normal by Box and Muller: two words an element."""
    u = (words >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(1.0 - u[0::2]))
    return (radius * np.cos(2.0 * np.pi * u[1::2])).astype(real).reshape(shape)


def _orthogonal(shape: Any, seed: int, place: int, step: int, real: Any) -> Array:
    """Orthonormal columns, or rows where those are fewer."""
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    high = (max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(_normal(high, seed, place, step, np.float64))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).astype(real).reshape(shape)


def _bernoulli(p: float, shape: Any, seed: int, place: int, step: int) -> Array:
    """True with probability p, in steps of 1/65536."""
    count = int(np.prod(shape))
    return _lanes(_words((count + 3) // 4, seed, place, step), shape) < _threshold(p)


def _threshold(p: float) -> int:
    """What a lane stays below with probability p."""
    return round(float(p) * 65536)


def _lanes(words: Any, shape: Any) -> Array:
    """16 bits of the words an element, lowest first."""
    lanes = words.astype("<u8", copy=False).view("<u2")
    return lanes[: int(np.prod(shape))].reshape(shape)


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


def _add_rows(out: Any, d: Any, index: Any) -> Array:
    """The rows of `d` added to those of `out` at `index`; flat, which is several times as fast."""
    width = int(np.prod(out.shape[1:]))
    places = np.asarray(index).reshape(-1, 1) * width + np.arange(width)
    np.add.at(out.reshape(-1), places.reshape(-1), np.ravel(d))
    return out


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
    for place in np.ndindex(*sizes):
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


def _polynomial(x: Any, coefficients: Any) -> Array:
    """Horner's rule; highest power first."""
    result = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        result += coefficient
        result *= x
    return result + coefficients[-1]


def _erf(x: Any) -> Array:
    """Error function by rational approximations: W. J. Cody, Rational Chebyshev Approximations
    for the Error Function, Mathematics of Computation 23 (1969)."""
    y = np.minimum(np.abs(x), 6.0)
    z = y * y
    p = [1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2]
    q = [1.0, 2.36012909523441209e1, 2.44024637934444173e2]
    p += [3.77485237685302021e2, 3.20937758913846947e3]
    q += [1.28261652607737228e3, 2.84423683343917062e3]
    near = y * (_polynomial(z, p) / _polynomial(z, q))
    p = [2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594]
    q = [1.0, 1.57449261107098347e1, 1.17693950891312499e2]
    p += [6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2]
    q += [5.37181101862009858e2, 1.62138957456669019e3, 3.29079923573345963e3]
    p += [1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3]
    q += [4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3]
    far = 1.0 - np.exp(-z) * (_polynomial(y, p) / _polynomial(y, q))
    return np.copysign(np.where(y < 0.46875, near, far), x)


def _product_before(x: Any, axis: int) -> Array:
    """Along an axis, the product of all elements before each."""
    x = np.moveaxis(np.asarray(x), axis, 0)
    result = np.ones_like(x)
    np.cumprod(x[:-1], axis=0, out=result[1:])
    return np.moveaxis(result, 0, axis)


def _recurrence(a: Any, b: Any, axis: int, reverse: bool) -> Array:
    """h[i] = b[i] + a[i]·h[i - 1] along an axis, by doubling the part of the sum that is known:
    W. D. Hillis and G. L. Steele, Data Parallel Algorithms (1986)."""
    result = np.array(b)
    way = -1 if reverse else 1
    h = np.moveaxis(result, axis, 0)[::way]
    a = np.moveaxis(np.array(a), axis, 0)[::way]
    step = 1
    while step < len(h):
        h[step:] += a[step:] * h[:-step]
        a[step:] *= a[:-step].copy()
        step *= 2
    return result


FUNCTIONS = [
    _words,
    _word_source,
    _uniform,
    _uniform_of,
    _normal,
    _normal_of,
    _orthogonal,
    _bernoulli,
    _threshold,
    _lanes,
    _taken,
    _placed,
    _add_rows,
    _add_along,
    _ranks,
    _windows,
    _add_windows,
    _at_labels,
    _polynomial,
    _erf,
    _product_before,
    _recurrence,
]


def plain_source(function: Any) -> str:
    """Source without annotations: the printed module is plain Python."""
    source = re.sub(r"  # (type: ignore|noqa).*", "", inspect.getsource(function))
    head, body = source.split(":\n", 1)
    body = re.sub(r"(?m)^(\s+\w+): [^=\n]+ = ", r"\1 = ", body)
    names = ", ".join(inspect.signature(function).parameters)
    assert head.startswith("def ")
    return f"def {function.__name__}({names}):\n{body.rstrip()}\n"


_BY_NAME = {function.__name__: function for function in FUNCTIONS}


@cache
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
