"""The prelude as a text: every definition explains itself and stands once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphc.diagnostics import Diagnostics, Source
from graphc.language import parse, tree
from graphc.model import elaborate
from graphc.model.prelude import load_prelude
from graphc.ops import evaluate
from graphc.passes import lower

FILES = sorted((Path(__file__).resolve().parents[2] / "graphc/prelude").glob("*.gc"))
X = np.array([-800.0, -2.0, -0.5, 0.0, 0.5, 2.0, 800.0])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_definition_carries_a_comment(path: Path) -> None:
    file = parse(Source(path.name, path.read_text("utf-8"), prelude=True), Diagnostics())
    definitions = [item for item in file.statements if isinstance(item, tree.Definition)]
    assert len(definitions) == len(file.statements)
    assert [item.name.name for item in definitions if not item.doc] == []


def test_names_stand_once() -> None:
    names = [
        item.name.name
        for path in FILES
        for item in parse(Source(path.name, path.read_text("utf-8")), Diagnostics()).statements
        if isinstance(item, tree.Definition)
    ]
    assert sorted(names) == sorted(set(names)) == sorted(load_prelude().definitions)


@pytest.mark.parametrize(
    "name", ["sigmoid", "relu", "leaky_relu", "softplus", "tanh", "softmax", "log_softmax"]
)
def test_activations_are_finite_far_out_and_so_are_their_derivatives(name: str) -> None:
    text = f"model m\nparam x: real[7] = {X.tolist()}\nloss l = sum({name}(x)^2)\n"
    program = lower(elaborate(Source("m.gc", text), Diagnostics())).evaluation
    assert program is not None
    results = evaluate(program.graph, program.roots.values(), {"x": X})
    assert all(np.isfinite(result).all() for result in results)
