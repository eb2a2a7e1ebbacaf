"""Methods that rank weights by a saliency and set the lowest to zero: magnitude, random, movement,
Optimal Brain Damage. The weights that stay are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphc.numerics.problem import Problem
from graphc.numerics.pruning import saliency
from graphc.numerics.pruning.choosing import Candidates, Indices
from graphc.numerics.pruning.engine import Check, Removal
from graphc.numerics.pruning.units import totals
from graphc.numerics.vectors import Mask, Vector

__all__ = ["GRADIENT_LIMIT", "Ranked", "damage", "gradient_check", "magnitudes"]

GRADIENT_LIMIT = 1e-4
"""Norm of the gradient above which a network counts as not converged."""


@dataclass
class Ranked:
    """``rank(θ, alive)`` gives saliencies [n] and checks. Where a saliency is a rise of the
    objective (``predicts``), their sum is the prediction."""

    candidates: Candidates
    rank: Callable[[Vector, Mask], tuple[Vector, Sequence[Check]]]
    predicts: bool = False
    of_unit: Callable[[Sequence[Indices], Vector], Vector] = totals
    """Scores of whole units from those of weights."""
    saliencies: Vector = field(default_factory=lambda: np.zeros(0))

    def prepare(self, theta: Vector, alive: Mask) -> Sequence[Check]:
        self.saliencies, checks = self.rank(theta, alive)
        return checks

    def remove(self, theta: Vector, alive: Mask, count: int) -> Removal:
        chosen = self._chosen(alive, count)
        after, left = theta.copy(), alive.copy()
        after[chosen], left[chosen] = 0.0, False
        predicted = float(self.saliencies[chosen].sum()) if self.predicts else None
        return Removal(after, left, predicted)

    def _chosen(self, alive: Mask, count: int) -> Indices:
        if not self.candidates.units:
            return self.candidates.lowest(self.saliencies, alive, count)
        living = np.where(alive, self.saliencies, 0.0)
        scores = [self.of_unit(layer, living) for layer in self.candidates.units]
        units = self.candidates.lowest_units(scores, alive, count)
        return np.unique(np.concatenate(units)) if units else np.zeros(0, dtype=np.int64)


def magnitudes(theta: Vector, alive: Mask) -> tuple[Vector, Sequence[Check]]:
    """|w|."""
    return saliency.magnitude(theta), ()


def damage(
    problem: Callable[[], Problem], diagonal: Callable[[Vector], Vector]
) -> Callable[[Vector, Mask], tuple[Vector, Sequence[Check]]]:
    """½ h w² with the diagonal h of the Hessian that ``diagonal(θ)`` gives (LeCun, Denker and
    Solla, 1990)."""

    def rank(theta: Vector, alive: Mask) -> tuple[Vector, Sequence[Check]]:
        return saliency.obd(theta, diagonal(theta)), (gradient_check(problem(), theta, alive),)

    return rank


def gradient_check(problem: Problem, theta: Vector, alive: Mask) -> Check:
    """The norm of the gradient by the weights that are left: second order alone predicts the
    rise only where it is near zero."""
    _, gradient = problem.gradient(theta)
    return Check("gradient", float(np.linalg.norm(gradient[alive])), GRADIENT_LIMIT)
