"""The random rule: a draw is a function of seed, place, step and element, on any target."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.ir import Type, symbol
from graphc.ops import helpers
from graphc.ops.random import Bernoulli, place_key

MASK = 2**64 - 1
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 as Salmon et al. (2011) state it, in plain integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(MULTIPLIERS[0] * c[0], 2**64)
        high1, low1 = divmod(MULTIPLIERS[1] * c[2], 2**64)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + WEYL[0]) & MASK, (k[1] + WEYL[1]) & MASK]
    return c


def uniform(word: int) -> float:
    return (word >> 11) * 2.0**-53


def words(count: int, seed: int, place: int, step: int) -> list[int]:
    blocks = range(1, (count + 3) // 4 + 1)
    return [word for b in blocks for word in philox([b, 0, step, 0], [seed, place])][:count]


@pytest.mark.parametrize("place", ["h.dropout1.bernoulli1", "W init.he_normal1.normal1", "μ"])
@pytest.mark.parametrize(("seed", "step"), [(0, 0), (7, 3), (2**63 - 1, 10**9)])
def test_words_are_those_of_philox(place: str, seed: int, step: int):
    key = place_key(place)
    expected = [uniform(word) for word in words(10, seed, key, step)]
    assert helpers._uniform((10,), seed, key, step, np.float64).tolist() == expected


def test_uniform_takes_the_leading_bits_of_a_word():
    expected = words(6, 1, 2, 3)
    single = helpers._uniform((2, 3), 1, 2, 3, np.float32)
    double = helpers._uniform((2, 3), 1, 2, 3, np.float64)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single.ravel(), [(w >> 40) * 2.0**-24 for w in expected])
    np.testing.assert_array_equal(double.ravel(), [uniform(word) for word in expected])
    assert single.max() < 1


def test_normal_is_box_and_muller():
    u = [uniform(word) for word in words(8, 1, 2, 3)]
    expected = [
        np.sqrt(-2 * np.log(1 - u[i])) * np.cos(2 * np.pi * u[i + 1]) for i in range(0, 8, 2)
    ]
    np.testing.assert_allclose(helpers._normal((4,), 1, 2, 3, np.float64), expected, rtol=1e-14)


def digits(word: int) -> list[int]:
    """u to 48 binary places, nearest and then even, as three numbers of 16 bits."""
    whole, rest = divmod(word >> 11, 32)
    whole += rest > 16 or (rest == 16 and whole % 2 == 1)
    return [(whole >> shift) & 0xFFFF for shift in (32, 16, 0)]


@pytest.mark.parametrize("p", [0.3, 1 / 65536, 65535 / 65536])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,), (2, 5), (4, 25), (0,)])
def test_a_word_serves_a_truth_value_in_each_third(p: float, shape: tuple[int, ...]):
    size = int(np.prod(shape))
    third = -(-size // 3)
    numbers = [digits(word) for word in words(third, 1, 2, 3)]
    expected = [numbers[i % third][i // third] < round(p * 65536) for i in range(size)]
    drawn = helpers._bernoulli(p, shape, 1, 2, 3)
    assert drawn.shape == shape
    assert drawn.ravel().tolist() == expected


def test_every_sixteen_bits_are_even():
    """Each third of many draws is true as often as it should be, to four standard deviations."""
    p, count = 0.25, 300_000
    thirds = helpers._bernoulli(p, (3, count), 5, 6, 7).mean(axis=1)
    assert (abs(thirds - p) < 4 * np.sqrt(p * (1 - p) / count)).all()


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, 1.5])
def test_certain_draws_are_certain(p: float):
    assert helpers._bernoulli(p, (1000,), 1, 2, 3).mean() == min(max(p, 0), 1)


def test_draws_have_the_right_moments():
    normal = helpers._normal((200_000,), 5, 6, 7, np.float64)
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
    assert abs((normal**4).mean() - 3) < 0.1
    uniform = helpers._uniform((200_000,), 5, 6, 7, np.float64)
    assert abs(uniform.mean() - 0.5) < 0.003
    assert abs(uniform.var() - 1 / 12) < 0.001
    assert abs(helpers._bernoulli(0.8, (200_000,), 5, 6, 7).mean() - 0.8) < 0.005


def test_steps_places_and_seeds_are_apart():
    base = helpers._uniform((100,), 1, 2, 3, np.float64)
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not np.intersect1d(base, helpers._uniform((100,), *other, np.float64)).size


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_a_generator_that_is_kept_draws_the_same_at_any_step(real: type):
    out, truths, scratch = np.empty((3, 5), real), np.empty((3, 5), bool), np.empty(30, np.int64)
    fill = helpers._uniform_source(9, 8)
    uniform = helpers._uniform_into(out, scratch, fill, helpers._uniform_numbers(out.dtype))
    normal = helpers._normal_into(out, scratch, fill, helpers._normal_numbers())
    bernoulli = helpers._bernoulli_into(truths, scratch, fill, helpers._bernoulli_numbers())
    for step, p in ((5, 0.3), (0, 1.0), (5, 0.3), (6, 0.3), (7, 0.4)):
        uniform(step)
        np.testing.assert_array_equal(out, helpers._uniform((3, 5), 9, 8, step, real))
        normal(step)
        np.testing.assert_array_equal(out, helpers._normal((3, 5), 9, 8, step, real))
        bernoulli(p, step)
        np.testing.assert_array_equal(truths, helpers._bernoulli(p, (3, 5), 9, 8, step))


def test_room_for_a_third_of_a_symbolic_size():
    n, t = symbol("n"), symbol("t")
    for size, expected in [(10, 4), (9, 3), (64 * n, 22 * n), (3 * n * t, n * t), (n + 1, n + 1)]:
        (room,) = Bernoulli((size,), "x").workspace((), Type("bool", (size,)))
        assert room.type.shape == (expected,)


def test_orthogonal_is_q_of_a_normal_matrix_with_a_positive_diagonal_of_r():
    normal = helpers._normal((5, 3), 1, 2, 3, np.float64)
    q = helpers._orthogonal((5, 3), 1, 2, 3, np.float64)
    r = q.T @ normal
    np.testing.assert_allclose(q @ r, normal, atol=1e-14)
    np.testing.assert_allclose(np.tril(r, -1), 0, atol=1e-14)
    assert (np.diagonal(r) > 0).all()


def test_orthogonal_takes_all_axes_but_the_last_as_rows():
    wide = helpers._orthogonal((2, 2, 9), 1, 2, 3, np.float32)
    assert wide.dtype == np.float32
    assert wide.shape == (2, 2, 9)
    rows = wide.reshape(4, 9)
    np.testing.assert_allclose(rows @ rows.T, np.eye(4), atol=1e-6)
