"""The conventions for derivatives at kinks, as the language reference states them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from derivatives import derivatives

import graphc

SQRT_LIKE = {
    "sqrt": (lambda x: x.apply("sqrt"), 0.0),
    "x^0.5": (lambda x: x**0.5, 0.0),
    "x^0.3": (lambda x: x**0.3, 0.0),
    "arcsin": (lambda x: x.apply("arcsin"), 1.0),
    "arccos": (lambda x: x.apply("arccos"), -1.0),
    "arccosh": (lambda x: x.apply("arccosh"), 1.0),
}


@pytest.mark.parametrize("name", SQRT_LIKE)
def test_infinite_slopes_are_0_in_every_order(name):
    function, kink = SQRT_LIKE[name]
    for slope in derivatives(function, [kink], orders=3)[1:]:
        assert slope == [0.0]


@pytest.mark.parametrize("step", ["abs", "sign", "floor", "ceil", "round"])
def test_steps_have_no_slope(step):
    for slope in derivatives(lambda x: x.apply(step), [0.0])[1:]:
        assert slope == [0.0]


def test_the_norm_has_gradient_0_at_0_and_finite_second_derivatives():
    def norm(x):
        return (x**2.0).apply("sum", axis=(0,)).apply("sqrt")

    _, first, second, third = derivatives(norm, [0.0, 0.0, 0.0], orders=3)
    assert not first.any()
    assert np.isfinite(second).all()
    assert np.isfinite(third).all()
    np.testing.assert_allclose(derivatives(norm, [3.0, 4.0])[1], [0.6, 0.8])


@pytest.mark.parametrize(("pair", "first"), [("maximum", 0.0), ("minimum", 0.0)])
def test_a_tie_goes_to_the_second_operand(pair, first):
    def larger(x, y):
        return x.apply(pair, y)

    assert derivatives(larger, [1.5], [1.5])[1] == [first]
    assert derivatives(larger, [1.5], [1.5], by=1)[1] == [1.0 - first]


@pytest.mark.parametrize("extremum", ["max", "min"])
def test_equal_elements_share_the_slope_of_a_reduction(extremum):
    other = -1.0 if extremum == "max" else 9.0
    slope = derivatives(lambda x: x.apply(extremum, axis=(0,)), [2.0, other, 2.0])[1]
    np.testing.assert_array_equal(slope, [0.5, 0.0, 0.5])


def test_a_power_of_0_with_a_variable_exponent():
    p = [0.0, 0.3, 0.5, 1.0, 2.0, 3.0]
    base = [0.0] * len(p)

    def power(x, q):
        return x**q

    by_base = derivatives(power, base, p, orders=3)
    np.testing.assert_array_equal(by_base[1], [0, 0, 0, 1, 0, 0])
    by_exponent = derivatives(power, base, p, orders=3, by=1)
    for slope in by_exponent[1:]:
        np.testing.assert_array_equal(slope, np.zeros(len(p)))
    for slope in by_base[2:]:
        assert np.isfinite(slope).all()


def test_a_power_agrees_with_its_constant_exponent():
    x = [0.0, 0.25, 2.0]
    for exponent in (0.5, 1.5, 3.0, -1.0):
        at = x if exponent > 0 else x[1:]
        constant = derivatives(lambda v, p=exponent: v**p, at)
        variable = derivatives(lambda v, p: v**p, at, [exponent] * len(at))
        for a, b in zip(constant, variable, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def test_a_number_that_is_not_one_stays_visible():
    """Only the kink is chosen: the root of −1 has no slope."""
    with np.errstate(invalid="ignore"):
        assert np.isnan(derivatives(lambda x: x.apply("sqrt"), [-1.0])[1]).all()


MODEL = """model m
param w: real[3] = 0
param v: real[3] = [0, 3, 4]
loss length = sqrt(sum(w^2)) + sqrt(sum(v^2)) + sum(w^0.5) + sum(abs(v)^0.5) + sum(arcsin(w + 1))
train {
  optimizer = sgd{0}
}
"""


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_a_module_keeps_to_them(precision):
    """After every rewrite, without a warning, in both forms of the code."""
    module = graphc.compile(MODEL, precision=precision).module
    state = module.init(0)
    value, slopes = module.loss_and_gradients(state, {})
    np.testing.assert_allclose(value, 5 + math.sqrt(3) + 2 + 1.5 * math.pi, rtol=1e-6)
    np.testing.assert_array_equal(slopes["w"], [0, 0, 0])
    np.testing.assert_allclose(slopes["v"], [0, 0.6 + 0.5 / math.sqrt(3), 0.8 + 0.25], rtol=1e-6)
    trainer = module.Trainer(state, 1, 1, 1)
    np.testing.assert_allclose(trainer.step({}), value, rtol=1e-6)
