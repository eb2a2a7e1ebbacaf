"""Pictures of what pruning left, of two networks whose weights are drawn by chance.

``pytest tests/golden --update-goldens`` rewrites them; look at them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.session.run import Run

HERE = Path(__file__).parent
ATTRIBUTES = {f"a{i + 1}": np.arange(6) % n + 1 for i, n in enumerate((3, 3, 2, 3, 4, 2))}
CASES = {"xor221": (7, None), "monks1": (14, {**ATTRIBUTES, "class": np.arange(6) % 2})}


@pytest.mark.parametrize("name", CASES)
def test_what_pruning_left(name: str, models: Path, request: pytest.FixtureRequest):
    left, data = CASES[name]
    svg = graphc.render(
        pruned(graphc.compile(models / f"{name}.gc", data=data), left), "removed"
    ).svg
    path = HERE / f"{name}-removed.svg"
    if request.config.getoption("--update-goldens"):
        path.write_text(svg, encoding="utf-8")
    assert path.read_text("utf-8") == svg


def pruned(model: graphc.Model, left: int) -> Run:
    """A run in which so many weights are left, with three digits each."""
    draw, state = np.random.default_rng(0), model.init()
    sizes = {name: int(np.size(state[name])) for name in model.spec.learned}
    kept = np.zeros(sum(sizes.values()))
    kept[draw.permutation(kept.size)[:left]] = 1
    values, start = (3 * draw.normal(size=kept.size) * kept).round(2), 0
    for name, size in sizes.items():
        part, shape = slice(start, start := start + size), np.shape(state[name])
        state[name], state[f"{name}:mask"] = values[part].reshape(shape), kept[part].reshape(shape)
    return Run(
        path=None, model=model, state=state, last=state, history=[], summary=None, origin=None
    )
