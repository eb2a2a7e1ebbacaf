from __future__ import annotations

import numpy as np
import pytest

from graphc.runtime import RunError, check_batch, check_raw, select_columns


def batch(n=4, **changed):
    return {"x": np.zeros((n, 2)), "y": np.zeros(n, np.int64)} | changed


def nan_at(row):
    x = np.zeros((20, 2))
    x[row, 1] = np.nan
    return x


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (batch(x=np.zeros((4, 30))), r"x \(from points\) is real\[n, 2\] .* 30 values per example"),
        (batch(x=np.zeros(4)), "one value per example"),
        (batch(x=np.zeros((4, 8, 8))), r"values of shape \[8, 8\] per example"),
        (batch(y=np.zeros(5, np.int64)), "n is 4 in x but 5 in y"),
        (batch(20, x=nan_at(17)), "x has NaN in row 17"),
        (batch(x=np.full((4, 2), np.inf)), "x has an infinite value in row 0"),
        (
            batch(y=np.array([0, 1, 12, 0])),
            r"label 12 in row 2 of y .* label\{3\}\[n\] allows 0..2",
        ),
        (batch(y=np.array([0, -1, 1, 0])), "label -1 in row 1"),
        (batch(y=np.array([0, 0.5, 1, 0])), "label in the model but has 0.5 in row 1"),
        (batch(y=np.array(["a"] * 4)), "the file has text"),
        ({"y": np.zeros(4, np.int64)}, r"no values for x \(from points\)"),
        ({"x": np.zeros((4, 2))}, "no values for y"),
    ],
)
def test_bad_batches(toy, arrays, message):
    with pytest.raises(RunError, match=message):
        check_batch(arrays, toy.signature)


def test_good_batches(toy):
    check_batch(batch(), toy.signature)
    check_batch({"x": np.zeros((4, 2))}, toy.signature, need_targets=False)
    check_batch({"x": np.zeros(3), "t": np.zeros(3)}, toy.single().signature)


def test_rows_of_the_file(toy):
    with pytest.raises(RunError, match="row 117 of the training part"):
        check_batch(
            batch(20, x=nan_at(17)),
            toy.signature,
            rows=np.arange(100, 120),
            part="the training part",
        )


def test_symbolic_dimensions_agree(toy):
    signature = {
        **toy.signature,
        "inputs": {
            "a": {"kind": "real", "shape": ["n", "T"]},
            "b": {"kind": "int", "shape": ["n", "T"]},
        },
    }
    arrays = {"a": np.zeros((4, 7)), "b": np.zeros((4, 9), int), "y": np.zeros(4, int)}
    with pytest.raises(RunError, match="T is 7 in a but 9 in b"):
        check_batch(arrays, signature)


def test_raw_columns(toy):
    raw = toy.raw_data()
    check_raw(raw, toy)
    with pytest.raises(RunError, match="no column points, which x reads") as caught:
        check_raw({"Point": raw["points"], "species": raw["species"]}, toy)
    assert "did you mean 'Point'" in caught.value.help
    assert "Point, species" in caught.value.help
    raw["points"][41, 0] = np.nan
    with pytest.raises(RunError, match="points has NaN in row 41"):
        check_raw(raw, toy)


def test_unknown_classes(toy):
    raw = toy.raw_data(3)
    raw["species"] = np.array(["cat", "dog", "Dogs"])
    with pytest.raises(RunError, match="unknown class 'Dogs' in row 2") as caught:
        check_raw(raw, toy)
    assert "did you mean 'dog'" in caught.value.help
    raw["species"] = np.array([0, 1, 2])
    with pytest.raises(RunError, match="knows its classes by name"):
        check_raw(raw, toy)
    check_raw(raw, toy, need_targets=False)


def test_only_the_columns_needed(toy):
    raw = toy.raw_data()
    assert list(select_columns(raw, toy.signature)) == ["points", "species"]
    assert list(select_columns(raw, toy.signature, need_targets=False)) == ["points"]


def test_text_where_numbers_are_expected(toy):
    points = np.array([["1", "2"], ["3", "4,5"]])
    with pytest.raises(RunError, match=r"points holds text, '4,5' for one, but x is real\[n, 2\]"):
        check_raw({"points": points}, toy, need_targets=False)


def test_a_column_that_is_called_like_its_input(toy):
    toy.signature = {**toy.signature, "columns": {"x": ["x"]}}
    with pytest.raises(RunError, match=r"^there is no column x$"):
        check_raw({"y": np.zeros(2)}, toy, need_targets=False)
