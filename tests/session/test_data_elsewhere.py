"""Official parts of the data, IDX files, and data that lie in a folder of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import graphc

MODEL = """
model shapes

input  x: real[n, 4, 3]
target y: label{2}[n]

logits = x |> flatten |> dense{2}

loss   ce       = cross_entropy(logits, y)
metric accuracy = accuracy(logits, y)
output probs    = softmax(logits)

data {
  train = idx{images = "raw/train-images.gz", labels = "raw/train-labels.gz"}
  test  = idx{images = "raw/test-images.gz", labels = "raw/test-labels.gz"}
  x     = images / 255
  y     = labels
  split = shuffled{validation = 0.25, seed = 0}
}

train {
  epochs    = 3
  batch     = 8
  optimizer = adam{0.05}
}
"""


def examples(count, seed):
    """Images that are brighter above, or below, and which of the two they are."""
    labels = np.arange(count, dtype=np.uint8) % 2
    images = np.random.default_rng(seed).integers(0, 100, (count, 4, 3)).astype(np.uint8)
    for half in (0, 1):
        images[labels == half, 2 * half : 2 * half + 2] += 150
    return images, labels


@pytest.fixture
def shapes(here, write_idx):
    """A model file in one folder and its four data files in another."""
    (here / "model").mkdir()
    (here / "kept").mkdir()
    path = here / "model" / "shapes.gc"
    path.write_text(MODEL)
    for part, count in (("train", 40), ("test", 12)):
        images, labels = examples(count, count)
        write_idx(here / "kept" / f"{part}-images.gz", images)
        write_idx(here / "kept" / f"{part}-labels.gz", labels)
    return SimpleNamespace(path=path, kept=here / "kept")


def sizes(model):
    _, parts = model.parts()
    named = {name: getattr(parts, name) for name in ("train", "validation", "test", "all")}
    return {n: None if part is None else len(part["images"]) for n, part in named.items()}


def test_a_validation_part_is_cut_off_the_training_part(shapes):
    model = graphc.compile(shapes.path, data=shapes.kept)
    assert sizes(model) == {"train": 30, "validation": 10, "test": 12, "all": 52}
    _, parts = model.parts()
    assert parts.train["images"].dtype == np.uint8
    rows = np.concatenate([parts.train["images"], parts.validation["images"]])
    assert sorted(row.tobytes() for row in rows) == sorted(
        row.tobytes() for row in examples(40, 40)[0]
    )
    np.testing.assert_array_equal(parts.test["images"], examples(12, 12)[0])


def test_an_official_validation_part(shapes, here):
    images, labels = examples(7, 1)
    np.savez(here / "kept" / "held.npz", images=images, labels=labels, more=np.zeros(7))
    text = MODEL.replace("  split = shuffled{validation = 0.25, seed = 0}\n", "")
    shapes.path.write_text(text.replace("data {", 'data {\n  validation = "held.npz"'))
    model = graphc.compile(shapes.path, data=shapes.kept)
    assert sizes(model) == {"train": 40, "validation": 7, "test": 12, "all": 59}
    split = model.with_sets({"data.split": "ordered{test = 0}"})
    assert sizes(split) == sizes(model)


def test_a_file_in_place_of_all_parts_is_split_alone(shapes, here):
    images, labels = examples(20, 2)
    np.savez(here / "all.npz", images=images, labels=labels)
    model = graphc.compile(shapes.path, data=here / "all.npz")
    assert sizes(model) == {"train": 15, "validation": 5, "test": None, "all": 20}


def test_a_model_without_its_data_compiles_to_the_same_source(shapes):
    assert graphc.compile(shapes.path).source == graphc.compile(shapes.path, data="kept").source


def test_a_folder_can_be_given_at_every_stage(shapes):
    run = graphc.compile(shapes.path, data="kept").train()
    assert run.evaluate()["metrics"]["accuracy"] == 1
    again = graphc.compile(shapes.path).train("kept")
    assert again.evaluate("test") == run.evaluate("test")
    model = graphc.compile(shapes.path)
    assert model.evaluate(run.state, "kept", part="test") == run.evaluate("test")
    assert model.evaluate(run.state, data=Path("kept"), part="all")["metrics"]["accuracy"] == 1


def test_a_run_knows_where_its_data_lie(shapes, here):
    path = graphc.compile(shapes.path, data="kept").train().path
    assert json.loads((path / "config.json").read_text())["folder"] == str(here / "kept")
    run = graphc.load(path)
    assert run.evaluate()["metrics"]["accuracy"] == 1
    assert len(run.predict()["probs"]) == 12
    assert len(run.records(part="validation")) == 10


def test_data_that_have_moved(shapes, here):
    path = graphc.compile(shapes.path, data="kept").train().path
    shapes.kept.rename(here / "moved")
    run = graphc.load(path)
    with pytest.raises(graphc.RunError, match=r"looked for .*kept/raw/train") as caught:
        run.evaluate("test")
    assert "--data FOLDER" in caught.value.help
    with pytest.raises(graphc.RunError, match=r"no data file raw/train-images\.gz"):
        run.resume(epochs=5)
    assert run.evaluate("test", data="moved") == graphc.load(path, data="moved").evaluate("test")
    assert len(run.predict("moved", part="test")["probs"]) == 12
    assert len(run.resume("moved", epochs=5).history) == 5
    assert graphc.load(path).resume(epochs=6).evaluate("test")["metrics"]["accuracy"] == 1


def test_data_that_move_do_not_change_the_run(shapes, here):
    whole = graphc.compile(shapes.path, data="kept").train(epochs=4, folder="whole")
    graphc.compile(shapes.path, data="kept").train(epochs=2, folder="part")
    shutil.copytree("kept", "copy")
    part = graphc.load("part", data="copy").resume(epochs=4)
    assert all(np.array_equal(whole.last[name], part.last[name]) for name in whole.last)


def test_a_file_given_in_place_that_has_moved(kinds, here):
    other = here / "other.csv"
    kinds.data.rename(other)
    path = graphc.compile(kinds.path).train(other, epochs=2).path
    before = graphc.load(path).evaluate("test")
    (here / "far").mkdir()
    other.rename(here / "far" / "other.csv")
    with pytest.raises(graphc.RunError, match=r"trained on .*other.csv, which cannot be read"):
        graphc.load(path).evaluate("test")
    assert graphc.load(path, data="far").evaluate("test") == before


def test_an_images_file_alone_can_be_predicted_for(shapes):
    run = graphc.compile(shapes.path, data="kept").train(folder=False)
    alone = run.predict(shapes.kept / "test-images.gz")["probs"]
    np.testing.assert_array_equal(alone, run.predict(part="test")["probs"])
    state = run.model.predict(run.state, shapes.kept / "test-images.gz")["probs"]
    np.testing.assert_array_equal(alone, state)


def test_a_run_without_data_has_nothing_to_predict_for(here):
    model = graphc.compile("model m\ninput x: real = 1\nparam w: real = 2\nloss f = (w*x - 1)^2\n")
    with pytest.raises(graphc.RunError, match="nothing to predict for"):
        model.train(folder=False).predict()


def test_parts_of_another_shape_are_refused(shapes, write_idx):
    write_idx(shapes.kept / "test-images.gz", np.zeros((12, 3, 4), np.uint8))
    with pytest.raises(graphc.RunError, match=r"x \(from images\) is real\[n, 4, 3\]"):
        graphc.compile(shapes.path, data="kept").train()
    write_idx(shapes.kept / "train-images.gz", np.zeros((40, 3, 4), np.uint8))
    with pytest.raises(graphc.CompileError):
        graphc.compile(shapes.path, data="kept")


def test_labels_of_every_part_are_checked(shapes, write_idx):
    labels = examples(12, 0)[1]
    labels[5] = 2
    write_idx(shapes.kept / "test-labels.gz", labels)
    with pytest.raises(graphc.RunError, match=r"label 2 in row 5 of column labels of .*test-l"):
        graphc.compile(shapes.path, data="kept").train()
