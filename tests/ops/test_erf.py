"""The error function against Python's own, which is the C library's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphc.ops.helpers import _erf, helper_source, helpers_used

GRID = np.concatenate(
    [
        np.linspace(-7, 7, 200_001),
        np.geomspace(5e-324, 1e300, 50_001),
        -np.geomspace(5e-324, 40, 5_001),
        np.nextafter(0.46875, [0, 1]),
    ]
)


def reference(x: np.ndarray) -> np.ndarray:
    return np.array([math.erf(value) for value in x.tolist()])


def test_it_has_the_accuracy_of_f64():
    exact = reference(GRID)
    error = np.abs(_erf(GRID) - exact) / np.maximum(np.abs(exact), np.finfo(float).tiny)
    assert error.max() < 1e-15


def test_f32_stays_f32_and_is_as_accurate():
    x = np.linspace(-5, 5, 100_001, dtype=np.float32)
    exact = reference(x)
    result = _erf(x)
    assert result.dtype == np.float32
    assert _erf(x[7]).dtype == np.float32
    wrong = np.abs(result - exact) / np.maximum(np.abs(exact), np.finfo(np.float32).tiny)
    assert wrong.max() < 4 * np.finfo(np.float32).eps


def test_the_ends_of_the_line():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
    np.testing.assert_array_equal(_erf(x), [np.nan, 1, -1, 0, 0])
    np.testing.assert_array_equal(np.signbit(_erf(x[3:])), [False, True])


def test_it_is_odd_and_never_above_1():
    np.testing.assert_array_equal(_erf(-GRID), -_erf(GRID))
    assert np.abs(_erf(GRID)).max() == 1


def test_a_module_carries_what_it_calls():
    names = helpers_used("y = _erf(x)")
    assert names == ["_polynomial", "_erf", "_erf_numbers", "_erf_function"]
    scope: dict = {"np": np}
    for name in names:
        exec(helper_source(name), scope)
    assert float(scope["_erf"](0.5)) == pytest.approx(math.erf(0.5), rel=1e-15)
