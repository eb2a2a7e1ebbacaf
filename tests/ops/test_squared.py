"""Local derivatives squared: what ``squared_vjp`` gives, against the Jacobian by differences."""

from __future__ import annotations

import numpy as np
import pytest
from test_registry import DIFFERENTIABLE, arrays, build

from graphc.ir import Builder, Graph, Sample, Type, is_real
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.ops.matmul import Matmul
from graphc.ops.reductions import Max

MAPS = [p for p in DIFFERENTIABLE if not p.values[0].operator.elementwise]
STEP = 1e-3


def check(sample: Sample) -> None:
    """Σⱼ dⱼ·(∂yⱼ/∂x)² by every element x of every operand, and that no ∂²y/∂x² is there."""
    builder, inputs, result = build(sample)
    if not is_real(result.type):
        return
    values = arrays(sample)
    draw = np.random.default_rng(3)
    weights = draw.normal(size=result.shape)

    def at(i: int, moved: np.ndarray) -> np.ndarray:
        leaves = {f"x{j}": moved if j == i else value for j, value in enumerate(values)}
        return evaluate(builder.graph, [result.id], leaves)[0]

    d = builder.place(Input("d"), (), result.type, "d")
    for i, type in enumerate(sample.types):
        if not is_real(type):
            continue
        value = sample.operator.squared_vjp(i, tuple(inputs), result, d)
        expected = np.zeros(type.shape)
        for place in np.ndindex(*type.shape):
            ends = []
            for sign in (1, -1):
                moved = values[i].copy()
                moved[place] += sign * STEP
                ends.append(at(i, moved))
            slope = (ends[0] - ends[1]) / (2 * STEP)
            bend = ends[0] + ends[1] - 2 * at(i, values[i])
            np.testing.assert_allclose(bend, 0, atol=1e-12)
            expected[place] = np.sum(weights * slope**2)
        found = 0.0
        if value is not None:
            leaves = {f"x{j}": v for j, v in enumerate(values)} | {"d": weights}
            (found,) = evaluate(builder.graph, [value.id], leaves)
        np.testing.assert_allclose(np.broadcast_to(found, type.shape), expected, atol=1e-9)


@pytest.mark.parametrize("sample", MAPS)
def test_local_derivatives_squared(sample: Sample):
    check(sample)


def test_a_product_that_is_not_squared_is_found(monkeypatch):
    monkeypatch.setattr(Matmul, "squared_vjp", Matmul.vjp)
    with pytest.raises(AssertionError):
        check(Matmul.samples()[0])


def test_elements_that_tie_share_the_square():
    """Of three equal elements each has a third of the slope, squared a ninth."""
    builder = Builder(Graph())
    x = builder.place(Input("x"), (), Type("real", (4,)), "x")
    y = builder.emit(Max((0,), False), x)
    shares = Max((0,), False).squared_vjp(0, (x,), y, builder.constant(9.0))
    (found,) = evaluate(builder.graph, [shares.id], {"x": np.array([2.0, 1.0, 2.0, 2.0])})
    np.testing.assert_allclose(found, [1, 0, 1, 1], rtol=1e-15)
