from __future__ import annotations

import dataclasses
import io
import time

import numpy as np
import pytest
from rich.console import Console

from graphc.runtime import (
    DivergedError,
    FailedError,
    LiveReporter,
    RunError,
    RunFolder,
    SilentReporter,
    TrainConfig,
    evaluate,
    initial_state,
    load_checkpoint,
    predict_table,
    resume_point,
    train,
)
from graphc.runtime import examples as examples_module
from graphc.runtime.computing import MachineError
from graphc.runtime.replay import replay
from tests.runtime.toy_device import DeviceFailure, DeviceFull, Held, OnDevice

EPOCHS, STEPS = 3, 4
CONFIG = TrainConfig(epochs=EPOCHS, batch=16, seed=11)


def failed():
    return DeviceFailure("cudaErrorIllegalAddress: an illegal memory access\nwas encountered")


def full():
    return DeviceFull("Out of memory allocating 4,096 bytes (allocated so far: 8,192 bytes).")


@pytest.fixture
def data(toy):
    return toy.raw_data(50), toy.raw_data(23, seed=8)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create("toy", "model toy", version="0", parent=tmp_path)


def run(module, data, config=CONFIG, **options):
    return train(module, initial_state(module, data[0], seed=7), *data, config, **options)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name, strict=True)


def numbers(result):
    return [{k: v for k, v in r.as_json().items() if k != "seconds"} for r in result.history]


def kept_raw(monkeypatch):
    """Parts are prepared batch by batch."""
    monkeypatch.setitem(examples_module.load_examples.__kwdefaults__, "limit", 0)


class Reading(SilentReporter):
    """Reads each objective that it is told of."""

    each_step = True

    def __init__(self):
        self.seen = []

    def step(self, number, objective):
        self.seen.append(float(objective))


