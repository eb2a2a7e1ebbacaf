"""Greedy deletion from many least-squares problems at once, each with an inverse of its own.

A deletion downdates an inverse by the outer product of one vector. Here the vectors of some
deletions are kept, and only the diagonal and the column that the next deletion reads are brought
up to date; then one matrix product takes all of them in, over what is left. The work is that of a
downdate a deletion, Σ k² over what is left, at the speed of matrix products.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.pruning.definite import LostPrecisionError
from graphc.numerics.pruning.inverse import subtract_gram
from graphc.numerics.vectors import Mask, Matrix, Vector

__all__ = ["Greedy"]

_PENDING = 64  # deletions that are taken in together


class Greedy:
    """R problems ½ (v - w)ᵀ H (v - w) over weights w [R, k] and inverses H⁻¹ [R, k, k], which are
    used up. ``alive`` [R, k] says which exist, ``free`` [R, k] which of these may be deleted."""

    def __init__(
        self, inverses: NDArray[np.float64], weights: Matrix, alive: Mask, free: Mask
    ) -> None:
        count, width = weights.shape
        self._every = np.arange(count)
        self._inverses = inverses
        self._weights = weights.copy()
        self._diagonals = inverses[:, np.arange(width), np.arange(width)]
        self._alive = alive.copy()
        self._free = free & alive
        self._names = np.broadcast_to(np.arange(width), (count, width)).copy()
        self._pending = np.empty((count, _PENDING, width))
        self._waiting = 0

    def run(self) -> tuple[NDArray[np.intp], Matrix]:
        """Deletes all that may be, always the least of ½ w²/[H⁻¹]_qq: the places [R, T] in order,
        -1 where a problem has fewer than T, and the rise by each [R, T], 0 there."""
        steps = int(self._free.sum(axis=1).max(initial=0))
        order = np.full((len(self._every), steps), -1, dtype=np.intp)
        rises = np.zeros((len(self._every), steps))
        for step in range(steps):
            places, rise = self._cheapest()
            going = np.isfinite(rise)
            order[going, step] = self._names[self._every, places][going]
            rises[going, step] = rise[going]
            self._delete(places, going)
        return order, rises

    def _cheapest(self) -> tuple[NDArray[np.intp], Vector]:
        if (self._diagonals <= 0).any(where=self._free):
            raise LostPrecisionError
        scores = np.full(self._weights.shape, np.inf)
        np.divide(np.square(self._weights), self._diagonals, out=scores, where=self._free)
        places = np.argmin(scores, axis=1)
        return places, 0.5 * scores[self._every, places]

    def _delete(self, places: NDArray[np.intp], going: Mask) -> None:
        kept = self._pending[:, : self._waiting]
        width = self._weights.shape[1]
        columns = self._inverses[self._every, places, :width]
        columns -= (kept[self._every, :, places][:, np.newaxis] @ kept)[:, 0]
        roots = np.sqrt(self._diagonals[self._every, places], where=going, out=np.ones(len(going)))
        columns /= roots[:, np.newaxis]
        columns[~going] = 0.0
        self._weights -= (self._weights[self._every, places] / roots)[:, np.newaxis] * columns
        self._diagonals -= np.square(columns)
        self._free[self._every[going], places[going]] = False
        self._alive[self._every[going], places[going]] = False
        self._pending[:, self._waiting] = columns
        self._waiting += 1
        if self._waiting == _PENDING:
            self._take_in()

    def _take_in(self) -> None:
        """Downdates by the vectors that wait, and cuts out what is deleted."""
        width = int(self._alive.sum(axis=1).max(initial=0))
        order = np.argsort(~self._alive, axis=1, kind="stable")[:, :width]
        for inverse, vectors, places in zip(self._inverses, self._pending, order, strict=True):
            left = inverse[np.ix_(places, places)]
            subtract_gram(left, vectors[:, places])
            inverse[:width, :width] = left
        self._weights = np.take_along_axis(self._weights, order, axis=1)
        self._diagonals = np.take_along_axis(self._diagonals, order, axis=1)
        self._alive = np.take_along_axis(self._alive, order, axis=1)
        self._free = np.take_along_axis(self._free, order, axis=1)
        self._names = np.take_along_axis(self._names, order, axis=1)
        self._pending = np.empty((len(order), _PENDING, width))
        self._waiting = 0
