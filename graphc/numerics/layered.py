"""The Hessian of a network from how its layers hang together: few tangents, large products.

For weights W of ``z = x @ W`` and W' of a layer that x does not depend on, with δ = ∂E/∂z,

    ∂²E/∂W_ij ∂W'_kl = Σ_m x_mi (∂x'_mk/∂z_mj δ'_ml + x'_mk ∂δ'_ml/∂z_mj),

a sum over examples m: a tangent for every column j of z instead of one for every element of W. What
is no such weight has unit tangents of its own, and penalties are added.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.hessian import (
    BLOCK,
    LIMIT,
    TooLargeError,
    dense,
    diagonal,
    expect_size,
    layer_blocks,
    symmetric,
    unit_rows,
)
from graphc.numerics.problem import LayerLinks, Problem
from graphc.numerics.vectors import Mask, Matrix, Tensor, Vector

__all__ = ["hessian_blocks", "hessian_diagonal", "hessian_matrix"]

_TOGETHER = 16
"""Directions of a layer that are asked for at a time."""
_CELLS = 2**20
"""Numbers of a factor of one matrix product, about: what a processor keeps close by."""
_ROUNDING = 1e-9
_FLOPS = 1e10
"""Of a matrix product in a second, about, to say how long one too large takes."""


def hessian_matrix(problem: Problem, at: Vector, *, limit: int = LIMIT) -> Matrix:
    """∂²E/∂θ², [n, n]. TooLargeError beyond ``limit`` parameters."""
    n = problem.size
    links = _links(problem, at)
    if links is None:
        return dense(lambda rows: problem.hessian(at, rows), n, limit=limit)
    if n > limit:
        raise TooLargeError(n, 8 * n * n, problem.examples * n * n / _FLOPS, limit)
    matrix = np.zeros((n, n))
    names: list[str] = []
    for link in links:
        names = list(link.inputs)
        for place, name in enumerate(names):
            _add_rows(matrix, problem, link, name, names[place:])
    _mirror(matrix, problem, names)
    mapped = _mapped(problem, names)
    _add_penalties(matrix, problem, at, np.flatnonzero(mapped))
    for rows, tangents in _units(np.flatnonzero(~mapped), n):
        found = problem.hessian(at, tangents)
        matrix[rows] = found
        matrix[:, rows] = found.T
    others = np.flatnonzero(~mapped)
    matrix[np.ix_(others, others)] = symmetric(matrix[np.ix_(others, others)])
    if _differs(matrix, problem, at):
        return dense(lambda rows: problem.hessian(at, rows), n, limit=limit)
    return matrix


def hessian_diagonal(problem: Problem, at: Vector, *, limit: int = 100_000) -> Vector:
    """The diagonal of the Hessian, [n], exactly.

    TooLargeError where more than ``limit`` parameters need a tangent each: a layer as above needs
    one a column.
    """
    n = problem.size
    links = _links(problem, at)
    if links is None:
        return diagonal(lambda rows: problem.hessian(at, rows), n, limit=limit)
    found = np.zeros(n)
    names: list[str] = []
    for link in links:
        names = list(link.inputs)
        for name in names:
            own = found[problem.layout.slices[name]]
            own += (np.square(link.inputs[name]).T @ _own_slopes(link, name)).reshape(-1)
    mapped = _mapped(problem, names)
    others = np.flatnonzero(~mapped)
    if len(others) > limit:
        expect_size(lambda rows: problem.hessian(at, rows), n, limit, matrix=False)
    for rows, tangents in _units(others, n):
        found[rows] = problem.hessian(at, tangents)[np.arange(len(rows)), rows]
    if problem.penalties is not None:
        alone = _penalty_diagonal(problem, at)
        if alone is None:
            penalties = problem.penalties
            alone = diagonal(lambda rows: penalties(at, rows), n, limit=limit)
        found[mapped] += alone[mapped]
    return found


def hessian_blocks(problem: Problem, at: Vector, *, limit: int = LIMIT) -> dict[str, Matrix]:
    """The block of each parameter with itself, by its name. TooLargeError where one parameter has
    more than ``limit`` elements."""
    links = _links(problem, at)
    if links is None:
        return layer_blocks(lambda rows: problem.hessian(at, rows), problem.layout, limit=limit)
    parts = problem.layout.slices
    largest = max((part.stop - part.start for part in parts.values()), default=0)
    if largest > limit:
        seconds = problem.examples * largest * largest / _FLOPS
        raise TooLargeError(largest, 8 * largest * largest, seconds, limit)
    found = {name: np.zeros((part.stop - part.start,) * 2) for name, part in parts.items()}
    names: list[str] = []
    for link in links:
        names = list(link.inputs)
        for name in names:
            _add_own(found[name], link, name)
    for name in names:
        symmetric(found[name])
    for name, part in parts.items():
        rows = np.arange(part.start, part.stop)
        product = problem.hessian if name not in names else problem.penalties
        for some, tangents in _units(rows if product else rows[:0], problem.size):
            assert product is not None
            found[name][some - part.start] += product(at, tangents)[:, part]
    return found


Places = NDArray[np.intp]


def _links(problem: Problem, at: Vector) -> Iterator[LayerLinks] | None:
    return None if problem.links is None else problem.links(at)


def _mapped(problem: Problem, names: list[str]) -> Mask:
    """Which elements belong to weights of layers."""
    found = np.zeros(problem.size, dtype=bool)
    for name in names:
        found[problem.layout.slices[name]] = True
    return found


def _units(places: Places, n: int) -> Iterator[tuple[Places, Matrix]]:
    """Unit vectors of places in any order, a block at a time."""
    block = max(1, min(BLOCK, _CELLS // n))
    for first in range(0, len(places), block):
        rows = places[first : first + block]
        tangents = np.zeros((len(rows), n))
        tangents[np.arange(len(rows)), rows] = 1.0
        yield rows, tangents


def _directions(width: int) -> Iterator[tuple[Places, Matrix]]:
    return unit_rows(range(width), width, _TOGETHER)


def _chunks(rows: int, columns: int) -> Iterator[slice]:
    """Examples some at a time, for factors of a product that stay small."""
    size = max(64, _CELLS // columns)
    return (slice(first, first + size) for first in range(0, rows, size))


# ------------------------------------------------------------------ rows of one layer


def _add_rows(
    matrix: Matrix, problem: Problem, link: LayerLinks, name: str, later: list[str]
) -> None:
    """The rows of a weight, in the columns of itself and of later layers."""
    slices, x = problem.layout.slices, link.inputs[name]
    width = link.gradients[name].shape[1]
    own = matrix[slices[name], slices[name]]
    for columns, units in _directions(width):
        gradients, inputs = link.moved(name, units)
        _add_self(own, x, columns, gradients.get(name))
        for other in later[1:]:
            block = matrix[slices[name], slices[other]].reshape(x.shape[1], width, -1)
            for place, j in enumerate(columns):
                slope = gradients[other][place] if other in gradients else None
                push = inputs[other][place] if other in inputs else None
                if x.shape[1] == 1:  # a bias: no large factor for a single row
                    block[0, j] += _row(link, other, slope, push, x).reshape(-1)
                    continue
                for m in _chunks(len(x), block.shape[2]):
                    block[:, j] += x[m].T @ _factor(link, other, slope, push, m)


def _row(
    link: LayerLinks, name: str, slope: Matrix | None, push: Matrix | None, weights: Matrix
) -> Matrix:
    """Σ_m w_m ∂(x δ)/∂z along one direction, [fan in, fan out], for weights [m, 1]."""
    x, gradient = link.inputs[name], link.gradients[name]
    total = np.zeros((x.shape[1], gradient.shape[1]))
    if slope is not None:
        total += x.T @ (weights * slope)
    if push is not None:
        total += (weights * push).T @ gradient
    return total


def _factor(
    link: LayerLinks, name: str, slope: Matrix | None, push: Matrix | None, m: slice
) -> Matrix:
    """∂(x δ)/∂z along one direction for some examples, [m, fan in · fan out]."""
    x, gradient = link.inputs[name][m], link.gradients[name][m]
    total = np.zeros((len(x), x.shape[1], gradient.shape[1])) if slope is None else None
    if slope is not None:
        total = x[:, :, None] * slope[m][:, None, :]
    assert total is not None
    if push is not None:
        total += push[m][:, :, None] * gradient[:, None, :]
    return total.reshape(len(x), -1)


def _add_own(matrix: Matrix, link: LayerLinks, name: str) -> None:
    for columns, units in _directions(link.gradients[name].shape[1]):
        _add_self(matrix, link.inputs[name], columns, link.moved(name, units)[0].get(name))


def _add_self(matrix: Matrix, x: Matrix, columns: Places, slopes: Tensor | None) -> None:
    """Σ x_mi x_mk ∂δ_ml/∂z_mj: symmetric in i and k and in j and l, so l from j on is enough."""
    if slopes is None:
        return
    fan_in, width = x.shape[1], slopes.shape[2]
    block = matrix.reshape(fan_in, width, fan_in, width)
    for j, slope in zip(columns, slopes, strict=True):
        for m in _chunks(len(x), fan_in * width):
            rest = np.ascontiguousarray(slope[m, j:])
            factor = (x[m][:, :, None] * rest[:, None, :]).reshape(len(rest), -1)
            found = (x[m].T @ factor).reshape(fan_in, fan_in, width - j)
            block[:, j, :, j:] += found
            block[:, j + 1 :, :, j] += found[:, :, 1:].transpose(0, 2, 1)


def _own_slopes(link: LayerLinks, name: str) -> Matrix:
    """∂δ_mj/∂z_mj, [m, fan out]."""
    rows, width = link.gradients[name].shape
    found = np.zeros((rows, width))
    for columns, units in _directions(width):
        slopes = link.moved(name, units)[0].get(name)
        for place, j in enumerate(columns):
            if slopes is not None:
                found[:, j] = slopes[place, :, j]
    return found


# ------------------------------------------------------------------ the whole


def _mirror(matrix: Matrix, problem: Problem, names: list[str]) -> None:
    """What earlier layers have with later ones, the other way round."""
    slices = problem.layout.slices
    for place, name in enumerate(names):
        symmetric(matrix[slices[name], slices[name]])
        for other in names[place + 1 :]:
            matrix[slices[other], slices[name]] = matrix[slices[name], slices[other]].T


def _differs(matrix: Matrix, problem: Problem, at: Vector) -> bool:
    """Whether the matrix is not that of the products: along a random vector."""
    tangent = np.random.default_rng(1).standard_normal((1, problem.size))
    exact = problem.hessian(at, tangent)
    scale = float(np.abs(exact).max(initial=0.0))
    return bool(np.abs(tangent @ matrix - exact).max(initial=0.0) > _ROUNDING * scale)


def _add_penalties(matrix: Matrix, problem: Problem, at: Vector, places: Places) -> None:
    """To the entries of ``places`` with each other; most penalties have a diagonal alone."""
    if problem.penalties is None:
        return
    alone = _penalty_diagonal(problem, at)
    if alone is not None:
        matrix[places, places] += alone[places]
        return
    inside = np.zeros(problem.size)
    inside[places] = 1
    for rows, tangents in _units(places, problem.size):
        matrix[rows] += problem.penalties(at, tangents) * inside


def _penalty_diagonal(problem: Problem, at: Vector) -> Vector | None:
    """The Hessian of the penalties where it is diagonal: a product with ones is the diagonal then,
    and with random numbers these times it. None where it is not."""
    assert problem.penalties is not None
    random = np.random.default_rng(0).uniform(1, 2, problem.size)
    found, other = problem.penalties(at, np.stack([np.ones(problem.size), random]))
    scale = float(np.abs(other).max(initial=0.0))
    return found if np.allclose(other, found * random, rtol=0, atol=1e-13 * scale) else None
