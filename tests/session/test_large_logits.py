"""Formulas as a textbook writes them, in models of single precision with logits of ±1e4.

The objective and its gradient are compared with the same formula in double precision, written here
without overflow; the second derivative with differences of the first.
"""

from __future__ import annotations

import numpy as np
import pytest

import graphc

X = np.array(
    [
        [1e4, -1e4, 9999.0, 3.0],
        [-1e4, -9998.0, -2.0, 0.5],
        [0.25, 1e4, 1e4, -1e4],
        [-1.5, 2.0, 0.75, -0.5],
        [120.0, -95.0, 104.0, 89.0],
        [-1e4, -9999.5, -9999.0, -9998.75],
    ]
)
Y = np.array([1, 2, 0, 3, 0, 1])
S = np.array([[2, 1, -1, 0.5], [0.25, -2, 1, 1], [1, 1, 2, -1]] * 2)
T = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1.0]])

BATCH = {"x": X, "s": S, "y": Y, "t": T}

TEXT = """model m
{definitions}
input  x: real[n, 4]
input  s: real[n, 4]
target y: label{{4}}[n]
target t: real[n, 4]
param  w: real[4] = 1
z = x + s * w
{equation}
loss f = {formula}
train {{
  optimizer = sgd{{1e-2}}
}}
"""


def softplus(z):
    return np.logaddexp(0, z)


def lse(z, axis=-1):
    return np.logaddexp.reduce(z, axis=axis, keepdims=True)


def sigmoid(z):
    return np.exp(-softplus(-z))


def softmax(z):
    return np.exp(z - lse(z))


def log_softmax(z):
    m = z - z.max(axis=-1, keepdims=True)
    return m - np.log(np.exp(m).sum(axis=-1, keepdims=True))


def nll(z):
    return -np.mean(log_softmax(z)[np.arange(len(z)), Y])


def soft_nll(z):
    return -np.mean(np.sum(T * log_softmax(z), axis=-1))


def bce(z):
    return np.mean(softplus(z) - z * T)


NORM = "sum{axis = -1, keep = true}"
FORMULAS = {
    f"mean(log({NORM}(exp(z))))": lambda z: np.mean(lse(z)),
    "mean(log(sum{axis = 0}(exp(z))))": lambda z: np.mean(lse(z, 0)),
    "log(sum(exp(z)))": lambda z: np.logaddexp.reduce(z.ravel()),
    f"mean(log({NORM}(exp(z - 7))) + 7)": lambda z: np.mean(lse(z)),
    f"mean(log({NORM}(exp(z - max(z)))) + max(z))": lambda z: np.mean(lse(z)),
    "mean(log(1 + exp(z)))": lambda z: np.mean(softplus(z)),
    "mean(log1p(exp(z)))": lambda z: np.mean(softplus(z)),
    "mean(log(1 + exp(-z)))": lambda z: np.mean(softplus(-z)),
    "mean(log(5 + exp(z)))": lambda z: np.mean(np.logaddexp(np.log(5), z)),
    "mean(1 / (1 + exp(-z)))": lambda z: np.mean(sigmoid(z)),
    "mean(exp(z) / (1 + exp(z)))": lambda z: np.mean(sigmoid(z)),
    "mean(z / (1 + exp(-z)))": lambda z: np.mean(z * sigmoid(z)),
    "-mean(log(sigmoid(z)))": lambda z: np.mean(softplus(-z)),
    "-mean(log(1 - sigmoid(z)))": lambda z: np.mean(softplus(z)),
    "-mean(t * log(sigmoid(z)) + (1 - t) * log(1 - sigmoid(z)))": bce,
    "-mean(log(where(t > 0.5, sigmoid(z), 1 - sigmoid(z))))": bce,
    "-mean(log(pick(softmax(z), y)))": nll,
    "-sum(t * log(softmax(z))) / n": soft_nll,
    f"-sum(t * log(exp(z) / {NORM}(exp(z)))) / n": soft_nll,
    f"mean((t - exp(z) / {NORM}(exp(z)))^2)": lambda z: np.mean((T - softmax(z)) ** 2),
    "cross_entropy(z, y)": nll,
    "binary_cross_entropy(z, t)": bce,
    "soft_cross_entropy(z, t)": soft_nll,
    "mean(exp(min(z, 2.5)) - 1)": lambda z: np.mean(np.expm1(np.minimum(z, 2.5))),
}
DEFINED = {
    "own nll": (
        "def nll(z, y) = -mean(log(pick(softmax(z), y)))",
        "",
        "nll(z, y)",
        nll,
    ),
    "probabilities given to a loss": (
        "def surprise(p, y) = -mean(log(pick(p, y)))",
        "p = softmax(z)",
        "surprise(p, y)",
        nll,
    ),
    "three definitions": (
        "def each(p, y) = -log(pick(p, y))\ndef surprise(p, y) = mean(each(p, y))\n"
        "def network(z) = softmax(2 * z)",
        "",
        "surprise(network(z), y)",
        lambda z: nll(2 * z),
    ),
    "own sigmoid and loss": (
        "def logistic(x) = 1 / (1 + exp(-x))\n"
        "def bce(p, t) = -mean(t * log(p) + (1 - t) * log(1 - p))",
        "p = logistic(z)",
        "bce(p, t)",
        bce,
    ),
    "own softmax": (
        "def share(e) = e / sum{axis = -1, keep = true}(e)",
        "p = share(exp(z))",
        "-mean(log(pick(p, y)))",
        nll,
    ),
    "loss of the prelude on probabilities": (
        "",
        "p = sigmoid(z)",
        "binary_cross_entropy{from_logits = false}(p, t)",
        lambda z: (
            -np.mean(
                T * np.maximum(-softplus(-z), np.log(1e-18))
                + (1 - T) * np.maximum(-softplus(z), np.log(1e-18))
            )
        ),
    ),
}
CASES = {formula: ("", "", formula, right) for formula, right in FORMULAS.items()} | DEFINED


