"""The command line on the device, here the stand-in: what is said is what is said of the CPU, and
what goes wrong there is an error for people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.backends.targets import load_target
from graphc.ir import NoKernel
from graphc.ir.operator import OPERATORS

KINDS = """model kinds
input  x: real[n, 2]
target y: label{3}[n]

logits = x |> dense{8} |> tanh |> dense{3}

loss   ce       = cross_entropy(logits, y)
metric accuracy = accuracy(logits, y)
output probs    = softmax(logits)

data {
  file  = "points.npz"
  x     = standardise(points)
  y     = kind
  split = shuffled{validation = 0.2, test = 0.2, seed = 3}
}

train {
  epochs    = 3
  batch     = 16
  optimizer = adam{lr = RATE}
}
"""
CUPY = ("--target", "cupy")
STEPS = 4
"""Of an epoch: 54 examples."""


@pytest.fixture
def kinds(here: Path) -> Path:
    draw = np.random.default_rng(0)
    kind = np.arange(90) % 3
    points = np.array([[0, 0], [30, 0], [0, 40]])[kind] + draw.normal(size=(90, 2))
    np.savez(here / "points.npz", points=points, kind=kind)
    path = here / "kinds.gc"
    path.write_text(KINDS.replace("RATE", "0.02"))
    return path


def stopped(run: str) -> str:
    return json.loads(Path(run, "summary.json").read_text())["stopped"]


# ------------------------------------------------------------------------------ what it does


def test_every_command_says_what_it_says_of_the_cpu(cupy, say, kinds):
    for target in ("numpy", "cupy"):
        assert say("train", kinds, "--out", target, "--target", target, "-q").status == 0
    assert cupy.counts.launches["adam"] == 3 * STEPS
    for command in ("eval", "predict"):
        own = numbers_in(say(command, "numpy").out)
        assert len(own) >= 3
        for run, target in (("cupy", "numpy"), ("numpy", "cupy"), ("cupy", "cupy")):
            there = say(command, run, "--target", target)
            assert there.status == 0
            np.testing.assert_allclose(numbers_in(there.out), own, rtol=1e-3, atol=1e-3)
    assert say("gradcheck", kinds, *CUPY).status == 0


def numbers_in(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"\d+\.\d+", text)]


def test_a_run_is_resumed_on_the_other_target(cupy, say, kinds):
    assert say("train", kinds, "--out", "run", "--epochs", 1, *CUPY).status == 0
    assert say("train", "--resume", "run", "--epochs", 2, "--target", "numpy").status == 0
    assert say("train", "--resume", "run", "--epochs", 3, *CUPY).status == 0
    assert graphc.load("run").summary["epochs"] == 3


def test_a_compiled_run_brings_its_weights(cupy, say, kinds, here):
    assert say("train", kinds, "--out", "run", "-q").status == 0
    assert say("compile", "run", *CUPY, "-o", "d.py").err == "wrote d.py and d.npz\n"
    path = here / "d.py"
    module: dict[str, Any] = {"__file__": str(path), "__name__": "d"}
    exec(compile(path.read_text(), str(path), "exec"), module)
    state = module["load"]()
    points = np.load(here / "points.npz")["points"]
    batch = module["prepare"]({"points": points}, state)
    expected = graphc.load("run").predict(points=points)["probs"]
    np.testing.assert_allclose(module["predict"](state, batch)["probs"], expected, rtol=1e-5)


def test_auto_says_which_it_took(cupy, say, kinds, monkeypatch):
    said = say("train", kinds, "--target", "auto", "--out", "run")
    assert "target: numpy: a step of " in said.err
    monkeypatch.setattr("graphc.session.targets.MARGIN", 0.0)
    said = say("eval", "run", "--target", "auto")
    assert "target: cupy, Stand-in: a batch of " in said.err


# ------------------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("code", [35, 100])
def test_without_a_gpu_it_is_said_why(cupy, say, refused, kinds, code):
    cupy.no_device(code)
    why = {35: "there is no NVIDIA driver", 100: "there is no NVIDIA GPU"}[code]
    for command in (("train", kinds), ("gradcheck", kinds), ("eval", kinds, "--init")):
        said = refused(*command, *CUPY)
        assert said.startswith(f"error: the target cupy does not run here: {why}\nhelp: ")
    assert say("compile", kinds, *CUPY).status == 0


@pytest.mark.parametrize("after", [1, 40, 400])
def test_a_device_that_fails_ends_the_run(cupy, say, refused, kinds, after):
    """Early, in the first epoch, there is no run yet; later its last checkpoint stands, and the CPU
    goes on from it."""
    cupy.fail_after(after)
    said = refused("train", kinds, "--out", "run", "-q", *CUPY)
    assert "error: the device failed: cudaErrorIllegalAddress" in said
    if after < 400:
        assert not Path("run").exists()
        return
    assert "the state after epoch " in said
    assert stopped("run") == "failed"
    cupy.fail_after(None)
    assert say("train", "--resume", "run", "--target", "numpy").status == 0
    assert stopped("run") == "finished"


@pytest.mark.parametrize(
    "command", [("eval", "run"), ("predict", "run"), ("gradcheck", "kinds.gc")]
)
def test_a_device_that_fails_elsewhere(cupy, say, refused, kinds, command):
    assert say("train", kinds, "--out", "run", "-q").status == 0
    cupy.fail_after(3)
    assert "the device failed: cudaErrorIllegalAddress" in refused(*command, *CUPY)


def test_what_does_not_fit_is_said_before_training(cupy, say, refused, kinds):
    model, room = graphc.compile(kinds), load_target("cupy")
    programs, held = model.generated.programs, model.parts()[1].validation
    assert held is not None
    rows = len(held["kind"])  # the validation comes in between
    free = room.device_bytes(programs, {"n": 40}, scored=rows)
    cupy.set_memory(free)
    said = refused("train", kinds, "--set", "train.batch=54", *CUPY)
    assert said.startswith("error: training kinds with batches of 54 takes 32.")
    fits = int(said.split("help: batches of ")[1].split()[0])
    assert said.endswith(f"--set train.batch={fits}\n")
    taken = [room.device_bytes(programs, {"n": n}, scored=rows) for n in (fits, fits + 1)]
    assert taken[0] <= free < taken[1]
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


def test_memory_that_runs_out_all_the_same(cupy, say, refused, kinds, monkeypatch):
    monkeypatch.setattr("graphc.backends.cupy.device_bytes", lambda *args, **more: 0)
    cupy.set_memory(12_000)
    said = refused("train", kinds, "-q", *CUPY)
    assert said.startswith("error: there is not enough memory on the device: Out of memory")
    assert "smaller batches than 16: --set train.batch=8" in said


def test_an_objective_that_is_not_finite(cupy, say, refused, kinds):
    kinds.write_text(KINDS.replace("RATE", "1e38"))
    said = refused("train", kinds, "-q", *CUPY)
    assert "error: the objective became NaN or infinite in epoch 1: " in said
    assert "the objective is not finite at step " in said
    assert "help: try a smaller learning rate" in said


def test_an_operator_that_the_target_lacks(cupy, say, refused, kinds, monkeypatch):
    def none(self, k, x):
        raise NoKernel("tanh")

    monkeypatch.setattr(OPERATORS["tanh"], "numpy", lambda self, w, x: f"np.tanh2({x})")
    monkeypatch.setattr(OPERATORS["tanh"], "kernel", none)
    for command in (("compile", kinds), ("train", kinds)):
        said = refused(*command, *CUPY)
        assert "error[E701]: the target cupy has no operator tanh\n" in said
        assert "kinds.gc:5:27" in said
        assert "note: CuPy has no np.tanh2 that means the same" in said
