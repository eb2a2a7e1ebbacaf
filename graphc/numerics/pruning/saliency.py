"""Scores of single weights: the smaller, the sooner a weight goes. None of them compensates."""

from __future__ import annotations

import numpy as np

from graphc.numerics.vectors import Vector

__all__ = ["magnitude", "movement", "obd", "random"]


def magnitude(theta: Vector) -> Vector:
    """|w| [n] of weights θ [n]."""
    return np.abs(theta)


def obd(theta: Vector, diagonal: Vector) -> Vector:
    """½ H_kk w_k² [n]: the rise of the objective when one weight alone becomes zero, by the
    diagonal of the Hessian [n] (LeCun, Denker and Solla, 1990).

    Away from a minimum H_kk can be negative, and so is the saliency then: the expansion promises
    that the objective falls. It is returned as it is; who prunes decides what to make of it.
    """
    return 0.5 * np.asarray(diagonal) * np.square(theta)


def movement(theta: Vector, gradient_sum: Vector) -> Vector:
    """What weights at θ [n] add to their movement scores S = -Σ_t w_t ∂L/∂w_t [n] (Sanh, Wolf and
    Rush, 2020): -θ times the sum of the gradients [n] that were taken at this θ.

    The scores of a training are the sum of this over its steps, each with the weights before the
    step's update and the gradient at them. A weight that moves away from zero gains, one that
    shrinks loses; scores of both signs are usual and the lowest go first.
    """
    return -np.asarray(theta) * np.asarray(gradient_sum)


def random(n: int, seed: int) -> Vector:
    """Scores [n] in [0, 1) that know nothing: the control. They depend on the seed alone, by a
    generator of their own."""
    return np.random.Generator(np.random.PCG64(seed)).random(n)
