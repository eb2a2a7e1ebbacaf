"""Compaction: dead units go from text, module and state, and what the network gives is the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.runtime import Arrays, CheckpointInfo, RunError, save_checkpoint, signature_digest
from graphc.session.compact_runs import save_compacted
from graphc.session.compacting import Compacted, compact
from graphc.session.masking import masks_of, state_with_masks
from graphc.session.run import Run

TRAIN = """
train {
  epochs    = 2
  batch     = 16
  optimizer = momentum{0.05}
}
"""

MLP = """model m            # a comment
hyper hidden = 12

input  x: real[n, 6]
target y: label{3}[n]

h      = x |> dense{hidden} |> relu    # first
g      = h |> dense{  hidden  } |> ACT  # second
logits = g |> dense{3}

loss   ce    = cross_entropy(logits, y)
output probs = softmax(logits)
"""

CONV = """model m
input  x: real[n, 8, 8, 1]
target y: label{3}[n]

maps   = x |> conv2d{4, 3, padding = "same"} |> batch_norm |> relu |> max_pool2d{2}
more   = maps |> conv2d{units = 6, kernel = 3} |> relu
logits = more |> flatten |> dense{7} |> relu |> dense{3}

loss   ce    = cross_entropy(logits, y)
output probs = softmax(logits)
"""

RESIDUAL = """model m
input  x: real[n, 6]
target y: real[n, 2]

h = x |> dense{10} |> tanh
g = h + (h |> dense{8} |> relu |> dense{10} |> tanh)
z = g |> dense{2}

loss   se   = squared_error(z, y)
output said = z
"""

REPEAT = """model m
input  x: real[n, 6]
target y: real[n, 2]

h = x |> dense{10} |> tanh
repeat k in 1..2 {
  h = h + (h |> dense{8} |> relu |> dense{10})
}
z = h |> dense{2}