class TestSteps:
    def test_numbers_are_those_of_the_host(self, toy, data, folder):
        host, device = run(toy, data), run(OnDevice(toy), data, folder=folder)
        same(host.last, device.last)
        same(host.state, device.state)
        np.testing.assert_equal(numbers(host), numbers(device))
        assert all(type(array) in (np.ndarray, np.float64) for array in device.last.values())
        assert [line["objective"] for line in folder.history()] == [
            record.objective for record in host.history
        ]

    def test_an_objective_is_read_once_an_epoch(self, toy, data):
        device = OnDevice(toy)
        run(device, data)
        assert device.counts["step"] == EPOCHS * STEPS
        assert device.counts["read"] == EPOCHS
        assert device.counts["states"] == EPOCHS

    def test_a_hidden_read_is_found(self, toy, data):
        """Whoever looks at each objective is counted, or refused."""
        device, reporter = OnDevice(toy), Reading()
        run(device, data, report=reporter)
        assert device.counts["read"] == EPOCHS + EPOCHS * STEPS
        objective = device.Trainer(device.init(), 4, steps_per_epoch=1, epochs=1).step(
            device.prepare({name: column[:4] for name, column in data[0].items()}, device.init())
        )
        assert isinstance(objective, Held)
        with pytest.raises(AssertionError, match="hidden read"):
            bool(objective)
        with pytest.raises(TypeError, match="unasked"):
            np.isfinite(np.asarray(objective))

    def test_a_reporter_is_told_what_the_step_gave(self, toy, data):
        host, device = Reading(), Reading()
        run(toy, data, report=host)
        run(OnDevice(toy), data, report=device)
        assert host.seen == device.seen
        assert len(host.seen) == EPOCHS * STEPS

    def test_a_live_report_reads_what_it_draws(self, toy, data, monkeypatch):
        now = iter(np.arange(0.0, 1e3, 0.03))
        monkeypatch.setattr(time, "monotonic", lambda: next(now))
        device = OnDevice(toy)
        reporter = LiveReporter(Console(file=io.StringIO(), force_terminal=True))
        drawn = []
        real = reporter.step

        def step(number, objective):
            before = device.counts["read"]
            real(number, objective)
            drawn.append(device.counts["read"] - before)

        reporter.step = step
        run(device, data, report=reporter)
        assert len(drawn) == EPOCHS * STEPS
        assert 0 < sum(drawn) < len(drawn)
        assert device.counts["read"] == EPOCHS + sum(drawn)

    def test_nothing_is_transferred_in_a_step(self, toy, data):
        device = OnDevice(toy)
        run(device, data)
        assert device.counts["given"] == 0
        assert device.counts["ahead"] == 0
        assert device.counts["trainers at room"] == 1
        # Both parts once; the order of the examples and the state for validation once an epoch.
        parts, orders = 4, EPOCHS
        read = ["h.W", "h.W.m", "seed", "step", "x.mean", "μ.b", "μ.b.m"]
        assert device.counts["placed"] == parts + orders + EPOCHS * len(read)
        assert device.counts["state given"] == 0
        an_epoch = ["place order", *["step"] * STEPS, f"place {' '.join(read)}"]
        assert device.events == ["place x y", "place x y", *an_epoch * EPOCHS]

    def test_a_batch_of_the_host_is_found(self, toy, data, monkeypatch):
        """The count of transfers counts: without placing, each step takes its batch there."""
        device = OnDevice(toy)
        monkeypatch.setattr("graphc.runtime.loop.on_device", lambda module, examples, _: examples)
        run(device, data)
        # Inputs and targets of each step, of two batches of validation, and of its metrics.
        assert device.counts["given"] == 2 * EPOCHS * (STEPS + 2 + 1)

    def test_one_batch_of_all_is_as_it_lies(self, toy, data):
        host, device = run(toy, data, TrainConfig(epochs=2)), OnDevice(toy)
        same(host.last, run(device, data, TrainConfig(epochs=2)).last)
        assert device.counts["gathered"] == 0
        assert device.counts["given"] == 0

    def test_one_example_a_step(self, toy):
        module = toy.single()
        raw = {"x": np.array([1.0, 2.0, 3.0]), "t": np.array([2.0, 4.0, 6.0])}
        host = train(module, module.init(), raw, raw, TrainConfig(epochs=4))
        device = OnDevice(module)
        there = train(device, module.init(), raw, raw, TrainConfig(epochs=4))
        same(host.last, there.last)
        np.testing.assert_equal(numbers(host), numbers(there))
        assert device.counts["given"] == device.counts["gathered"] == 0
        assert device.counts["read"] == 4

    def test_a_resumed_run_is_the_same(self, toy, data, folder):
        """Begun on the device, gone on with on the host."""
        run(OnDevice(toy), data, TrainConfig(epochs=1, batch=16, seed=11), folder=folder)
        point = resume_point(folder, toy)
        host = run(toy, data, CONFIG)
        # The toy's rate depends on the length of the run, so both halves are of the same length.
        first = train(toy, point.state, *data, CONFIG, start_epoch=1, best=point.best)
        again = train(OnDevice(toy), point.state, *data, CONFIG, start_epoch=1, best=point.best)
        same(first.last, again.last)
        assert host.epochs_run == 1 + again.epochs_run

    def test_the_state_given_is_not_changed(self, toy, data):
        state = initial_state(toy, data[0], seed=7)
        before = {name: array.copy() for name, array in state.items()}
        train(OnDevice(toy), state, *data, CONFIG)
        same(state, before)


