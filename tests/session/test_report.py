"""Where a report takes the sizes from, and what is said where nobody gives them."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import RunError

WHOLE = """
model whole
input x: real[n, 2]
target y: real[n]
param w: real[2] = 1
loss f = mean((x @ w - y)^2)
train {
  batch     = all
  optimizer = sgd{0.1}
}
"""
LONG = (
    "model long\ninput x: real[n, t]\ntarget y: real[n, k]\noutput z = exp(x)\nmetric m = max(y)\n"
)


def test_the_batch_is_that_of_the_train_section(line):
    assert isinstance(line.report(), graphc.CostReport)
    assert line.report().dims == {"n": 8}
    assert line.report(batch=3).dims == {"n": 3}


def test_a_batch_of_all_is_the_training_part_where_the_data_are_known():
    arrays = {"x": np.ones((11, 2)), "y": np.ones(11)}
    assert graphc.compile(WHOLE, data=arrays).report().dims == {"n": 11}


def test_otherwise_it_has_to_be_given():
    model = graphc.compile(WHOLE)
    with pytest.raises(RunError, match="whole training part, and there are no data") as found:
        model.report()
    assert found.value.help == "say how many: --batch N"
    assert model.report(batch=4).dims == {"n": 4}


def test_a_missing_data_file_is_named(here):
    (here / "m.gc").write_text(WHOLE + 'data {\n  file = "none.npz"\n  x = x\n  y = y\n}\n')
    with pytest.raises(RunError, match=r"none\.npz") as found:
        graphc.compile(here / "m.gc").report()
    assert found.value.help == "say how many: --batch N"


def test_other_dimensions_have_to_be_given():
    model = graphc.compile(LONG)
    with pytest.raises(RunError, match="long leaves to the data how large t, k is") as found:
        model.report(batch=2)
    assert found.value.help == "say it: --size t=N --size k=N"
    report = model.report(batch=2, size={"t": 3, "k": 5})
    assert report.dims == {"n": 2, "t": 3, "k": 5}
    assert report.flops == 8 * 2 * 3 + 2 * 5


@pytest.mark.parametrize(
    ("batch", "size", "message"),
    [
        (0, {}, "batch is 0"),
        (2, {"t": -1, "k": 1}, "t is -1"),
        (2, {"n": 3}, "n is the size of a batch"),
        (2, {"q": 3}, "long has no symbolic dimension q"),
    ],
)
def test_sizes_that_make_no_sense(batch, size, message):
    with pytest.raises(RunError, match=message):
        graphc.compile(LONG).report(batch, size)


def test_a_model_of_one_example_has_no_batch(models):
    model = graphc.compile(models / "circuit.gc")
    assert model.report().dims == {}
    with pytest.raises(RunError, match="circuit takes one example a step"):
        model.report(batch=2)