loss   se   = squared_error(z, y)
output said = z
"""

Removing = Callable[[Arrays], None]


def data_of(model: str) -> Arrays:
    random = np.random.default_rng(0)
    shape = (8, 8, 1) if model.startswith(CONV[:20]) and "conv2d" in model else (6,)
    labels, numbers = random.integers(0, 3, 48), random.normal(size=(48, 2))
    return {
        "x": random.normal(size=(48, *shape)).astype(np.float32),
        "y": labels if "label" in model else numbers,
    }


def pruned(text: str, removing: Removing, *, ready: Callable[[Arrays], None] | None = None) -> Run:
    """A run of a text with data, some of its weights removed."""
    model = graphc.compile(text + TRAIN, data=data_of(text)).with_masks()
    run = model.train(folder=False)
    masks = {name: np.ones_like(run.state[name]) for name in model.spec.learned}
    removing(masks)
    state = state_with_masks(model, run.state, masks)
    if ready is not None:
        ready(state)
    return Run(path=None, model=model, state=state, last=state, history=[], summary={}, origin=None)


def compacted(run: Run) -> tuple[Compacted, list[str]]:
    notes: list[str] = []
    found = compact(run, tell=notes.append)
    assert found is not None, notes
    assert found.notes == tuple(notes)
    data = data_of(run.model.checked.request.source.text)
    expected = run.model.predict(run.state, x=data["x"])
    for name, array in found.model.predict(found.state, x=data["x"]).items():
        np.testing.assert_allclose(array, expected[name], rtol=2e-5, atol=2e-6)
    assert found.parameters[1] == found.model.parameter_count < found.parameters[0]
    assert found.weights_size[1] < found.weights_size[0]
    return found, notes


def units(found: Compacted) -> list[tuple[int, int]]:
    return [(layer.before, layer.after) for layer in found.layers]


def text_of(found: Compacted) -> str:
    return found.model.checked.request.source.text


def dead_in_mlp(masks: Arrays) -> None:
    masks["h.dense1.W"][:, 2] = masks["h.dense1.b"][2] = 0  # nothing feeds it, it gives relu(0)
    masks["g.dense1.W"][5] = 0  # nothing reads it
    masks["logits.dense1.W"][:4] = 0  # nothing reads these
    masks["g.dense1.W"][:, 7] = masks["g.dense1.b"][7] = 0  # nothing feeds it
    masks["g.dense1.W"][8, 4:] = 0  # only units that nothing reads do read it
    masks["h.dense1.W"][0, 0] = 0


def test_units_that_nothing_reads_or_feeds() -> None:
    run = pruned(MLP.replace("ACT", "relu"), dead_in_mlp)
    found, _ = compacted(run)
    assert units(found) == [(12, 9), (12, 7)]
    before = run.model.checked.request.source.text
    after = before.replace("dense{hidden}", "dense{9}").replace("dense{  hidden  }", "dense{  7  }")
    assert text_of(found) == after
    assert found.model.masked
    assert masks_of(found.model, found.state)["h.dense1.W"][0, 0] == 0
    assert found.module_size[1] < found.module_size[0]
    # Optimizer states go with their parameters, and the state fits the smaller module.
    found.model.module.Trainer(found.state, 16)
    kept = [unit for unit in range(12) if unit not in (2, 5, 8)]
    np.testing.assert_array_equal(found.state["h.dense1.W"], run.state["h.dense1.W"][:, kept])


def test_a_unit_that_gives_another_constant_stays() -> None:
    found, notes = compacted(pruned(MLP.replace("ACT", "sigmoid"), dead_in_mlp))
    assert units(found) == [(12, 9), (12, 8)]
    assert any("line 8) keeps 1 unit without weights on one side" in note for note in notes)


def test_what_removes_nothing_within_has_no_masks() -> None:
    def whole_units(masks: Arrays) -> None:
        masks["logits.dense1.W"][:4] = 0

    found, _ = compacted(pruned(MLP.replace("ACT", "relu"), whole_units))
    assert not found.model.masked
    assert not any(name.endswith(":mask") for name in found.state)


def test_channels_before_a_flatten_and_a_normalisation() -> None:
    def channels(masks: Arrays) -> None:
        masks["more.conv2d1.W"][:, :, 1] = 0
        masks["more.conv2d1.W"][..., 5] = masks["more.conv2d1.b"][5] = 0
        masks["logits.dense1.W"].reshape(-1, 6, 7)[:, 2] = 0

    found, _ = compacted(pruned(CONV, channels))
    assert units(found) == [(4, 3), (6, 4)]
    assert 'conv2d{3, 3, padding = "same"}' in text_of(found)
    assert "conv2d{units = 4, kernel = 3}" in text_of(found)
    moving = [name for name in found.model.spec.states if "batch_norm" in name]
    assert moving
    assert all(found.state[name].shape == (3,) for name in moving)


def test_sides_of_a_sum_are_one_width() -> None:
    def both_sides(masks: Arrays) -> None:
        for name, axis in (("h.dense1", -1), ("g.dense2", -1)):
            np.moveaxis(masks[f"{name}.W"], axis, 0)[3] = 0
            masks[f"{name}.b"][3] = 0
        masks["g.dense1.W"][3] = masks["z.dense1.W"][3] = 0
        masks["z.dense1.W"][4] = 0  # still read on the way
        masks["g.dense2.W"][2] = 0

    found, _ = compacted(pruned(RESIDUAL, both_sides))
    assert sorted(units(found)) == [(8, 7), (10, 9)]
    assert text_of(found).count("dense{9}") == 2


def test_layers_of_a_repeat_are_as_wide_as_the_one_that_needs_most() -> None:
    def inside(masks: Arrays) -> None:
        first, second = sorted(name for name in masks if name.endswith("dense2.W"))
        masks[first][[1, 6]] = 0
        masks[second][[0, 2, 5]] = 0

    found, _ = compacted(pruned(REPEAT, inside))
    assert units(found) == [(8, 6)]
    assert "dense{6} |> relu |> dense{10}" in text_of(found)


def test_nothing_dead_is_nothing_to_do() -> None:
    def spread(masks: Arrays) -> None:
        masks["h.dense1.W"][::2, ::2] = 0

    notes: list[str] = []
    assert compact(pruned(MLP.replace("ACT", "relu"), spread), tell=notes.append) is None
    assert notes == [], "an answer is as wide as its target"


def test_a_width_that_an_input_asks_for_is_left_alone_and_told_of() -> None:
    def dead(masks: Arrays) -> None:
        masks["h.dense2.W"][:, 1] = 0

    tied = RESIDUAL.replace("h = x |> dense{10}", "h = x + (x |> dense{4} |> tanh |> dense{6})")
    notes: list[str] = []
    tied = tied.replace("g = h + (h |> dense{8} |> relu |> dense{10} |> tanh)", "g = h")
    assert compact(pruned(tied, dead), tell=notes.append) is None
    assert any("dense{6} (line 5) is tied to a size" in note for note in notes)


def test_a_layer_keeps_one_unit() -> None:
    def everything(masks: Arrays) -> None:
        masks["logits.dense1.W"][:] = 0

    found, _ = compacted(pruned(MLP.replace("ACT", "relu"), everything))
    assert units(found) == [(12, 1), (12, 1)]


def test_a_width_in_a_definition_and_one_that_is_joined() -> None:
    text = MLP.replace("ACT", "relu").replace(
        "logits = g |> dense{3}", "both = concat{1}(h, g)\nlogits = both |> dense{3}"
    )

    def dead(masks: Arrays) -> None:
        masks["logits.dense1.W"][:12][4] = masks["g.dense1.W"][4] = 0

    notes: list[str] = []
    assert compact(pruned(text, dead), tell=notes.append) is None
    assert sum("is joined with other units" in note for note in notes) == 2


def test_a_run_that_is_not_pruned() -> None:
    model = graphc.compile(MLP.replace("ACT", "relu") + TRAIN, data=data_of(MLP))
    with pytest.raises(RunError, match="is not pruned"):
        compact(model.train(folder=False))


def test_what_gives_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice that takes the wrong units is found out on the data."""
    from graphc.session import compacting

    right = compacting._sliced

    def shifted(state: Arrays, kept: compacting.Kept) -> Arrays:
        wrong = {w: [[u - (u > 0) for u in own] for own in layers] for w, layers in kept.items()}
        sizes = [len(set(own)) == len(own) for layers in wrong.values() for own in layers]
        return right(state, wrong if all(sizes) else kept)

    def dead(masks: Arrays) -> None:
        masks["logits.dense1.W"][0] = 0

    monkeypatch.setattr(compacting, "_sliced", shifted)
    run = pruned(MLP.replace("ACT", "relu"), dead)
    notes: list[str] = []
    # Units 1, 2, … are kept; taken are 0, 1, …
    assert compact(run, tell=notes.append) is None
    assert "the smaller model gives other outputs, so nothing is changed" in notes