def slopes(f, step: float) -> np.ndarray:
    """∂f/∂w at w = 1 by central differences, one row for each element of w."""
    sides = [[np.asarray(f(1 + sign * step * e)) for e in np.eye(4)] for sign in (1, -1)]
    return (np.array(sides[0]) - np.array(sides[1])) / (2 * step)


def close(value, right, rtol: float) -> None:
    np.testing.assert_allclose(value, right, rtol=rtol, atol=rtol * np.abs(right).max() + 1e-12)


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_in_single_precision(name: str):
    definitions, equation, formula, right = CASES[name]
    text = TEXT.format(definitions=definitions, equation=equation, formula=formula)
    model = graphc.compile(text, precision="f32", products=("hessian_vector_products",))
    state = model.init(0)
    value, gradient = model.module.loss_and_gradients(state, BATCH)
    assert gradient["w"].dtype == np.float32
    assert value == pytest.approx(right(X + S), rel=1e-5)
    close(gradient["w"], slopes(lambda w: right(X + S * w), 1e-6), 1e-4)

    exact = graphc.compile(text, precision="f64").module
    hessian = slopes(lambda w: exact.loss_and_gradients({**state, "w": w}, BATCH)[1]["w"], 1e-5)
    products = model.hessian_vector_products(state, BATCH, {"w": np.eye(4)})
    close(products["w"], hessian, 1e-3)


@pytest.mark.parametrize("name", CASES)
def test_training_in_single_precision(name: str):
    definitions, equation, formula, _ = CASES[name]
    text = TEXT.format(definitions=definitions, equation=equation, formula=formula)
    module = graphc.compile(text, precision="f32").module
    state = module.init(0)
    trainer = module.Trainer(state, len(X), 1, 20)
    for _step in range(20):
        assert np.isfinite(trainer.step(BATCH))
    after = trainer.state()
    assert np.all(np.isfinite(after["w"]))
    objective, gradient = module.loss_and_gradients(after, BATCH)
    assert np.isfinite(objective)
    assert np.all(np.isfinite(gradient["w"]))
    assert objective <= module.loss_and_gradients(state, BATCH)[0] * (1 + 1e-6)


@pytest.mark.parametrize(
    "formula", ["sqrt(sum(v^2))", "sqrt(sum((x * v)^2)) + sum(log(1 + exp(v)))", "sum(v^2)^0.5"]
)
def test_a_norm_at_zero_trains(formula: str):
    """√Σv² has gradient and Hessian 0 at 0."""
    text = f"model m\ninput x: real[3]\nparam v: real[3] = 0\nloss f = {formula}\n"
    model = graphc.compile(text, precision="f32", products=("hessian_vector_products",))
    state, batch = model.init(0), {"x": np.array([1.0, -2.0, 3.0])}
    softplus_part = 0.5 if "log" in formula else 0.0
    _, gradient = model.module.loss_and_gradients(state, batch)
    np.testing.assert_array_equal(gradient["v"], np.full(3, softplus_part))
    products = model.hessian_vector_products(state, batch, {"v": np.eye(3)})
    np.testing.assert_allclose(products["v"], softplus_part / 2 * np.eye(3))
    trainer = model.module.Trainer(state, 1, 1, 20)
    for _step in range(20):
        assert np.isfinite(trainer.step(batch))
    assert np.all(np.isfinite(trainer.state()["v"]))
