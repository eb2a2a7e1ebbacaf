"""`--data FOLDER`: data kept elsewhere, on every command that reads data."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def elsewhere(models, here):
    """A folder with the data of the examples, and the iris model without any beside it."""
    shutil.copytree(models / "data", here / "elsewhere")
    shutil.copy(models / "iris.gc", here / "iris.gc")
    return here / "elsewhere"


def test_train_evaluate_and_predict_with_data_elsewhere(say, refused, elsewhere, here):
    message = refused("train", "iris.gc")
    assert "no data file data/iris.csv: looked for data/iris.csv" in message
    assert "--data FOLDER" in message
    assert say("train", "iris.gc", "--data", "elsewhere", "--epochs", 3).status == 0
    scores = say("eval", "runs/iris-1", "--json").json
    assert scores["part"] == "test"
    assert say("eval", "iris.gc", "--data", "elsewhere", "--json").json == scores
    rows = say("predict", "runs/iris-1").out.splitlines()
    assert len(rows) == 1 + 30
    elsewhere.rename(here / "moved")
    assert "looked for" in refused("eval", "runs/iris-1")
    assert "looked for" in refused("predict", "runs/iris-1")
    assert say("eval", "runs/iris-1", "--data", "moved", "--json").json == scores
    assert say("predict", "runs/iris-1", "--data", "moved").out.splitlines() == rows
    assert say("predict", "iris.gc", "--data", "moved", "--part", "test").out.splitlines() == rows
    resumed = say("train", "--resume", "runs/iris-1", "--data", "moved", "--epochs", 4)
    assert resumed.status == 0
    assert say("train", "--resume", "runs/iris-1", "--epochs", 5).status == 0


def test_headers_take_part_in_checking(say, refused, elsewhere):
    assert say("check", "iris.gc").status == 0
    assert say("check", "iris.gc", "--data", "elsewhere").status == 0
    path = elsewhere / "iris.csv"
    path.write_text(path.read_text().replace("petal_width", "petal", 1))
    assert "no column" in refused("check", "iris.gc", "--data", "elsewhere")
    assert "no column" in refused("compile", "iris.gc", "--data", "elsewhere")


def test_idx_files_from_the_command_line(say, refused, here, write_idx, models):
    write_idx(here / "i.gz", np.zeros((80, 8, 8), np.uint8))
    write_idx(here / "l.gz", (np.arange(80) % 10).astype(np.uint8))
    text = (models / "digits.gc").read_text()
    Path("m.gc").write_text(text.replace("images / 16", "flatten(images) / 16"))
    given = 'data.file=idx{images = "i.gz", labels = "l.gz"}'
    assert say("train", "m.gc", "--set", given, "--epochs", 1).status == 0
    assert say("eval", "runs/digits-1").status == 0
    assert say("predict", "runs/digits-1", "i.gz").out.count("\n") == 81
    assert "one array without a name" in refused("train", "m.gc", "--data", "i.gz")
    Path("i.gz").write_bytes(b"\x1f\x8b damaged")
    assert "cannot read i.gz" in refused("train", "m.gc", "--set", given)
