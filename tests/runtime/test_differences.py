"""The comparison of claimed derivatives with finite differences, on functions known by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc.runtime.differences import Comparison, compare, rounding_noise

EPSILON = np.finfo(float).eps


def of(function: Callable[[float], object], *exact: float) -> Comparison:
    def along(distance: float) -> np.ndarray:
        return np.atleast_1d(np.asarray(function(distance), float))

    noise = EPSILON * np.abs(along(0.0))
    return compare(along, np.array(exact), floor=0.0, noise=noise, tolerance=1e-6)


@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (lambda t: np.exp(2 * t), 2.0),
        (lambda t: np.sin(30 * t), 30.0),
        (lambda t: 1e8 * (1 + t) ** 3, 3e8),
        (lambda t: np.tanh(1e3 * (t + 1e-3)), 1e3 / np.cosh(1.0) ** 2),
        (lambda t: 5.0, 0.0),
    ],
)
def test_a_right_derivative_agrees_and_one_off_by_a_thousandth_does_not(function, exact):
    right = of(function, exact)
    assert not right.kink.any()
    assert right.error[0] < 1e-6
    wrong = of(function, 1.001 * exact + (exact == 0))
    assert not wrong.kink.any()
    assert wrong.error[0] > 5e-4
    assert wrong.numeric[0] == pytest.approx(exact, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("claimed", [-1.0, 0.3, 1.0])
def test_at_a_kink_nothing_is_decided(claimed):
    assert of(abs, claimed).kink[0]


def test_outside_of_the_slopes_of_a_kink_a_derivative_is_wrong():
    found = of(abs, 5.0)
    assert not found.kink[0]
    assert found.error[0] > 0.5


@pytest.mark.parametrize("away", [3e-4, 3e-5, 3e-6, 1e-6])
def test_a_kink_nearby_is_stepped_over_and_excuses_nothing(away):
    def function(t: float) -> float:
        return np.exp(t) + 3 * max(t - away, 0.0)

    right, wrong = of(function, 1.0), of(function, 1.001)
    assert right.error[0] < 1e-6
    assert wrong.error[0] > 5e-4
    assert not right.kink[0]
    assert not wrong.kink[0]


def test_many_small_kinks_on_both_sides_excuse_no_wrong_derivative():
    places = np.random.default_rng(0).normal(size=2000) * 1e-2

    def function(t: float) -> float:
        return float(np.maximum(t - places, 0).mean())

    slope = float((places < 0).mean())
    assert of(function, slope).error[0] < 1e-6
    wrong = of(function, 1.001 * slope)
    assert wrong.error[0] > 5e-4
    assert not wrong.kink[0]


def test_a_jump_at_the_point_is_a_kink():
    assert of(lambda t: float(t > 0), 0.0).kink[0]


def test_elements_are_judged_one_by_one():
    found = of(lambda t: [np.exp(t), abs(t), np.exp(t)], 1.0, 0.5, 2.0)
    assert found.kink.tolist() == [False, True, False]
    assert found.error[0] < 1e-6
    assert found.error[2] == pytest.approx(0.5)


def test_the_edge_of_a_domain_is_no_place_to_differentiate():
    with np.errstate(all="ignore"):
        found = of(lambda t: np.sqrt(t), 3.0)
    assert found.kink[0]


@pytest.mark.parametrize("claimed", [np.nan, np.inf])
def test_what_is_not_finite_is_wrong(claimed):
    found = of(np.exp, claimed)
    assert found.error[0] == np.inf
    assert not found.kink[0]


def test_what_rounding_hides_is_no_error():
    found = of(lambda t: 1e6 + 1e-9 * t, 0.0)
    assert found.error[0] < 1e-6


def test_rounding_noise_sees_cancellation():
    draw = np.random.default_rng(0)

    def value(size: float) -> np.ndarray:
        x = 1e8 * (1 + size * draw.integers(-1, 2))
        return np.array([x * x - 1e16 + 1.0])

    assert rounding_noise(value)[0] > 0.5
    assert rounding_noise(lambda size: np.array([2.0]))[0] == 2 * EPSILON
