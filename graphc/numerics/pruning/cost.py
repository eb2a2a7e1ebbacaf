"""What an exact inverse and exact traces take, before anything is computed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

__all__ = ["Cost", "exact_cost", "trace_cost"]

_SAMPLE = 384  # rows of the matrix whose inversion is timed, a hundredth of a second
_TRYING = 0.2  # seconds
_INVERSION = 2 + 1 / 3  # n³ operations: the test by Cholesky, and the inverse


@dataclass(frozen=True)
class Cost:
    """``bytes`` of memory at the peak and ``seconds`` on this machine, from a short measurement;
    within a factor of two where nothing else runs."""

    bytes: int
    seconds: float


def exact_cost(n: int) -> Cost:
    """What an exact inverse over n weights takes: a Hessian that is there, its damped copy, the
    inverse and two matrices of work. The time is that of one inversion, not of the Hessian."""
    return Cost(5 * 8 * n * n, _INVERSION * float(n) ** 3 / _rate())


def trace_cost(inputs: int, outputs: int, memory: int = 1 << 26) -> Cost:
    """What :func:`~graphc.numerics.pruning.rows.trace` takes for weights [inputs, outputs]: a
    Gram matrix and a damped copy, one inversion with its work, and the inverses of as many outputs
    as ``memory`` bytes allow, whose downdates are Σ 2 k² operations each."""
    square = 8 * inputs * inputs
    batch = min(outputs * square, max(memory, square))
    operations = (_INVERSION + outputs * 2 / 3) * float(inputs) ** 3
    return Cost(6 * square + batch, operations / _rate())


@cache
def _rate() -> float:
    """Operations a second of an inversion: the best of some, since other work can only delay."""
    generator = np.random.Generator(np.random.PCG64(0))
    sample = generator.standard_normal((_SAMPLE, _SAMPLE))
    sample = sample @ sample.T + _SAMPLE * np.eye(_SAMPLE)
    best, end = np.inf, time.perf_counter() + _TRYING
    while time.perf_counter() < end or not np.isfinite(best):
        start = time.perf_counter()
        np.linalg.cholesky(sample)
        np.linalg.inv(sample)
        best = min(best, time.perf_counter() - start)
    return _INVERSION * _SAMPLE**3 / best
