from __future__ import annotations

import contextlib
import errno
import os

import numpy as np
import pytest

from graphc.runtime import (
    DivergedError,
    RunError,
    RunFolder,
    TrainConfig,
    evaluate,
    initial_state,
    load_checkpoint,
    resume_point,
    train,
)
from graphc.runtime import examples as examples_module

CONFIG = TrainConfig(epochs=6, batch=16, seed=11)


@pytest.fixture
def data(toy):
    return toy.raw_data(50), toy.raw_data(23, seed=8)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create("toy", "model toy", version="0", parent=tmp_path)


def start(toy, data):
    return initial_state(toy, data[0], seed=7)


def run(toy, data, config=CONFIG, **options):
    return train(toy, start(toy, data), *data, config, **options)


def resume(toy, data, folder, config=CONFIG, **options):
    point = resume_point(folder, toy)
    return train(
        toy,
        point.state,
        *data,
        config,
        folder=folder,
        start_epoch=point.epoch,
        best=point.best,
        **options,
    )


def same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name, strict=True)


def numbers(folder):
    return [{k: v for k, v in line.items() if k != "seconds"} for line in folder.history()]


def files(folder):
    return sorted(p.name for p in folder.path.iterdir())


class TestTraining:
    def test_it_learns(self, toy, data):
        result = run(toy, data)
        assert result.stopped == "finished"
        assert result.epochs_run == 6
        assert result.history[-1].validation["metrics"]["accuracy"] > 0.6
        assert result.history[-1].objective < result.history[0].objective
        assert result.history[-1].step == 6 * 4

    def test_the_last_batch_is_short_and_weighted(self, toy, data, monkeypatch):
        seen = []

        class Spy(toy.Trainer):
            def step(self, batch):
                value = super().step(batch)
                seen.append((value, len(batch["x"])))
                return value

        monkeypatch.setattr(toy, "Trainer", Spy)
        result = run(toy, data, TrainConfig(epochs=1, batch=16))
        assert [size for _, size in seen] == [16, 16, 16, 2]
        assert result.history[0].objective == sum(v * n for v, n in seen) / 50

    def test_all_at_once(self, toy, data):
        assert run(toy, data, TrainConfig(epochs=2)).history[-1].step == 2
        assert run(toy, data, TrainConfig(epochs=2, batch=1000)).history[-1].step == 2

    def test_large_data_gives_the_same(self, toy, data, monkeypatch, folder):
        small = run(toy, data)
        monkeypatch.setattr(
            examples_module.load_examples, "__kwdefaults__", {"need_targets": True, "limit": 0}
        )
        large = run(toy, data, folder=folder)
        same(small.last, large.last)
        assert [r.value for r in small.history] == [r.value for r in large.history]

    def test_large_data_is_checked(self, toy, data, monkeypatch):
        monkeypatch.setattr(
            examples_module.load_examples, "__kwdefaults__", {"need_targets": True, "limit": 0}
        )
        state = start(toy, data)
        data[0]["points"] = np.where(np.arange(50)[:, None] == 31, 3e38, data[0]["points"])
        toy.prepare = lambda raw, state: {
            "x": np.where(raw["points"] > 1e38, np.inf, raw["points"]),
            "y": np.zeros(len(raw["points"]), int),
        }
        with pytest.raises(RunError, match="infinite value in row 31 of the training part"):
            train(toy, state, *data, CONFIG)

    def test_the_state_given_is_not_changed(self, toy, data):
        state = start(toy, data)
        before = {name: array.copy() for name, array in state.items()}
        train(toy, state, *data, CONFIG)
        same(state, before)

    def test_best_is_the_first_of_equals(self, toy, data, folder):
        values = iter([3.0, 1.0, 2.0, 1.0, float("nan"), 5.0])
        toy.losses = lambda state, batch: (v := next(values), {"ce": v})
        result = run(toy, data, TrainConfig(epochs=6, batch=23), folder=folder)
        assert result.best_epoch == 2
        assert [r.best for r in result.history] == [True, True, False, False, False, False]
        state, info = load_checkpoint(folder.best, toy.signature)
        same(state, result.state)
        assert (info.epoch, info.value, info.best_epoch) == (2, 1.0, 2)
        state, info = load_checkpoint(folder.last, toy.signature)
        same(state, result.last)
        assert (info.epoch, info.best_epoch, info.best_value) == (6, 2, 1.0)

    def test_early_stopping(self, toy, data, folder):
        values = iter([3.0, 1.0, 2.0, 1.0])
        toy.losses = lambda state, batch: (v := next(values), {"ce": v})
        config = TrainConfig(epochs=50, batch=23, patience=2)
        result = run(toy, data, config, folder=folder)
        assert result.stopped == "early"
        assert result.epochs_run == 4
        again = resume(toy, data, folder, config)
        assert (again.stopped, again.epochs_run) == ("early", 0)
        same(again.state, result.state)

    def test_watching_a_metric(self, toy, data):
        values = iter([0.5, 0.9, 0.7])
        toy.metrics = lambda state, batch: {"accuracy": next(values), "confusion": np.zeros((3, 3))}
        config = TrainConfig(epochs=3, watch="accuracy", mode="max")
        assert run(toy, data, config).best_epoch == 2

    def test_without_validation_the_training_objective_is_watched(self, toy, data):
        result = train(toy, start(toy, data), data[0], None, CONFIG)
        assert result.history[0].validation is None
        assert result.best_value == min(r.objective for r in result.history)

    def test_reports(self, toy, data):
        records = []
        result = run(toy, data, report=records.append)
        assert tuple(records) == result.history

    def test_no_epochs(self, toy, data):
        result = run(toy, data, TrainConfig(epochs=0))
        same(result.state, start(toy, data))
        assert result.best_epoch == 0

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: TrainConfig(epochs=-1), "epochs"),
            (lambda: TrainConfig(epochs=1, batch=0), "batch"),
            (lambda: TrainConfig(epochs=1, patience=0), "patience"),
        ],
    )
    def test_bad_settings(self, make, message):
        with pytest.raises(RunError, match=message):
            make()

    def test_bad_watches(self, toy, data):
        with pytest.raises(RunError, match="names no loss") as caught:
            run(toy, data, TrainConfig(epochs=1, watch="acuracy"))
        assert "'accuracy'" in caught.value.help
        with pytest.raises(RunError, match="several values"):
            run(toy, data, TrainConfig(epochs=1, watch="confusion"))
        with pytest.raises(RunError, match="needs a validation part"):
            train(toy, start(toy, data), data[0], None, TrainConfig(epochs=1, watch="ce"))

    def test_bad_data(self, toy, data):
        state = start(toy, data)
        for changed, message in (
            ({"points": np.zeros((50, 3))}, "data section cannot be computed"),
            ({"points": np.zeros((49, 2))}, "differ in their number of rows"),
            ({"species": np.array(["wolf"] * 50)}, "unknown class 'wolf'"),
        ):
            with pytest.raises(RunError, match=message):
                train(toy, state, data[0] | changed, None, CONFIG)
        with pytest.raises(RunError, match="the validation part has no rows"):
            train(toy, state, data[0], toy.raw_data(0), CONFIG)
        with pytest.raises(RunError, match="no column species"):
            train(toy, state, {"points": data[0]["points"]}, None, CONFIG)
        data[0]["points"][5] = np.nan
        with pytest.raises(RunError, match="NaN in row 5 of the training part"):
            start(toy, data)


