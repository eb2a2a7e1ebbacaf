"""Functions of the ``Trainer`` over fixed arrays, printed as they are but without annotations.

Those that other targets print too are in ``printing/support.py``. The names below stand for what
the printed module defines itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.backends.printing.support import FLAT

__all__ = ["TRAINING"]

TILE = 131072
signature: dict[str, Any] = {}


def _largest(labels: Any, out: Any) -> int:
    """The largest label, seen as unsigned: a negative one is a large one. `out` takes a number."""
    return int(np.maximum.reduce(labels.view(np.uint64), axis=None, initial=0, out=out))


def _misfit(name: str, array: Any) -> ValueError:
    """The error for an array of the wrong shape."""
    entry = signature["inputs"].get(name) or signature["targets"][name]
    return ValueError(f"{name} has shape {array.shape}, not {entry['shape']}")


def _arena(sizes: list[int]) -> list[Any]:
    """One block of memory in pieces of those numbers of bytes, each from a multiple of 64 on."""
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // 64) * 64)
    block = np.empty(starts[-1] + 64, dtype=np.uint8)
    first = -block.ctypes.data % 64
    pairs = zip(starts[:-1], sizes, strict=True)
    return [block[first + start : first + start + size] for start, size in pairs]


def _single(function: Any) -> Any:
    """A NumPy function of single numbers that makes no array."""
    boxes, out = [np.empty(()) for _ in range(function.nin)], np.empty(())

    def apply(*values):  # type: ignore[no-untyped-def]
        for box, value in zip(boxes, values, strict=True):
            box[()] = value
        function(*boxes, out=out)
        return out[()]

    return apply


def _count(x: Any, start: int, step: int) -> None:
    """Fill a vector with start, start + step, and so on."""
    x.fill(step)
    x[:1].fill(start)
    np.add.accumulate(x, out=x)


def _tiles(arrays: list[Any], scratch: list[Any]) -> list[tuple[Any, ...]]:
    """Pieces of long arrays that fit the processor's cache, with scratch arrays as long."""
    size = len(arrays[0])
    return [
        (
            *(a[start : start + TILE] for a in arrays),
            *(s[: min(TILE, size - start)] for s in scratch),
        )
        for start in range(0, size, TILE)
    ]


_KNOWN, *_REST = FLAT
TRAINING: list[Callable[..., Any]] = [
    _KNOWN,
    _largest,
    *_REST,
    _misfit,
    _arena,
    _single,
    _count,
    _tiles,
]
