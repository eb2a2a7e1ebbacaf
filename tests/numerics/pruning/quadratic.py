"""A network whose objective is a quadratic: everything about its pruning is known on paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from graphc.numerics.problem import Problem
from graphc.numerics.vectors import Layout


def unasked(*_: object) -> None:
    raise AssertionError("nobody needs this")


def quadratic(hessian: np.ndarray, minimum: np.ndarray, least: float = 1.0) -> Problem:
    """E(θ) = least + ½ (θ - minimum)ᵀ H (θ - minimum)."""
    hessian, minimum = np.asarray(hessian, float), np.asarray(minimum, float)

    def gradient(theta):
        step = theta - minimum
        return float(least + 0.5 * step @ hessian @ step), hessian @ step

    return Problem(
        layout=Layout({"w": minimum.shape}),
        examples=1,
        value=lambda theta: gradient(theta)[0],
        gradient=gradient,
        hessian=lambda theta, rows: rows @ hessian,
        gauss_newton=unasked,
        example_gradients=unasked,
        backpropagated=unasked,
        layers=unasked,
    )


@dataclass
class World:
    """``train(θ, alive)`` is what retraining gives; ``score(θ)`` a score of the training part."""

    problem: Problem
    score: Callable[[np.ndarray], float] = lambda theta: 0.0
    train: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda theta, alive: theta
    trained: list[np.ndarray] = field(default_factory=list)

    def scores(self, theta):
        return {"train": {"accuracy": self.score(theta)}}

    def retrain(self, theta, alive):
        self.trained.append(alive.copy())
        return self.train(theta, alive)