class TestResuming:
    @pytest.mark.parametrize("stop", range(25))
    def test_interrupted_at_any_step(self, toy, data, folder, tmp_path, stop):
        """A run that is stopped and resumed equals one that was not, bit for bit."""
        whole_folder = RunFolder.create("whole", "", version="0", parent=tmp_path)
        whole = run(toy, data, folder=whole_folder)

        def interrupt(step, state):
            if step == stop:
                state["h.W"] += np.nan  # half of an update
                raise KeyboardInterrupt

        toy.Trainer.on_step = staticmethod(interrupt)
        first = run(toy, data, folder=folder)
        toy.Trainer.on_step = None
        assert first.stopped == ("interrupted" if stop < 24 else "finished")
        assert first.epochs_run == stop // 4
        same(load_checkpoint(folder.last, toy.signature)[0], first.last)
        second = resume(toy, data, folder)
        assert second.stopped == "finished"
        assert first.epochs_run + second.epochs_run == 6
        same(second.last, whole.last)
        same(second.state, whole.state)
        assert numbers(folder) == numbers(whole_folder)
        for name in ("best", "last"):
            assert getattr(folder, name).read_bytes() == getattr(whole_folder, name).read_bytes()

    @pytest.mark.parametrize("call", ["replace", "fsync"])
    @pytest.mark.parametrize("problem", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
    def test_stopped_at_any_writing(self, toy, data, tmp_path, monkeypatch, call, problem):
        whole_folder = RunFolder.create("whole", "", version="0", parent=tmp_path)
        whole = run(toy, data, folder=whole_folder)
        real = getattr(os, call)
        for count in range(2, 12):
            folder = RunFolder.create("part", "", version="0", parent=tmp_path)
            left = count

            def fail(*args, real=real):
                nonlocal left
                left -= 1
                if left <= 0:
                    raise problem
                return real(*args)

            with monkeypatch.context() as patch:
                patch.setattr(os, call, fail)
                with contextlib.suppress(RunError, KeyboardInterrupt):
                    run(toy, data, folder=folder)
            allowed = {
                "best.safetensors",
                "config.json",
                "last.safetensors",
                "metrics.jsonl",
                "model.gc",
            }
            assert set(files(folder)) <= allowed
            if not folder.last.exists():
                continue
            again = resume(toy, data, folder)
            same(again.last, whole.last)
            same(again.state, whole.state)
            assert numbers(folder) == numbers(whole_folder)

    def test_a_full_disk_says_so(self, toy, data, folder, monkeypatch):
        def full(*args):
            raise OSError(errno.ENOSPC, "No space left on device")

        run(toy, data, TrainConfig(epochs=2, batch=16), folder=folder)
        before = folder.last.read_bytes()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match="No space left"):
            resume(toy, data, folder)
        assert folder.last.read_bytes() == before

    def test_ctrl_c_in_a_report(self, toy, data, folder):
        def report(record):
            if record.epoch == 3:
                raise KeyboardInterrupt

        first = run(toy, data, folder=folder, report=report)
        assert (first.stopped, first.epochs_run) == ("interrupted", 3)
        same(resume(toy, data, folder).last, run(toy, data).last)

    def test_resuming_a_folder_of_another_model(self, toy, data, folder):
        run(toy, data, folder=folder)
        toy.signature = {**toy.signature, "parameters": {"h.W": {"shape": [2, 4]}}}
        with pytest.raises(RunError, match="another model"):
            resume_point(folder, toy)

    def test_resuming_a_run_that_never_began(self, toy, folder):
        with pytest.raises(RunError, match="no checkpoint"):
            resume_point(folder, toy)


