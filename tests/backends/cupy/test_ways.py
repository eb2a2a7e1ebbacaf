"""Models of every kind, and ways of printing them: features, masks, no groups, memory for each
array alone, a limit of memory; what is printed is formatted."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from both_targets import asked, expect_equal, side_by_side, start, three_steps
from features import FEATURES
from idle import idle_kernels
from shorter_models import MODELS, NAMES

import graphc
from graphc import RunError
from graphc.backends.cupy.memory import WORKSPACE, device_bytes
from graphc.session.loading import load_source
from graphc.session.masking import state_with_masks

Compiled = Callable[..., graphc.Model]

ALWAYS = {"groups", "state", "frozen", "shared", "sequence", "smoothing"}
EACH_FEATURE = [
    pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in FEATURES
]

# ---------------------------------------------------------------------------- kinds of models


def expect_same(model: graphc.Model, cupy: Any, state: Any = None) -> None:
    """Losses, metrics, outputs and three steps in f64, as with NumPy."""
    both = side_by_side(model, cupy)
    batch = synthetic.batch(both.own)
    state = start(both.own, np.float64) if state is None else state
    given = {}
    for module in (both.there, both.own):
        found = {**asked(module, state, batch), "steps": three_steps(module, state, batch)}
        given[module] = {what: both.fetched(arrays) for what, arrays in found.items()}
    expect_equal(given[both.there], given[both.own])


@pytest.mark.parametrize("name", EACH_FEATURE)
def test_a_feature_is_numpys(name: str, cupy: Any):
    expect_same(graphc.compile(FEATURES[name]), cupy)


def test_a_pruned_model_is_numpys(cupy: Any):
    """Weights that are removed stay at zero, moments too."""
    model = graphc.compile(FEATURES["groups"]).with_masks()
    draw = np.random.default_rng(0)
    state = start(graphc.compile(FEATURES["groups"]).module, np.float64)
    masks = {n: draw.random(state[n].shape) < 0.5 for n in model.spec.learned}
    state = state_with_masks(model, state, masks)
    expect_same(model, cupy, state)
    there = side_by_side(model, cupy).there
    after = three_steps(there, state, synthetic.batch(there))
    assert all((after[name][~mask] == 0).all() for name, mask in masks.items())


NOTHING_LEARNED = """model fixed
input x: real[n, 3]
output y = sum{axis = 1}(exp(x) + 1)
metric top = max(x)
"""
NO_INPUT = """model bowl
param  w: real[3] = 2
loss   f = sum(w^2) + 1
output v = w * 2
train { optimizer = momentum{0.1} }
"""
NO_OUTPUT_BUT_AN_INPUT = """model same
input x: real[n, 2]
output y = x
output one = 1
"""


@pytest.mark.parametrize("text", [NOTHING_LEARNED, NO_OUTPUT_BUT_AN_INPUT])
def test_a_model_without_an_objective(text: str, cupy: Any):
    both = side_by_side(graphc.compile(text), cupy)
    batch, state = synthetic.batch(both.own), both.own.init(0)
    for name, expected in both.own.predict(state, batch).items():
        found = both.there.predict(state, batch)[name]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert both.there.metrics(state, batch) == pytest.approx(both.own.metrics(state, batch))
    objective, losses = both.there.losses(state, batch)
    assert np.isnan(objective)
    assert losses == {}
    with pytest.raises(ValueError, match="it cannot be trained"):
        both.there.Trainer(state, 3)
    with pytest.raises(ValueError, match="it cannot be trained"):
        both.there.loss_and_gradients(state, batch)
    assert device_bytes(graphc.compile(text).generated.programs, {"n": 9}) == 0


def test_a_model_without_an_input(cupy: Any):
    expect_same(graphc.compile(NO_INPUT), cupy)


def test_constants_of_the_data_and_labels_that_are_texts(cupy: Any, models: Path):
    """Fitted and looked up on the host, used on the device."""
    model = graphc.compile(models / "iris.gc")
    both, raw = side_by_side(model, cupy), model.parts()[1].train
    states = [module.fit(raw, module.init(0, np.float64)) for module in (both.own, both.there)]
    assert [name for name in states[0] if name.startswith("data.")]
    expect_equal({"": states[1]}, {"": states[0]})
    few = {name: column[: synthetic.SIZES] for name, column in raw.items()}
    batches = [m.prepare(few, s) for m, s in zip((both.own, both.there), states, strict=True)]
    assert {*batches[1]["y"].tolist()} <= {0, 1, 2}
    expect_equal({"": batches[1]}, {"": batches[0]})
    steps = both.fetched(three_steps(both.there, states[1], batches[1]))
    expect_equal({"": steps}, {"": three_steps(both.own, states[0], batches[0])})
    (texts,) = [name for name, column in few.items() if column.dtype.kind in "UO"]
    black = {**few, texts: np.array(["black"] * synthetic.SIZES)}
    with pytest.raises(ValueError, match="holds 'black', its classes are"):
        both.there.prepare(black, states[1])


# ------------------------------------------------------------------------- ways of printing


def test_without_groups_the_numbers_are_the_same(cupy: Any):
    """Calls of CuPy then, and kernels for optimizers, draws and notes alone."""
    path = MODELS / "digits.gc"
    fused, plain = graphc.compile(path), graphc.compile(path, fuse=False)
    source = plain.with_target("cupy").source
    there = load_source("plain", source)
    assert not [name for name in there.NAMES if name.startswith(("dense", "gradient"))]
    assert {"adam", "note_range"} < {*there.NAMES}
    state, batch = start(fused.module, np.float64), synthetic.batch(fused.module)
    grouped = load_source("fused", fused.with_target("cupy").source)
    assert len(there.NAMES) < len(grouped.NAMES) / 2
    steps = [three_steps(module, state, batch) for module in (there, grouped)]
    steps = [{n: cupy.asnumpy(cupy.asarray(a)) for n, a in found.items()} for found in steps]
    expect_equal({"": steps[0]}, {"": steps[1]})


def test_without_reuse_arrays_stay_until_their_function_ends(
    cupy: Any, monkeypatch: pytest.MonkeyPatch
):
    idle_kernels(monkeypatch)
    path, pool = MODELS / "digits.gc", cupy.get_default_memory_pool()
    held = []
    for reuse in (True, False):
        source = graphc.compile(path, reuse=reuse, target="cupy").source
        assert ("\n    del " in source) is reuse
        module = load_source("digits", source)
        pool.free_all_blocks()
        trainer = module.Trainer(module.init(0), 200, steps_per_epoch=1, epochs=1)
        trainer.step({"x": np.ones((200, 64), np.float32), "y": np.zeros(200, np.int64)})
        held.append(pool.total_bytes())
        del trainer
    assert held[1] > 1.3 * held[0]


def test_memory_of_the_train_section_is_a_limit(models: Path):
    """For the arrays of a training; the batch that is told fits, and the next does not."""
    text = (models / "digits.gc").read_text()

    def compiled(memory: int, batch: int = 64) -> graphc.Model:
        changed = text.replace("batch     = 64", f"batch = {batch}\n  memory = {memory}")
        assert changed != text
        return graphc.compile(changed, target="cupy")

    taken = device_bytes(graphc.compile(text).generated.programs, {"n": 64}) - WORKSPACE
    assert "Trainer" in compiled(taken).source
    with pytest.raises(RunError) as found:
        _ = compiled(taken - 1).source
    assert found.value.message == (
        "on a GPU a training step of batch 64 takes 357.4 KB, `memory` is 357.3 KB"
    )
    assert found.value.help == "a batch of 62 fits; or allow 357.4 KB"
    assert "Trainer" in compiled(taken - 1, batch=62).source
    with pytest.raises(RunError, match=r"of batch 63 takes 357\.4 KB"):
        _ = compiled(taken - 1, batch=63).source
    with pytest.raises(RunError) as found:
        _ = compiled(10_000).source
    assert found.value.help == "allow 357.4 KB"
    assert "Trainer" in graphc.compile(text, target="cupy", reuse=False).source


def test_a_schedule_is_the_step(models: Path, root: Path, request: pytest.FixtureRequest):
    """``--stop-after schedule``: every kernel and call with the bytes that are held there."""
    from graphc.session.stages import stage

    text = stage(graphc.compile(models / "digits.gc", target="cupy"), "schedule")
    path = root / "tests/backends/cupy/digits-schedule.txt"
    if request.config.getoption("--update-goldens"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


# -------------------------------------------------------------------------------- its style


def test_it_is_formatted_and_names_nothing_that_is_not_there(
    compiled_model: Compiled, tmp_path: Path
):
    """As ruff formats, no name unused or unknown, no line too long, in kernels too."""
    for name, whole in itertools.chain(zip(NAMES, itertools.repeat(False)), WHOLE):
        source = compiled_model(name, whole).with_target("cupy").source
        assert max(map(len, source.splitlines())) <= 100
        (tmp_path / f"{name}_{whole}.py").write_text(source, encoding="utf-8")
    for arguments in (("format", "--check", "--config", "line-length=100"), ("check", *UNUSED)):
        command = [sys.executable, "-m", "ruff", arguments[0], "--isolated", *arguments[1:], "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


UNUSED = ("--select", "F", "--no-cache")
WHOLE = [("diabetes", True), ("circuit", True), ("xor", True)]


def test_it_is_deterministic(models: Path):
    sources = {graphc.compile(models / "wine.gc", target="cupy").source for _ in range(2)}
    assert len(sources) == 1
