"""Definitions of one or more tensors against closed forms in NumPy, in f64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from prelude_uses import INPUTS, names

import graphc

Array = Any
RNG = np.random.default_rng(7)
N, K = 9, 4
DATA: dict[str, Array] = {
    "x": RNG.normal(size=(N, K)) * 2,
    "y": RNG.normal(size=(N, K)),
    "label": RNG.integers(0, K, N),
}
DATA["x"][0, 0] = 0.0
X, Y, LABEL = DATA["x"], DATA["y"], DATA["label"]
ROW = np.arange(N)


def values(uses: list[str], data: dict[str, Array] = DATA) -> list[Array]:
    """The values of expressions, from one module."""
    declared = "".join(f"{INPUTS[name].replace('target', 'input')}\n" for name in data)
    outputs = "".join(f"output out{i} = {use}\n" for i, use in enumerate(uses))
    module = graphc.compile(f"model m\n{declared}{outputs}", precision="f64").module
    found = module.predict(module.init(0), data)
    return [found[f"out{i}"] for i in range(len(uses))]


def check(table: dict[str, Array]) -> None:
    for use, found in zip(table, values(list(table)), strict=True):
        np.testing.assert_allclose(found, table[use], rtol=1e-12, atol=1e-14, err_msg=use)


# ------------------------------------------------------------------------- activations

SIGMOID = 1 / (1 + np.exp(-X))
ERF = np.vectorize(math.erf)
SHARES = np.exp(X) / np.exp(X).sum(-1, keepdims=True)

ACTIVATIONS = {
    "sigmoid(x)": SIGMOID,
    "log_sigmoid(x)": np.log(SIGMOID),
    "relu(x)": X * (X > 0),
    "relu6(2 * x)": np.clip(2 * X, 0, 6),
    "leaky_relu(x)": np.where(X < 0, 0.01 * X, X),
    "leaky_relu{0.3}(x)": np.where(X < 0, 0.3 * X, X),
    "elu(x)": np.where(X < 0, np.exp(X) - 1, X),
    "elu{2}(x)": np.where(X < 0, 2 * np.exp(X) - 2, X),
    "selu(x)": 1.0507009873554805 * np.where(X < 0, 1.6732632423543772 * (np.exp(X) - 1), X),
    "gelu(x)": X * 0.5 * (1 + ERF(X / math.sqrt(2))),
    "gelu_tanh(x)": X * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3))),
    "silu(x)": X * SIGMOID,
    "softplus(x)": np.log(1 + np.exp(X)),
    "softsign(x)": X / (1 + np.abs(X)),
    "hard_tanh(x)": np.clip(X, -1, 1),
    "hard_sigmoid(3 * x)": np.clip((3 * X + 3) / 6, 0, 1),
    "hard_threshold(x)": np.where(X > 0, 1, 0),
    "hard_threshold{1}(x)": np.where(X > 1, 1, 0),
    "threshold(x)": np.where(X > 0, X, 0),
    "threshold{1, -2}(x)": np.where(X > 1, X, -2),
    "logsumexp(x)": np.log(np.exp(X).sum(-1)),
    "logsumexp{0, keep = true}(x)": np.log(np.exp(X).sum(0, keepdims=True)),
    "softmax(x)": SHARES,
    "softmax{0}(x)": np.exp(X) / np.exp(X).sum(0),
    "log_softmax(x)": np.log(SHARES),
}


def test_activations() -> None:
    check(ACTIVATIONS)


# ------------------------------------------------------------------------------ losses

E = X - Y
OWN = X[ROW, LABEL]
NLL = -np.log(SHARES)[ROW, LABEL]
TARGETS = np.exp(Y) / np.exp(Y).sum(-1, keepdims=True)
SIGNS = np.where(Y > 0, 1, -1)
HIT = 1 / (1 + np.exp(-Y))
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0])
SMOOTH = 0.9 * WEIGHTS[LABEL] * NLL - 0.1 * (WEIGHTS * np.log(SHARES)).mean(-1)


def margins(power: int) -> float:
    """Sum over wrong classes, one example after another."""
    total = 0.0
    for i in range(N):
        for j in range(K):
            if j != LABEL[i]:
                total += max(0.0, X[i, j] - OWN[i] + 1) ** power
    return total / N


def full_nll() -> float:
    factor = np.tril(np.outer([1, 2, 3, 4], [0.5, 0.2, -0.1, 0.3])) + 2 * np.eye(K)
    covariance = factor @ factor.T
    inner = np.einsum("ni,ij,nj->n", E, np.linalg.inv(covariance), E)
    return float(np.mean(inner + np.linalg.slogdet(covariance)[1] + K * math.log(2 * math.pi)) / 2)


FACTOR = "[[2.5, 9, 9, 9], [1, 2.4, 9, 9], [1.5, 0.6, 1.7, 9], [2, 0.8, -0.4, 3.2]]"
LOSSES = {
    "squared_error(x, y)": (E**2).mean(),
    "sum_squared_error(x, y)": (E**2).sum(),
    "half_squared_error(x, y)": (E**2).mean() / 2,
    "absolute_error(x, y)": np.abs(E).mean(),
    "huber(x, y)": np.where(np.abs(E) < 1, E**2 / 2, np.abs(E) - 0.5).mean(),
    "huber{2}(x, y)": np.where(np.abs(E) < 2, E**2 / 2, 2 * np.abs(E) - 2).mean(),
    "msle(x^2, y^2)": ((np.log(1 + X**2) - np.log(1 + Y**2)) ** 2).mean(),
    "cross_entropy(x, label)": NLL.mean(),
    "cross_entropy{0.1}(x, label)": (0.9 * NLL - 0.1 * np.log(SHARES).mean(-1)).mean(),
    "cross_entropy{weights = [1, 2, 0.5, 3]}(x, label)": np.average(NLL, weights=WEIGHTS[LABEL]),
    "cross_entropy{0.1, [1, 2, 0.5, 3]}(x, label)": SMOOTH.sum() / WEIGHTS[LABEL].sum(),
    "soft_cross_entropy(x, one_hot(label))": NLL.mean(),
    "soft_cross_entropy(x, softmax(y))": -(TARGETS * np.log(SHARES)).sum(-1).mean(),
    "binary_cross_entropy(x, sigmoid(y))": -np.mean(
        HIT * np.log(SIGMOID) + (1 - HIT) * np.log(1 - SIGMOID)
    ),
    "binary_cross_entropy{from_logits = false}(sigmoid(x), sigmoid(y))": -np.mean(
        HIT * np.log(SIGMOID) + (1 - HIT) * np.log(1 - SIGMOID)
    ),
    "safe_log(sigmoid(x))": np.log(SIGMOID),
    "hinge(x, sign(y))": np.maximum(0, 1 - SIGNS * X).mean(),
    "squared_hinge(x, sign(y))": (np.maximum(0, 1 - SIGNS * X) ** 2).mean(),
    "multiclass_hinge(x, label)": margins(1),
    "squared_multiclass_hinge(x, label)": margins(2),
    "gaussian_nll_fixed{1.5}(x, y)": -np.log(
        np.exp(-((E / 1.5) ** 2) / 2) / (1.5 * math.sqrt(2 * math.pi))
    ).mean(),
    "gaussian_nll(x, x / 2, y)": -np.log(
        np.exp(-(E**2) / np.exp(X / 2) / 2) / np.sqrt(2 * math.pi * np.exp(X / 2))
    ).mean(),
    f"gaussian_nll_full(x, {FACTOR}, y)": full_nll(),
    f"gaussian_nll_full(x, broadcast{{[dim{{0}}(x), 4, 4]}}({FACTOR}), y)": full_nll(),
    "kl_divergence(softmax(x), softmax(y))": (SHARES * np.log(SHARES / TARGETS)).sum(-1).mean(),
    "kl_gaussian(x, y)": ((X**2 + np.exp(Y) - 1 - Y) / 2).sum(-1).mean(),
}


def test_losses() -> None:
    check(LOSSES)


def test_losses_at_the_ends_of_their_range() -> None:
    """0·log 0 = 0; what is certain and wrong costs much, but its gradient is finite."""
    probability = "{from_logits = false}([0.0, 1.0], [0.0, 1.0])"
    wrong = "{from_logits = false}([1.0, 0.0], [0.0, 1.0])"
    certain = "kl_divergence([[0.0, 1.0]], [[0.5, 0.5]])"
    uses = [f"binary_cross_entropy{probability}", f"binary_cross_entropy{wrong}", certain]
    right, costly, divergence = values([*uses], {"x": X})
    assert (right, divergence) == (0.0, pytest.approx(math.log(2)))
    assert costly == pytest.approx(18 * math.log(10))
    for use in (uses[1], "binary_cross_entropy([-1e4, 1e4], [1.0, 0.0])"):
        text = f"model m\nparam w: real = 1\nloss f = {use.replace('([', '(w * [', 1)}\n"
        products = ("hessian_vector_products",)
        module = graphc.compile(text, precision="f32", products=products).module
        value, gradients = module.loss_and_gradients(module.init(0), {})
        assert np.isfinite(value)
        assert np.isfinite(gradients["w"])
        tangents = {"w": np.ones(1)}
        second = module.hessian_vector_products(module.init(0), {}, tangents)  # type: ignore[attr-defined]
        assert np.isfinite(second["w"]).all()


# ----------------------------------------------------------------------------- metrics

SCORES = np.round(X)  # ties
BEST = SCORES.argmax(-1)
PLACE = np.argsort(np.argsort(-SCORES, axis=-1, kind="stable"), axis=-1)[ROW, LABEL]
MATRIX = np.zeros((K, K))
np.add.at(MATRIX, (LABEL, BEST), 1)
FLAT, TRUE = SCORES.ravel(), (Y > 0).ravel()
POSITIVE, NEGATIVE = FLAT[TRUE], FLAT[~TRUE]
OVER = POSITIVE[:, None] - NEGATIVE[None, :]
RIGHT = np.sum((FLAT > 0) & TRUE)


def macro(score: Callable[[int, int, int], float]) -> float:
    """The mean over classes that occur, of (right, predicted, actual) of a class."""
    found = [
        score(MATRIX[c, c], MATRIX[:, c].sum(), MATRIX[c].sum())
        for c in range(K)
        if MATRIX[c].sum() + MATRIX[:, c].sum()
    ]
    return float(np.mean(found))


SCORE = "floor(x + 0.5)"
TARGET = "where(y > 0, 1, 0)"
METRICS = {
    "rmse(x, y)": math.sqrt((E**2).mean()),
    "mae(x, y)": np.abs(E).mean(),
    "r_squared(x, y)": np.mean(1 - (E**2).sum(0) / (N * Y.var(0))),
    "r_squared(x[:, 0], y[:, 0])": 1 - (E**2)[:, 0].sum() / (N * Y[:, 0].var()),
    "r_squared(x, 0 * y + 1)": 0,
    f"accuracy({SCORE}, label)": np.mean(BEST == LABEL),
    f"top_k_accuracy{{1}}({SCORE}, label)": np.mean(BEST == LABEL),
    f"top_k_accuracy{{2}}({SCORE}, label)": np.mean(PLACE < 2),
    f"top_k_accuracy({SCORE}, label)": 1,
    f"confusion_matrix({SCORE}, label)": MATRIX,
    f"macro_precision({SCORE}, label)": macro(lambda r, p, a: r / p if p else 0.0),
    f"macro_recall({SCORE}, label)": macro(lambda r, p, a: r / a if a else 0.0),
    f"macro_f1({SCORE}, label)": macro(lambda r, p, a: 2 * r / (p + a)),
    f"binary_accuracy({SCORE}, {TARGET})": np.mean((FLAT > 0) == TRUE),
    f"binary_accuracy{{1}}({SCORE}, {TARGET})": np.mean((FLAT > 1) == TRUE),
    f"precision({SCORE}, {TARGET})": RIGHT / np.sum(FLAT > 0),
    f"precision{{99}}({SCORE}, {TARGET})": 0,
    f"recall({SCORE}, {TARGET})": RIGHT / np.sum(TRUE),
    f"recall({SCORE}, 0 * y)": 0,
    f"f1_score({SCORE}, {TARGET})": 2 * RIGHT / (np.sum(FLAT > 0) + np.sum(TRUE)),
    f"auc({SCORE}, {TARGET})": np.mean((OVER > 0) + (OVER == 0) / 2),
    f"auc({SCORE}, 0 * y)": 0.5,
    "mean(x)": X.mean(),
    "mean{0}(x)": X.mean(0),
    "variance{-1, keep = true}(x)": X.var(-1, keepdims=True),
}


def test_metrics() -> None:
    check(METRICS)


def test_counts_of_classes() -> None:
    text = (
        f"model m\ninput x: real[n, 4]\ninput label: label{{4}}[n]\n"
        f"a, b, c = class_counts({SCORE}, label)\noutput r = a\noutput p = b\noutput t = c\n"
    )
    module = graphc.compile(text, precision="f64").module
    found = module.predict(module.init(0), {"x": X, "label": LABEL})
    np.testing.assert_array_equal(found["r"], np.diag(MATRIX))
    np.testing.assert_array_equal(found["p"], MATRIX.sum(0))
    np.testing.assert_array_equal(found["t"], MATRIX.sum(1))


def test_every_loss_and_metric_has_a_value_here() -> None:
    """Activations are left out: a new one is tested by its own derivative and by PyTorch."""
    tested = {use.split("(")[0].split("{")[0] for use in (*LOSSES, *METRICS)} | {"class_counts"}
    for file in ("losses", "metrics", "reductions"):
        assert set(names("def", file=file)) <= tested
