"""Second-order formulas on small objectives; values and gradients are those of compiled models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc

QUADRATIC = """model quadratic
param w: real[2] = {start}
e = w - [1.0, -2.0]
H = [[2.0, 0.5], [0.5, 1.0]]
loss f = e @ H @ e / 2
{rest}
"""
BEST = np.array([1.0, -2.0])


def module_of(text: str) -> Any:
    return graphc.compile(text, precision="f64").module


def quadratic(start: str = "[0, 0]", rest: str = "") -> Any:
    return module_of(QUADRATIC.format(start=start, rest=rest))


def objective(module: Any, w: Any) -> float:
    return float(module.loss_and_gradients({**module.init(0), "w": np.asarray(w)}, {})[0])


def gradient(module: Any, w: Any) -> Any:
    return module.loss_and_gradients({**module.init(0), "w": np.asarray(w)}, {})[1]["w"]


def hessian(module: Any, w: Any) -> Any:
    """Differences of gradients: exact for a quadratic, else to the square of the step."""
    step = 1e-5
    rows = [
        (gradient(module, w + step * unit) - gradient(module, w - step * unit)) / (2 * step)
        for unit in np.eye(len(w))
    ]
    return np.array(rows)


def descended(module: Any, steps: int) -> Any:
    trainer = module.Trainer(module.init(0), 1)
    for _ in range(steps):
        trainer.step({})
    return trainer.state()["w"]


def test_second_order_expansion_has_a_half_and_newton_finds_the_minimum() -> None:
    module = quadratic()
    start, move = np.array([0.3, 0.7]), np.array([-1.1, 0.4])
    g, H = gradient(module, start), hessian(module, start)
    np.testing.assert_allclose(H, [[2, 0.5], [0.5, 1]], rtol=1e-9)
    expansion = objective(module, start) + g @ move + move @ H @ move / 2
    assert objective(module, start + move) == pytest.approx(expansion, rel=1e-9)
    np.testing.assert_allclose(start - np.linalg.solve(H, g), BEST, rtol=1e-9)


def test_l2_shrinks_along_the_axes_of_the_curvature() -> None:
    """(H + λI)⁻¹ H w* for λ = 0.3."""
    module = quadratic(rest="regularize { l2{0.3} on w }\ntrain { optimizer = sgd{0.3} }")
    np.testing.assert_allclose(descended(module, 300), [0.748175, -1.441606], atol=5e-7)


def test_early_stopping() -> None:
    """(I - (I - ηH)^20) w* after 20 steps from 0 with η = 0.1."""
    module = quadratic(rest="train { optimizer = sgd{0.1} }")
    found = descended(module, 20)
    np.testing.assert_allclose(found, [0.83543432, -1.60552948], atol=5e-9)
    H = hessian(module, BEST)
    kept = np.linalg.matrix_power(np.eye(2) - 0.1 * H, 20)
    np.testing.assert_allclose(found, BEST - kept @ BEST, rtol=1e-8)


@pytest.mark.parametrize(
    ("q", "saliency", "correction"), [(0, 0.875, [-1, 0.5]), (1, 1.75, [-0.5, 2])]
)
def test_optimal_brain_surgeon(q: int, saliency: float, correction: list[float]) -> None:
    """½ w_q² / [H⁻¹]_qq is what the objective rises by once the others have made up for w_q."""
    module = quadratic()
    inverse = np.linalg.inv(hessian(module, BEST))
    assert BEST[q] ** 2 / inverse[q, q] / 2 == pytest.approx(saliency)
    move = -BEST[q] / inverse[q, q] * inverse[:, q]
    np.testing.assert_allclose(move, correction, rtol=1e-9)
    assert objective(module, BEST + correction) == pytest.approx(saliency)
    assert (BEST + correction)[q] == 0


def test_optimal_brain_damage() -> None:
    """½ H_kk w_k², which is what the objective rises by where w_k alone becomes 0."""
    module = quadratic()
    saliency = np.diag(hessian(module, BEST)) * BEST**2 / 2
    np.testing.assert_allclose(saliency, [1, 2], rtol=1e-9)
    for k in range(2):
        assert objective(module, np.where(np.arange(2) == k, 0, BEST)) == pytest.approx(saliency[k])


def test_curvature_can_be_negative_away_from_a_minimum() -> None:
    module = module_of("model m\nparam w: real[1] = 2\nloss f = sum(log(1 + w^2))\n")
    assert hessian(module, np.array([2.0]))[0, 0] == pytest.approx(2 * (1 - 4) / 25, rel=1e-8)


SHARING = """model sharing
param w: real[3] = [0.2, -0.9, 1.4]
param mu: real[2] = [0.1, 1.0]
param s: real[2] = [-0.4, 0.3]
param a: real[2] = [0.5, -0.2]
z = expand{-1}(w)
log_density = log_softmax(a) - s - log(2 * pi) / 2 - (z - mu)^2 * exp(-2 * s) / 2
loss penalty = -0.7 * sum(logsumexp(log_density))
output r = softmax(log_density)
"""


def test_soft_weight_sharing() -> None:
    """λ Σ_j r_ij (w_i - μ_j) / σ_j², with the responsibilities r_ij = p(j given w_i)."""
    module = module_of(SHARING)
    state = module.init(0)
    w, mu, sigma = state["w"], state["mu"], np.exp(state["s"])
    alpha = np.exp(state["a"]) / np.exp(state["a"]).sum()
    off = w[:, None] - mu
    density = alpha * np.exp(-((off / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
    r = density / density.sum(1, keepdims=True)
    np.testing.assert_allclose(module.predict(state, {})["r"], r, rtol=1e-12)
    value, gradients = module.loss_and_gradients(state, {})
    assert value == pytest.approx(-0.7 * np.log(density.sum(1)).sum())
    expected = {
        "w": (r * off / sigma**2).sum(1),
        "mu": -(r * off / sigma**2).sum(0),
        "s": (r * (1 - (off / sigma) ** 2)).sum(0),
        "a": (alpha - r).sum(0),
    }
    for name, slope in expected.items():
        np.testing.assert_allclose(gradients[name], 0.7 * slope, rtol=1e-11, err_msg=name)


def test_learned_weights_of_several_tasks_settle_at_the_logarithms_of_the_losses() -> None:
    module = module_of(
        "model tasks\nparam s: real[2] = 0\nloss f = sum(exp(-s) * [0.5, 2.0] + s)\n"
        "train { optimizer = sgd{0.3} }\n"
    )
    trainer = module.Trainer(module.init(0), 1)
    for _ in range(200):
        trainer.step({})
    np.testing.assert_allclose(trainer.state()["s"], np.log([0.5, 2.0]), atol=1e-9)
    assert trainer.step({}) == pytest.approx(2.0)