# -------------------------------------------------------------------------------- as a run


@pytest.fixture
def kept(here: Path) -> Run:
    """A pruned run in a folder, over a data file."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 6)), random.integers(0, 3, 60)
    np.savez(here / "points.npz", x=x, y=y)
    text = MLP.replace("ACT", "relu") + TRAIN
    split = "shuffled{validation = 0.2, test = 0.2, seed = 0}"
    (here / "m.gc").write_text(f'{text}\ndata {{\n  file = "points.npz"\n  split = {split}\n}}\n')
    run = graphc.compile(here / "m.gc").with_masks().train()
    masks = {name: np.ones_like(run.state[name]) for name in run.model.spec.learned}
    dead_in_mlp(masks)
    state = state_with_masks(run.model, run.state, masks)
    info = CheckpointInfo("m", signature_digest(run.model.module.signature), epoch=2, best_epoch=2)
    assert run.path is not None
    for name in ("best", "last"):
        save_checkpoint(run.path / f"{name}.safetensors", state, info)
    return graphc.load(run.path)


def test_a_run_of_its_own(kept: Run) -> None:
    assert kept.path is not None
    before = {path.name: path.read_bytes() for path in kept.path.iterdir() if path.is_file()}
    found = compact(kept)
    assert found is not None
    run = save_compacted(found, kept)
    assert run.path is not None
    assert run.path.name == "m-1-compact-1"
    assert save_compacted(found, kept).path == run.path.with_name("m-1-compact-2")
    assert run.model.masked
    config = json.loads((run.path / "config.json").read_text())
    assert config["masked"] is True
    assert config["compacted"]["parent"].endswith("m-1")
    scores = [r.evaluate("test") for r in (kept, run)]
    assert scores[0]["objective"] == pytest.approx(scores[1]["objective"], rel=1e-5)
    assert {p.name: p.read_bytes() for p in kept.path.iterdir() if p.is_file()} == before
    assert [record["epoch"] for record in run.history] == [1, 2]


def test_it_is_resumed_and_exported(kept: Run, here: Path) -> None:
    found = compact(kept)
    assert found is not None
    run = save_compacted(found, kept)
    graphc_command = [sys.executable, "-m", "graphc"]
    told = subprocess.run(
        [*graphc_command, "train", "--resume", str(run.path), "--epochs", "4"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    again = graphc.load(run.path)
    assert len(again.history) == 4
    gone = masks_of(again.model, again.last)["h.dense1.W"] == 0
    assert gone.any()
    assert (again.last["h.dense1.W"][gone] == 0).all()
    assert again.export(here / "small.py").exists()


def test_a_run_that_was_kept_nowhere(kept: Run) -> None:
    found = compact(kept)
    assert found is not None
    kept.path = None
    with pytest.raises(RunError, match="kept nowhere"):
        save_compacted(found, kept)
