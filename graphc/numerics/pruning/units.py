"""Scores of whole neurons and channels.

A group holds the indices into θ of everything that goes with one unit: its incoming column and
bias, and the rows by which the next layers read it. Groups may overlap, where one layer's outgoing
weights are another's incoming ones. What remains of a group by the exact inverse,
``inverse.delete_set(group, θ)``, is in :mod:`graphc.numerics.pruning.inverse`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.pruning.inverse import Inverse
from graphc.numerics.vectors import Vector

__all__ = ["Group", "joint_rises", "lengths", "totals"]

Group = NDArray[np.intp]


def totals(groups: Sequence[Group], scores: Vector) -> Vector:
    """Sums [g] of the scores [n] of each group's weights: for saliencies that are rises of the
    objective, such as OBD's, and for movement."""
    return np.array([np.sum(scores[group]) for group in groups], dtype=np.float64)


def lengths(groups: Sequence[Group], scores: Vector) -> Vector:
    """Euclidean norms [g] of the scores [n] of each group's weights: for magnitude."""
    return np.array([np.linalg.norm(scores[group]) for group in groups], dtype=np.float64)


def joint_rises(inverse: Inverse, groups: Sequence[Group], theta: Vector) -> Vector:
    """½ w_Qᵀ (H⁻¹[Q,Q])⁻¹ w_Q [g] for each group Q: the rise of the quadratic objective when the
    group goes and all others compensate (Hassibi and Stork, 1993, for a set). Weights that are
    removed already do not count; a group of such alone rises by 0."""
    return np.array([inverse.rise(group, theta) for group in groups], dtype=np.float64)
