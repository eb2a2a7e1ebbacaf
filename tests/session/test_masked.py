"""Masked models: removed weights are zero after any training, the others train as by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import graphc
from graphc.runtime import Arrays, RunError
from graphc.session.masking import masks_of, state_with_masks

TEXT = """model m
optimizer decaying{lr = 0.1, keep = 0.9, shrink = 0.05}(w, g) {
  state s = 2
  s' = keep * s + g * g
  w' = w - lr * (g + shrink * w) / (1 + s')
}
input x: real[n, 4]
target y: real[n, 2]
z = x |> dense{5} |> tanh |> dense{2}
loss se = squared_error(z, y)
regularize { l2{0.01} on weights }
train {
  optimizer = RULE
  precision = f64
}
"""

Rule = Callable[[np.ndarray, np.ndarray, Arrays, int], tuple[np.ndarray, Arrays]]


def sgd(w: np.ndarray, g: np.ndarray, s: Arrays, t: int) -> tuple[np.ndarray, Arrays]:
    return w - 0.1 * g, {}


def momentum(w: np.ndarray, g: np.ndarray, s: Arrays, t: int) -> tuple[np.ndarray, Arrays]:
    v = 0.8 * s.get("v", 0.0) + g
    return w - 0.1 * v, {"v": v}


def adam(w: np.ndarray, g: np.ndarray, s: Arrays, t: int) -> tuple[np.ndarray, Arrays]:
    m = 0.9 * s.get("m", 0.0) + 0.1 * g
    v = 0.999 * s.get("v", 0.0) + 0.001 * g**2
    step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w - 0.02 * step, {"m": m, "v": v}


def rmsprop(w: np.ndarray, g: np.ndarray, s: Arrays, t: int) -> tuple[np.ndarray, Arrays]:
    v = 0.9 * s.get("v", 0.0) + 0.1 * g**2
    return w - 0.01 * g / (np.sqrt(v) + 1e-8), {"v": v}


def decaying(w: np.ndarray, g: np.ndarray, s: Arrays, t: int) -> tuple[np.ndarray, Arrays]:
    s = {"s": 0.9 * s.get("s", 2.0) + g * g}
    return w - 0.1 * (g + 0.05 * w) / (1 + s["s"]), s


RULES: dict[str, Rule] = {
    "sgd{0.1}": sgd,
    "momentum{0.1, 0.8}": momentum,
    "adam{0.02}": adam,
    "rmsprop{0.01}": rmsprop,
    "decaying": decaying,
}


def batch_of(seed: int) -> Arrays:
    random = np.random.default_rng(seed)
    return {"x": random.normal(size=(8, 4)), "y": random.normal(size=(8, 2))}


def random_masks(model: graphc.Model, state: Arrays) -> Arrays:
    random = np.random.default_rng(3)
    return {name: random.random(state[name].shape) < 0.5 for name in model.spec.learned}


@pytest.mark.parametrize("rule", RULES)
def test_steps_are_those_of_a_masked_reference(rule: str) -> None:
    model = graphc.compile(TEXT.replace("RULE", rule)).with_masks()
    first = model.init(1)
    masks = random_masks(model, first)
    state = state_with_masks(model, first, masks)
    trainer = model.module.Trainer(state, 8)
    weights = {name: state[name].copy() for name in model.spec.learned}
    moments: dict[str, Arrays] = {name: {} for name in weights}
    plain = state
    for t in range(1, 7):
        batch = batch_of(t)
        _, gradients = model.module.loss_and_gradients({**state, **weights}, batch)
        for name, w in weights.items():
            new, kept = RULES[rule](w, gradients[name], moments[name], t)
            weights[name] = new * masks[name]
            moments[name] = {key: value * masks[name] for key, value in kept.items()}
        _, plain = model.module._stepped(plain, batch)  # type: ignore[attr-defined]
        trainer.step(batch)
        there = trainer.state()
        for name, mask in masks.items():
            np.testing.assert_allclose(there[name], weights[name], rtol=1e-12, atol=1e-15)
            own = [key for key in there if key == name or key.startswith(f"{name}:")]
            assert all((there[key][~mask] == 0).all() for key in own)
            assert (there[f"{name}:mask"] == mask).all()
        for key in there:
            np.testing.assert_allclose(there[key], plain[key], rtol=1e-13, atol=1e-16)


def test_zeros_are_zero_to_the_bit_and_nan_is_not_hidden() -> None:
    text = TEXT.replace("RULE", "sgd{0.1}").replace(
        "optimizer decaying", "optimizer sgd2(w, g) {\n  w' = w - g / g\n}\noptimizer decaying"
    )
    model = graphc.compile(text).with_masks()
    state = state_with_masks(model, model.init(), {"z.dense1.b": np.zeros(5)})
    one = {name: np.ones_like(state[name]) for name in model.spec.learned}
    new = model.module._updated(state, one)  # type: ignore[attr-defined]
    assert (new["z.dense1.b"] == 0).all()
    assert not np.signbit(new["z.dense1.b"]).any()
    dividing = graphc.compile(text.replace("optimizer = sgd{0.1}", "optimizer = sgd2")).with_masks()
    state = state_with_masks(dividing, dividing.init(), {"z.dense1.b": np.zeros(5)})
    none = {name: np.zeros_like(state[name]) for name in dividing.spec.learned}
    with np.errstate(invalid="ignore"):
        new = dividing.module._updated(state, none)  # type: ignore[attr-defined]
    assert np.isnan(new["z.dense1.b"]).all()


@pytest.mark.parametrize("rule", RULES)
def test_without_a_removed_weight_it_trains_as_without_masks(rule: str) -> None:
    model = graphc.compile(TEXT.replace("RULE", rule))
    masked = model.with_masks()
    state = model.init(1)
    trainers = [
        model.module.Trainer(state, 8),
        masked.module.Trainer(state_with_masks(masked, state, {}), 8),
    ]
    for seed in range(3):
        one, other = (trainer.step(batch_of(seed)) for trainer in trainers)
        assert one == other
    first, second = (trainer.state() for trainer in trainers)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_mask_of_other_numbers_is_an_error(tmp_path: Path) -> None:
    model = graphc.compile(TEXT.replace("RULE", "adam")).with_masks()
    state = model.init()
    state["z.dense1.W:mask"][0, 0] = 0.5
    with pytest.raises(ValueError, match=r"z\.dense1\.W:mask is a mask, but not of 0 and 1"):
        model.module.Trainer(state, 8)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"z.dense1.V": 1}, r"learns no parameter z\.dense1\.V"),
        ({"z.dense1.W": np.ones((2, 2))}, r"the mask of z\.dense1\.W has shape \[2, 2\]"),
        ({"z.dense1.W": np.full((4, 5), 0.5)}, "other values than 0 and 1"),
        ({"z.dense1.W": np.full((4, 5), np.nan)}, "other values than 0 and 1"),
        ({"z.dense1.W": np.full((4, 5), "a")}, "other values than 0 and 1"),
        ({"scale": [1.0]}, "scale is frozen"),
    ],
)
def test_masks_that_do_not_fit(masks: Arrays, message: str) -> None:
    text = TEXT.replace("RULE", "adam\n  frozen on scale")
    text = text.replace("z = x", "param scale: real[1] = 2\nz = scale * x")
    model = graphc.compile(text).with_masks()
    with pytest.raises(RunError, match=message):
        state_with_masks(model, model.init(), masks)


def test_a_model_without_masks_has_no_room_for_them() -> None:
    model = graphc.compile(TEXT.replace("RULE", "adam"))
    assert not model.masked
    assert model.with_masks().masked
    with pytest.raises(RunError, match="without masks"):
        state_with_masks(model, model.init(), {})


def test_an_optimizer_with_a_mask_of_its_own_is_refused() -> None:
    own = (
        TEXT.replace("RULE", "decaying").replace("state s", "state mask").replace("s' =", "mask' =")
    )
    own = own.replace("* s +", "* mask +").replace("+ s')", "+ mask')")
    with pytest.raises(RunError, match="decaying has a state or operand mask of its own"):
        graphc.compile(own).with_masks()


def test_what_was_fresh_and_what_is_kept() -> None:
    model = graphc.compile(TEXT.replace("RULE", "adam{0.02}")).with_masks()
    trainer = model.module.Trainer(model.init(), 8)
    trainer.step(batch_of(0))
    trained = trainer.state()
    masks = {"z.dense1.W": np.eye(4, 5)}
    fresh = state_with_masks(model, trained, masks)
    assert fresh["step"] == 0
    assert not fresh["z.dense1.b:m"].any()
    on = state_with_masks(model, trained, masks, fresh=False)
    assert on["step"] == 1
    assert on["z.dense1.b:m"].any()
    assert not on["z.dense1.W:m"][np.eye(4, 5) == 0].any()
    assert (masks_of(model, on)["z.dense1.W"] == np.eye(4, 5)).all()
    assert masks_of(model, on)["z.dense1.b"].all()


def test_a_run_stays_pruned_when_it_is_resumed_and_exported(kinds: SimpleNamespace) -> None:
    model = graphc.compile(kinds.path).with_masks()
    run = model.train(epochs=1)
    assert json.loads((run.path / "config.json").read_text())["masked"] is True
    again = graphc.load(run.path)
    assert again.model.masked
    mask = np.zeros((2, 8), np.float32)
    mask[:, :3] = 1
    pruned = state_with_masks(again.model, again.last, {"logits.dense1.W": mask})
    replace_last(run.path, pruned)
    more = graphc.load(run.path).resume(epochs=4)
    assert (more.last["logits.dense1.W"][mask == 0] == 0).all()
    assert (more.last["logits.dense1.W"][mask == 1] != 0).all()
    weights = graphc.load(run.path).export(kinds.folder / "exported.py")
    assert weights.exists()
    told = subprocess.run(
        [sys.executable, "exported.py", "--selftest"],
        cwd=kinds.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def replace_last(folder: Path, state: Arrays) -> None:
    """The run's last checkpoint with another state in it."""
    from graphc.runtime.checkpoint import load_checkpoint, save_checkpoint

    path = folder / "last.safetensors"
    signature = graphc.load(folder).model.module.signature
    _, info = load_checkpoint(path, signature)
    save_checkpoint(path, state, info)


