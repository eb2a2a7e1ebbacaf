"""Eigenvalues of a symmetric matrix from its products: extreme pairs by Lanczos.

Every new vector is made orthogonal to all before it, twice, so that no eigenvalue is found again
(Parlett, 1998, The Symmetric Eigenvalue Problem, chapter 13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.hessian import Product
from graphc.numerics.vectors import Matrix, Vector

__all__ = ["Eigenpairs", "Krylov", "eigenpairs"]

Which = Literal["magnitude", "largest", "smallest", "ends"]

_CHECK = 10
"""Steps between looks at what has converged."""


@dataclass(frozen=True)
class Eigenpairs:
    """``values`` [k], from the largest to the smallest, and unit ``vectors`` as rows [k, n].

    ``residuals`` [k] are ‖Hv - λv‖: an eigenvalue of H lies no farther than that from each value.
    ``steps`` products were taken. ``complete`` says that the whole space was searched.
    """

    values: Vector
    vectors: Matrix
    residuals: Vector
    steps: int
    complete: bool


class Krylov:
    """An orthonormal basis that grows by one product a step, and the matrix in it, tridiagonal.

    Where the space of a start is exhausted, a new random vector orthogonal to it goes on: so the
    whole of a small matrix is found, multiple eigenvalues too.
    """

    def __init__(
        self, product: Product, start: Vector, rng: np.random.Generator, *, go_on: bool = True
    ) -> None:
        self._product = product
        self._rng = rng
        self._go_on = go_on
        self._next: Vector | None = start / np.linalg.norm(start)
        self._basis = np.empty((16, len(start)))
        self.steps = 0
        self.alphas: list[float] = []
        self.betas: list[float] = []
        """``betas[i]`` couples basis vectors i and i + 1; 0 where a new start was made."""

    @property
    def basis(self) -> Matrix:
        """Orthonormal rows [steps, n]."""
        return self._basis[: self.steps]

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to search."""
        return self._next is None

    def step(self) -> None:
        """One product more."""
        assert self._next is not None, "the space is exhausted"
        if self.steps == len(self._basis):
            grown = min(2 * self.steps, self._basis.shape[1])
            self._basis = np.concatenate(
                [self._basis, np.empty((grown - self.steps, self._basis.shape[1]))]
            )
        self._basis[self.steps] = self._next
        self.steps += 1
        image = self._product(self._next[None])[0]
        self.alphas.append(float(image @ self._next))
        rest = self._orthogonal(image)
        length = float(np.linalg.norm(rest))
        scale = max(map(abs, (*self.alphas, *self.betas)), default=0.0)
        if length > 100 * np.finfo(float).eps * max(scale, float(np.linalg.norm(image))):
            self.betas.append(length)
            self._next = rest / length
        else:
            self.betas.append(0.0)
            self._next = self._fresh()
        if self.steps == self._basis.shape[1]:
            self._next = None

    def ritz(self) -> tuple[Vector, Matrix]:
        """Eigenvalues, rising, and eigenvectors [steps, steps], as columns, of the matrix in the
        basis."""
        middle = np.diag(self.alphas)
        off = np.array(self.betas[: self.steps - 1])
        middle[np.arange(self.steps - 1), np.arange(1, self.steps)] = off
        values, vectors = np.linalg.eigh(middle, UPLO="U")
        return values, vectors

    def _orthogonal(self, vector: Vector) -> Vector:
        """Without its parts along the basis; twice, for what rounding leaves the first time."""
        for _ in range(2):
            vector = vector - (self.basis @ vector) @ self.basis
        return vector

    def _fresh(self) -> Vector | None:
        if not self._go_on or self.steps == self._basis.shape[1]:
            return None
        rest = self._orthogonal(self._rng.standard_normal(self._basis.shape[1]))
        length = float(np.linalg.norm(rest))
        return rest / length if length > 1e-8 else None


def eigenpairs(
    product: Product,
    n: int,
    k: int,
    rng: np.random.Generator,
    *,
    which: Which = "magnitude",
    tolerance: float = 1e-8,
    most: int = 1000,
) -> Eigenpairs:
    """The k eigenpairs that are largest by magnitude, largest, smallest, or k at both ends each.

    Steps go on until each residual is below ``tolerance`` times the largest magnitude, or there are
    ``most``; what has not converged says so by its residual. One vector more of n numbers is kept a
    step. Of a multiple eigenvalue one pair is found, unless the whole space is searched.
    """
    if not 1 <= k <= n:
        raise ValueError(f"there are 1 to {n} eigenpairs, not {k}")
    krylov = Krylov(product, rng.standard_normal(n), rng)
    while True:
        krylov.step()
        last = krylov.finished or krylov.steps >= min(most, n)
        if not last and (krylov.steps < min(n, k + 2) or krylov.steps % _CHECK):
            continue
        values, vectors = krylov.ritz()
        chosen = _chosen(values, k, which)
        bounds = abs(krylov.betas[-1] * vectors[-1, chosen])
        if last or bool(np.all(bounds <= tolerance * np.abs(values).max())):
            return _pairs(product, krylov, values[chosen], vectors[:, chosen])


def _pairs(product: Product, krylov: Krylov, values: Vector, vectors: Matrix) -> Eigenpairs:
    """With residuals that are measured, not inferred."""
    rows = vectors.T @ krylov.basis
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    images = np.concatenate([product(row[None]) for row in rows])
    residuals = np.linalg.norm(images - values[:, None] * rows, axis=1)
    return Eigenpairs(values, rows, residuals, krylov.steps, krylov.steps == rows.shape[1])


def _chosen(values: Vector, k: int, which: Which) -> NDArray[np.intp]:
    """Places among rising values, those of larger ones first."""
    count = len(values)
    k = min(k, count)
    if which == "largest":
        places = np.arange(count - k, count)
    elif which == "smallest":
        places = np.arange(k)
    elif which == "ends":
        places = np.union1d(np.arange(k), np.arange(count - k, count))
    else:
        places = np.sort(np.argsort(np.abs(values), kind="stable")[-k:])
    return places[::-1]
