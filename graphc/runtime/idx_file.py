"""Reading IDX files, the format of MNIST: one array of numbers in a file, plain or under gzip.

Two zero bytes, a byte for the type, a byte for the rank; the size of each dimension in four bytes;
then the values, C order, everything big-endian. A header may announce anything, so nothing is set
aside for the values before the file is known to be long enough to hold them.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphc.runtime.errors import RunError
from graphc.runtime.face import Array
from graphc.runtime.wording import count

__all__ = ["describe_idx", "is_idx", "read_idx"]

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_GZIP_RATIO = 1032
"""No byte of a gzip file unpacks to more than this: 258 bytes from two bits."""
_MOST_DIMENSIONS = 32


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """The length of the values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def length(self) -> int:
        """The length of the header itself."""
        return 4 + 4 * len(self.shape)


def read_idx(path: Path) -> Array:
    """The array of the file in its own type, big-endian where that has more than one byte."""
    with _opened(path) as (stream, most):
        header = _header(stream, path)
        if header.length + header.bytes > most:
            raise _cut_short(path, header)
        values = np.empty(header.bytes, dtype=np.uint8)
        _fill(values, stream, header, path)
        # At the end, gzip also compares its checksum.
        if stream.read(1):
            raise RunError(
                f"{path} goes on after the {_announced(header)} that it announces",
                help="it is damaged, or no IDX file; copy it again",
            )
    return values.view(header.dtype).reshape(header.shape)


def describe_idx(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type, from the header alone."""
    with _opened(path) as (stream, _):
        header = _header(stream, path)
    return header.shape, header.dtype


def is_idx(path: Path) -> bool:
    """Whether a file begins as an IDX file does."""
    try:
        describe_idx(path)
    except RunError:
        return False
    return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedIOBase, int]]:
    """The unpacked bytes, and how many there are at most; what goes wrong becomes a RunError."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            packed = file.read(2) == _GZIP
            file.seek(0)
            if not packed:
                yield file, size
                return
            with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
                yield unpacked, size * _GZIP_RATIO
    except (OSError, EOFError, zlib.error) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise RunError(
            f"cannot read {path}: {reason}", help="the file may be damaged; copy it again"
        ) from problem
    except MemoryError as problem:
        raise RunError(f"{path} does not fit in memory", help="use fewer examples") from problem


def _header(stream: io.BufferedIOBase, path: Path) -> _Header:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise RunError(
            f"{path} is not an IDX file: it begins with {magic.hex(' ') or 'nothing'}",
            help="an IDX file begins with 00 00, its type and its number of dimensions, "
            "as in 00 00 08 03",
        )
    rank = magic[3]
    if not 1 <= rank <= _MOST_DIMENSIONS:
        raise RunError(
            f"{path} announces {count(rank, 'dimension')}",
            help=f"an array of examples has from 1 to {_MOST_DIMENSIONS}",
        )
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise RunError(f"{path} is cut short: its header is not whole", help="copy it again")
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    if 0 in shape[1:]:
        raise RunError(
            f"the examples of {path} are empty: its dimensions are {_product(shape)}",
            help="give every dimension at least one value",
        )
    return _Header(shape, np.dtype(_TYPES[magic[2]]))


def _fill(values: Array, stream: io.BufferedIOBase, header: _Header, path: Path) -> None:
    view, filled = values.data, 0
    while filled < len(view):
        got = stream.readinto(view[filled:])
        if not got:
            raise _cut_short(path, header)
        filled += got


def _cut_short(path: Path, header: _Header) -> RunError:
    return RunError(
        f"{path} is cut short: it announces {_announced(header)}, and holds fewer",
        help="copy it again",
    )


def _announced(header: _Header) -> str:
    return f"{_product(header.shape)} values"


def _product(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size}" for size in shape)
