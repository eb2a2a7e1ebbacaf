"""Runs that memory or a device ends: what stays of them, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.session import FailedError, RunError, generated

STEPS = 4


class Failure(RuntimeError):
    """What the library of a device raises."""


Failure.__module__ = "cupy.cuda.runtime"


@pytest.fixture
def failing(line, monkeypatch):
    """A function that makes a model's trainer fail at a step, counted from 1."""

    def at(step, problem):
        real = line.module.Trainer

        class Failing(real):
            made = 0

            def step(self, batch):
                type(self).made += 1
                if type(self).made == step:
                    raise problem
                return super().step(batch)

        monkeypatch.setattr(line.module, "Trainer", Failing)

    return at


def summary(folder):
    return json.loads(Path(folder, "summary.json").read_text())


def test_before_the_first_epoch_no_folder_stays(line, line_data, here, failing):
    failing(STEPS, Failure("cudaErrorLaunchFailure: unspecified launch failure"))
    with pytest.raises(FailedError, match="the device failed: cudaErrorLaunchFailure"):
        line.train(**line_data)
    assert not list(Path("runs").iterdir())


def test_a_trainer_that_cannot_be_made_leaves_no_folder(line, line_data, here, monkeypatch):
    def fail(*args, **more):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(line.module, "Trainer", fail)
    with pytest.raises(FailedError, match="there is not enough memory: Unable to allocate 9 TiB"):
        line.train(**line_data)
    assert not list(Path("runs").iterdir())


def test_after_an_epoch_it_can_go_on(line, line_data, here, failing):
    whole = line.train(**line_data, folder=False)
    failing(2 * STEPS + 1, MemoryError())
    with pytest.raises(FailedError, match="there is not enough memory") as caught:
        line.train(**line_data, folder="run")
    assert "smaller batches than 8: --set train.batch=4" in caught.value.help
    assert "the state after epoch 2 is in run/last.safetensors" in caught.value.help
    assert "go on with --resume run" in caught.value.help
    assert summary("run") == {"stopped": "failed", "why": "there is not enough memory"}
    assert graphc.load("run").stopped == "failed"
    again = graphc.load("run").resume(**line_data)
    assert again.stopped == "finished"
    for name, array in whole.last.items():
        np.testing.assert_array_equal(again.last[name], array, err_msg=name)


def test_a_finished_run_stays_finished(line, line_data, here, monkeypatch):
    line.train(**line_data, folder="run")
    before = summary("run")

    def fail(state, *args, **more):
        raise MemoryError

    load_source = generated.load_source

    def broken(name, source):
        module = load_source(name, source)
        module.Trainer = fail
        return module

    monkeypatch.setattr(generated, "load_source", broken)
    with pytest.raises(FailedError) as caught:
        graphc.load("run").resume(**line_data, set={"train.epochs": 50})
    assert "the state after epoch 40 is in run/last.safetensors" in caught.value.help
    assert summary("run") == before


def test_scores_that_cannot_be_had_leave_a_trained_run(line, line_data, here, monkeypatch):
    def fail(*args, **more):
        raise Failure("cudaErrorMemoryAllocation: out of memory")

    monkeypatch.setattr(line.module, "metrics", fail)
    with pytest.raises(RunError, match="not enough memory on the device") as caught:
        line.train(**line_data, folder="run")
    assert caught.value.help.endswith("the trained run is in run")
    assert summary("run")["stopped"] == "finished"
    assert graphc.load("run").best_epoch > 0


def test_a_product_that_is_too_large(line, line_data, monkeypatch):
    made = graphc.compile(line.checked.request.source.text, products=["per_example_gradients"])

    def fail(*args, **more):
        raise MemoryError

    monkeypatch.setattr(made.module, "per_example_gradients", fail)
    with pytest.raises(RunError, match="there is not enough memory"):
        made.per_example_gradients(made.init(), line_data)
