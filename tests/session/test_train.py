"""Training from Python: arrays in memory, files, run folders, going on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import graphc


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_arrays_in_memory(line, line_data, here):
    run = line.train(**line_data)
    assert run.path == Path("runs/line-1")
    assert run.stopped == "finished"
    assert len(run.history) == 40
    assert abs(float(run.state["a"]) - 3) < 0.05
    assert run.evaluate()["metrics"]["worst"] < 0.1
    assert np.allclose(run.predict(x=[0.0, 1.0])["value"], [1, 4], atol=0.1)


def test_nothing_is_written_without_a_folder(line, line_data, here):
    run = line.train(line_data, epochs=2, folder=False)
    assert run.path is None
    assert not list(here.iterdir())
    with pytest.raises(graphc.RunError, match="kept nowhere"):
        run.resume(epochs=4)


def test_epochs_batch_and_seed_are_settings_of_the_run(line, line_data, here):
    run = line.train(**line_data, epochs=3, batch=16, seed=9, folder="kept")
    config = json.loads(Path("kept/config.json").read_text())
    assert config["train"]["epochs"] == 3
    assert config["train"]["batch"] == 16
    assert config["train"]["seed"] == 9
    assert run.history[-1]["step"] == 6


def test_report_is_called_with_each_epoch(line, line_data):
    seen = []
    line.train(**line_data, epochs=4, folder=False, report=lambda record: seen.append(record.epoch))
    assert seen == [1, 2, 3, 4]


def test_the_same_seed_gives_the_same_run(line, line_data):
    states = [line.train(**line_data, epochs=3, folder=False).state for _ in range(2)]
    assert same(*states)


def test_a_run_comes_back_as_it_was(kinds):
    run = graphc.compile(kinds.path).train()
    again = graphc.load(run.path)
    assert same(run.state, again.state)
    assert again.history == json.loads(json.dumps(run.history))
    assert again.model.module.signature == run.model.module.signature
    assert again.evaluate("validation") == run.evaluate("validation")
    assert run.summary["test"] == run.evaluate("test")


def test_text_classes_travel_with_the_run(kinds):
    run = graphc.compile(kinds.path).train()
    kinds.data.unlink()
    kinds.path.unlink()
    records = graphc.load(run.path).records({"east": [0.0, 30.0, 0.0], "north": [0.0, 0.0, 40.0]})
    assert [record["y"] for record in records] == ["fir", "oak", "yew"]
    assert set(records[0]["probs"]) == {"fir", "oak", "yew"}
    assert abs(sum(records[0]["probs"].values()) - 1) < 1e-5


def test_splits_cover_the_file_once(kinds):
    _, parts = graphc.compile(kinds.path).parts()
    sizes = [len(parts.train["east"]), len(parts.validation["east"]), len(parts.test["east"])]
    assert sizes == [54, 18, 18]
    assert sorted(np.unique(parts.test["kind"], return_counts=True)[1]) == [6, 6, 6]


def test_prepared_arrays_by_the_names_of_inputs_and_targets(kinds):
    run = graphc.compile(kinds.path).train(
        x=kinds.points / 40, y=kinds.kind, folder=False, epochs=30
    )
    assert run.evaluate("all")["metrics"]["accuracy"] > 0.9
    records = run.records(x=kinds.points[:3] / 40)
    assert [record["y"] for record in records] == ["fir", "oak", "yew"]


def test_columns_in_memory_bring_their_classes(kinds):
    kinds.data.unlink()
    model = graphc.compile(kinds.path)
    names = np.array(["a", "b", "c"])[kinds.kind]
    run = model.train(
        east=kinds.points[:, 0], north=kinds.points[:, 1], kind=names, folder=False, epochs=3
    )
    assert list(run.model.module.classes["y"]) == ["a", "b", "c"]


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(kinds, stop):
    model = graphc.compile(kinds.path)
    whole = model.train(folder="whole")

    def interrupt(record):
        if record.epoch == stop:
            raise KeyboardInterrupt

    part = model.train(folder="part", report=interrupt)
    assert part.stopped == "interrupted"
    assert len(part.history) == stop
    resumed = graphc.load("part").resume()
    assert resumed.stopped == "finished"
    assert same(whole.last, resumed.last)
    assert same(whole.state, resumed.state)
    assert [r["objective"] for r in whole.history] == [r["objective"] for r in resumed.history]
    assert [r["epoch"] for r in graphc.load("part").history] == list(range(1, 13))


def test_a_finished_run_can_go_on_for_longer(kinds):
    run = graphc.compile(kinds.path).train()
    with pytest.raises(graphc.RunError, match="all of its 12 epochs"):
        graphc.load(run.path).resume()
    longer = graphc.load(run.path).resume(epochs=15)
    assert len(longer.history) == 15
    assert graphc.load(run.path).model.spec.train.epochs == 15


def test_a_run_on_arrays_asks_for_them_again(line, line_data, here):
    path = line.train(**line_data, epochs=2).path
    run = graphc.load(path)
    with pytest.raises(graphc.RunError, match="arrays in memory"):
        run.evaluate()
    with pytest.raises(graphc.RunError, match="arrays in memory"):
        run.resume(epochs=4)
    assert len(run.resume(epochs=4, **line_data).history) == 4
    assert graphc.load(path, data=line_data).evaluate()["objective"] > 0


def test_used_files_travel_with_the_run(here):
    (here / "lib").mkdir()
    (here / "blocks.gc").write_text("def twice(x) = 2 * x\n")
    text = 'model m\nuse "../blocks.gc"\ninput x: real = 1\nparam w: real = 3\n'
    (here / "lib" / "m.gc").write_text(text + "loss f = (twice(w) - x)^2\n")
    run = graphc.compile("lib/m.gc").train(epochs=2)
    shutil.rmtree("lib")
    Path("blocks.gc").unlink()
    again = graphc.load(run.path).model
    assert again.loss_and_gradients(run.state) == run.model.loss_and_gradients(run.state)


def test_examples_are_the_data_of_a_model_without_any(models, here):
    run = graphc.compile(models / "logistic.gc").train(epochs=5)
    assert run.history[-1]["objective"] < run.history[0]["objective"]
    assert run.history[-1]["step"] == 5


def test_a_model_of_parameters_alone_trains(models, here):
    run = graphc.compile(models / "circuit.gc").train()
    assert run.history[0]["objective"] == -12


def test_test_files_are_the_test_part(kinds):
    shutil.copy(kinds.data, "other.csv")
    text = kinds.path.read_text().replace(
        'file  = "points.csv"', 'train = "points.csv"\n  test = "other.csv"'
    )
    kinds.path.write_text(text.replace("test = 0.2, ", ""))
    run = graphc.compile(kinds.path).train(epochs=2)
    _, parts = run.model.parts()
    assert len(parts.test["east"]) == 90
    assert len(parts.train["east"]) == 72


def test_export_writes_a_module_with_its_weights(kinds, tmp_path):
    run = graphc.compile(kinds.path).train(epochs=2)
    weights = run.export("kinds.py")
    assert weights == Path("kinds.npz")
    scope = {"__name__": "kinds", "__file__": str(tmp_path / "kinds.py")}
    exec(compile(Path("kinds.py").read_text(), "kinds.py", "exec"), scope)
    assert same(run.state, scope["load"]())


def test_latest_run_is_the_newest_finished_one_of_the_file(kinds):
    from graphc.session import latest_run

    model = graphc.compile(kinds.path)
    assert latest_run(model) is None
    first = model.train(epochs=1)

    def interrupt(record):
        raise KeyboardInterrupt

    model.train(report=interrupt)
    assert latest_run(model) == first.path
    (kinds.folder / "other").mkdir()
    shutil.copy(kinds.path, "other/kinds.gc")
    shutil.copy(kinds.data, "other/points.csv")
    graphc.compile("other/kinds.gc").train(epochs=1)
    assert latest_run(model) == first.path
