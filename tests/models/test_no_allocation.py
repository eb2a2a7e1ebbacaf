"""A training step makes no array: after the first step NumPy asks for no memory at all.

Nor does the first step of a short batch: it runs over views of what is there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from allocations import Allocations, counted_allocations
from features import FEATURES

import graphc
from graphc.ir import Type
from graphc.schedule.order import opened

MODELS = Path(__file__).resolve().parents[2] / "models"
DRIVEN = re.compile(r"optimizer\s*= (lbfgs|newton)\b")
"""A line search makes its points as it goes."""
EACH = pytest.mark.parametrize(
    "path",
    [path for path in sorted(MODELS.glob("*.gc")) if not DRIVEN.search(path.read_text("utf-8"))],
    ids=lambda path: path.stem,
)
PRECISIONS = pytest.mark.parametrize("precision", ["f32", "f64"])

TRANSPOSED = """model m
input x: real[n, 6]
h = dense{6}(x)
s = transpose(h) @ tanh(x)
loss f = mean((s - transpose(s))^2)
"""
"""``s`` dies where it is read twice, but the result must not be written over what is still read."""

SORTING = {"argsort", "gather", "gather_adjoint"}
MAKING_ARRAYS = {"sorted": SORTING, "top_k": SORTING}
"""Features whose operators make arrays, since NumPy has no form of them that writes into one."""

ROWS, FEWER = 64, 33


@pytest.fixture(autouse=True)
def _larger_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "SIZES", ROWS)


def short(module: Any, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    entries = {**module.signature["inputs"], **module.signature["targets"]}
    has_batch = {name for name, entry in entries.items() if entry["shape"][:1] == ["n"]}
    return {name: value[:FEWER] if name in has_batch else value for name, value in batch.items()}


def counted_steps(module: Any) -> tuple[Allocations, Allocations]:
    """Of the first step of a short batch, after one of a full batch; of more steps of both."""
    full = synthetic.batch(module)
    fewer = short(module, full)
    trainer = module.Trainer(module.init(3), ROWS, steps_per_epoch=3, epochs=2)
    trainer.step(full)
    with counted_allocations() as first_short:
        trainer.step(fewer)
    with counted_allocations() as later:
        for batch in (full, fewer, fewer, full, full, fewer):
            trainer.step(batch)
    return first_short, later


def making_arrays(model: graphc.Model) -> set[str]:
    """Names of the operators of a training step that say that NumPy makes arrays for itself."""
    training = model.generated.programs.training
    assert training is not None
    graph = opened(training).graph
    found = set()
    for node in graph.topological():
        if isinstance(node.type, Type):
            types = tuple(graph[i].tensor for i in node.inputs)
            if node.op.hidden(types, node.tensor):
                found.add(node.op.name)
    return found


@EACH
@PRECISIONS
def test_a_step_makes_no_array(path: Path, precision: Any) -> None:
    first_short, later = counted_steps(graphc.compile(path, precision=precision).module)
    assert later.count == 0
    assert first_short.count == 0


def test_a_step_of_digits_makes_no_array() -> None:
    """With all that it has: dropout, weight decay, Adam and its schedule."""
    model = graphc.compile(MODELS / "digits.gc")
    assert len(model.spec.splices) == len(model.spec.penalties) == 1
    assert "cosine" in model.spec.groups[0].title
    _, later = counted_steps(model.module)
    assert later.count == 0


@pytest.mark.parametrize("name", FEATURES)
def test_features_that_make_arrays_are_known(name: str) -> None:
    model = graphc.compile(FEATURES[name])
    first_short, later = counted_steps(model.module)
    assert making_arrays(model) == MAKING_ARRAYS.get(name, set())
    assert (later.count > 0) == (name in MAKING_ARRAYS)
    assert (first_short.count > 0) == (name in MAKING_ARRAYS)


def test_no_array_is_written_over_while_another_view_of_it_is_read() -> None:
    """NumPy would see that they overlap, and copy."""
    _, later = counted_steps(graphc.compile(TRANSPOSED).module)
    assert later.count == 0
