"""Fisher information: of the examples as they are, and of what a model itself expects.

The empirical matrix is the mean of g gᵀ over the gradients g of each example's objective. The exact
one takes that mean over the model's own distribution of targets instead (Amari, 1998; Kunstner,
Balles and Hennig, 2019, on what sets them apart).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from graphc.numerics.hessian import LIMIT, Product, TooLargeError
from graphc.numerics.problem import Problem
from graphc.numerics.vectors import Matrix, Vector

__all__ = ["Weighted", "dense_fisher", "empirical", "fisher_diagonal", "fisher_product"]

Weighted = Callable[[], Iterator[tuple[Vector, Matrix]]]
"""Gradients [m, n] with weights [m] that sum to the number of examples over all of them, some rows
at a time, as often as it is called."""

_SECONDS = 2e-10
"""Of a product of two numbers in a matrix product, about, to say how long one too large takes."""


def empirical(problem: Problem, at: Vector) -> Weighted:
    """The gradients of the examples themselves, each with weight 1."""

    def rows() -> Iterator[tuple[Vector, Matrix]]:
        for gradients in problem.example_gradients(at):
            yield np.ones(len(gradients)), gradients

    return rows


def dense_fisher(rows: Weighted, n: int, examples: int, *, limit: int = LIMIT) -> Matrix:
    """Σ w g gᵀ / N, [n, n]: positive semi-definite. TooLargeError beyond ``limit`` parameters."""
    if n > limit:
        raise TooLargeError(n, 8 * n * n, _SECONDS * examples * n * n, limit)
    matrix = np.zeros((n, n))
    for gradients in _scaled(rows()):
        matrix += gradients.T @ gradients
    return matrix / examples


def fisher_diagonal(rows: Weighted, n: int, examples: int) -> Vector:
    """Σ w g² / N, [n], for any number of parameters."""
    found = np.zeros(n)
    for gradients in _scaled(rows()):
        found += np.einsum("ij,ij->j", gradients, gradients)
    return found / examples


def fisher_product(rows: Weighted, examples: int) -> Product:
    """Tangents [k, n] to F times each of them, without the matrix."""

    def product(tangents: Matrix) -> Matrix:
        found = np.zeros(tangents.shape)
        for gradients in _scaled(rows()):
            found += (tangents @ gradients.T) @ gradients
        return found / examples

    return product


def _scaled(rows: Iterable[tuple[Vector, Matrix]]) -> Iterator[Matrix]:
    for weights, gradients in rows:
        yield gradients * np.sqrt(weights)[:, None]
