"""A model without a gradient says why: it minimises nothing, or learns nothing."""

from __future__ import annotations

import pytest

import graphc

INPUT = "model m\ninput x: real = 2\n"
CASES = [
    ("param w: real = 1\noutput y = w * x\n", "has no loss"),
    ("loss f = x^2\n", "learns nothing"),
    ("param w: real = 1\nloss f = (w * x)^2\ntrain {\n  frozen on w\n}\n", "learns nothing"),
]


@pytest.mark.parametrize(("rest", "why"), CASES)
def test_it_says_why(rest: str, why: str) -> None:
    model = graphc.compile(INPUT + rest)
    with pytest.raises(graphc.RunError, match=why):
        model.loss_and_gradients()
    with pytest.raises(graphc.RunError, match=why):
        model.hessian_vector_products(model.init(), {"x": 2.0}, {})
