"""Sums back to the places that elements were taken from, and taking from many sets at once."""

from __future__ import annotations

import numpy as np
import pytest
from in_place import in_place

from graphc.ir import Builder, Graph, Sample, Type, symbol
from graphc.ops import evaluate, helpers
from graphc.ops.gathering import Take
from graphc.ops.leaves import Input

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(7,), (7, 3), (7, 2, 3), (7, 0)])
@pytest.mark.parametrize("index_shape", [(), (9,), (4, 5)])
def test_rows_that_are_named_twice_are_added(shape: tuple[int, ...], index_shape: tuple[int, ...]):
    index = RNG.integers(-7, 7, index_shape)
    d = RNG.normal(size=(*index_shape, *shape[1:]))
    expected = np.zeros(shape)
    np.add.at(expected, index, d)
    actual = helpers._add_rows(np.zeros(shape), d, index)
    np.testing.assert_allclose(actual, expected, rtol=1e-14)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_elements_that_are_named_twice_are_added(axis: int):
    shape = [3, 4, 5]
    shape[axis] = 8
    index = RNG.integers(-2, 2, shape)
    d = RNG.normal(size=shape)
    expected = np.zeros((3, 4, 5))
    places = list(np.ogrid[tuple(map(slice, shape))])
    places[axis] = index
    np.add.at(expected, tuple(places), d)
    actual = helpers._add_along(np.zeros((3, 4, 5)), d, index, axis)
    np.testing.assert_allclose(actual, expected, rtol=1e-14)


def test_rows_of_many_tables_at_once_where_their_number_is_symbolic():
    n = symbol("n")
    builder = Builder(Graph())
    tables = builder.place(Input("x"), (), Type("real", (2, n + 1, 3)))
    index = builder.place(Input("i"), (), Type("int", (2, 4)))
    taken = Take().vectorize(2, (tables, index), (True, True))
    leaves = {"x": RNG.normal(size=(2, 6, 3)), "i": RNG.integers(0, 6, (2, 4))}
    (actual,) = evaluate(builder.graph, [taken.id], leaves, dims={"n": 5})
    expected = [leaves["x"][row][leaves["i"][row]] for row in range(2)]
    np.testing.assert_array_equal(actual, expected)


def test_ranks_of_ties():
    x = np.array([[3, 1, 3, 2], [1, 1, 1, 1]])
    np.testing.assert_array_equal(
        helpers._ranks(x, 1, np.float64), [[3.5, 1, 3.5, 2], [2.5, 2.5, 2.5, 2.5]]
    )
    np.testing.assert_array_equal(
        helpers._ranks(x, 0, np.float32), [[2, 1.5, 2, 2], [1, 1.5, 1, 1]]
    )


@pytest.mark.parametrize("wrong", [7, -8])
def test_an_index_out_of_range_is_refused_in_place_too(wrong: int):
    """Also where the others are negative, which counts from the last row."""
    sample = Sample(Take(), (Type("real", (7, 3)), Type("int", (4,))))
    x, index = RNG.normal(size=(7, 3)), np.array([0, -7, 6, -1])
    run = in_place(sample, [x, index], np.empty((4, 3)))
    np.testing.assert_array_equal(run(), x[index])
    index[2] = wrong
    with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 0 with size 7"):
        run()
    with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 0 with size 7"):
        x[index]


def test_no_index_is_in_range():
    sample = Sample(Take(), (Type("real", (7, 3)), Type("int", (0,))))
    run = in_place(sample, [np.ones((7, 3)), np.empty(0, np.int64)], np.empty((0, 3)))
    assert run().shape == (0, 3)
