"""Optimal Brain Surgeon with the exact inverse of a damped Hessian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.pruning.definite import Damping, damp, inverted, symmetric
from graphc.numerics.pruning.inverse import BlockInverse, chosen
from graphc.numerics.vectors import Mask, Matrix

__all__ = ["Residual", "Surgeon"]

_ROWS = 256  # of I - H⁻¹H at a time


@dataclass(frozen=True)
class Residual:
    """How far a matrix R = I - H⁻¹H is from zero: ``max_norm`` is its largest entry by size,
    ``two_norm`` its largest singular value, found from below by subspace iteration (to about a
    tenth)."""

    max_norm: float
    two_norm: float


class Surgeon(BlockInverse):
    """The inverse of H + λI for a symmetric H [n, n], restricted to the weights that are alive.

    ``damping`` is λ, or "auto" for the smallest of a ladder that makes H + λI positive definite;
    :attr:`damping` is the one in use. ``alive`` [n] and ``candidates`` [n] are masks: all by
    default. What is not alive is no part of the inverse; what is alive and no candidate cannot be
    deleted but compensates. ``hessian`` is kept, not copied, and not changed.

    Raises :class:`~graphc.numerics.pruning.definite.NotPositiveDefinite` for a singular or
    indefinite H + λI, ``ValueError`` for what is not a symmetric matrix of finite numbers.
    """

    def __init__(
        self,
        hessian: Matrix,
        damping: Damping = 0.0,
        alive: Mask | None = None,
        candidates: Mask | None = None,
    ) -> None:
        living, free = chosen(len(hessian), alive, candidates)
        self._hessian = hessian
        (held,) = np.nonzero(living)
        matrix = symmetric(_part(hessian, held))
        self.damping = damp(matrix, damping)
        super().__init__(inverted(matrix)[np.newaxis], held[np.newaxis], free)

    def residual(self) -> Residual:
        """‖I - H⁻¹H‖ of the damped H over the weights that are alive, from the inverse as the
        downdates left it. It takes as long as an inversion."""
        (held,) = np.nonzero(self.alive)
        inverse, hessian = self._living(), _part(self._hessian, held)
        largest = 0.0
        for start in range(0, held.size, _ROWS):
            part = slice(start, start + _ROWS)
            block = inverse[part] @ hessian + self.damping * inverse[part]
            block[np.arange(len(block)), np.arange(start, start + len(block))] -= 1.0
            largest = max(largest, float(np.abs(block).max()))
        return Residual(largest, _two_norm(inverse, hessian, self.damping))

    def refresh(self) -> float:
        """Inverts H + λI anew over the weights that are alive and returns the drift: the largest
        difference of the downdated inverse from the new one, as a part of its largest entry."""
        (held,) = np.nonzero(self.alive)
        matrix = symmetric(_part(self._hessian, held))
        damp(matrix, self.damping)
        old, new = self._living(), inverted(matrix)
        self._blocks = new[np.newaxis]
        self._hold(held[np.newaxis])
        if not held.size:
            return 0.0
        return float(np.abs(old - new).max() / np.abs(new).max())

    def _living(self) -> Matrix:
        """The inverse over the weights that are alive, in their order."""
        places = self._places[self.alive]
        living: Matrix = self._blocks[0][np.ix_(places, places)]
        return living


def _part(matrix: Matrix, held: NDArray[np.intp]) -> Matrix:
    return matrix if held.size == len(matrix) else matrix[np.ix_(held, held)]


def _two_norm(inverse: Matrix, hessian: Matrix, damping: float) -> float:
    """Subspace iteration on Rᵀ R with R = I - H⁻¹(H + λI), by products alone."""
    n, width = len(hessian), min(8, len(hessian))
    if not n:
        return 0.0
    space: Matrix = np.random.Generator(np.random.PCG64(0)).standard_normal((n, width))
    size = 0.0
    for _ in range(30):
        space = np.asarray(np.linalg.qr(space)[0], dtype=np.float64)
        image = space - inverse @ (hessian @ space + damping * space)
        size = float(np.linalg.norm(image, 2))
        if size == 0.0:
            return 0.0
        image /= size
        back = inverse @ image
        space = image - (hessian @ back + damping * back)
    return size
