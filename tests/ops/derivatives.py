"""Derivatives of an expression at given numbers, to any order, by differentiating its graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc.ir import Builder, Graph, Type, Value
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.passes.differentiate import gradients


def total(value: Value) -> Value:
    """The sum over all axes."""
    return value.apply("sum", axis=tuple(range(len(value.shape)))) if value.shape else value


def derivatives(
    expression: Callable[..., Value], *at: object, orders: int = 2, by: int = 0
) -> list[np.ndarray]:
    """The sum of ``expression(*inputs)`` and its derivatives by input ``by``; each next one is
    the derivative of the sum of the one before. 0 where the graph has none."""
    builder = Builder(Graph())
    arrays = [np.asarray(a, dtype=np.float64) for a in at]
    inputs = [
        builder.place(Input(f"x{i}"), (), Type("real", a.shape), f"x{i}")
        for i, a in enumerate(arrays)
    ]
    leaves = {f"x{i}": a for i, a in enumerate(arrays)}
    value = total(expression(*inputs))
    results = [evaluate(builder.graph, [value.id], leaves)[0]]
    for _ in range(orders):
        found = gradients(builder, value, [inputs[by].id]).get(inputs[by].id)
        slope = found or builder.zeros(inputs[by].type)
        results.append(evaluate(builder.graph, [slope.id], leaves)[0])
        value = total(slope)
    return [np.asarray(result) for result in results]