class TestWhatDoesNotFit:
    def both(self, toy, data):
        host = run(toy, data)
        # 50 examples of two doubles and a label take 1,200 bytes, 23 take 552.
        device = OnDevice(toy, free=2 * 1200 - 1)
        return host, run(device, data), device

    def test_half_of_the_room_is_for_a_part(self, toy, data):
        host, there, device = self.both(toy, data)
        same(host.last, there.last)
        np.testing.assert_equal(numbers(host), numbers(there))
        assert device.events[0] == "place x y"  # validation
        assert device.counts["ahead"] == EPOCHS * STEPS
        roomy = OnDevice(toy, free=2 * 1200)
        run(roomy, data)
        assert roomy.counts["ahead"] == 0

    def test_what_training_takes_is_left_free_of_data(self, toy, data):
        """Half of what is left is for a part: 1,200 bytes of it for the training part."""
        for taken, ahead in ((0, 0), (600, 0), (601, EPOCHS * STEPS)):
            device = OnDevice(toy, free=2 * 1200 + 600)
            run(device, data, dataclasses.replace(CONFIG, device_bytes=taken))
            assert device.counts["ahead"] == ahead

    def test_one_batch_is_copied_while_another_is_worked_on(self, toy, data):
        _, _, device = self.both(toy, data)
        steps = [event for event in device.events if event in ("copy", "step")]
        assert steps[: 2 * STEPS] == ["copy", *["copy", "step"] * (STEPS - 1), "step"]
        assert device.counts["given"] == 0

    def test_raw_parts_are_prepared_batch_by_batch(self, toy, data, monkeypatch):
        host = run(toy, data)
        kept_raw(monkeypatch)
        device = OnDevice(toy, free=100)
        there = run(device, data)
        same(host.last, there.last)
        np.testing.assert_equal(
            [r.objective for r in host.history], [r.objective for r in there.history]
        )
        assert device.counts["ahead"] == EPOCHS * (STEPS + 2)
        # Metrics see the whole part, which the module itself takes there.
        assert device.counts["given"] == 2 * EPOCHS

    def test_raw_parts_that_fit_are_joined_there(self, toy, data, monkeypatch):
        """However large the host may not want them: prepared some at a time, placed once."""
        host = run(toy, data)
        kept_raw(monkeypatch)
        monkeypatch.setattr("graphc.runtime.examples._AT_A_TIME", 300)
        device = OnDevice(toy)
        there = run(device, data)
        same(host.last, there.last)
        np.testing.assert_equal(
            [r.objective for r in host.history], [r.objective for r in there.history]
        )
        assert device.counts["joined"] == 2
        assert device.counts["parts joined"] > 4
        assert device.counts["ahead"] == device.counts["given"] == 0

    def test_one_example_a_step(self, toy):
        module = toy.single()
        raw = {"x": np.arange(5.0) / 5, "t": np.arange(5.0)}
        host = train(module, module.init(), raw, raw, TrainConfig(epochs=2))
        device = OnDevice(module, free=10)
        there = train(device, module.init(), raw, raw, TrainConfig(epochs=2))
        same(host.last, there.last)
        np.testing.assert_equal(numbers(host), numbers(there))
        assert device.counts["given"] == 0

    def test_bad_rows_are_named(self, toy, data, monkeypatch):
        kept_raw(monkeypatch)
        device = OnDevice(toy)
        state = initial_state(device, data[0], seed=7)
        data[0]["species"] = np.where(np.arange(50) == 31, "wolf", data[0]["species"])
        with pytest.raises(RunError, match="unknown class 'wolf'"):
            train(device, state, *data, CONFIG)


