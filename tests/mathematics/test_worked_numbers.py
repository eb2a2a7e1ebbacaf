"""Formulas that are often misprinted, each with a number worked by hand."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest

import graphc


def module_of(text: str):
    return graphc.compile("model m\n" + text, precision="f64").module


def value_and_gradients(text: str, **inputs):
    module = module_of(text)
    return module.loss_and_gradients(module.init(0), inputs)


def test_product_of_a_sum():
    value, gradients = value_and_gradients(
        "param x: real = -2\nparam y: real = 5\nparam z: real = -4\nloss f = (x + y) * z\n"
    )
    assert value == -12
    assert [float(gradients[k]) for k in "xyz"] == [-4, -4, 3]


def test_fan_out_of_b():
    value, gradients = value_and_gradients(
        "param a: real = 2\nparam b: real = 1\nloss e = (a + b) * (b + 1)\n"
    )
    assert value == 6
    assert float(gradients["a"]) == 2
    assert float(gradients["b"]) == 5


def test_logistic_least_squares():
    value, gradients = value_and_gradients(
        """hyper lambda = 0.1
input  x: real
target t: real
param  w: real = 0.8
param  b: real = -0.2
y = sigmoid(w * x + b)
loss fit   = 1/2 * (y - t)^2
loss decay = lambda/2 * w^2
minimize fit + decay
""",
        x=1.5,
        t=1.0,
    )
    assert value == pytest.approx(0.0681647, abs=5e-8)
    assert float(gradients["w"]) == pytest.approx(0.00068436, abs=5e-9)
    assert float(gradients["b"]) == pytest.approx(-0.0528771, abs=5e-8)


def test_mean_squared_and_absolute_error():
    text = """input p: real[n]
target t: real[n]
param w: real = 1
loss mse = squared_error(w * p, t)
metric mae = absolute_error(p, t)
"""
    module = module_of(text)
    batch = {"p": np.array([0.7, 0.9, 1.2]), "t": np.array([0.8, 0.8, 1.1])}
    values = module.evaluate(module.init(0), batch)
    assert values["mse"] == pytest.approx(0.01)
    assert values["mae"] == pytest.approx(0.1)


def test_mean_squared_log_error_takes_natural_logarithms():
    text = "input p: real[n]\ntarget t: real[n]\nloss f = msle(p, t)\n"
    module = module_of(text)
    batch = {"p": np.array([0.7, 0.9]), "t": np.array([0.8, 0.8])}
    assert module.evaluate(module.init(0), batch)["f"] == pytest.approx(0.0030952, abs=5e-8)


def test_multi_class_hinge():
    """The sum of max(0, s_j - s_y + 1) over the wrong classes; not of max(0, s_j - s_y) + 1."""
    module = module_of(
        "input s: real[n, 3]\ntarget y: label{3}[n]\nloss f = multiclass_hinge(s, y)\n"
    )
    scores = np.array([[4.26, 1.33, -1.01], [3.76, -1.20, -3.81], [-2.37, 1.03, -2.27]])
    state, labels = module.init(0), np.array([0, 1, 2])
    each = [
        module.evaluate(state, {"s": scores[i : i + 1], "y": labels[i : i + 1]})["f"]
        for i in range(3)
    ]
    assert each == pytest.approx([0, 5.96, 5.2])
    whole = module.evaluate(state, {"s": scores, "y": labels})["f"]
    assert whole == pytest.approx(3.72)


def test_softmax_and_its_negative_log_likelihood():
    text = """input z: real[n, 3]
target y: label{3}[n]
param w: real = 1
loss nll = cross_entropy(w * z, y)
output o = softmax(z)
"""
    module = module_of(text)
    state, batch = module.init(0), {"z": np.array([[-3.44, 1.16, 3.91]]), "y": np.array([2])}
    np.testing.assert_allclose(
        module.predict(state, batch)["o"], [[0.0006, 0.0601, 0.9393]], atol=5e-5
    )
    assert module.evaluate(state, batch)["nll"] == pytest.approx(0.06257, abs=1e-5)


def test_softmax_cross_entropy_gradient_is_p_minus_t():
    text = """target y: label{3}[n]
