"""Spectral density by stochastic Lanczos quadrature (Ghorbani, Krishnan and Xiao, 2019).

The density of a matrix's n eigenvalues, each widened to a normal distribution, from a few products:
a random vector sees the eigenvalues through its own weights, Lanczos turns these into a quadrature
of few nodes, and the mean over vectors has the matrix's density as its expectation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc.numerics.hessian import Product
from graphc.numerics.lanczos import Krylov
from graphc.numerics.stochastic import Estimate, rademacher
from graphc.numerics.vectors import Matrix, Vector

__all__ = ["Density", "spectral_density"]


@dataclass(frozen=True)
class Density:
    """A density of eigenvalues, as quadratures: for each probe, values and weights that sum to 1.

    ``width`` is the deviation of the normal distribution that stands for a value.
    """

    n: int
    nodes: tuple[tuple[Vector, Vector], ...]
    width: float

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value of any probe, with four widths on either side."""
        values = np.concatenate([values for values, _ in self.nodes])
        return float(values.min()) - 4 * self.width, float(values.max()) + 4 * self.width

    def at(self, places: Vector) -> tuple[Vector, Vector]:
        """The density at some places, and its standard error over the probes; on the whole line its
        integral is 1."""
        each = np.stack([_widened(places, *nodes, self.width) for nodes in self.nodes])
        return each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each))

    def moment(self, power: int) -> Estimate:
        """The mean of λ^power over the n eigenvalues; exact for each probe's vector up to a power
        of twice the number of steps less one."""
        return self._mean([float(weights @ values**power) for values, weights in self.nodes])

    def share(self, low: float, high: float) -> Estimate:
        """The share of eigenvalues from ``low`` to ``high``, both included, without widening."""
        return self._mean(
            [
                float(weights[(values >= low) & (values <= high)].sum())
                for values, weights in self.nodes
            ]
        )

    def _mean(self, each: list[float]) -> Estimate:
        error = np.std(each, ddof=1) / np.sqrt(len(each))
        return Estimate(float(np.mean(each)), float(error))


def spectral_density(
    product: Product,
    n: int,
    rng: np.random.Generator,
    *,
    probes: int = 10,
    steps: int = 80,
    width: float | None = None,
) -> Density:
    """A density from ``probes`` times ``steps`` products. ``width`` is a hundredth of the range of
    the values unless it is given. ValueError for fewer than two probes, which show no error."""
    if probes < 2 or steps < 1:
        raise ValueError("a density takes two probes and a step at least")
    nodes = tuple(_quadrature(product, sign, steps, rng) for sign in rademacher(probes, n, rng))
    if width is None:
        values = np.concatenate([values for values, _ in nodes])
        spread = float(values.max() - values.min())
        width = spread / 100 or max(abs(float(values[0])) / 100, 1e-12)
    return Density(n, nodes, width)


def _quadrature(
    product: Product, start: Vector, steps: int, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """Gauss quadrature for the weights that a vector gives to the eigenvalues (Golub and Welsch,
    1969): squares of the first components."""
    krylov = Krylov(product, start, rng, go_on=False)
    while krylov.steps < steps and not krylov.finished:
        krylov.step()
    values, vectors = krylov.ritz()
    return values, vectors[0] ** 2


def _widened(places: Vector, values: Vector, weights: Vector, width: float) -> Vector:
    distance: Matrix = (np.asarray(places)[:, None] - values) / width
    bells = np.exp(-(distance**2) / 2) / (width * np.sqrt(2 * np.pi))
    found: Vector = bells @ weights
    return found
