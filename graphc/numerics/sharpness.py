"""How much an objective can rise in a small box about a point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc.numerics.problem import Problem
from graphc.numerics.vectors import Vector

__all__ = ["Sharpness", "box_sharpness"]

_HALVINGS = 4


@dataclass(frozen=True)
class Sharpness:
    """``percent`` is 100·(max E(θ + y) - E(θ))/(1 + E(θ)) over the box |y_i| ≤ epsilon·(|θ_i| + 1),
    as far as ``evaluations`` of the gradient found the maximum: a lower bound of it."""

    percent: float
    epsilon: float
    evaluations: int


def box_sharpness(
    problem: Problem,
    at: Vector,
    directions: list[Vector],
    *,
    epsilon: float = 1e-3,
    evaluations: int = 24,
) -> Sharpness:
    """ε-sharpness in the full space (Keskar et al., 2017, equation 5 with A = I).

    The maximum is searched by steps along the signs of the gradient, kept inside the box, from the
    corners that the gradient and each of ``directions``, both ways, point to. A step is half as
    long where the one before did not rise.
    """
    base, gradient = problem.gradient(at)
    box = epsilon * (np.abs(at) + 1)
    starts = [gradient, *(sign * d for d in directions for sign in (1.0, -1.0))]
    best, used = base, 0
    for start in starts:
        if not np.any(start) or used >= evaluations:
            continue
        moved, size = box * np.sign(start), 1.0
        value, slope = problem.gradient(at + moved)
        used += 1
        halvings = 0
        while halvings < _HALVINGS and used < evaluations:
            tried = np.clip(moved + size * box * np.sign(slope), -box, box)
            if np.array_equal(tried, moved):
                break
            risen, tried_slope = problem.gradient(at + tried)
            used += 1
            if risen > value:
                moved, value, slope = tried, risen, tried_slope
            else:
                size, halvings = size / 2, halvings + 1
        best = max(best, value)
    return Sharpness(100 * (best - base) / (1 + base), epsilon, used)
