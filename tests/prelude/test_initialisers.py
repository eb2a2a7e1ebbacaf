"""Initialisers: the spread of their draws, and the fans of dense weights and of kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from prelude_uses import names

import graphc

OUT, IN = 300, 400
SPREADS = {
    "lecun_normal": 1 / IN,
    "lecun_uniform": 1 / IN,
    "xavier_normal": 2 / (IN + OUT),
    "xavier_uniform": 2 / (IN + OUT),
    "glorot_normal": 2 / (IN + OUT),
    "glorot_uniform": 2 / (IN + OUT),
    "he_normal": 2 / IN,
    "he_uniform": 2 / IN,
    "kaiming_normal": 2 / IN,
    "kaiming_uniform": 2 / IN,
    "orthogonal": 1 / IN,
    "truncated_normal": 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)),
}
"""Variances of draws of [IN, OUT]."""
FIXED = {"zeros": 0.0, "ones": 1.0, "constant": 0.5}
OTHERS = {"forget_bias": "{75}"}


def drawn(use: str, shape: str = f"{IN}, {OUT}") -> Any:
    text = f"model m\nparam W: real[{shape}] ~ {use}\nloss f = sum(W^2)\n"
    return graphc.compile(text, precision="f64").init(0)["W"]


@pytest.mark.parametrize("name", names("def", 0))
def test_spread(name: str) -> None:
    if name in FIXED:
        attribute = "{0.5}" if name == "constant" else ""
        np.testing.assert_array_equal(drawn(name + attribute), np.full((IN, OUT), FIXED[name]))
        return
    if name in OTHERS:
        assert set(np.unique(drawn(name + OTHERS[name], "300"))) == {0.0, 1.0}
        return
    W = drawn(name)
    assert float(np.var(W)) == pytest.approx(SPREADS[name], rel=0.02)
    assert float(np.mean(W)) == pytest.approx(0, abs=4 * math.sqrt(SPREADS[name] / W.size))


@pytest.mark.parametrize("name", [name for name in SPREADS if name.endswith("uniform")])
def test_uniform_draws_have_an_edge(name: str) -> None:
    edge = math.sqrt(3 * SPREADS[name])
    W = np.abs(drawn(name))
    assert 0.999 * edge < W.max() <= edge


def test_truncated_normal_has_the_shape_of_a_normal_within_two_deviations() -> None:
    W = drawn("truncated_normal{1, 0.1}")
    assert 1.99 < np.abs(W - 1).max() / 0.1 <= 2
    within = np.mean(np.abs(W - 1) <= 0.1)
    assert within == pytest.approx(math.erf(1 / math.sqrt(2)) / math.erf(math.sqrt(2)), abs=0.01)


@pytest.mark.parametrize(
    ("shape", "wide"), [("30, 50", True), ("50, 30", False), ("3, 2, 5, 7", False)]
)
def test_orthogonal(shape: str, wide: bool) -> None:
    W = drawn("orthogonal{2}", shape)
    W = W.reshape(-1, W.shape[-1])
    gram = W @ W.T if wide else W.T @ W
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_fans_of_a_kernel_count_its_window() -> None:
    """[3, 5, 40, 60]: 3·5·40 inputs of a unit, and 3·5·60 units that an input reaches."""
    assert np.var(drawn("he_normal", "3, 5, 40, 60")) == pytest.approx(2 / 600, rel=0.03)
    assert np.var(drawn("xavier_uniform", "3, 5, 40, 60")) == pytest.approx(2 / 1500, rel=0.03)
    text = "input x: real[n, 8, 8, 64]\nh = x |> conv2d{64, 5, groups = 4}\nloss f = sum(h^2)\n"
    W = graphc.compile(f"model m\n{text}").init(0)["h.conv2d1.W"]
    assert W.shape == (5, 5, 16, 64)
    assert np.var(W) == pytest.approx(2 / (25 * 16), rel=0.03)
