"""NumPy functions that draws call; ``helpers`` prints them into modules that use them.

A word of the generator is a uniform number of 53 bits; everything else is made of those.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def _uniform_source(seed: int, place: int) -> Any:
    """A function that fills an array with the uniform numbers of a place at a step, 53 bits each:
    Philox4x64-10. The generator is kept: making one takes longer than a small draw."""
    generator = np.random.Philox(counter=0, key=np.array([seed, place], dtype=np.uint64))
    random, counter = np.random.Generator(generator).random, [0, 0, 0, 0]
    # lists, since a state of arrays takes longer to set
    block = {"counter": counter, "key": [seed, place]}
    start: Any = {**generator.state, "state": block, "buffer": [0, 0, 0, 0]}

    def fill(out, step):  # type: ignore[no-untyped-def]
        counter[2] = step
        generator.state = start
        random(out=out)

    return fill


def _uniform(shape: Any, seed: int, place: int, step: int, real: Any) -> Array:
    """Uniform on [0, 1)."""
    out = np.empty(shape, real)
    numbers = _uniform_numbers(real)
    _uniform_into(out, np.empty(out.size), _uniform_source(seed, place), numbers)(step)
    return out


def _uniform_numbers(real: Any) -> Any:
    """2 to the number of bits that a type holds, and its inverse, as arrays."""
    bits = np.finfo(real).nmant + 1
    return np.array(2.0**bits), np.array(2.0**-bits)


def _uniform_into(out: Any, scratch: Any, fill: Any, numbers: Any) -> Any:
    """A function of the step that fills `out` with uniform numbers on [0, 1), as many leading
    bits of a word each as `out` holds; `scratch` has 8 bytes an element."""
    flat = out.reshape(-1)
    if out.dtype == np.float64:
        return lambda step: fill(flat, step)
    u, (up, down) = scratch.view(np.float64)[: out.size], numbers

    def draw(step):  # type: ignore[no-untyped-def]
        fill(u, step)
        np.multiply(u, up, out=u)
        np.floor(u, out=u)
        np.multiply(u, down, out=flat)

    return draw


def _normal(shape: Any, seed: int, place: int, step: int, real: Any) -> Array:
    """Standard normal."""
    out = np.empty(shape, real)
    fill = _uniform_source(seed, place)
    _normal_into(out, np.empty(2 * out.size), fill, _normal_numbers())(step)
    return out


def _normal_numbers() -> Any:
    """1, −2 and 2·π as arrays."""
    return np.array(1.0), np.array(-2.0), np.array(2.0 * np.pi)


def _normal_into(out: Any, scratch: Any, fill: Any, numbers: Any) -> Any:
    """A function of the step that fills `out` with standard normal numbers by Box and Muller, two
    words each; `scratch` has 16 bytes an element."""
    flat, (one, minus_two, turn) = out.reshape(-1), numbers
    u = scratch.view(np.float64)[: 2 * out.size]
    radius, angle = u[0::2], u[1::2]

    def draw(step):  # type: ignore[no-untyped-def]
        fill(u, step)
        np.subtract(one, radius, out=radius)
        np.log(radius, out=radius)
        np.multiply(minus_two, radius, out=radius)
        np.sqrt(radius, out=radius)
        np.multiply(turn, angle, out=angle)
        np.cos(angle, out=angle)
        np.multiply(radius, angle, out=flat)

    return draw


def _orthogonal(shape: Any, seed: int, place: int, step: int, real: Any) -> Array:
    """Orthonormal columns, or rows where those are fewer."""
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    high = (max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(_normal(high, seed, place, step, np.float64))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).astype(real).reshape(shape)


def _bernoulli(p: float, shape: Any, seed: int, place: int, step: int) -> Array:
    """True with probability p, in steps of 1/65536."""
    out = np.empty(shape, np.bool_)
    fill = _uniform_source(seed, place)
    _bernoulli_into(out, np.empty(out.size // 3 + 1), fill, _bernoulli_numbers())(p, step)
    return out


def _bernoulli_numbers() -> Any:
    """16, shifts by 16 and 32 bits, and two places for numbers of a step, as arrays."""
    by_16, by_32 = np.array(16, dtype=np.uint64), np.array(32, dtype=np.uint64)
    return np.array(16.0), by_16, by_32, np.empty(()), np.empty((), dtype=np.uint64)


def _bernoulli_into(out: Any, scratch: Any, fill: Any, numbers: Any) -> Any:
    """A function of p and the step that fills `out` with truth values, true with probability p in
    steps of 1/65536. A uniform number serves one element of each third of `out`, by 16 bits for
    each, the leading ones first; `scratch` has 8 bytes for three elements."""
    flat, (sixteen, by_16, by_32, level, limit) = out.reshape(-1), numbers
    third = -(-out.size // 3)
    u = scratch.view(np.float64)[:third]
    bits = u.view(np.uint64)
    first, second, last = flat[:third], flat[third : 2 * third], flat[2 * third :]
    bits_of_second, bits_of_last = bits[: second.size], bits[: last.size]

    def draw(p, step):  # type: ignore[no-untyped-def]
        threshold = round(float(p) * 65536)
        if not 0 < threshold < 65536:
            flat.fill(threshold > 0)
            return
        level[()] = 16 + threshold / 65536
        limit[()] = threshold << 48
        fill(u, step)
        np.add(u, sixteen, out=u)  # its lowest 48 bits are u to 48 binary places
        np.less(u, level, out=first)
        np.left_shift(bits, by_32, out=bits)
        np.less(bits_of_second, limit, out=second)
        np.left_shift(bits, by_16, out=bits)
        np.less(bits_of_last, limit, out=last)

    return draw
