"""Runs on the device, here the stand-in, and runs on the CPU are one: what one began the other goes
on with, evaluates, predicts with and exports; the numbers are the same to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.runtime import examples

TESTS = Path(__file__).resolve().parents[1]
TARGETS = ["numpy", "cupy"]
EPOCHS = 4

DRIVEN = """model driven
input x: real[n, 2]
target y: real[n]
h = tanh(dense{3}(x))
loss   f = squared_error(sum{axis = -1}(dense{1}(h)), y)
output o = sum{axis = -1}(dense{1}(h))
regularize { l2{0.1} on weights }
train {
  epochs    = 8
  batch     = all
  optimizer = DRIVER
}
"""
ONE = """model one                          # an example is a batch
input  x: real[3]
target y: real
param  w: real[3] ~ normal{0, 1}
loss   f = (sum(x * w) - y)^2
train {
  epochs    = 2
  optimizer = momentum{0.05}
}
"""


def train(path: Any, target: str, folder: str, epochs: int = EPOCHS, **options: Any) -> graphc.Run:
    model = graphc.compile(path, target=target, precision="f64")
    return model.train(epochs=epochs, folder=folder, **options)


def expect_same_run(found: graphc.Run, expected: graphc.Run, few: float = 1e-10) -> None:
    """The same states and histories to rounding, the rest equal."""
    for state, other in ((found.state, expected.state), (found.last, expected.last)):
        assert state.keys() == other.keys()
        for name, array in other.items():
            assert type(state[name]) is type(array), name
            assert state[name].dtype == array.dtype
            np.testing.assert_allclose(state[name], array, rtol=few, atol=few, err_msg=name)
    for record, other in zip(found.history, expected.history, strict=True):
        close = without_seconds(record), without_seconds(other)
        expect_close_json(*close, few)
    expect_close_json(found.summary, expected.summary, few)


def without_seconds(record: Any) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "seconds"}


def expect_close_json(found: Any, expected: Any, few: float) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            expect_close_json(found[key], value, few)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=few, abs=few)
    else:
        assert found == expected


def same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes(), name


# ------------------------------------------------------------------------------ the same run


def test_a_run_is_that_of_the_cpu(cupy, kinds, here):
    own, there = (train(kinds.path, target, target) for target in TARGETS)
    expect_same_run(there, own)
    expect_same_run(graphc.load("cupy"), graphc.load("numpy"))
    assert cupy.counts.launches["adam"] > EPOCHS
    configs = [(here / target / "config.json").read_text() for target in TARGETS]
    assert json.loads(configs[0]) == json.loads(configs[1])
    assert "cupy" not in configs[1]


def test_a_run_in_f32_is_that_of_the_cpu_to_rounding(cupy, kinds):
    runs = [graphc.compile(kinds.path, target=t).train(epochs=2, folder=t) for t in TARGETS]
    expect_same_run(runs[1], runs[0], few=2e-5)


@pytest.mark.parametrize("driver", ["lbfgs", "newton"])
def test_a_run_by_a_driver_is_that_of_the_cpu(driver: str, cupy, here):
    draw = np.random.default_rng(0)
    data = {"x": draw.normal(size=(20, 2)), "y": draw.normal(size=20)}
    text = DRIVEN.replace("DRIVER", driver)
    own, there = (
        graphc.compile(text, target=target, precision="f64").train(data, folder=False)
        for target in TARGETS
    )
    expect_same_run(there, own, few=1e-6)  # a line search carries rounding on
    assert there.summary["converged"] == own.summary["converged"]


def test_a_run_over_single_examples_is_that_of_the_cpu(cupy, here):
    draw = np.random.default_rng(0)
    data = {"x": draw.normal(size=(7, 3)), "y": draw.normal(size=7)}
    own, there = (
        graphc.compile(ONE, target=target, precision="f64").train(data, folder=False)
        for target in TARGETS
    )
    expect_same_run(there, own)


@pytest.mark.parametrize("limit", [None, 0], ids=["copied ahead", "prepared batch by batch"])
def test_data_that_do_not_fit_give_the_same_run(limit: Any, cupy, kinds, monkeypatch):
    resident = train(kinds.path, "cupy", "resident", epochs=2)
    assert not cupy.counts.ahead
    monkeypatch.setattr(examples, "_SHARE", 0.0)
    if limit is not None:
        monkeypatch.setattr(
            examples.load_examples, "__kwdefaults__", {"need_targets": True, "limit": limit}
        )
    streamed = train(kinds.path, "cupy", "streamed", epochs=2)
    assert cupy.counts.ahead
    same_bits(streamed.last, resident.last)
    assert streamed.summary == resident.summary


# ------------------------------------------------------------------------------ one goes on


@pytest.mark.parametrize(
    ("first", "second"), [("cupy", "cupy"), ("cupy", "numpy"), ("numpy", "cupy")]
)
def test_a_run_is_gone_on_with_anywhere(first: str, second: str, cupy, kinds):
    """Where it stays on one target it equals one in one go, bit for bit; else to rounding."""
    whole = train(kinds.path, second, "whole")
    train(kinds.path, first, "run", epochs=2)
    resumed = graphc.load("run", target=second).resume(epochs=EPOCHS)
    assert resumed.model.target == second
    if first == second:
        same_bits(resumed.last, whole.last)
        same_bits(resumed.state, whole.state)
        assert resumed.summary == whole.summary
    else:
        expect_same_run(resumed, whole)


@pytest.mark.parametrize("trained", TARGETS)
def test_what_one_trained_the_other_evaluates_and_predicts_with(trained: str, cupy, kinds):
    run = train(kinds.path, trained, "run", epochs=2)
    (other,) = set(TARGETS) - {trained}
    there = graphc.load("run", target=other)
    for part in ("validation", "test", "all"):
        expect_close_json(there.evaluate(part), run.evaluate(part), 1e-12)
    found, expected = there.predict(), run.predict()
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert type(found[name]) is type(array)
        if np.asarray(array).dtype.kind == "f":
            np.testing.assert_allclose(found[name], array, rtol=1e-10)
        else:
            np.testing.assert_array_equal(found[name], array)


def test_checkpoints_hold_the_same_arrays_in_the_same_format(cupy, kinds, here):
    for target in TARGETS:
        train(kinds.path, target, target, epochs=1)
    for file in ("last.safetensors", "best.safetensors"):
        heads = [head_of(here / target / file) for target in TARGETS]
        assert heads[0].keys() == heads[1].keys()
        for name, entry in heads[0].items():
            if name != "__metadata__":
                assert heads[1][name] == entry


def head_of(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: eight bytes of length, then JSON."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size])


# ------------------------------------------------------------------------------ taken elsewhere


def test_a_trained_module_runs_by_itself(cupy, kinds, here, tmp_path):
    """The file and the weights beside it, in a process that knows nothing of this project."""
    train(kinds.path, "numpy", "run", epochs=2)
    graphc.load("run", target="cupy").export("d.py")
    assert "import cupy as cp" in (here / "d.py").read_text()
    np.save("x.npy", kinds.points)
    script = """
import sys, standin
with standin.installed():
    import numpy as np, d
    state = d.load()
    raw = dict(zip(("east", "north"), np.load("x.npy").T))
    probs = d.predict(state, d.prepare(raw, state))["probs"]
    np.save("probs.npy", probs)
    trainer = d.Trainer(state, 90)
    batch = d.prepare({**raw, "kind": np.array(d.classes["y"])[np.arange(90) % 3]}, state)
    assert np.isfinite(float(trainer.step(batch)))
    d.save("more.npz", trainer.state())
assert not {"graphc", "lark", "networkx"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    expected = graphc.load("run").predict(east=kinds.points[:, 0], north=kinds.points[:, 1])
    np.testing.assert_allclose(np.load("probs.npy"), expected["probs"], rtol=1e-6)
    assert {*np.load("more.npz")} == {*np.load("d.npz")}
