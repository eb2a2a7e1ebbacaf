"""The choice between elements in place: the bits of the one that is chosen, whatever they mean."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.ops.helpers import _select

RNG = np.random.default_rng(0)
ODD = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, 1.5, -2.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
@pytest.mark.parametrize("size", [(3, 4), (50, 60)])
def test_every_bit_is_kept(size: tuple[int, int], dtype: type):
    numbers = ODD if np.dtype(dtype).kind == "f" else np.array([0, 1, -1, 2**62, -(2**62)])
    x, y = (RNG.choice(numbers, size).astype(dtype) for _ in range(2))
    condition, out = RNG.random(size) < 0.5, np.empty(size, dtype)
    _select(out, condition, x, y)
    assert out.tobytes() == np.where(condition, x, y).tobytes()


@pytest.mark.parametrize("shapes", [((50, 1), (60,), ()), ((60,), (50, 60), (50, 1)), ((), (), ())])
def test_operands_broadcast(shapes: tuple[tuple[int, ...], ...]):
    condition = np.asarray(RNG.random(shapes[0]) < 0.5)
    x, y = (np.asarray(RNG.normal(size=shape)) for shape in shapes[1:])
    out = np.empty((50, 60))
    _select(out, condition, x, y)
    np.testing.assert_array_equal(out, np.broadcast_to(np.where(condition, x, y), (50, 60)))


def test_another_kind_is_converted():
    condition, out = RNG.random((50, 60)) < 0.5, np.empty((50, 60), np.float32)
    _select(out, condition, condition, np.array(0.5, np.float32))
    np.testing.assert_array_equal(out, np.where(condition, 1.0, 0.5))
    transposed = RNG.normal(size=(60, 50)).astype(np.float32).T
    _select(out, condition, transposed, -transposed)
    np.testing.assert_array_equal(out, np.where(condition, transposed, -transposed))