param z: real[1, 3] = [[-3.44, 1.16, 3.91]]
loss nll = cross_entropy(z + 0 * one_hot(y), y)
output o = softmax(z)
"""
    module = module_of(text)
    state = module.init(0)
    _, gradients = module.loss_and_gradients(state, {"y": np.array([0])})
    expected = module.predict(state, {"y": np.array([0])})["o"] - [[1, 0, 0]]
    np.testing.assert_allclose(gradients["z"], expected, rtol=1e-12)


def path(optimizer: str, steps: int = 3, definition: str = "") -> list[float]:
    module = module_of(
        f"{definition}param x: real = 1\nloss f = x^2 / 2\ntrain {{ optimizer = {optimizer} }}\n"
    )
    trainer = module.Trainer(module.init(0), 1)
    result = []
    for _ in range(steps):
        trainer.step({})
        result.append(float(trainer.state()["x"]))
    return result


def test_adam():
    assert path("adam{0.1}") == pytest.approx([0.900000001, 0.80041223, 0.70158627], abs=5e-9)


def test_rmsprop():
    assert path("rmsprop{0.1, decay = 0.9}") == pytest.approx(
        [0.68377224, 0.49887062, 0.36918057], abs=5e-8
    )


def test_momentum_uses_the_new_velocity():
    """v1 = 1, w1 = .9; v2 = .9 + .9, w2 = .9 - .18."""
    assert path("momentum{0.1, mu = 0.9}", 2) == pytest.approx([0.9, 0.72])


AVERAGED = """optimizer averaged{lr, mu = 0.9}(w, g) {
  state v = 0
  v' = mu * v + (1 - mu) * g
  w' = w - lr / (1 - mu) * v'
}
"""
INSIDE = """optimizer inside{lr, mu = 0.9}(w, g) {
  state v = 0
  v' = mu * v + lr * g
  w' = w - v'
}
"""


def test_forms_of_momentum():
    """The averaged form needs lr / (1 - mu); the rate inside v differs once the rate varies."""
    for rate in ("0.1", "0.05 * (1 + step)"):
        assert path(f"averaged{{{rate}}}", 5, AVERAGED) == pytest.approx(
            path(f"momentum{{{rate}}}", 5)
        )
    assert path("inside{0.1}", 5, INSIDE) == pytest.approx(path("momentum{0.1}", 5))
    varying = "0.05 * (1 + step)"
    assert path(f"inside{{{varying}}}", 2, INSIDE)[1] == pytest.approx(0.95 - 0.045 - 0.095)
    assert path(f"momentum{{{varying}}}", 2)[1] == pytest.approx(0.95 - 0.1 * (0.9 + 0.95))


def test_penalty_is_scaled_by_the_rate():
    """w - η(∇f + λ∇R), not w - η∇f - λR."""
    module = module_of(
        "param w: real[1, 1] = 2\nloss f = sum(w)\n"
        "regularize { l2{0.3} on weights }\ntrain { optimizer = sgd{0.1} }\n"
    )
    trainer = module.Trainer(module.init(0), 1)
    trainer.step({})
    assert float(trainer.state()["w"][0, 0]) == pytest.approx(2 - 0.1 * (1 + 0.3 * 2))


def test_log_of_one_plus_a_square():
    value, gradients = value_and_gradients(
        "param w: real[2] = [1, 2]\nloss f = log(1 + sum(w^2))\n"
    )
    assert value == pytest.approx(1.791759, abs=5e-7)
    np.testing.assert_allclose(gradients["w"], [1 / 3, 2 / 3], rtol=1e-12)


def test_weight_elimination():
    module = module_of(
        "param w: real[3] = [0.5, 1, 2]\nr = w^2 / (1 + w^2)\nloss f = sum(r)\noutput terms = r\n"
    )
    state = module.init(0)
    np.testing.assert_allclose(module.predict(state, {})["terms"], [0.2, 0.5, 0.8], rtol=1e-12)
    np.testing.assert_allclose(
        module.loss_and_gradients(state, {})[1]["w"], [0.64, 0.5, 0.16], rtol=1e-12
    )


def test_dropout_keeps_the_mean():
    """In training x·mask/keep, in evaluation x: the mean is the same."""
    module = module_of(
        "input x: real[n, 1000]\nparam w: real = 1\nh = dropout{0.2}(w * x)\nloss f = mean(h)\n"
    )
    state, batch = module.init(0), {"x": np.ones((20, 1000))}
    assert module.loss_and_gradients(state, batch)[0] == pytest.approx(1.0)
    training, gradients = module.loss_and_gradients(state, batch, training=True)
    assert training == pytest.approx(1.0, abs=0.01)
    assert training == float(gradients["w"])
    kept = training * 0.8
    assert 0.79 < kept < 0.81


def test_cosine_with_restarts():
    module = module_of(
        "param x: real = 0\nloss f = x\n"
        "train { optimizer = sgd{0.2 * cosine(step / 5 - floor(step / 5))} }\n"
    )
    trainer = module.Trainer(module.init(0), 1)
    places = [0.0]
    for _ in range(6):
        trainer.step({})
        places.append(float(trainer.state()["x"]))
    rates = -np.diff(places)
    np.testing.assert_allclose(rates, [0.2, 0.180902, 0.130902, 0.069098, 0.019098, 0.2], atol=5e-7)


def test_inverse_square_root_is_defined_at_zero():
    module = module_of(
        "param x: real = 0\nloss f = x\ntrain { optimizer = sgd{inverse_sqrt(step)} }\n"
    )
    trainer = module.Trainer(module.init(0), 1)
    trainer.step({})
    trainer.step({})
    assert float(trainer.state()["x"]) == pytest.approx(-1 - 1 / math.sqrt(2))


def test_learned_weights_of_several_tasks():
    """e^{-s}·L + s is smallest at s = ln L; the total for L = (.5, 2) is 2."""
    value, gradients = value_and_gradients(
        "param s: real[2] = [-0.6931471805599453, 0.6931471805599453]\n"
        "loss f = sum(exp(-s) * [0.5, 2.0] + s)\n"
    )
    assert value == pytest.approx(2.0)
    np.testing.assert_allclose(gradients["s"], 0, atol=1e-12)


DEEP = """input x: real[n, 4096]
h = x
repeat layer in 1..6 {{
  h = h |> dense{{4096, bias = false, init = normal{{0, {std}}}}} |> {activation}
}}
param w: real = 1
loss f = w * mean(h)
output last = h
"""


@functools.cache
def unit_draws() -> dict[str, Any]:
    """A hundred million weights of spread 1, which take seconds to draw."""
    text = "model m\n" + DEEP.format(activation="tanh", std="1")
    return dict(graphc.compile(text, precision="f32").module.init(0))


def drawn(std: str) -> dict[str, Any]:
    """The same weights of another spread: draws depend on seed and place alone."""
    factor = np.float32(eval(std, {"sqrt": np.sqrt}))
    return {n: a * factor if a.ndim == 2 else a for n, a in unit_draws().items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "std", "expected"),
    [
        ("tanh", "0.01", 0.0460),
        ("tanh", "0.05", 0.8492),
        ("tanh", "sqrt(1 / 4096)", 0.2944),
        ("relu", "sqrt(1 / 4096)", 0.1031),
        ("relu", "sqrt(2 / 4096)", 0.8248),
    ],
)
def test_spread_of_the_last_of_six_layers(activation: str, std: str, expected: float):
    text = "model m\n" + DEEP.format(activation=activation, std=std)
    module = graphc.compile(text, precision="f32").module
    x = np.random.default_rng(0).normal(size=(64, 4096)).astype(np.float32)
    last = module.predict(drawn(std), {"x": x})["last"]
    assert float(last.std()) == pytest.approx(expected, rel=0.05)
