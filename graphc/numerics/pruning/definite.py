"""Whether a symmetric matrix is positive definite, and the damping that makes it so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from graphc.numerics.vectors import Matrix

__all__ = ["Damping", "LostPrecisionError", "NotPositiveDefinite", "damp", "inverted", "symmetric"]

Damping = float | Literal["auto"]


@dataclass(eq=False)
class NotPositiveDefinite(Exception):
    """A matrix H + λI with an eigenvalue that is not clearly above zero has no inverse that OBS
    could use. ``smallest_eigenvalue`` is of H without damping, ``suggested_damping`` the smallest λ
    of the ladder of ``damping="auto"`` that lifts it."""

    smallest_eigenvalue: float
    suggested_damping: float

    def __str__(self) -> str:
        return (
            f"not positive definite: smallest eigenvalue {self.smallest_eigenvalue:.3g}; "
            f"a damping of {self.suggested_damping:.3g} makes it so"
        )


class LostPrecisionError(ArithmeticError):
    """An inverse whose diagonal is no longer positive: rounding has grown in its downdates."""

    def __init__(self) -> None:
        super().__init__("downdates have lost the inverse's positive diagonal: invert anew")


def symmetric(matrix: Matrix) -> Matrix:
    """A copy [n, n] that is symmetric to the bit. A ``ValueError`` says what is not a symmetric
    matrix of finite numbers: entries across the diagonal may differ by 1e-6 of the largest."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a square matrix is needed, not {list(matrix.shape)}")
    copy = np.array(matrix, dtype=np.float64)
    if not np.isfinite(copy).all():
        raise ValueError("the matrix has entries that are not finite")
    copy += matrix.T
    copy *= 0.5
    largest = max(copy.max(initial=0.0), -copy.min(initial=0.0))
    for row, mean in zip(np.asarray(matrix), copy, strict=True):
        if row.size and np.abs(row - mean).max() > 0.5e-6 * largest:
            raise ValueError("the matrix is not symmetric")
    return copy


def inverted(matrix: Matrix) -> Matrix:
    """The inverse [n, n] of a symmetric matrix, symmetric to the bit."""
    inverse: Matrix = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    for row in range(len(inverse)):  # the mean with the transpose, without a second matrix
        inverse[row, row:] = inverse[row:, row] = 0.5 * (inverse[row, row:] + inverse[row:, row])
    return inverse


def damp(matrix: Matrix, damping: Damping) -> float:
    """Adds λ to the diagonal of a symmetric matrix [n, n], in place, and returns λ.

    "auto" takes the smallest of the ladder 0, s·1e-10, s·1e-9, …, where s is the largest entry of
    the diagonal by size, that makes the matrix positive definite. What is not, by a Cholesky
    factorization with pivots above n·ε·s, raises :class:`NotPositiveDefinite`.
    """
    if damping != "auto" and not (damping >= 0 and np.isfinite(damping)):
        raise ValueError(f"damping must be a number of 0 or more, or 'auto', not {damping}")
    first = 0.0 if damping == "auto" else float(damping)
    matrix[np.diag_indices_from(matrix)] += first
    if _positive(matrix):
        return first
    matrix[np.diag_indices_from(matrix)] -= first
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    for rung in _ladder(matrix):
        if rung <= _floor(matrix) - smallest:
            continue
        if damping != "auto":
            raise NotPositiveDefinite(smallest, rung)
        matrix[np.diag_indices_from(matrix)] += rung
        if _positive(matrix):
            return rung
        matrix[np.diag_indices_from(matrix)] -= rung
    raise AssertionError("the ladder has no end")


def _ladder(matrix: Matrix) -> Iterator[float]:
    scale = float(np.abs(np.diagonal(matrix)).max(initial=0.0)) or 1.0
    power = -10
    while True:
        yield scale * 10.0**power
        power += 1


def _floor(matrix: Matrix) -> float:
    """What a pivot must be above to be told from the rounding of the factorization."""
    largest = float(np.abs(np.diagonal(matrix)).max(initial=0.0))
    return len(matrix) * float(np.finfo(np.float64).eps) * largest


def _positive(matrix: Matrix) -> bool:
    try:
        pivots = np.square(np.diagonal(np.linalg.cholesky(matrix)))
    except np.linalg.LinAlgError:
        return False
    return bool(pivots.size == 0 or pivots.min() > _floor(matrix))
