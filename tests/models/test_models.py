"""Every model in models/ is tested the moment it exists: the folder drives these tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import synthetic
from shorter_models import shorter

import graphc

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "models"
EACH = pytest.mark.parametrize("path", sorted(MODELS.glob("*.gc")), ids=lambda path: path.stem)


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@EACH
def test_compiles_without_a_warning(path):
    model = graphc.compile(path)
    assert model.name == path.stem
    assert not model.warnings.items
    assert "import graphc" not in model.source


@EACH
def test_the_same_text_gives_the_same_source(path):
    assert graphc.compile(path).source == graphc.compile(path).source


@EACH
@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_trains_two_steps(path, precision):
    module = graphc.compile(path, precision=precision).module
    batch = synthetic.batch(module)
    state = module.init(seed=3)
    trainer = module.Trainer(state, synthetic.SIZES, steps_per_epoch=2, epochs=1)
    objectives = [trainer.step(batch), trainer.step(batch)]
    after = trainer.state()
    assert np.isfinite(objectives).all()
    assert int(after["step"]) == int(state["step"]) + 2
    for name in module.signature["parameters"]:
        assert np.isfinite(after[name]).all()
        assert not np.array_equal(after[name], state[name]), name


@EACH
def test_selftest(path, tmp_path):
    """Large models with less of the same: they train whole below."""
    target = tmp_path / f"{path.stem}.py"
    graphc.compile(shorter(path.stem, tmp_path)).save(target)
    done = python("-W", "error", target, "--selftest")
    assert done.returncode == 0, done.stdout + done.stderr


@EACH
def test_runs_where_there_is_only_numpy(path, tmp_path):
    target = tmp_path / f"{path.stem}.py"
    model = graphc.compile(shorter(path.stem, tmp_path))
    model.save(target)
    np.savez(target.with_suffix(".batch.npz"), **synthetic.batch(model.module))
    done = python("-W", "error", HERE / "only_numpy.py", target)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def data_of(tmp_path_factory, write_idx):
    """Where the data of a model are: None for beside it, else a folder of made-up files."""

    def find(model: graphc.Model) -> Path | None:
        named = model.spec.data.files.values()
        if all(model.place.describe(files) is not None for files in named):
            return None
        return synthetic.files(model, tmp_path_factory.mktemp("data"), write_idx)

    return find


@EACH
def test_trains_on_its_own_data(path, here, data_of):
    model = graphc.compile(path)
    epochs = min(model.spec.train.epochs, 3)
    run = model.train(data_of(model), epochs=epochs)
    assert run.stopped in ("finished", "early")
    assert len(run.history) == epochs
    again = graphc.load(run.path)
    for name in run.state:
        assert np.array_equal(run.state[name], again.state[name]), name
    assert again.evaluate()["objective"] == run.evaluate()["objective"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [("digits", "accuracy", 0.94), ("custom", "accuracy", 0.94), ("iris", "accuracy", 0.85),
     ("wine", "accuracy", 0.9)],
)  # fmt: skip
def test_learns(name, metric, least, here):
    run = graphc.compile(MODELS / f"{name}.gc").train()
    assert run.evaluate("test")["metrics"][metric] >= least


def test_diabetes_beats_the_mean_and_speaks_its_units(here):
    run = graphc.compile(MODELS / "diabetes.gc").train()
    assert run.evaluate("test")["metrics"]["rmse"] < 0.85
    rows = run.records(MODELS / "data" / "diabetes.csv")
    estimates = np.array([row["estimate"] for row in rows])
    assert 100 < estimates.mean() < 200
    assert estimates.min() > 25
    assert estimates.max() < 350


def test_xor_is_learned(here):
    run = graphc.compile(MODELS / "xor.gc").train(folder=False)
    truth = run.predict(x=[[0, 0], [0, 1], [1, 0], [1, 1]])["truth"]
    assert np.array_equal(truth[:, 0] > 0.5, [False, True, True, False])


def test_circuit_by_hand():
    objective, gradients = graphc.compile(MODELS / "circuit.gc").loss_and_gradients()
    assert objective == -12
    assert {name: float(value) for name, value in gradients.items()} == {"x": -4, "y": -4, "z": 3}


def test_logistic_by_hand():
    model = graphc.compile(MODELS / "logistic.gc", precision="f64")
    objective, gradients = model.loss_and_gradients()
    assert round(objective, 7) == 0.0681647
    assert round(float(gradients["w"]), 8) == 0.00068436
    assert round(float(gradients["b"]), 7) == -0.0528771
