"""Attributes that are left out or are of several kinds, and what the rounds of a repeat bind."""

from __future__ import annotations

import numpy as np
import pytest
from model_helpers import errors, values

X = np.arange(6.0).reshape(3, 2)

SCALED = """
input x: real[n, 2]
def scaled{by = none, how = "times"}(x) {
  if by == none { return x }
  else if how == "times" { return x * by }
  else { return x * how }
}
"""


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("scaled(x)", X),
        ("scaled{none}(x)", X),
        ("scaled{2}(x)", 2 * X),
        ("scaled{[2, 3]}(x)", X * [2, 3]),
        ("scaled{1, 5}(x)", 5 * X),
        ("scaled{1, [5, 6]}(x)", X * [5, 6]),
    ],
)
def test_an_attribute_is_compared_with_what_it_may_be(use: str, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(
        values(f"{SCALED}output y = {use}\n", {"x": X}, n=3)["y"], expected
    )


def test_none_and_texts_are_equal_to_themselves_only() -> None:
    for condition in ("none == none", '"a" != 1', '"a" != none', "[1, 2] != none", "all != none"):
        text = f"input x: real[n, 2]\noutput y = x if {condition} else 2 * x\n"
        np.testing.assert_array_equal(values(text, {"x": X}, n=3)["y"], X)
    assert errors('input x: real\noutput y = x if "a" < 1 else x\n') == ["E202"]
    assert errors("input x: real\noutput y = x + none\n") == ["E202"]


ROUNDS = """
input x: real[n, 2]
s = x[:, 0]
repeat i in 1..3 {
  s = s * 2
  now = s
}
"""


def test_what_all_rounds_bind_is_joined() -> None:
    found = values(
        f"{ROUNDS}output a = stack{{axis = 1}}(i.now)\noutput b = concat(x[:, 0], i.now)\n"
        "output c = max(i.now)\n",
        {"x": X},
        n=3,
    )
    now = [X[:, 0] * 2, X[:, 0] * 4, X[:, 0] * 8]
    np.testing.assert_array_equal(found["a"], np.stack(now, 1))
    np.testing.assert_array_equal(found["b"], np.concatenate([X[:, 0], *now]))
    np.testing.assert_array_equal(found["c"], X[:, 0] * 8)


def test_rounds_are_several_values() -> None:
    assert errors(f"{ROUNDS}output y = stack(i.later)\n") == ["E301"]
    assert errors(f"{ROUNDS}output y = exp(i.now)\n") == ["E314"]
    assert errors("input x: real\nrepeat i in 1..0 {\n  y = x\n}\noutput z = stack(i.y)\n") == [
        "E324"
    ]
