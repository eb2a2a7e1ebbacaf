"""Trace and diagonal of a matrix from products with random vectors, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc.numerics.hessian import Product
from graphc.numerics.vectors import Matrix, Vector

__all__ = ["Estimate", "Probed", "probe", "rademacher"]

BLOCK = 32
"""Probes that are asked for at a time."""


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error, the deviation of the mean over independent probes."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.6g} ± {self.error:.2g}"


@dataclass(frozen=True)
class Probed:
    """What ``probes`` random vectors tell of a matrix. ``diagonal`` and ``errors`` are [n], the
    second the standard error of each entry of the first."""

    probes: int
    trace: Estimate
    diagonal: Vector
    errors: Vector


def probe(product: Product, n: int, probes: int, rng: np.random.Generator) -> Probed:
    """Trace as the mean of vᵀHv (Hutchinson, 1990) and diagonal as the mean of v ⊙ Hv (Bekas,
    Kokiopoulou and Saad, 2007) over vectors v of independent signs.

    Both are without bias; the diagonal's variance at entry i is the sum of the squares of the other
    entries of row i. ValueError for fewer than two probes, which show no error.
    """
    if probes < 2:
        raise ValueError("an error bar takes two probes at least")
    traces = np.empty(probes)
    mean, spread = np.zeros(n), np.zeros(n)
    for first in range(0, probes, BLOCK):
        signs = rademacher(min(BLOCK, probes - first), n, rng)
        entries = signs * product(signs)
        traces[first : first + len(signs)] = entries.sum(axis=1)
        for count, row in enumerate(entries, start=first + 1):
            step = row - mean  # Welford (1962): no difference of large squares
            mean += step / count
            spread += step * (row - mean)
    error = float(np.std(traces, ddof=1) / np.sqrt(probes))
    errors = np.sqrt(spread / (probes - 1) / probes)
    return Probed(probes, Estimate(float(traces.mean()), error), mean, errors)


def rademacher(count: int, n: int, rng: np.random.Generator) -> Matrix:
    """Rows of independent signs, [count, n]."""
    return rng.choice([-1.0, 1.0], (count, n)).astype(np.float64)
