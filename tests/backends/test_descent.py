"""Line search and directions of the drivers, on functions whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.backends.printing.descent import _line_search
from graphc.backends.printing.lbfgs import _two_loops
from graphc.backends.printing.newton import _block, _damped_newton, _hessian, _truncated_newton

Along = Callable[[float], tuple[float, float]]
C1, C2 = 1e-4, 0.9


def strong_wolfe(along: Along, length: float, c2: float = C2, noise: float = 0.0) -> bool:
    """Nocedal and Wright, 2006, (3.7); what sufficient decrease lacks at most is noise."""
    (value, slope), (at, there) = along(0.0), along(length)
    return at <= value + C1 * length * slope + noise and abs(there) <= c2 * abs(slope)


def searched(along: Along, c2: float = C2, noise: float = 0.0) -> float:
    value, slope = along(0.0)
    assert slope < 0
    return _line_search(along, value, slope, C1, c2, noise)


def wavy(scale: float, bend: float, waves: list[tuple[float, float, float]]) -> Along:
    """A parabola under waves, its slope at 0 negative."""

    def along(length: float) -> tuple[float, float]:
        x = length * scale
        value = bend * x * x + sum(a * math.sin(f * x + p) for a, f, p in waves)
        slope = 2 * bend * x + sum(a * f * math.cos(f * x + p) for a, f, p in waves)
        return value, slope * scale

    return along if along(0.0)[1] < 0 else lambda length: (along(-length)[0], -along(-length)[1])


waves = st.tuples(st.floats(-3, 3), st.floats(0.1, 6), st.floats(0, 6))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.floats(-4, 3).map(lambda x: 10.0**x),
    st.floats(-3, 1).map(lambda x: 10.0**x),
    st.lists(waves, max_size=4),
    st.sampled_from([0.1, 0.9]),
)
def test_the_step_satisfies_strong_wolfe(
    scale: float, bend: float, added: list[tuple[float, float, float]], c2: float
) -> None:
    along = wavy(scale, bend, [(-1.0, 1.0, 0.1), *added])
    value, slope = along(0.0)
    if slope > -1e-3 * scale:
        return
    noise = 1e-14 * (1 + abs(value))
    assert strong_wolfe(along, searched(along, c2, noise), c2, noise)


def test_the_property_tells_bad_steps() -> None:
    along = wavy(1.0, 1.0, [(-1.0, 1.0, 0.1)])
    good = searched(along)
    assert strong_wolfe(along, good)
    assert not strong_wolfe(along, 1e-3 * good)
    assert not strong_wolfe(along, 10 * good)


def test_a_wall_is_not_stepped_through() -> None:
    def along(length: float) -> tuple[float, float]:
        if length >= 1e-3:
            return math.inf, math.nan
        return -length - 1e-6 * math.log(1 - length / 1e-3), -1 + 1e-3 / (1 - length / 1e-3)

    length = searched(along)
    assert 0 < length < 1e-3
    assert strong_wolfe(along, length)


def test_slopes_decide_where_values_drown_in_rounding() -> None:
    def along(length: float) -> tuple[float, float]:
        return 1.0 + 4e-16 * (length > 0), 2e-17 * (length - 40)

    assert searched(along) == 0.0
    length = searched(along, 0.1, noise=1e-15)
    assert abs(along(length)[1]) <= 0.1 * abs(along(0.0)[1])


def test_no_step_where_nothing_leads_down() -> None:
    assert searched(lambda length: (abs(length), -1.0 if length == 0 else 1.0)) == 0.0


def test_what_falls_for_ever_is_followed_to_the_end_of_patience() -> None:
    assert searched(lambda length: (-length, -1.0)) > 1e12


# -------------------------------------------------------------------------- directions


def spd(random: np.random.Generator, size: int) -> np.ndarray:
    factor = random.standard_normal((size, size))
    return factor @ factor.T + 0.1 * np.eye(size)


def bfgs_inverse(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The inverse Hessian of BFGS, pair by pair, the oldest first (Nocedal and Wright, 6.17)."""
    s, y = pairs[-1]
    unit = np.eye(len(s))
    inverse = (s @ y) / (y @ y) * unit
    for s, y in pairs:
        rho = 1 / (s @ y)
        left = unit - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    return inverse


@pytest.mark.parametrize("count", [1, 3, 12])
def test_two_loops_equal_the_matrix_of_bfgs(count: int) -> None:
    random = np.random.default_rng(count)
    hessian = spd(random, 8)
    pairs = [(s, hessian @ s) for s in random.standard_normal((count, 8))]
    gradient = random.standard_normal(8)
    expected = bfgs_inverse(pairs) @ gradient
    newest_first = pairs[::-1]
    np.testing.assert_allclose(_two_loops(gradient, newest_first), expected, rtol=1e-9)
    if count > 1:
        assert not np.allclose(_two_loops(gradient, pairs), expected, rtol=1e-3)


def test_a_hessian_from_its_products_some_at_a_time() -> None:
    matrix = spd(np.random.default_rng(0), 150)
    sizes = []

    def products(tangents: np.ndarray) -> np.ndarray:
        sizes.append(len(tangents))
        return tangents @ matrix

    np.testing.assert_allclose(_hessian(products, 150, _block({"x": np.zeros(7)})), matrix)
    assert sizes == [64, 64, 22]
    assert _block({"x": np.zeros(2**20), "y": np.zeros(3)}) == 16
    assert _block({}) == 64


def test_newton_direction() -> None:
    random = np.random.default_rng(1)
    matrix, gradient = spd(random, 9), random.standard_normal(9)
    exact = -np.linalg.solve(matrix, gradient)
    np.testing.assert_allclose(_damped_newton(matrix, gradient, 2e-16), exact, rtol=1e-9)


def test_negative_curvature_is_gone_down() -> None:
    gradient = np.array([1.0, 1.0, 1e-3])
    direction = _damped_newton(np.diag([2.0, -4.0, 0.0]), gradient, 2e-16)
    np.testing.assert_allclose(direction[:2], [-0.5, -0.25])
    assert direction[2] < 0
    assert np.isfinite(direction).all()
    for useless in (np.zeros((3, 3)), np.full((3, 3), np.nan)):
        np.testing.assert_allclose(
            _damped_newton(useless, gradient, 2e-16), -gradient / np.linalg.norm(gradient)
        )


def test_truncated_newton_is_as_good_as_it_has_to_be() -> None:
    random = np.random.default_rng(2)
    matrix = spd(random, 30) + 5 * np.eye(30)
    for size in (1.0, 1e-8):
        gradient = size * random.standard_normal(30)
        norm = np.linalg.norm(gradient)
        direction = _truncated_newton(lambda t: t @ matrix, gradient)
        assert np.linalg.norm(matrix @ direction + gradient) <= min(0.5, norm**0.5) * norm
        assert direction @ gradient < 0


def test_truncated_newton_ends_at_negative_curvature() -> None:
    gradient = np.array([1.0, 0.1])
    at_once = _truncated_newton(lambda t: t * np.array([-1.0, -1.0]), gradient)
    np.testing.assert_allclose(at_once, -gradient / max(1.0, np.linalg.norm(gradient)))
    later = _truncated_newton(lambda t: t * np.array([1.0, -1.0]), gradient)
    assert later @ gradient < 0
    np.testing.assert_allclose(later / np.linalg.norm(later), -gradient / np.linalg.norm(gradient))