class TestElsewhere:
    def test_an_evaluation_takes_the_state_there_once(self, toy, data):
        state, device = initial_state(toy, data[0], seed=7), OnDevice(toy)
        np.testing.assert_equal(
            evaluate(toy, state, data[1], batch=5), evaluate(device, state, data[1], batch=5)
        )
        assert device.counts["losses"] == 5
        assert device.counts["state given"] == device.counts["given"] == 0
        assert device.counts["place"] == 2

    def test_what_optimizers_keep_stays(self, toy, data):
        state, device = initial_state(toy, data[0], seed=7), OnDevice(toy)
        names = {"h.W.m": "h.W:m", "μ.b.m": "μ.b:m"}
        device.signature = {
            **toy.signature,
            "state": {names.get(n, n): entry for n, entry in toy.signature["state"].items()},
        }
        renamed = {names.get(name, name): array for name, array in state.items()}
        evaluate(device, renamed, data[1])
        assert device.events[-1] == "place h.W seed step x.mean μ.b"

    def test_predictions(self, toy, data):
        state, device = initial_state(toy, data[0], seed=7), OnDevice(toy)
        assert predict_table(toy, state, data[1], batch=5) == predict_table(
            device, state, data[1], batch=5
        )
        assert device.counts["place"] == 1
        assert device.counts["state given"] == 0

    def test_predictions_in_original_units(self, toy):
        module, raw = toy.regression(), {"x": np.arange(3.0)}
        there = predict_table(OnDevice(module), module.init(), raw)
        assert there == predict_table(module, module.init(), raw) == [{"guess": 100.0}] * 3

    @pytest.mark.parametrize("free", [10**9, 10])
    def test_training_once_more(self, toy, data, free):
        state, device = initial_state(toy, data[0], seed=7), OnDevice(toy, free)
        host = list(replay(toy, state, data[0], CONFIG, epochs=2, every=3))
        there = list(replay(device, state, data[0], CONFIG, epochs=2, every=3))
        assert len(host) == len(there) == 1 + 3
        for one, other in zip(host, there, strict=True):
            same(one, other)
        assert device.counts["given"] == device.counts["read"] == 0


class TestErrorsOfSteps:
    """What a step could not tell is raised by the state after it, as if it had been a step."""

    def spoil(self, toy, number):
        def hook(step, state):
            if step == number:
                state["h.W"] += np.nan

        toy.Trainer.on_step = staticmethod(hook)

    def test_an_objective_that_is_not_finite(self, toy, data, folder):
        self.spoil(toy, 5)
        device = OnDevice(toy)
        message = "NaN or infinite in epoch 2: the objective is nan at step 5"
        with pytest.raises(DivergedError, match=message) as caught:
            run(device, data, folder=folder)
        assert f"the state after epoch 1 is in {folder.last}" in caught.value.help
        assert caught.value.result.epochs_run == 1
        assert load_checkpoint(folder.last, toy.signature)[1].epoch == 1
        assert device.counts["read"] == 1  # of the epoch before

    def test_training_once_more(self, toy, data):
        self.spoil(toy, 5)
        states = replay(
            OnDevice(toy), initial_state(toy, data[0], 7), data[0], CONFIG, epochs=2, every=99
        )
        with pytest.raises(RunError, match="ran into NaN or infinity in epoch 2"):
            list(states)

    @pytest.mark.parametrize("kind", [IndexError, ValueError])
    def test_an_index_out_of_range(self, toy, data, kind):
        def hook(step, state):
            if step == 5:
                raise kind("label 7 is out of range")

        toy.Trainer.on_step = staticmethod(hook)
        with pytest.raises(RunError, match=r"cannot be computed .*: label 7 is out of range"):
            run(OnDevice(toy), data)


PLACES = {
    "Trainer": 1,
    "room": 2,
    "place": 1,
    "step": 6,
    "state": 2,
    "losses": 3,
    "metrics": 2,
    "prepare": 2,
}


