"""The inverse of an empirical Fisher matrix from gradients, without the matrix itself.

F = λI + GᵀG/N for the gradients G [N, n] of N examples. Woodbury's identity adds m examples at a
time to an inverse that is known: M - M Gᵀ (N I + G M Gᵀ)⁻¹ G M, a solve with m unknowns. With m = 1
it is the recursion of Hassibi and Stork (1993); on blocks of the diagonal alone it is WoodFisher
(Singh and Alistarh, 2020). Where
the examples outnumber two thirds of a block's weights, summing GᵀG and inverting once takes fewer
operations, and gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.pruning.definite import NotPositiveDefinite, damp, inverted
from graphc.numerics.pruning.inverse import BlockInverse, chosen, subtract_gram
from graphc.numerics.vectors import Mask, Matrix

__all__ = ["FisherInverse"]


class FisherInverse(BlockInverse):
    """The inverse of λI + GᵀG/N, whole or in blocks of ``block_size`` weights that follow each
    other among those alive.

    ``gradients`` yields rows [m, n] of G, one for each of ``examples`` = N, a few dozen at a time:
    an update takes O(m b) numbers beside the blocks and O(m n b) operations. Blocks take n·b
    numbers, a whole inverse n² and 4 n² while it is inverted. ``damping`` is λ > 0; ``alive`` and
    ``candidates`` are those of :class:`~graphc.numerics.pruning.surgeon.Surgeon`.

    Raises ``ValueError`` for λ that is not above zero, for gradients that are not finite or of
    another length, and for another number of examples than was said;
    :class:`~graphc.numerics.pruning.definite.NotPositiveDefinite` for λ that is lost in rounding.
    """

    def __init__(
        self,
        gradients: Iterable[Matrix],
        n: int,
        examples: int,
        damping: float,
        block_size: int | None = None,
        alive: Mask | None = None,
        candidates: Mask | None = None,
    ) -> None:
        if not (damping > 0 and np.isfinite(damping)):
            raise ValueError(f"a Fisher matrix needs a damping above 0, not {damping}")
        if block_size is not None and block_size < 1:
            raise ValueError(f"blocks have 1 weight or more, not {block_size}")
        living, free = chosen(n, alive, candidates)
        (held,) = np.nonzero(living)
        size = max(1, min(block_size or n, held.size))
        padded = np.full(-(-held.size // size) * size, -1)
        padded[: held.size] = held
        sums = 3 * examples > 2 * size
        blocks = np.zeros((padded.size // size, size, size))
        blocks[:, np.arange(size), np.arange(size)] = 0.0 if sums else 1.0 / damping
        seen, squares = 0, np.zeros(held.size)
        for rows in gradients:
            if rows.ndim != 2 or rows.shape[1] != n or not np.isfinite(rows).all():
                raise ValueError(f"gradients must be finite rows of {n} numbers")
            seen += len(rows)
            squares += np.square(rows[:, held]).sum(axis=0)
            (_sum if sums else _recur)(blocks, rows[:, held], examples)
        if seen != examples:
            raise ValueError(f"{seen} gradients came for {examples} examples")
        scale = float(squares.max(initial=0.0)) / max(1, examples)
        if damping <= size * np.finfo(np.float64).eps * scale:
            raise NotPositiveDefinite(0.0, 1e-10 * scale)
        for block in blocks if sums else ():
            np.negative(block, out=block)
            damp(block, damping)
            block[:] = inverted(block)
        self.damping = damping
        super().__init__(blocks, padded.reshape(-1, size), free)


def _sum(blocks: NDArray[np.float64], rows: Matrix, examples: int) -> None:
    """-GᵀG/N of each block's weights, for the blocks [k, b, b], in place."""
    scaled = rows / np.sqrt(examples)
    for number, block in enumerate(blocks):
        part = scaled[:, number * len(block) : (number + 1) * len(block)]
        width = part.shape[1]  # a last block may hold fewer
        subtract_gram(block[:width, :width], part)


def _recur(blocks: NDArray[np.float64], rows: Matrix, examples: int) -> None:
    """Takes m gradients into inverses, the blocks [k, b, b], in place."""
    for number, block in enumerate(blocks):
        part = rows[:, number * len(block) : (number + 1) * len(block)]
        width = part.shape[1]
        image = part @ block[:width]
        inner = image[:, :width] @ part.T
        inner[np.diag_indices_from(inner)] += examples
        subtract_gram(block, np.linalg.solve(np.linalg.cholesky(inner), image))