def test_a_configuration_that_is_damaged_is_told(kinds: SimpleNamespace) -> None:
    run = graphc.compile(kinds.path).train(epochs=1)
    path = run.path / "config.json"
    config = json.loads(path.read_text())
    assert config["masked"] is False
    del config["masked"]  # as older runs
    path.write_text(json.dumps(config))
    assert not graphc.load(run.path).model.masked
    path.write_text(json.dumps({**config, "masked": "yes"}))
    with pytest.raises(RunError, match="is damaged"):
        graphc.load(run.path)


def test_the_report_counts_the_masks() -> None:
    model = graphc.compile(TEXT.replace("RULE", "adam"))
    plain, masked = (m.report(8).peak for m in (model, model.with_masks()))
    assert plain is not None
    assert masked is not None
    assert masked.optimizer_states - plain.optimizer_states == 8 * model.parameter_count


@pytest.mark.parametrize("driver", ["lbfgs{}", "newton{}"])
def test_drivers_leave_what_is_removed_at_zero(driver: str) -> None:
    text = TEXT.replace("RULE", driver).replace("precision = f64", "precision = f64\n  batch = all")
    model = graphc.compile(text).with_masks()
    first = model.init(1)
    masks = random_masks(model, first)
    trainer = model.module.Trainer(state_with_masks(model, first, masks), 8)
    objectives = [float(trainer.step(batch_of(0))) for _ in range(15)]
    assert objectives[-1] < 0.5 * objectives[0]
    state = trainer.state()
    for name, mask in masks.items():
        own = [key for key in state if key == name or key.startswith(f"{name}:")]
        assert all((state[key][~mask] == 0).all() for key in own)
        assert (state[name][mask] != 0).all()
        assert (state[f"{name}:mask"] == mask).all()
