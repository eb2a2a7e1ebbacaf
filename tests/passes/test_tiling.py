"""Gradients by the slices of one tensor: joined where the slices tile it, added elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.diagnostics import Diagnostics, Source
from graphc.model import Program, elaborate
from graphc.ops import evaluate
from graphc.passes import lower

X = np.random.default_rng(0).normal(size=(4, 3))
TILES = {
    "rows": "x[0]^2 + 2 * x[1]^2 + 3 * x[2]^2 + x[3]",
    "slices": "sum(x[:2]^2) + sum(x[2:]^3)",
    "columns, one twice": "x[:, 0] * x[:, 1] + x[:, 2] * x[:, 0]",
    "from the end": "sum(x[-1]) * x[-2] * x[-3] * x[-4]",
    "and the whole": "x[0] * x[1] * x[2] * x[3] + sum(x^2)",
}
NO_TILES = {
    "a part is missing": "x[0] * x[1] * x[3]",
    "they overlap": "sum(x[:3]^2) + sum(x[1:]^2)",
    "every other": "sum(x[::2]^3) + sum(x[1::2]^2)",
    "two axes": "x[0, 0] * x[1, 1]",
}


def compiled(expression: str) -> Program:
    text = f"model m\nparam x: real[4, 3] = 0\nloss f = sum(({expression})^2)\n"
    result = lower(elaborate(Source("m.gc", text), Diagnostics()), fuse=False).evaluation
    assert result is not None
    return result


def value_and_gradient(program: Program, x: np.ndarray) -> tuple[float, np.ndarray]:
    roots = [program.roots["objective", ""], program.roots["gradient", "x"]]
    value, gradient = evaluate(program.graph, roots, {"x": x})
    return float(value), gradient


def operators(program: Program) -> set[str]:
    return {node.op.name for node in program.graph}


@pytest.mark.parametrize("expression", [*TILES.values(), *NO_TILES.values()])
def test_gradients_are_slopes(expression: str) -> None:
    program = compiled(expression)
    _, gradient = value_and_gradient(program, X)
    for place in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[place] = 1e-6
        ahead, behind = (value_and_gradient(program, X + s * step)[0] for s in (1, -1))
        assert gradient[place] == pytest.approx((ahead - behind) / 2e-6, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", ["rows", "slices", "columns, one twice", "from the end"])
def test_tiles_are_joined(name: str) -> None:
    found = operators(compiled(TILES[name]))
    assert "index_adjoint" not in found
    assert "concat" in found


@pytest.mark.parametrize("expression", NO_TILES.values(), ids=NO_TILES)
def test_what_does_not_tile_is_added(expression: str) -> None:
    assert "index_adjoint" in operators(compiled(expression))
