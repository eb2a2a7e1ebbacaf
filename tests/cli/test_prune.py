"""`graphc prune`: what it says of a small run, its JSON, its exit statuses, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from graphc.session.pruning.world import Network

MODEL = """
model small

input  x: real[n, 3]
target y: label{2}[n]

logits = x |> dense{4} |> tanh |> dense{2}

loss   ce       = cross_entropy(logits, y)
metric accuracy = accuracy(logits, y)
output probs    = softmax(logits)

data {
  file  = "points.csv"
  x     = [a, b, c]
  y     = kind
  split = shuffled{test = 0.25, seed = 1}
}

regularize {
  l2{1e-2} on params
}

train {
  epochs    = 300
  batch     = all
  optimizer = lbfgs{}
  precision = f64
}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its data and a converged run in runs/small-1."""
    import graphc

    folder = tmp_path_factory.mktemp("prune")
    x = np.random.default_rng(0).normal(size=(48, 3))
    kind = np.where(x[:, 0] + 0.5 * x[:, 1] ** 2 > 0.3, "up", "down")
    rows = [f"{a},{b},{c},{k}" for (a, b, c), k in zip(x.tolist(), kind, strict=True)]
    (folder / "points.csv").write_text("a,b,c,kind\n" + "\n".join(rows) + "\n")
    (folder / "small.gc").write_text(MODEL)
    graphc.compile(folder / "small.gc").train(folder=folder / "runs/small-1")
    return folder


@pytest.fixture
def small(made: Path, here: Path) -> Path:
    """The same in the working folder."""
    shutil.copytree(made, here, dirs_exist_ok=True)
    config = here / "runs/small-1/config.json"
    config.write_text(config.read_text().replace(str(made), str(here)))
    return here


def test_a_run_is_pruned_and_what_came_of_it_is_told(say, small):
    said = say("prune", "small.gc", "--sparsity", "20%")
    assert said.status == 0
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0].split()[:6] == [
        "round",
        "removed",
        "left",
        "predicted",
        "measured",
        "objective",
    ]
    record = Path("runs/small-1-pruned-1/pruning.jsonl").read_text()
    events = [json.loads(line) for line in record.splitlines()]
    for line, event in zip(lines[1:5], events, strict=True):
        round_, removed, left, predicted, measured, objective, *_ = line.split()
        assert (int(round_), int(removed), int(left)) == (event["round"], 1, event["left"])
        assert float(predicted) == pytest.approx(event["predicted"], rel=1e-3)
        assert float(measured) == pytest.approx(event["measured"], rel=1e-3)
        assert float(objective) == pytest.approx(event["objective"], rel=1e-5)
    assert "16 of 20 weights are left, sparsity 20.00%: the sparsity is reached" in said.out
    assert "test before" in said.out
    assert "test after" in said.out
    assert "the pruned run is in runs/small-1-pruned-1" in said.out
    assert max(map(len, lines)) < 170
    # What it says can be done next can be done.
    for command in (line.split()[1:] for line in lines if line.startswith("  graphc ")):
        if command[0] == "train":
            command += ["--epochs", "2"]
        if command[0] != "show":  # drawn in tests of show
            assert say(*command).status == 0, command


def test_json_tells_the_same_and_nothing_else(say, small):
    said = say("prune", "runs/small-1", "--sparsity", "50%", "--schedule", "gradual", "--json")
    found = said.json
    assert (said.status, said.err, found["ok"]) == (0, "", True)
    assert (found["run"], found["origin"]) == ("runs/small-1-pruned-1", "runs/small-1")
    assert (found["weights"], found["left"], found["sparsity"]) == (20, 10, 0.5)
    assert (found["method"], found["curvature"], found["schedule"]) == ("obs", "exact", "gradual")
    assert found["stopped"] == "sparsity"
    assert list(found["held"]) == ["test before", "test after"]
    assert found["measured"] == pytest.approx(found["objective"][1] - found["objective"][0])
    summary = json.loads(Path("runs/small-1-pruned-1/summary.json").read_text())
    assert summary["pruning"] == {key: found[key] for key in summary["pruning"]}


def test_quiet_shows_no_deletions(say, small):
    said = say("prune", "runs/small-1", "--sparsity", "20%", "--quiet")
    assert "predicted  " not in said.out
    assert "graphc eval" not in said.out
    assert "16 of 20 weights are left" in said.out


def test_a_strict_pruning_ends_at_the_first_check_with_status_1(say, small):
    said = say("prune", "runs/small-1", "--sparsity", "80%", "--strict")
    assert said.status == 1
    assert "a check fails" in said.out
    assert "warning: the norm of the gradient was" in said.out
    assert "the pruned run is in runs/small-1-pruned-1" in said.out
    left = json.loads(Path("runs/small-1-pruned-1/summary.json").read_text())["pruning"]["left"]
    assert 4 < left < 20
    said = say("prune", "runs/small-1", "--sparsity", "80%", "--strict", "--json")
    assert (said.status, said.json["ok"], said.json["stopped"]) == (1, False, "check")


def test_ctrl_c_ends_with_what_there_is_and_status_130(say, small, monkeypatch):
    true, count = Network.scores, iter(range(3))

    def scores(self, theta):
        if next(count, None) is None:
            raise KeyboardInterrupt
        return true(self, theta)

    with monkeypatch.context() as patch:
        patch.setattr(Network, "scores", scores)
        said = say("prune", "runs/small-1", "--sparsity", "80%")
    assert said.status == 130
    assert "18 of 20 weights are left, sparsity 10.00%: interrupted" in said.out
    assert say("eval", "runs/small-1-pruned-1").status == 0

    def none(self, theta):
        raise KeyboardInterrupt

    monkeypatch.setattr(Network, "scores", none)
    assert say("prune", "runs/small-1").status == 130
    assert sorted(path.name for path in Path("runs").iterdir()) == ["small-1", "small-1-pruned-1"]


def test_a_network_that_has_not_converged_is_told(say, small):
    assert say("train", "small.gc", "--epochs", "2", "--quiet").status == 0
    said = say("prune", "runs/small-2", "--sparsity", "20%")
    assert said.status == 0
    assert "! gradient" in said.out
    assert "the network has not converged" in said.out
    said = say("prune", "runs/small-2", "--sparsity", "20%", "--strict")
    assert said.status == 1
    assert "nothing was removed: the norm of the gradient is" in said.err
    assert "train on, with optimizer = lbfgs{}" in said.err


def test_an_indefinite_hessian_without_damping_is_refused(say, small):
    assert say("train", "small.gc", "--epochs", "1", "--quiet").status == 0
    said = say("prune", "runs/small-2", "--damping", "0")
    assert said.status == 1
    assert "is not positive definite: its smallest eigenvalue without damping is -" in said.err
    assert "or give --damping" in said.err
    assert not Path("runs/small-2-pruned-1").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sparsity", "0"), "a sparsity of 0 is less than one of 20 weights"),
        (("--sparsity", "100%"), "`sparsity` is a fraction below 1, as in 80%"),
        (("--sparsity", "120%"), "`sparsity` is a fraction below 1, as in 80%"),
        (("--sparsity", "-1"), "prune.sparsity"),
        (("--sparsity", "abc"), "abc"),
        (("--sparsity", "99%"), "99.00% cannot be reached: no weight would be left"),
        (("--sparsity", "95%", "--remove", "units"), "cannot be reached: each layer keeps a unit"),
        (("--stop", "nothing"), "`stop` names no loss or metric: `nothing`"),
        (("--rewind", "2"), "only `method = lottery` rewinds"),
        (("--steps", "0"), "prune.steps"),
        (("--steps", "1.5"), "prune.steps"),
        (("--max-rise", "-1"), "prune.max_rise"),
        (("--max-rise", "1e-15"), "removed: the first deletion lets the objective rise"),
        (("--damping", "-1"), "prune.damping"),
        (("--method", "obd", "--curvature", "rows"), "`obd` does not prune by `curvature = rows`"),
        (("--method", "magnitude", "--curvature", "exact"), "does not prune by"),
        (("--method", "lottery", "--schedule", "one_shot"), "`schedule` is gradual"),
        (("--method", "lottery", "--rewind", "300"), "rewinds to epoch 300 has none left"),
        (("--method", "movement", "--retrain", "0"), "goes by training, and retrain is 0"),
        (("--curvature", "fisher", "--damping", "0"), "needs a damping above 0"),
        (
            ("--retrain", "2", "--set", "train.optimizer=sgd{1e200}"),
            "retraining failed: the objective became NaN or infinite in epoch",
        ),
        (("--out", "runs/small-1"), "the folder runs/small-1 holds something already"),
        (("--out", "points.csv"), "points.csv is a file"),
        (("--data", "nowhere"), "nowhere"),
        (("--set", "prune.nothing=1"), "nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_met_is_refused_and_leaves_nothing(say, small, options, words):
    said = say("prune", "runs/small-1", *options)
    assert said.status == 1
    assert words in said.err
    assert "internal error" not in said.err
    assert [path.name for path in Path("runs").iterdir()] == ["small-1"]


@pytest.mark.parametrize("option", ["method", "curvature", "remove", "scope", "schedule"])
def test_unknown_words_are_wrong_usage(say, small, option):
    said = say("prune", "runs/small-1", f"--{option}", "other")
    assert said.status == 2
    assert "'other' is not one of" in said.err


def test_no_run_no_model_no_parameters_no_objective(refused, small):
    shutil.rmtree("runs")
    assert "there is no finished run of small.gc" in refused("prune", "small.gc")
    assert "there is no model file runs/small-1" in refused("prune", "runs/small-1")
    Path("empty").mkdir()
    assert "empty is not a run of graphc" in refused("prune", "empty")
    Path("none.gc").write_text("model none\ninput x: real[n]\noutput y = 2 * x\n")
    assert "there is no finished run of none.gc" in refused("prune", "none.gc")


@pytest.mark.parametrize(
    "name", ["config.json", "last.safetensors", "best.safetensors", "model.gc"]
)
@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\x00nonsense"])
def test_a_damaged_run_is_refused(refused, small, name, damage):
    Path("runs/small-1", name).write_bytes(damage)
    refused("prune", "runs/small-1")
    assert [path.name for path in Path("runs").iterdir()] == ["small-1"]


def test_a_folder_that_cannot_be_written(refused, small):
    Path("file").write_text("")
    assert "cannot make the folder file/kept" in refused(
        "prune", "runs/small-1", "--out", "file/kept"
    )
