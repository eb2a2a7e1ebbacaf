"""`graphc render --view removed` and `graphc show --pruning`: what they write, say and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import graphc

TEXT = """
model small
input x: real[n, 2]
target y: real[n, 1]
z = x |> dense{2} |> tanh |> dense{1}
loss near = mean((z - y)^2)
data {
  x = [[0, 0], [0, 1], [1, 0], [1, 1]]
  y = [[0], [1], [1], [0]]
}
train { epochs = 2 }
"""


@pytest.fixture
def small(say, here) -> Path:
    """A run in runs/small-1, not pruned."""
    Path("small.gc").write_text(TEXT)
    assert say("train", "small.gc", "-q").status == 0
    return Path("runs/small-1")


def test_a_run_that_was_not_pruned(refused, small):
    for command in (["render", small, "--view", "removed"], ["show", small, "--pruning"]):
        message = refused(*command)
        assert "small-1 was not pruned" in message
        assert "graphc prune runs/small-1" in message
    assert not list(Path.cwd().glob("*.svg"))


def test_a_model_has_nothing_removed(refused, small):
    assert "give the folder of a pruned run" in refused("render", "small.gc", "--view", "removed")


def test_a_pruning_is_drawn(say, small):
    line = {"round": 1, "removed": 1, "left": 8, "predicted": 1e-5, "measured": 2e-5,
            "objective": 0.1, "scores": {}, "retrained": False}  # fmt: skip
    (small / "pruning.jsonl").write_text(json.dumps(line) + "\n")
    said = say("show", "small.gc", "--pruning")
    assert said.err == "drew the pruning of runs/small-1 in small-1-pruning.svg\n"
    assert b"small-1: pruning" in Path("small-1-pruning.svg").read_bytes()
    assert say("show", small, "--pruning", "--json").json["left"] == 8
    assert say("show", small, "--pruning", "--surface").status == 2
    assert say("show", small, "--pruning", "z.dense1.W").status == 2


def test_what_was_removed_is_drawn(say, here):
    model = graphc.compile(TEXT).with_masks()
    run = model.train(folder="runs/small-1-pruned-1")
    assert say("render", run.path, "--view", "removed", "--json").json["arrows"] == 6
    said = say("render", run.path, "--view", "removed", "-o", "left.html")
    assert said.out == "drew the picture of small-1-pruned-1: what pruning removed in left.html\n"
    assert "weights: 9 of 9 left (100%)" in said.err
    assert "unit-1-0" in Path("left.html").read_text("utf-8")
