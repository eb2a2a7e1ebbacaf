"""Curvature matrices from their products with tangents: whole, their diagonals, and their blocks.

A product takes tangents [k, n] and gives the matrix times each of them [k, n]. Unit tangents are
taken some at a time, so that memory is bounded by the size of a block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.vectors import Layout, Matrix, Vector

__all__ = [
    "LIMIT",
    "Product",
    "TooLargeError",
    "asymmetry",
    "dense",
    "diagonal",
    "expect_size",
    "layer_blocks",
    "symmetric",
    "unit_rows",
]

Product = Callable[[Matrix], Matrix]
"""A symmetric matrix [n, n] as its product with tangents, [k, n] to [k, n]."""

LIMIT = 10_000
"""Parameters up to which a matrix of all pairs is made, if nobody says."""
BLOCK, _CELLS = 256, 2**22
"""Unit tangents that are asked for at a time, and numbers that these may be."""
_TRIED = 32
"""Unit tangents that are timed to say how long all would take."""


class TooLargeError(Exception):
    """A matrix that is not made: its number of rows ``n``, the ``bytes`` that it would take, and
    the ``seconds``, as far as they are known from a few of its rows."""

    def __init__(self, n: int, bytes: int, seconds: float, limit: int) -> None:
        self.n = n
        self.bytes = bytes
        self.seconds = seconds
        self.limit = limit
        super().__init__(
            f"{n:,} parameters are more than {limit:,}: a matrix of {bytes / 1e9:.3g} GB, "
            f"about {seconds:.2g} s"
        )


def dense(product: Product, n: int, *, limit: int = LIMIT, block: int = BLOCK) -> Matrix:
    """The matrix [n, n] of a product, made symmetric: what rounding leaves between the two
    triangles is halved. TooLargeError for more than ``limit`` parameters."""
    expect_size(product, n, limit)
    matrix = np.empty((n, n))
    for rows, tangents in unit_rows(range(n), n, block):
        matrix[rows] = product(tangents)
    return symmetric(matrix)


def diagonal(product: Product, n: int, *, limit: int = LIMIT, block: int = BLOCK) -> Vector:
    """The diagonal [n], exactly: n products. TooLargeError for more than ``limit`` parameters,
    where the time is what is too large."""
    expect_size(product, n, limit, matrix=False)
    found = np.empty(n)
    for rows, tangents in unit_rows(range(n), n, block):
        found[rows] = product(tangents)[np.arange(len(rows)), rows]
    return found


def layer_blocks(
    product: Product, layout: Layout, *, limit: int = LIMIT, block: int = BLOCK
) -> dict[str, Matrix]:
    """The block of each parameter with itself, by its name, as a matrix of its elements in order.
    TooLargeError where one parameter has more than ``limit`` elements."""
    for part in layout.slices.values():
        expect_size(product, part.stop - part.start, limit, length=layout.size)
    found = {}
    for name, part in layout.slices.items():
        size = part.stop - part.start
        matrix = np.empty((size, size))
        for rows, tangents in unit_rows(range(part.start, part.stop), layout.size, block):
            matrix[rows - part.start] = product(tangents)[:, part]
        found[name] = symmetric(matrix)
    return found


def unit_rows(places: range, n: int, block: int) -> Iterator[tuple[NDArray[np.intp], Matrix]]:
    """Unit vectors [k, n] of some places, ``block`` at a time, and which places these are."""
    block = max(1, min(block, _CELLS // n))
    for first in range(places.start, places.stop, block):
        rows = np.arange(first, min(first + block, places.stop))
        tangents = np.zeros((len(rows), n))
        tangents[np.arange(len(rows)), rows] = 1.0
        yield rows, tangents


def asymmetry(product: Product, n: int, rng: np.random.Generator) -> float:
    """|uᵀHv - vᵀHu| beside |uᵀHv| + |vᵀHu| for two random vectors: rounding alone for a matrix
    that is symmetric."""
    pair = rng.standard_normal((2, n))
    image = product(pair)
    one, other = float(pair[0] @ image[1]), float(pair[1] @ image[0])
    return abs(one - other) / max(abs(one) + abs(other), np.finfo(float).tiny)


def expect_size(
    product: Product,
    n: int,
    limit: int,
    *,
    matrix: bool = True,
    length: int | None = None,
) -> None:
    """TooLargeError for more than ``limit`` rows; ``length`` of tangents, n unless it is given."""
    if n <= limit:
        return
    count = min(_TRIED, n)
    _, tangents = next(unit_rows(range(n), n if length is None else length, count))
    product(tangents[:1])  # what is compiled at the first call does not count
    begin = time.perf_counter()
    product(tangents)
    seconds = (time.perf_counter() - begin) * n / count
    raise TooLargeError(n, 8 * n * n if matrix else 8 * n, seconds, limit)


def symmetric(matrix: Matrix, block: int = 1024) -> Matrix:
    """The mean of a matrix and its transpose, in place."""
    n = len(matrix)
    for i in range(0, n, block):
        for j in range(i, n, block):
            a, b = matrix[i : i + block, j : j + block], matrix[j : j + block, i : i + block]
            mean = (a + b.T) / 2
            a[...] = mean
            b[...] = mean.T
    return matrix
