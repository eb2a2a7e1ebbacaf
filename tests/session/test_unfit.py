"""Data, settings and runs that do not fit: one clear RunError each, nothing half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.runtime import RunFolder


def refused(match):
    return pytest.raises(graphc.RunError, match=match)


def test_labels_out_of_range(kinds):
    text = kinds.path.read_text()
    model = graphc.compile(text.replace("stratified{validation = 0.2, test = 0.2,", "shuffled{"))
    labels = kinds.kind.copy()
    labels[4] = 3
    with refused(r"label 3 in row 4 of y in the training part.*allows 0\.\.2"):
        model.train(x=kinds.points, y=labels, folder=False)


def test_nan_names_its_row_of_the_file(line, line_data):
    line_data["x"][17] = np.nan
    with refused("NaN in row 17"):
        line.train(**line_data, folder=False)


def test_classes_that_differ_from_the_declared_number(kinds):
    text = kinds.path.read_text().replace("label{3}", "label{4}").replace("dense{3}", "dense{4}")
    with refused(r"3 different texts \(fir, oak, yew\), but y is label\{4\}"):
        kinds.path.write_text(text)
        graphc.compile(kinds.path)


def test_a_shape_that_differs_from_the_model(line, line_data):
    with refused("x"):
        line.train(x=np.zeros((32, 2)), y=line_data["y"], folder=False)


def test_arrays_that_are_missing_or_unknown(line, line_data):
    with refused("y"):
        line.train(x=line_data["x"], folder=False)
    with refused("differ in their number of rows"):
        line.train(x=line_data["x"], y=line_data["y"][:5], folder=False)


def test_no_data_at_all(line):
    with refused("line names no data"):
        line.train(folder=False)


def test_a_missing_data_file_stops_training_but_not_compiling(kinds):
    kinds.data.unlink()
    model = graphc.compile(kinds.path)
    assert model.source
    with refused("there is no data file .*points.csv"):
        model.train()
    assert not Path("runs").exists()


def test_a_part_that_is_not_there(line, line_data):
    run = line.train(**line_data, epochs=1, folder=False)
    with refused("no test part"):
        run.evaluate("test")


def test_a_model_that_minimises_nothing():
    model = graphc.compile("model m\ninput x: real = 1\nparam w: real = 1\noutput y = w * x\n")
    with refused("nothing to minimise"):
        model.train(folder=False)
    with refused("no loss"):
        model.loss_and_gradients()


def test_a_model_without_parameters():
    model = graphc.compile("model m\ninput x: real = 1\nloss f = x^2\n")
    with refused("no parameter"):
        model.train(folder=False)


def test_divergence_leaves_the_run_usable(line, line_data, here):
    wild = line.with_sets({"train.optimizer": "sgd{1e6}"})
    with refused("epoch"):
        wild.train(**line_data, folder="wild")
    assert json.loads(Path("wild/summary.json").read_text())["stopped"] == "diverged"
    run = graphc.load("wild")
    assert all(np.isfinite(run.state[name]).all() for name in ("a", "b"))


def test_a_folder_that_holds_something_is_left_alone(line, line_data, here):
    Path("full").mkdir()
    Path("full/letter.txt").write_text("keep me")
    with refused("holds something already"):
        line.train(**line_data, folder="full")
    assert [path.name for path in Path("full").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"base": 3, "set": 4}', "null"])
def test_a_damaged_configuration(line, line_data, here, damage):
    path = line.train(**line_data, epochs=1).path
    (path / "config.json").write_text(damage)
    with refused("config.json"):
        graphc.load(path)


@pytest.mark.parametrize("damage", [b"", b"x" * 100, b"\xff" * 8])
def test_a_damaged_checkpoint(line, line_data, here, damage):
    path = line.train(**line_data, epochs=1).path
    (path / "best.safetensors").write_bytes(damage)
    with refused("best.safetensors"):
        graphc.load(path)


def test_a_checkpoint_of_another_model(line, line_data, kinds):
    path = line.train(**line_data, epochs=1).path
    other = graphc.compile(kinds.path).train(epochs=1).path
    (path / "best.safetensors").write_bytes((other / "best.safetensors").read_bytes())
    with refused("was saved for another model"):
        graphc.load(path)


def test_a_changed_model_text_in_a_run(kinds):
    path = graphc.compile(kinds.path).train(epochs=1).path
    text = (path / "model.gc").read_text().replace("width = 8", "width = 9")
    (path / "model.gc").write_text(text)
    with refused("was saved for another model"):
        graphc.load(path)


def test_code_in_a_run_folder_is_never_executed(kinds, here):
    path = graphc.compile(kinds.path).train(epochs=1).path
    for name in ("model.py", "__init__.py", "sitecustomize.py"):
        (path / name).write_text("open('executed', 'w')\n")
    graphc.load(path).evaluate()
    assert not Path("executed").exists()


def test_data_that_only_training_finds_unfit_leave_no_run(line, line_data, here):
    line_data["x"][3] = 1e300  # more than float32 holds
    with refused("infinite value in row 3"):
        line.train(**line_data)
    assert list(Path("runs").iterdir()) == []


def test_a_precision_that_is_none(line, line_data, here):
    path = line.train(**line_data, epochs=1).path
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "precision": "f16"}))
    with refused("config.json is damaged: .*f16"):
        graphc.load(path)


def test_resuming_a_run_that_is_being_trained(line, line_data, here):
    pytest.importorskip("fcntl")
    run = line.train(**line_data, epochs=1)
    with RunFolder.open(run.path).claimed(), refused("another process is training"):
        run.resume(**line_data, epochs=2)


def test_an_export_that_fails_leaves_module_and_weights(line, line_data, here, monkeypatch):
    line.train(**line_data, epochs=1, folder=False).export("m.py")
    before = Path("m.py").read_bytes(), Path("m.npz").read_bytes()
    run = line.train(**line_data, epochs=2, folder=False)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("graphc.runtime.atomic._write_through", full)
    with refused("No space left"):
        run.export("m.py")
    assert (Path("m.py").read_bytes(), Path("m.npz").read_bytes()) == before
    assert sorted(os.listdir()) == ["m.npz", "m.py"]
