"""What is left of parameters too large to draw each weight: their matrices as pixels.

Inputs (of a kernel its window and channels) go across, units down. A pixel is a weight, or where
the matrix is larger than the picture a block of weights, then as dark as the share of them that is
kept.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.rendering.pictures.diagram import Box, Diagram, Image, Line
from graphc.rendering.pictures.network_strokes import NEGATIVE, POSITIVE
from graphc.rendering.pictures.placing import Area, Placed, extent
from graphc.rendering.pictures.wording import visible

__all__ = ["Pruned", "as_matrix", "darkness", "draw_matrices", "levels", "share"]

WIDEST, HIGHEST = 960, 360
"""Pixels of a matrix in the picture; of more than FEW matrices half as high where they can be."""
FEW = 8
LARGEST_CELL = 10
ACROSS = 1000.0
"""Pixels of a row of matrices."""
GAP = 18.0
FAINTEST = 0.3
"""How strong the colour of the smallest kept weight is, twice the grey of a block with few."""

Reals = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pruned:
    """A parameter of any shape, and what is kept of it."""

    name: str
    values: Reals
    kept: Mask


def as_matrix(array: NDArray[Any]) -> NDArray[Any]:
    """As it is drawn, ``[units, inputs]``: a kernel's window and channels are its inputs, a vector
    is one row."""
    return array.reshape(-1, array.shape[-1]).T if array.ndim > 1 else array.reshape(1, -1)


def draw_matrices(title: str, parameters: Sequence[Pruned], notes: Sequence[str]) -> Placed:
    """The picture, matrices beside and below each other in the order given."""
    highest = HIGHEST if len(parameters) <= FEW else HIGHEST // 2
    boxes = tuple(_box(number, pruned, highest) for number, pruned in enumerate(parameters))
    sizes = [_block(as_matrix(pruned.kept).shape) for pruned in parameters]
    told = [*notes, *_legend(sizes)]
    areas = _in_rows(boxes)
    width = max((area.x + area.width / 2 for area in areas.values()), default=0.0)
    height = max((area.y + area.height / 2 for area in areas.values()), default=0.0)
    return Placed(Diagram(title, boxes, (), notes=tuple(told)), width, height, areas, {}, {})


def share(left: int, total: int) -> str:
    """``1,234 of 5,678 left (21.7%)``, never rounded to none or all."""
    percent = 100 * left / total if total else 100.0
    text = f"{percent:.3g}"
    if 0 < left < total and text in ("0", "100"):
        text = "<0.1" if text == "0" else ">99.9"
    return f"{left:,} of {total:,} left ({text}%)"


def _legend(blocks: Sequence[tuple[int, int]]) -> Iterator[str]:
    across = "inputs across (of a kernel window × channels), units down, a vector in a row"
    yield f"{across}; white: removed"
    if (1, 1) in blocks:
        yield "a pixel is a weight: red positive, blue negative, the stronger the larger"
    if any(block != (1, 1) for block in blocks):
        yield "where a pixel is several weights, it is the darker the more of them are left"


# -------------------------------------------------------------------------------- boxes


def _box(number: int, pruned: Pruned, highest: int) -> Box:
    kept = as_matrix(pruned.kept)
    size = "×".join(map(str, pruned.kept.shape)) or "1"
    block = _block(kept.shape)
    lines = [
        Line(f"{visible(pruned.name)} [{size}]", "name"),
        Line(share(int(kept.sum()), kept.size), "formula"),
    ]
    if pruned.kept.ndim > 1:
        inputs, units = (int((~kept.any(axis=axis)).sum()) for axis in (0, 1))
        empty = f"{inputs:,} of {kept.shape[1]:,} inputs, {units:,} of {len(kept):,} units"
        lines.append(Line(f"without a weight: {empty}", "type"))
    if block != (1, 1):
        lines.append(Line(f"a pixel: {block[1]}×{block[0]} weights", "type"))
    image = _image(as_matrix(pruned.values), kept, highest)
    return Box(f"matrix-{number}", "matrix", pruned.name, tuple(lines), image=image)


def _in_rows(boxes: Sequence[Box]) -> dict[str, Area]:
    areas: dict[str, Area] = {}
    left = top = below = 0.0
    for box in boxes:
        width, height = extent(box)
        if left and left + width > ACROSS:
            left, top = 0.0, below + GAP
        areas[box.key] = Area(left + width / 2, top + height / 2, width, height)
        left += width + GAP
        below = max(below, top + height)
    return areas


# ------------------------------------------------------------------------------- pixels


def _image(values: Reals, kept: Mask, highest: int) -> Image:
    """The picture of ``[down, across]``."""
    block = _block(kept.shape)
    if block == (1, 1):
        cells, palette = levels(values, kept), _signs()
    else:
        cells, palette = darkness(kept, block), _greys()
    high, wide = cells.shape
    cell = max(1, min(WIDEST // wide, highest // high, LARGEST_CELL))
    return Image(_png(cells, palette), wide * cell, high * cell)


def _block(shape: tuple[int, ...]) -> tuple[int, int]:
    """Down and across, how many weights of a matrix are one pixel."""
    down, across = shape
    return max(math.ceil(down / HIGHEST), 1), max(math.ceil(across / WIDEST), 1)


def levels(values: Reals, kept: Mask) -> Pixels:
    """A colour for each weight: 0 removed, 1…127 negative from the largest on, 128…254 positive up
    to the largest, by size against that which 99% do not exceed."""
    sizes = np.abs(np.where(np.isfinite(values), values, 0.0))
    found = sizes[kept]
    most = float(np.quantile(found, 0.99)) if found.size else 0.0
    steps = np.rint(126 * np.clip(sizes / most if most else sizes, 0, 1))
    colors = np.where(values < 0, 127 - steps, 128 + steps)
    return np.where(kept, colors, 0).astype(np.uint8)


def darkness(kept: Mask, block: tuple[int, int]) -> Pixels:
    """A grey for each block: 0 where nothing is kept, up to 255 where everything is. Blocks at the
    edge count the weights that they have."""
    rows, columns = (np.arange(0, n, step) for n, step in zip(kept.shape, block, strict=True))
    counts = np.add.reduceat(np.add.reduceat(kept.astype(np.int64), rows, 0), columns, 1)
    high, wide = (
        np.diff(starts, append=n) for starts, n in zip((rows, columns), kept.shape, strict=True)
    )
    greys: Pixels = np.ceil(255 * counts / np.outer(high, wide)).astype(np.uint8)
    return greys


def _signs() -> Pixels:
    """The palette of :func:`levels`."""
    strength = np.linspace(FAINTEST, 1, 127)
    positive, negative = _mixed(POSITIVE, strength), _mixed(NEGATIVE, strength[::-1])
    return np.concatenate([_mixed(POSITIVE, np.zeros(1)), negative, positive])


def _greys() -> Pixels:
    """The palette of :func:`darkness`."""
    return _mixed("#222222", np.append(0.0, np.linspace(FAINTEST / 2, 1, 255)))


def _mixed(color: str, strength: Reals) -> Pixels:
    """``[n, 3]``: a colour in white, from none at 0 to nothing else at 1."""
    full = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float64)
    mixed: Pixels = np.rint(255 + np.outer(strength, full - 255)).astype(np.uint8)
    return mixed


def _png(cells: Pixels, palette: Pixels) -> bytes:
    """A PNG file (W3C, 2003) of colours by number; what graphc needs of that format is this."""
    high, wide = cells.shape
    rows = np.concatenate([np.zeros((high, 1), np.uint8), cells], axis=1)  # 0: no filter
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
