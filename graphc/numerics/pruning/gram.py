"""What the inputs of a linear map z = x @ W say of its weights: the Gram matrix XᵀX/N, one for all
outputs, since each column of W is a least-squares problem of its own with the same Hessian."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.pruning.definite import NotPositiveDefinite, damp, symmetric
from graphc.numerics.vectors import Matrix

__all__ = ["Gram", "GramSum", "gram"]


@dataclass(frozen=True)
class Gram:
    """``matrix`` [d, d] is XᵀX/N of N = ``rows`` inputs x [d]."""

    matrix: Matrix
    rows: int

    @cached_property
    def live(self) -> NDArray[np.intp]:
        """Inputs that are not always zero. Weights of the others change no output."""
        return np.flatnonzero(np.diagonal(self.matrix) > 0)

    def damped(self, damping: float) -> Matrix:
        """XᵀX/N + λ·mean(diag)·I over the live inputs [l, l], the mean over them too.

        Raises :class:`~graphc.numerics.pruning.definite.NotPositiveDefinite`, in units of λ, where
        inputs depend on each other and λ does not lift that.
        """
        hessian = symmetric(self.matrix[np.ix_(self.live, self.live)])
        if not self.live.size:
            return hessian
        mean = float(np.diagonal(hessian).mean())
        try:
            damp(hessian, damping * mean)
        except NotPositiveDefinite as error:
            raise NotPositiveDefinite(
                error.smallest_eigenvalue / mean, error.suggested_damping / mean
            ) from None
        return hessian


class GramSum:
    """A Gram matrix that grows by blocks of inputs; its memory is d² numbers and a product of that
    size."""

    def __init__(self, inputs: int) -> None:
        self._sum = np.zeros((inputs, inputs))
        self._rows = 0

    def add(self, block: Matrix) -> None:
        """Takes in inputs [m, d]. A ``ValueError`` says what is not a block of finite numbers."""
        if block.ndim != 2 or block.shape[1] != len(self._sum) or not np.isfinite(block).all():
            raise ValueError(f"inputs must be finite rows of {len(self._sum)} numbers")
        exact = np.asarray(block, dtype=np.float64)
        self._sum += exact.T @ exact
        self._rows += len(exact)

    def gram(self) -> Gram:
        """The mean over all inputs so far; a ``ValueError`` if there were none."""
        if not self._rows:
            raise ValueError("there are no inputs")
        return Gram(self._sum / self._rows, self._rows)


def gram(blocks: Iterable[Matrix]) -> Gram:
    """The Gram matrix of blocks of inputs [m, d]; only one block is held at a time."""
    total: GramSum | None = None
    for block in blocks:
        total = total or GramSum(block.shape[-1])
        total.add(block)
    if total is None:
        raise ValueError("there are no inputs")
    return total.gram()
