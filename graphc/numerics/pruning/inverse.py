"""An inverse Hessian from which weights are deleted, one or a set at a time.

Optimal Brain Surgeon (Hassibi and Stork, 1993): when the weights Q become zero and all others take
their best values, a quadratic objective rises by ½ w_Qᵀ (H⁻¹[Q,Q])⁻¹ w_Q, and the others move by
-H⁻¹[:,Q] (H⁻¹[Q,Q])⁻¹ w_Q. The inverse without Q is H⁻¹ - H⁻¹[:,Q] (H⁻¹[Q,Q])⁻¹ H⁻¹[Q,:]: a
downdate, no new inversion. Where H comes from is left to :mod:`surgeon` and :mod:`woodbury`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.pruning.definite import LostPrecisionError
from graphc.numerics.vectors import Mask, Matrix, Vector

__all__ = ["BlockInverse", "Deletion", "Indices", "Inverse", "chosen", "subtract_gram"]

Indices = Sequence[int] | NDArray[np.intp]

_SLAB = 1 << 20  # entries of a product that is formed at a time, 8 MiB


@dataclass(frozen=True)
class Deletion:
    """Weights ``indices`` that were deleted together, the predicted ``rise`` of the objective, and
    the ``step`` [n] to add to θ: -w at the deleted ones, the compensation elsewhere, 0 at what was
    removed before."""

    indices: tuple[int, ...]
    rise: float
    step: Vector

    @property
    def index(self) -> int:
        """The one weight that was deleted."""
        (index,) = self.indices
        return index


class Inverse(Protocol):
    """What every inverse offers. θ [n] holds all parameters, those removed too."""

    @property
    def alive(self) -> Mask:
        """Which weights [n] are not removed; they take part in every compensation."""

    @property
    def candidates(self) -> Mask:
        """Which of those alive may be deleted [n]; the others are kept and only compensate."""

    def saliencies(self, theta: Vector) -> Vector:
        """½ w_q² / [H⁻¹]_qq [n], inf at what is no candidate."""

    def rise(self, indices: Indices, theta: Vector) -> float:
        """The rise of the objective if the set went now; members removed already do not count."""

    def delete(self, index: int, theta: Vector) -> Deletion:
        """Deletes one candidate and downdates the inverse."""

    def delete_set(self, indices: Indices, theta: Vector) -> Deletion:
        """Deletes candidates together; members that are removed already are passed over."""


class BlockInverse:
    """An inverse that is zero outside of blocks on its diagonal, one block for an exact one.

    ``blocks`` [k, b, b] are the inverse at the indices ``held`` [k, b] of θ; -1 pads a last block
    that is shorter. Deletions change ``blocks`` in place, and a smaller copy takes its place when a
    quarter of it is gone. Memory is k·b² numbers, at that moment 1.6 times as many.
    """

    def __init__(
        self, blocks: NDArray[np.float64], held: NDArray[np.intp], candidates: Mask
    ) -> None:
        self._blocks = blocks
        self.candidates = candidates.copy()
        self.alive = np.zeros(len(candidates), dtype=np.bool_)
        self.alive[held[held >= 0]] = True
        self._hold(held)

    def dense(self) -> Matrix:
        """The inverse as a matrix [n, n]; rows and columns of removed weights are exactly zero."""
        full = np.zeros((self.alive.size, self.alive.size))
        for block, held in zip(self._blocks, self._held, strict=True):
            (places,) = np.nonzero(held >= 0)
            full[np.ix_(held[places], held[places])] = block[np.ix_(places, places)]
        return full

    def saliencies(self, theta: Vector) -> Vector:
        """½ w_q² / [H⁻¹]_qq [n], inf at what is no candidate."""
        (free,) = np.nonzero(self.candidates)
        places = self._places[free]
        diagonal = self._blocks[self._numbers[free], places, places]
        if diagonal.size and diagonal.min() <= 0:
            raise LostPrecisionError()
        found = np.full(self.alive.size, np.inf)
        found[free] = 0.5 * np.square(theta[free]) / diagonal
        return found

    def rise(self, indices: Indices, theta: Vector) -> float:
        """The rise of the objective if the set went now; members removed already do not count."""
        return sum(self._joint(part, theta)[1] for part in self._parts(self._alive_of(indices)))

    def delete(self, index: int, theta: Vector) -> Deletion:
        """Deletes one candidate and downdates the inverse. A ``ValueError`` says what is none."""
        if not 0 <= index < self.alive.size or not self.candidates[index]:
            raise ValueError(f"weight {index} is removed already or may not be removed")
        return self.delete_set((index,), theta)

    def delete_set(self, indices: Indices, theta: Vector) -> Deletion:
        """Deletes candidates together and downdates the inverse by as many ranks. Members that are
        removed already are passed over; a ``ValueError`` says which may not be removed."""
        gone = self._alive_of(indices)
        if not self.candidates[gone].all():
            kept = gone[~self.candidates[gone]]
            raise ValueError(f"weight {kept[0]} may not be removed")
        step, rise = np.zeros(self.alive.size), 0.0
        for part in self._parts(gone):
            number, places = self._numbers[part[0]], self._places[part]
            half, part_rise, roots = self._joint(part, theta)
            held, block = self._held[number], self._blocks[number]
            step[held[held >= 0]] = -(roots @ half)[held >= 0]
            subtract_gram(block, half)
            block[places] = 0.0
            block[:, places] = 0.0
            rise += part_rise
        self.alive[gone] = self.candidates[gone] = False
        step[gone] = -theta[gone]
        self._shrink()
        return Deletion(tuple(int(i) for i in gone), rise, step)

    def _joint(self, part: NDArray[np.intp], theta: Vector) -> tuple[Matrix, float, Vector]:
        """For weights Q of one block and L Lᵀ = H⁻¹[Q,Q]: L⁻¹ H⁻¹[Q,:], the rise, L⁻¹ w_Q."""
        rows = self._blocks[self._numbers[part[0]]][self._places[part]]
        try:
            factor = np.linalg.cholesky(rows[:, self._places[part]])
        except np.linalg.LinAlgError:
            raise LostPrecisionError() from None
        half: Matrix = np.asarray(np.linalg.solve(factor, rows), dtype=np.float64)
        roots: Vector = np.asarray(np.linalg.solve(factor, theta[part]), dtype=np.float64)
        return half, 0.5 * float(roots @ roots), roots

    def _alive_of(self, indices: Indices) -> NDArray[np.intp]:
        unique = np.unique(np.asarray(indices, dtype=np.intp))
        if unique.size and not (unique[0] >= 0 and unique[-1] < self.alive.size):
            raise ValueError(f"a weight's index is in 0..{self.alive.size - 1}")
        return unique[self.alive[unique]]

    def _parts(self, indices: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """The indices of each block that has some."""
        numbers = self._numbers[indices]
        order = np.argsort(numbers, kind="stable")
        cuts = np.flatnonzero(np.diff(numbers[order])) + 1
        return [part for part in np.split(indices[order], cuts) if part.size]

    def _hold(self, held: NDArray[np.intp]) -> None:
        self._held = held
        self._numbers = np.zeros(self.alive.size, dtype=np.intp)
        self._places = np.zeros(self.alive.size, dtype=np.intp)
        blocks, places = np.nonzero(held >= 0)
        self._numbers[held[blocks, places]] = blocks
        self._places[held[blocks, places]] = places

    def _shrink(self) -> None:
        """Cuts removed rows and columns out when every block has a quarter of them."""
        living = (self._held >= 0) & self.alive[self._held]
        width = int(living.sum(axis=1).max(initial=0))
        if width > 0.75 * self._held.shape[1]:
            return
        order = np.argsort(~living, axis=1, kind="stable")[:, :width]
        smaller = np.empty((len(order), width, width))
        for target, block, places in zip(smaller, self._blocks, order, strict=True):
            target[:] = block[np.ix_(places, places)]
        self._blocks = smaller
        self._hold(np.take_along_axis(self._held, order, axis=1))


def chosen(n: int, alive: Mask | None, candidates: Mask | None) -> tuple[Mask, ...]:
    """Masks [n] of the weights that are alive and of the candidates among them: all where there is
    none. A ``ValueError`` says which has another shape."""
    living = np.ones(n, dtype=np.bool_) if alive is None else np.asarray(alive, dtype=np.bool_)
    free = living if candidates is None else np.asarray(candidates, dtype=np.bool_)
    if living.shape != (n,) or free.shape != (n,):
        raise ValueError(f"masks of {n} weights are needed")
    return living, living & free


def subtract_gram(matrix: Matrix, rows: Matrix) -> None:
    """matrix [b, b] -= rowsᵀ rows for rows [m, b], in place, some rows of the product at a time."""
    slab = max(1, _SLAB // max(1, len(matrix)))
    for start in range(0, len(matrix), slab):
        part = slice(start, start + slab)
        matrix[part] -= rows[:, part].T @ rows
