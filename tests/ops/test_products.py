"""Products over axes and running products: right where elements are 0, in every order."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from derivatives import derivatives, total

from graphc.ir import Builder, Graph, Type, symbol
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.passes.differentiate import gradients

CUBE = np.random.default_rng(0).normal(size=(2, 3, 2))
AXES = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]


def with_zeros(count: int) -> np.ndarray:
    x = CUBE.copy()
    x.reshape(-1)[[1, 3, 8][:count]] = 0.0
    return x


def leave_out(x: np.ndarray, places: tuple[tuple[int, ...], ...], axes: tuple[int, ...]) -> float:
    """The product of what is reduced together with the first place, without the places."""
    fixed = [axis for axis in range(x.ndim) if axis not in axes]
    rest = [
        float(x[p])
        for p in np.ndindex(x.shape)
        if p not in places and all(p[a] == places[0][a] for a in fixed)
    ]
    return math.prod(rest)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
@pytest.mark.parametrize("axes", AXES)
def test_the_gradient_of_a_product_is_that_of_all_others(axes, zeros):
    x = with_zeros(zeros)
    slope = derivatives(lambda v: v.apply("prod", axis=axes), x, orders=1)[1]
    for place in np.ndindex(x.shape):
        assert slope[place] == pytest.approx(leave_out(x, (place,), axes), rel=1e-13, abs=0)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
@pytest.mark.parametrize("axes", AXES)
def test_the_second_derivative_leaves_two_out(axes, zeros):
    x = with_zeros(zeros)
    second = derivatives(lambda v: v.apply("prod", axis=axes), x, orders=2)[2]
    fixed = [axis for axis in range(x.ndim) if axis not in axes]
    for place in np.ndindex(x.shape):
        others = [
            other
            for other in np.ndindex(x.shape)
            if other != place and all(other[a] == place[a] for a in fixed)
        ]
        exact = sum(leave_out(x, (place, other), axes) for other in others)
        assert second[place] == pytest.approx(exact, rel=1e-12, abs=1e-13)


def test_the_third_derivative_of_a_product():
    """Of Π x at 0 with three factors: each element meets the two orders of the others."""
    third = derivatives(lambda v: v.apply("prod", axis=(0,)), [0.0, 0.0, 0.0], orders=3)[3]
    np.testing.assert_array_equal(third, [2.0, 2.0, 2.0])


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize(("reverse", "exclusive"), list(itertools.product((False, True), repeat=2)))
def test_running_products_with_zeros(length, reverse, exclusive):
    x = np.array([2.0, 0.0, 3.0, 0.0, -1.5])[:length]
    weights = np.array([1.0, -2.0, 0.5, 3.0, 0.25])[:length]

    def product(v):
        y = v.apply("cumprod", axis=0, reverse=reverse, exclusive=exclusive)
        return y * v.builder.constant(tuple(weights.tolist()))

    value, first, second = derivatives(product, x)

    def without(places):
        """Σ over the results that depend on all places, of the product of the other factors."""
        result = 0.0
        for k in range(length):
            span = range(k, length) if reverse else range(k + 1)
            factors = [j for j in span if not (exclusive and j == k)]
            if set(places) <= set(factors):
                rest = math.prod(float(x[j]) for j in factors if j not in places)
                result += float(weights[k]) * rest
        return result

    every = range(length)
    assert value == pytest.approx(without(()))
    np.testing.assert_allclose(first, [without((i,)) for i in every], atol=1e-13)
    crossed = [sum(without((i, j)) for j in every if j != i) for i in every]
    np.testing.assert_allclose(second, crossed, atol=1e-13)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 8, 13])
def test_a_recurrence_is_its_loop(length, reverse):
    rng = np.random.default_rng(length)
    a, b = rng.normal(size=(2, 3, length))
    expected, before = np.empty_like(b), np.zeros(3)
    order = reversed(range(length)) if reverse else range(length)
    for k in order:
        before = b[:, k] + a[:, k] * before
        expected[:, k] = before

    def recurrence(u, v):
        return u.apply("recurrence", v, axis=1, reverse=reverse)

    assert derivatives(recurrence, a, b, orders=0)[0] == pytest.approx(expected.sum())


def test_a_running_sum_both_ways():
    x = [1.0, 2.0, 4.0]
    slopes = {False: [3.0, 2.0, 1.0], True: [1.0, 2.0, 3.0]}
    for reverse, exact in slopes.items():
        found = derivatives(lambda v, r=reverse: v.apply("cumsum", axis=0, reverse=r), x)
        np.testing.assert_array_equal(found[1], exact)
        assert found[0] == (11.0 if not reverse else 17.0)


def test_a_symbolic_axis():
    """The product over a batch whose length is known when it runs only."""
    builder = Builder(Graph())
    x = builder.place(Input("x"), (), Type("real", (symbol("n"), 2)), "x")
    value = total(x.apply("prod", axis=(0,)))
    (first,) = gradients(builder, value, [x.id]).values()
    (second,) = gradients(builder, total(first), [x.id]).values()
    data = np.array([[0.0, 1.0], [2.0, 0.0], [3.0, 5.0], [4.0, 0.5]])
    results = evaluate(builder.graph, [first.id, second.id], {"x": data}, dims={"n": 4})
    np.testing.assert_array_equal(results[0][:, 0], [24.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(results[0][:, 1], [0.0, 2.5, 0.0, 0.0])
    np.testing.assert_array_equal(results[1][:, 0], [26.0, 12.0, 8.0, 6.0])