class TestFailures:
    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("problem", [failed, full, MemoryError])
    def test_wherever_it_gives_out(self, toy, data, folder, place, problem):
        device = OnDevice(toy)
        device.faults[place] = PLACES[place], problem()
        with pytest.raises(RunError) as caught:
            run(device, data, folder=folder)
        assert caught.value.help
        if problem is failed:
            expected = "the device failed: cudaErrorIllegalAddress: an illegal memory access"
            assert caught.value.message == expected
        elif problem is full:
            expected = "there is not enough memory on the device: Out of memory allocating 4,096"
            assert caught.value.message.startswith(expected)
        else:
            assert caught.value.message == "there is not enough memory"
        # Nothing on the device is asked for any more.
        assert device.counts["after the fault"] == 0

    @pytest.mark.parametrize("place", ["step", "state", "losses", "metrics"])
    def test_whole_epochs_stand(self, toy, data, folder, place):
        host = run(toy, data)
        device = OnDevice(toy)
        device.faults[place] = {"step": 6, "state": 2, "losses": 3, "metrics": 2}[place], failed()
        with pytest.raises(FailedError) as caught:
            run(device, data, folder=folder)
        assert caught.value.result.epochs_run == 1
        kept = f"the state after epoch 1 is in {folder.last}; go on with --resume {folder.path}"
        assert caught.value.help.endswith(kept)
        point = resume_point(folder, toy)
        assert point.epoch == 1
        rest = train(toy, point.state, *data, CONFIG, folder=folder, start_epoch=1, best=point.best)
        same(rest.last, host.last)
        assert len(folder.history()) == EPOCHS

    def test_copies_ahead(self, toy, data):
        device = OnDevice(toy, free=10)
        device.faults["ahead"] = 2, full()
        with pytest.raises(FailedError, match="not enough memory on the device") as caught:
            run(device, data)
        assert caught.value.help == "try smaller batches than 16: --set train.batch=8"

    def test_what_is_read_at_the_end_of_an_epoch(self, toy, data, monkeypatch):
        def fail(self):
            raise failed()

        monkeypatch.setattr(Held, "__float__", fail)
        with pytest.raises(FailedError, match="the device failed"):
            run(OnDevice(toy), data)

    def test_before_the_first_epoch_nothing_is_kept(self, toy, data, folder):
        device = OnDevice(toy)
        device.faults["step"] = 2, full()
        with pytest.raises(FailedError) as caught:
            run(device, data, folder=folder)
        assert "state after" not in caught.value.help
        assert folder.last.exists()
        folder.discard()
        assert folder.last.exists()
        folder.discard(begun=True)
        assert not folder.path.exists()

    def test_a_folder_with_an_epoch_is_not_taken_back(self, toy, data, folder):
        run(toy, data, TrainConfig(epochs=1), folder=folder)
        folder.discard(begun=True)
        assert folder.last.exists()
        assert folder.history()

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ("cudaErrorMemoryAllocation: out of memory", "not enough memory on the device"),
            ("CUBLAS_STATUS_ALLOC_FAILED", "not enough memory on the device"),
            ("", "the device failed: DeviceFailure"),
        ],
    )
    def test_how_it_is_told(self, toy, data, said, message):
        device = OnDevice(toy)
        device.faults["losses"] = 1, DeviceFailure(said)
        with pytest.raises(MachineError, match=message):
            evaluate(device, initial_state(toy, data[0], 7), data[1])

    @pytest.mark.parametrize("place", ["place", "predict"])
    def test_predictions(self, toy, data, place):
        device = OnDevice(toy)
        device.faults[place] = 1, full()
        with pytest.raises(MachineError, match="not enough memory on the device"):
            predict_table(device, initial_state(toy, data[0], 7), data[1])

    @pytest.mark.parametrize("place", ["Trainer", "room", "place", "step", "state"])
    def test_training_once_more(self, toy, data, place):
        device = OnDevice(toy)
        device.faults[place] = 1, failed()
        state = initial_state(toy, data[0], 7)
        with pytest.raises(MachineError, match="the device failed"):
            list(replay(device, state, data[0], CONFIG, epochs=2, every=3))

    @pytest.mark.parametrize("place", ["init", "fit"])
    def test_a_fresh_state(self, toy, data, place):
        def fail(*args, **more):
            raise MemoryError("Unable to allocate 7.28 TiB")

        setattr(toy, place, fail)
        with pytest.raises(MachineError, match=r"not enough memory: Unable to allocate 7\.28 TiB"):
            initial_state(toy, data[0], 7)

    def test_other_problems_are_not_the_machine(self, toy, data):
        device = OnDevice(toy)
        device.faults["step"] = 1, ZeroDivisionError("ours")
        with pytest.raises(ZeroDivisionError, match="ours"):
            run(device, data)
