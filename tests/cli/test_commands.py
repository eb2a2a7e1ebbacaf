"""Each command on models that are right: what it prints, writes and returns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphc


@pytest.fixture
def iris(say, models, here):
    """A short run of iris in runs/iris-1."""
    assert say("train", models / "iris.gc", "--epochs", 5, "-q").status == 0
    return here / "runs" / "iris-1"


def test_help_names_every_command(say):
    said = say("--help")
    assert said.status == 0
    for name in (
        "check",
        "compile",
        "train",
        "eval",
        "predict",
        "explain",
        "doc",
        "gradcheck",
        "prune",
    ):
        assert name in said.out
        assert say(name, "--help").status == 0


def test_version(say):
    assert graphc.__version__ in say("--version").out


def test_check_says_what_a_model_is_in_a_line(say, models):
    said = say("check", models / "digits.gc")
    assert said.status == 0
    assert said.err == ""
    assert said.out.count("\n") == 1
    for part in ("digits: 8,970 parameters", "x: real[n, 64]", "y: label{10}[n]", "loss ce"):
        assert part in said.out


def test_check_as_json(say, models):
    told = say("check", models / "digits.gc", "--json").json
    assert told["ok"] is True
    assert told["diagnostics"] == []
    assert told["parameters"] == 8970


def test_check_reports_all_errors(say, here):
    Path("bad.gc").write_text("model bad\ninput x: real[n]\nloss a = meen(x)\nloss b = summ(x)\n")
    said = say("check", "bad.gc")
    assert said.status == 1
    assert said.out == ""
    assert said.err.count("error[") >= 2
    told = say("check", "bad.gc", "--json")
    assert told.status == 1
    assert told.err == ""
    assert len(told.json["diagnostics"]) >= 2
    assert told.json["diagnostics"][0]["line"] == 3


def test_warnings_are_shown_and_allowed(say, here):
    Path("w.gc").write_text("model w\nhyper unused = 1\nparam p: real = 1\nloss f = p^2\n")
    said = say("check", "w.gc")
    assert said.status == 0
    assert "warning[" in said.err
    assert say("check", "w.gc", "-q").err == ""


def test_compile_prints_a_module(say, models):
    said = say("compile", models / "xor.gc")
    assert said.status == 0
    compile(said.out, "xor.py", "exec")


def test_compile_writes_a_module_that_runs(say, models, here):
    said = say("compile", models / "xor.gc", "-o", "xor.py")
    assert said.status == 0
    assert said.out == ""
    assert "wrote xor.py" in said.err
    done = subprocess.run(
        [sys.executable, "xor.py", "--selftest"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compile_a_run_brings_its_weights(say, iris, here):
    assert say("compile", "runs/iris-1", "-o", "iris.py").status == 0
    code = (
        "import iris, numpy as np\n"
        "state = iris.load()\n"
        "out = iris.predict(state, {'x': np.zeros((2, 4), np.float32)})\n"
        "print(out['probs'].shape, iris.classes['y'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=here, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "(2, 3)" in done.stdout
    assert "versicolor" in done.stdout


def test_train_says_how_it_went_and_what_is_next(say, models):
    said = say("train", models / "iris.gc", "--epochs", 3)
    assert said.status == 0
    for part in ("epoch", "val accuracy", "test", "runs/iris-1", "graphc predict runs/iris-1"):
        assert part in said.out
    assert len(Path("runs/iris-1/metrics.jsonl").read_text().splitlines()) == 3


def test_train_as_json(say, models):
    told = say("train", models / "iris.gc", "--set", "train.epochs=2", "--json").json
    assert told["run"] == "runs/iris-1"
    assert told["epochs"] == 2
    assert 0 <= told["test"]["metrics"]["accuracy"] <= 1


def test_train_on_another_file_into_a_folder(say, models):
    other = Path("other.csv")
    rows = (models / "data" / "iris.csv").read_text().splitlines()
    other.write_text("\n".join([rows[0], *rows[1::2]]) + "\n")
    said = say("train", models / "iris.gc", "--data", other, "--out", "mine", "--epochs", 1)
    assert said.status == 0
    assert "45 examples" in said.out or "examples" in said.out
    assert json.loads(Path("mine/config.json").read_text())["data"] == str(other.resolve())
    assert say("eval", "mine").status == 0


def test_resume_goes_on(say, iris):
    said = say("train", "--resume", iris, "--epochs", 7)
    assert said.status == 0
    assert "from epoch 6" in said.out
    assert len((iris / "metrics.jsonl").read_text().splitlines()) == 7


def test_eval_of_a_run_and_of_its_model_agree(say, models, iris):
    by_run = say("eval", "runs/iris-1", "--json").json
    by_model = say("eval", models / "iris.gc", "--json").json
    assert by_run == by_model
    assert by_run["part"] == "test"


def test_eval_parts_and_gradients(say, iris):
    for part in ("train", "validation", "test", "all"):
        said = say("eval", "runs/iris-1", "--part", part)
        assert said.status == 0
        assert "accuracy" in said.out
    told = say("eval", "runs/iris-1", "--gradients", "--json").json
    assert np.isfinite(told["gradients"]["logits.dense2.b"]).all()
    assert "logits.dense1.W" in say("eval", "runs/iris-1", "--gradients").out


def test_eval_circuit_by_hand(say, models):
    said = say("eval", models / "circuit.gc")
    assert said.status == 0
    words = said.out.split()
    assert "-12" in words
    told = say("eval", models / "circuit.gc", "--json").json
    assert told["objective"] == -12
    assert told["gradients"] == {"x": -4, "y": -4, "z": 3}


def test_eval_logistic_by_hand(say, models):
    out = say("eval", models / "logistic.gc").out
    for number in ("0.0681647", "0.000684361", "-0.0528771"):
        assert number in out


def test_at_changes_the_example(say, models):
    changed = say("eval", models / "logistic.gc", "--at", "x=2", "--json").json
    assert changed["objective"] != say("eval", models / "logistic.gc", "--json").json["objective"]


def test_eval_at_examples_takes_the_run_of_a_model(say, models):
    before = say("eval", models / "logistic.gc", "--json").json
    assert say("train", models / "logistic.gc", "--epochs", 20, "-q").status == 0
    after = say("eval", models / "logistic.gc", "--json").json
    assert after["run"] == "runs/logistic-1"
    assert after["objective"] < before["objective"]
    assert say("eval", models / "logistic.gc", "--init", "--json").json == before


def test_predict_to_every_place(say, models, iris):
    data = models / "data" / "iris.csv"
    lines = say("predict", "runs/iris-1", data).out.splitlines()
    assert lines[0] == "y,probs.setosa,probs.versicolor,probs.virginica"
    assert len(lines) == 151
    assert say("predict", models / "iris.gc", data).out.splitlines() == lines
    assert say("predict", "runs/iris-1", data, "-o", "p.csv").status == 0
    assert Path("p.csv").read_text().splitlines() == lines
    assert say("predict", "runs/iris-1", data, "-o", "p.json").status == 0
    assert len(json.loads(Path("p.json").read_text())) == 150
    assert say("predict", "runs/iris-1", data, "--format", "json").out.startswith("[")


def test_predict_needs_the_columns_of_the_inputs_only(say, iris):
    Path("new.csv").write_text(
        "petal_width,petal_length,sepal_width,sepal_length\n0.2,1.4,3.5,5.1\n"
    )
    said = say("predict", "runs/iris-1", "new.csv")
    assert said.status == 0
    assert len(said.out.splitlines()) == 2


def test_importing_graphc_loads_nothing_heavy():
    code = "import graphc, graphc.cli, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(graphc.__file__).parents[1],
    )  # fmt: skip
    assert not {"numpy", "networkx", "lark", "rich", "safetensors"} & set(done.stdout.split())
