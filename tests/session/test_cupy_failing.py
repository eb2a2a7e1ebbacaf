"""Training on the device, here the stand-in, that goes wrong: what is said, and what stays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.runtime.computing import MachineError
from graphc.session import DivergedError, FailedError, RunError
from graphc.session.scoring import Question, score

TABLE = """model lookup
input  k: int[n]
target y: real[n]
p = sum{axis = -1}(embedding{4, 3}(k))
loss f = squared_error(p, y)
output o = p
train { epochs = 1 }
"""
LENGTHS = """model m
input x: real[n]
param w: real = 1
p = w * x
loss f = {}
train {{
  epochs = 1
  batch = 200
}}
"""
BLOWN = """model blown
hyper rate = 30
input  x: real[n]
target y: real[n]
param  w: real = 1
loss   f = mean((w * x - y)^2)
train {
  epochs    = 9
  batch     = 4
  optimizer = sgd{rate}
}
"""


def operations(cupy: Any) -> int:
    return sum(cupy.counts.launches.values()) + sum(cupy.counts.operations.values())


# ------------------------------------------------------------------------------ the device


@pytest.fixture
def train(kinds):
    """Trains two epochs on the device, into the folder `run`."""
    return lambda: graphc.compile(kinds.path, target="cupy").train(epochs=2, folder="run")


PLACES = 24
FIRST = {(0, False), (10, True), (18, False), (23, True)}
"""Tried in the first tier: at the start, in an epoch, in a validation and in the last scores."""
CASES = [
    pytest.param(
        place,
        memory,
        marks=() if (place, memory) in FIRST else pytest.mark.slow,
        id=f"{place}-{'full' if memory else 'failed'}",
    )
    for place in range(PLACES)
    for memory in (False, True)
]


@pytest.mark.parametrize(("place", "memory"), CASES)
def test_wherever_the_device_fails_the_last_checkpoint_stands(
    place: int, memory: bool, cupy, train
):
    """At the first operation of all, at the last, and at places between."""
    train()
    total, whole = operations(cupy), graphc.load("run").last
    move_away("run")
    error = cupy.cuda.memory.OutOfMemoryError(512, 2**30, 0) if memory else None
    cupy.fail_after(1 + place * (total - 1) // (PLACES - 1), error)
    with pytest.raises(RunError) as found:
        train()
    cupy.fail_after(None)
    said = "there is not enough memory on the device" if memory else "the device failed: cuda"
    assert found.value.message.startswith(said)
    if not Path("run").exists():
        assert isinstance(found.value, FailedError | MachineError)
        return
    run = graphc.load("run")
    if run.stopped != "finished":
        assert "the state after epoch 1 is in run/last.safetensors" in found.value.help
        run = run.resume()
    else:
        assert found.value.help.endswith("the trained run is in run")
    for name, array in whole.items():
        np.testing.assert_allclose(run.last[name], array, rtol=2e-4, atol=1e-5, err_msg=name)


def move_away(run: str) -> None:
    Path(run).rename("whole")


def test_a_device_that_fails_in_scores_or_predictions(cupy, train):
    train()
    run = graphc.load("run", target="cupy")
    for ask in (run.evaluate, run.predict, lambda: score(Question("run", target="cupy"))):
        cupy.fail_after(2)
        with pytest.raises(RunError, match="the device failed: cudaErrorIllegalAddress"):
            ask()
        cupy.fail_after(None)


# ------------------------------------------------------------------------------ the numbers


def test_an_objective_that_is_not_finite_ends_the_run_as_on_the_cpu(cupy, here):
    """The step is named, the run stays as it was after the last whole epoch, and can go on."""
    data = {"x": np.linspace(-1, 1, 16), "y": np.ones(16)}
    runs, said = {}, {}
    for target in ("numpy", "cupy"):
        model = graphc.compile(BLOWN, target=target)
        with pytest.raises(DivergedError) as found:
            model.train(data, folder=target)
        runs[target], said[target] = found.value.result, found.value.message
        assert "try a smaller learning rate" in found.value.help
        assert f"is in {target}/last.safetensors" in found.value.help
    last = runs["cupy"].last
    assert runs["cupy"].epochs_run == runs["numpy"].epochs_run > 1
    np.testing.assert_allclose(last["w"], runs["numpy"].last["w"], rtol=1e-4)
    where = re.search(r"in epoch (\d+), step (\d+) of 4", said["numpy"])
    epoch, step = int(where[1]), int(where[2])
    assert said["cupy"] == (
        f"the objective became NaN or infinite in epoch {epoch}: "
        f"the objective is not finite at step {4 * (epoch - 1) + step - 1}"
    )
    run = graphc.load("cupy")
    assert run.stopped == "diverged"
    np.testing.assert_array_equal(run.last["w"], last["w"])
    assert run.resume(data, set={"rate": 0.001}).stopped == "finished"


def test_an_index_outside_its_table(cupy):
    model = graphc.compile(TABLE, target="cupy")
    state, y = model.init(), np.array([1.0, 2.0, 3.0])
    for index in (7, -9):
        k = np.array([0, 1, index])
        for call in (
            lambda k=k: model.train(k=k, y=y, folder=False),
            lambda k=k: model.evaluate(state, k=k, y=y),
            lambda k=k: model.predict(state, k=k),
            lambda k=k: model.loss_and_gradients(state, {"k": k, "y": y}),
        ):
            with pytest.raises(RunError, match=f"index {index} of k is out of bounds for size 4"):
                call()
    assert model.predict(state, k=np.array([0, -4, 3]))["o"].shape == (3,), (
        "from the end, as before"
    )


@pytest.mark.parametrize(
    "expression",
    [
        "mean(p[:100])",
        "sum(p[7:9])",
        "sum(p[-5:])",
        "sum(top_k{7}(p))",
        "sum(max{1}(windows{0, 7}(p)))",
    ],
)
def test_a_length_that_the_data_have_not(expression: str, cupy):
    text = LENGTHS.format(expression)
    data = {"x": np.arange(4.0)}
    said = []
    for target in ("numpy", "cupy"):
        with pytest.raises(RunError) as found:
            graphc.compile(text, target=target).train(data, folder=False)
        said.append(found.value.message.partition(": ")[2])
    assert said[1] == said[0] or said[1] == "windows of 7 are taken, but there are 4"
