"""What `render` and `show` tell of a pruned run, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.session.picture import Picture
from graphc.session.pruning_shown import read_rounds
from graphc.session.run import Run

MONK = """
model monk
input a1: label{3}[n]
input a2: label{2}[n]
target y: real[n, 1]
x = concat{axis = 1}(one_hot(a1), one_hot(a2))
logit = x |> dense{2} |> sigmoid |> dense{1}
loss f = binary_cross_entropy(logit, y)
output p = sigmoid(logit)
"""

LINES = (
    {"round": 1, "removed": 1, "left": 8, "predicted": 1e-5, "measured": 2e-5, "objective": 0.1,
     "scores": {"train": {"accuracy": 1.0, "confusion": [[1]]}}, "retrained": False},
    {"round": 1, "removed": 0, "left": 8, "predicted": None, "measured": -0.05, "objective": 0.05,
     "scores": {"train": {"accuracy": 1.0}}, "retrained": True},
    {"round": 2, "removed": 2, "left": 6, "predicted": None, "measured": 0.5, "objective": 0.55,
     "scores": {"train": {"accuracy": 0.5}}, "retrained": False, "undone": True},
)  # fmt: skip


def pruned(model: graphc.Model, share: float, seed: int = 0) -> Run:
    """A run of that model in which weights chosen by chance are masked."""
    draw, state = np.random.default_rng(seed), model.init()
    for name in model.spec.learned:
        mask = draw.random(np.shape(state[name])) < share
        state[name] = np.where(mask, draw.normal(size=mask.shape), 0.0)
        state[f"{name}:mask"] = mask.astype(np.float64)
    return Run(
        path=None, model=model, state=state, last=state, history=[], summary=None, origin=None
    )


def names(picture: Picture) -> list[str]:
    return [box.name for box in picture.diagram.boxes]


def test_a_small_network_is_units_and_connections():
    run = pruned(graphc.compile(MONK), 0.5)
    picture = graphc.render(run, "removed")
    inputs = ["a1=0", "a1=1", "a1=2", "a2=0", "a2=1"]
    found = [name.removesuffix(", dead") for name in names(picture)]
    assert found == [*inputs, "h1", "h2", "logit"]
    W = run.state["logit.dense1.W:mask"]
    kept = {(a.tail, a.head) for a in picture.diagram.arrows if a.kind == "weight"}
    expected = {(f"unit-0-{i}", f"unit-1-{j}") for i, j in np.argwhere(W).tolist()}
    assert {ends for ends in kept if ends[0].startswith("unit-0")} == expected
    total = sum(int(run.state[f"{n}:mask"].sum()) for n in run.model.spec.learned)
    assert picture.diagram.notes[0].startswith(f"weights: {total} of 15 left")
    assert "<svg" in picture.svg
    assert "unit-1-0" in picture.html
    assert "arrowhead" in picture.dot


def test_names_of_columns_and_of_classes(kinds):
    run = pruned(graphc.compile(kinds.path), 0.7)
    found = names(graphc.render(run, "removed"))
    assert found == ["east", "north", *(f"h{i + 1}" for i in range(8)), "fir", "oak", "yew"]


def test_a_larger_network_is_matrices(models: Path, here: Path):
    run = pruned(graphc.compile(models / "digits.gc"), 0.2)
    mask = np.ones(10)
    run.state["logits.dense1.b:mask"] = mask
    picture = graphc.render(run, "removed")
    assert names(picture) == [n for n in run.model.spec.learned if n != "logits.dense1.b"]
    assert "whole, and not drawn: logits.dense1.b" in picture.diagram.notes
    with pytest.raises(graphc.RunError, match="no pixels"):
        picture.save(here / "a.dot")
    picture.save(here / "a.html")
    assert "data:image/png" in (here / "a.html").read_text()


def test_pixels_are_no_png_without_the_extra(models: Path, here: Path, monkeypatch):
    picture = graphc.render(pruned(graphc.compile(models / "digits.gc"), 0.2), "removed")
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(graphc.RunError, match="resvg-py is not installed") as caught:
        picture.save(here / "a.png")
    assert caught.value.help == "pip install 'graphc[images]'"
    assert (here / "a.svg").exists()


def test_what_cannot_be_drawn_is_said(kinds):
    model = graphc.compile(kinds.path)
    with pytest.raises(graphc.RunError, match="removes from a run"):
        graphc.render(model, "removed")
    run = model.train(epochs=1)
    with pytest.raises(graphc.RunError, match="kinds-1 was not pruned") as caught:
        graphc.render(run, "removed")
    assert caught.value.help == f"prune it first: graphc prune {run.path}"
    with pytest.raises(graphc.RunError, match="drawn as it is"):
        graphc.render(run, "removed", depth=1)
    Path("runs/kinds-1-pruned-1").mkdir()
    with pytest.raises(graphc.RunError) as caught:
        graphc.show_pruning(run)
    assert caught.value.help == f"give the pruned run, {run.path}-pruned-1"


# ------------------------------------------------------------------------- show --pruning


@pytest.fixture
def told(kinds) -> Run:
    """A run with a record of a pruning."""
    run = graphc.compile(kinds.path).train(epochs=1)
    text = "".join(json.dumps(line) + "\n" for line in LINES)
    (run.path / "pruning.jsonl").write_text(text + '{"round": 3, "remo')  # cut short
    return run


def test_a_pruning_is_shown(told):
    plot = graphc.show_pruning(told.path)
    assert plot.facts == {"rounds": 3, "weights": 9, "left": 8, "metric": "accuracy"}
    assert plot.heading.details == "2 deletions, 1 retraining, 9 → 8 weights (11.1% removed)"
    measured = plot.figure.axes[0].lines[1]
    assert list(measured.get_ydata()) == [2e-5, 0.5]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"round": 1}',
        '{"left": -1, "removed": 1}',
        '{"left": 1, "removed": 1, "predicted": "x"}',
        '{"left": 1, "removed": 1, "scores": {"train": 3}}',
        '{"left": true, "removed": 1}',
    ],
)
def test_a_damaged_line_is_said(told, line):
    path = told.path / "pruning.jsonl"
    path.write_text(f"{json.dumps(LINES[0])}\n{line}\n")
    with pytest.raises(graphc.RunError, match=r"line 2 of .* is damaged"):
        read_rounds(told)


def test_a_record_of_nothing_is_said(told):
    for text in ("", '{"left": 0, "removed": 0}\n'):
        (told.path / "pruning.jsonl").write_text(text)
        with pytest.raises(graphc.RunError, match="no deletion"):
            graphc.show_pruning(told)
    (told.path / "pruning.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(graphc.RunError, match="cannot read"):
        graphc.show_pruning(told)