class TestDivergence:
    def test_the_objective(self, toy, data, folder):
        def spoil(step, state):
            if step == 9:
                state["h.W"] += np.nan

        good = run(toy, data, TrainConfig(epochs=2, batch=16, seed=11))
        toy.Trainer.on_step = staticmethod(spoil)
        config = TrainConfig(epochs=2 + 4, batch=16, seed=11)
        with pytest.raises(DivergedError, match="nan in epoch 3, step 2 of 4") as caught:
            run(toy, data, config, folder=folder)
        assert "smaller learning rate" in caught.value.help
        assert "last.safetensors" in caught.value.help
        assert caught.value.result.epochs_run == 2
        state, info = load_checkpoint(folder.last, toy.signature)
        assert info.epoch == 2
        assert all(np.isfinite(array).all() for array in state.values())
        assert good.epochs_run == 2

    def test_the_last_step_of_an_epoch(self, toy, data, folder):
        class Spoiled(toy.Trainer):
            def step(self, batch):
                value = super().step(batch)
                if self._state["step"] == 8:
                    self._state["h.W"][0, 0] = np.inf
                return value

        toy.Trainer = Spoiled
        with pytest.raises(RunError, match=r"h.W has NaN or infinite values in epoch 2"):
            run(toy, data, folder=folder)
        assert load_checkpoint(folder.last, toy.signature)[1].epoch == 1

    def test_at_the_start(self, toy, data, folder):
        state = start(toy, data)
        state["μ.b"][0] = np.nan
        with pytest.raises(RunError, match=r"μ.b has NaN .* at the start"):
            train(toy, state, *data, CONFIG, folder=folder)


class TestEvaluation:
    def test_losses_are_weighted_and_metrics_whole(self, toy, data):
        state = start(toy, data)
        whole = evaluate(toy, state, data[1])
        parts = evaluate(toy, state, data[1], batch=5)
        assert parts["objective"] == pytest.approx(whole["objective"], rel=1e-12)
        assert parts["losses"]["ce"] == pytest.approx(whole["losses"]["ce"], rel=1e-12)
        assert parts["metrics"]["accuracy"] == whole["metrics"]["accuracy"]
        assert parts["metrics"]["confusion"].sum() == 23

    def test_one_example_a_step(self, toy):
        module = toy.single()
        raw = {"x": np.array([1.0, 2.0, 3.0]), "t": np.array([2.0, 4.0, 6.0])}
        result = train(module, module.init(), raw, raw, TrainConfig(epochs=5, batch=99))
        assert result.history[-1].step == 15
        assert float(result.last["w"]) == pytest.approx(2, abs=0.1)
        scores = evaluate(module, module.init(), raw)
        assert scores["metrics"]["error"] == pytest.approx(4)
        assert scores["objective"] == pytest.approx((2**2 + 4**2 + 6**2) / 6)

    def test_one_example_a_step_in_large_data(self, toy, monkeypatch):
        module = toy.single()
        raw = {"x": np.arange(5.0), "t": np.arange(5.0)}
        config = TrainConfig(epochs=2)
        small = train(module, module.init(), raw, raw, config)
        monkeypatch.setattr(
            examples_module.load_examples, "__kwdefaults__", {"need_targets": True, "limit": 0}
        )
        large = train(module, module.init(), raw, raw, config)
        same(small.last, large.last)
        assert small.history[-1].validation == large.history[-1].validation
