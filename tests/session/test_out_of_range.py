"""Indices and lengths that only the data decide: an error with the line, never fewer elements."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.session import RunError
from graphc.session.gradchecking import gradcheck

TABLE = """model lookup
input  k: int[n]
target y: real[n]
p = sum{axis = -1}(embedding{4, 3}(k))
loss f = squared_error(p, y)
output o = p
train { epochs = 1 }
"""
Y = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize("index", [7, -9])
def test_an_index_outside_its_table(index):
    model = graphc.compile(TABLE)
    state, k = model.init(), np.array([0, 1, index])
    for call in (
        lambda: model.train(k=k, y=Y, folder=False),
        lambda: model.evaluate(state, k=k, y=Y),
        lambda: model.predict(state, k=k),
        lambda: model.loss_and_gradients(state, {"k": k, "y": Y}),
    ):
        with pytest.raises(RunError, match=f"index {index} is out of bounds"):
            call()
    with pytest.raises(RunError, match=r"at <text>:4: index"):
        model.evaluate(state, k=k, y=Y)


SLICES = {
    "mean(p[:100])": lambda p: p[:100].mean(),
    "sum(p[7:9])": lambda p: p[7:9].sum(),
    "sum(p[-5:])": lambda p: p[-5:].sum(),
    "sum(p[dim{0}(p) - 5:])": lambda p: p[-5:].sum(),
    "sum(p[4::-1])": lambda p: p[4::-1].sum(),
    "sum(top_k{7}(p))": lambda p: np.sort(p)[-7:].sum(),
    "sum(max{1}(windows{0, 7}(p)))": lambda p: sum(max(p[i : i + 7]) for i in range(len(p) - 6)),
}
TEXT = """model m
input x: real[n]
param w: real = 1
p = w * x
loss f = {}
train {{
  epochs = 1
  batch = 200
}}
"""


@pytest.mark.parametrize("expression", SLICES)
def test_a_slice_of_an_axis_that_is_too_short(expression):
    model = graphc.compile(TEXT.format(expression), precision="f64")
    x = np.random.default_rng(0).normal(size=120)
    losses = model.evaluate(x=x)["losses"]
    np.testing.assert_allclose(losses["f"], SLICES[expression](x), rtol=1e-12)
    for call in (
        lambda: model.evaluate(x=x[:3]),
        lambda: model.train(x=x[:3], folder=False),
        lambda: model.loss_and_gradients(batch={"x": x[:3]}),
    ):
        with pytest.raises(RunError, match="cannot be computed on these examples"):
            call()


def test_what_every_batch_has_is_taken_as_it_is():
    """A batch has a row: all but the first, and the last alone, need no look at its length."""
    for taken in ("p[1:]", "p[:-1]", "p[::-1]", "p[-1:]", "concat(p, p)"):
        source = graphc.compile(TEXT.format(f"sum({taken}) + sum(p)")).source
        assert "_taken" not in source


def test_gradcheck_says_where_an_index_is_out_of_range(here):
    np.savez("rows.npz", k=np.array([0, 1, 7]), y=Y)
    with pytest.raises(RunError, match="index 7 is out of bounds"):
        gradcheck(TABLE, data="rows.npz")


def test_gradcheck_of_slopes_whose_squares_overflow():
    text = "input x: real = 1e300\nparam w: real[2] = [0.5, 2]\nloss f = sum(x * tanh(w))\n"
    assert gradcheck(f"model m\n{text}").ok
