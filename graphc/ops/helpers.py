"""NumPy functions that the source of some operators calls; printed into modules that use them."""

from __future__ import annotations

import inspect
import re
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


def _placed(d: Any, shape: Any, index: Any) -> Array:
    """Zeros with `d` at `index`."""
    result = np.zeros(shape, dtype=d.dtype)
    result[index] = d
    return result


def _added_rows(d: Any, index: Any, shape: Any) -> Array:
    """Zeros with the rows of `d` added at `index`."""
    result = np.zeros(shape, dtype=d.dtype)
    np.add.at(result, index, d)
    return result


def _at_labels(d: Any, labels: Any, classes: int) -> Array:
    """Zeros with a new last axis, `d` at each label."""
    here = np.asarray(labels)[..., None] == np.arange(classes)
    return np.where(here, np.asarray(d)[..., None], 0)


FUNCTIONS = [
    _words,
    _word_source,
    _uniform,
    _uniform_of,
    _normal,
    _normal_of,
    _bernoulli,
    _threshold,
    _lanes,
    _placed,
    _added_rows,
    _at_labels,
]


def plain_source(function: Any) -> str:
    """Source without annotations: the printed module is plain Python."""
    source = re.sub(r"  # (type: ignore|noqa).*", "", inspect.getsource(function))
    head, body = source.split(":\n", 1)
    body = re.sub(r"(?m)^(\s+\w+): [^=\n]+ = ", r"\1 = ", body)
    names = ", ".join(inspect.signature(function).parameters)
    assert head.startswith("def ")
    return f"def {function.__name__}({names}):\n{body.rstrip()}\n"


HELPERS: dict[str, str] = {function.__name__: plain_source(function) for function in FUNCTIONS}
"""Source of each helper by name."""


def helpers_used(source: str) -> list[str]:
    """Names of the helpers that a text calls, those that they call included, in a fixed order."""
    used: set[str] = set()
    texts = [source]
    while texts:
        called = set(_CALL.findall(texts.pop())) & HELPERS.keys()
        texts.extend(HELPERS[name] for name in called - used)
        used |= called
    return [name for name in HELPERS if name in used]


_CALL = re.compile(r"\b(_\w+)\(")
