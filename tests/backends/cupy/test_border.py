"""Between host and device: what stays on the host, what goes over, and in which order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from both_targets import expect_equal, start
from shorter_models import MODELS, NAMES

import graphc
from graphc.runtime import initial_state

FIRST = {"diabetes", "digits", "gaussian", "lenet5", "xor221"}
EACH = pytest.mark.parametrize(
    "name", [n if n in FIRST else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
TESTS = Path(__file__).resolve().parents[2]


def expect_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same arrays of NumPy, bit for bit."""
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert isinstance(found[name], np.ndarray | np.generic)
        assert found[name].dtype == array.dtype, name
        assert found[name].tobytes() == array.tobytes(), name


def columns(model: Any) -> dict[str, np.ndarray]:
    """Raw data of the kinds that a model reads, labels as texts where it knows them by name."""
    raw = synthetic.raw_columns(model, 1)
    for column, users in model.module.signature["columns"].items():
        names = [model.module.classes[user] for user in users if user in model.module.classes]
        if names:
            raw[column] = np.array(names[0])[raw[column]]
    return raw


# ----------------------------------------------------------------------- what stays on the host


@EACH
def test_states_and_batches_are_numpys_bit_for_bit(name: str, both, compiled_model):
    pair = both(name)
    model = compiled_model(name, False)
    for real in (np.float32, np.float64):
        for seed in (0, 2**62 + 1):
            expect_bits(pair.there.init(seed, real), pair.own.init(seed, real))
    if not model.spec.data.columns:
        return
    raw = columns(model)
    state = initial_state(pair.own, raw, 5)
    expect_bits(initial_state(pair.there, raw, 5), state)
    expect_bits(pair.there.prepare(raw, state), pair.own.prepare(raw, state))
    assert not pair.cupy.counts.to_device
    assert not pair.cupy.counts.to_host
    assert not pair.cupy.counts.launches


@pytest.mark.parametrize("name", ["diabetes", "gaussian", "multitask"])
def test_outputs_get_their_units_back_on_the_host(name: str, both, compiled_model):
    pair = both(name)
    model = compiled_model(name, False)
    raw = columns(model)
    states = [initial_state(module, raw, 5) for module in (pair.own, pair.there)]
    assert any(entry.startswith("data.") for entry in states[0])
    batch = pair.own.prepare(raw, states[0])
    inputs = {name: batch[name] for name in pair.own.signature["inputs"]}
    outputs = pair.own.predict(states[0], inputs)
    restored = [m.restore(outputs, s) for m, s in zip((pair.own, pair.there), states, strict=True)]
    assert restored[0]
    expect_bits(restored[1], restored[0])


@pytest.mark.parametrize("name", ["digits", "gaussian", "xor221"])
def test_a_step_by_the_plain_functions_is_numpys(name: str, both):
    """`_updated` is for the self-test and stays on the host."""
    pair = both(name)
    if hasattr(pair.own, "DRIVER"):
        assert not hasattr(pair.there, "_updated")
        return
    state, batch = start(pair.own, np.float64), synthetic.batch(pair.own)
    if "epochs" in state:
        state |= {"epochs": np.array(2), "steps_per_epoch": np.array(2)}
    gradients = pair.own.loss_and_gradients(state, batch)[1]
    expect_bits(pair.there._updated(state, gradients), pair.own._updated(state, gradients))


@pytest.mark.parametrize("place", ["host", "device"])
def test_files_are_the_same_wherever_the_state_is(place: str, both, tmp_path):
    pair = both("gaussian")
    state = start(pair.own, np.float32)
    given = state if place == "host" else pair.there.place(state)
    pair.there.save(tmp_path / "there.npz", given)
    pair.own.save(tmp_path / "own.npz", state)
    expect_bits(pair.there.load(tmp_path / "own.npz"), pair.own.load(tmp_path / "there.npz"))
    expect_bits(pair.there.load(tmp_path / "there.npz"), state)


# ----------------------------------------------------------------------- what goes over


def test_placed_arrays_are_there_once(both):
    pair = both("digits")
    state = start(pair.own, np.float32)
    there = pair.there.place(state)
    assert list(there) == list(state)
    for name, array in there.items():
        kind = np.ndarray if name in pair.there.COUNTERS else pair.cupy.ndarray
        assert isinstance(array, kind), name
        assert array.dtype == state[name].dtype
        np.testing.assert_array_equal(pair.get(array), state[name])
    again = pair.there.place(there)
    assert all(again[name] is there[name] for name in there)


def test_room_is_what_arrays_can_still_take(cupy, both):
    pair = both("iris")
    cupy.set_memory(2**30)
    before = pair.there.room()
    assert isinstance(before, int)
    assert 0 < before <= 2**30
    held = cupy.zeros(2**20, cupy.uint8)
    assert before - pair.there.room() == held.nbytes
    del held
    assert pair.there.room() == before, "what the pool keeps can be taken again"


def batches(pair: Any, sizes: list[int]) -> list[tuple[dict[str, Any], int]]:
    whole = synthetic.batch(pair.own)
    draw = np.random.default_rng(0)
    return [
        ({"x": draw.random((n, *whole["x"].shape[1:])), "y": draw.integers(0, 3, n)}, n)
        for n in sizes
    ]


@pytest.mark.parametrize("sizes", [[], [4], [4, 4], [5, 5, 5, 2], [2, 5, 3, 7, 1]])
def test_batches_ahead_are_the_batches(sizes: list[int], cupy, both):
    """Of any sizes, in order, each on the device by a copy of its own, none before it is asked."""
    pair = both("iris")
    given, taken = batches(pair, sizes), []

    def handed():
        for number, each in enumerate(given):
            taken.append(number)
            yield each

    for number, (arrays, count) in enumerate(pair.there.ahead(handed())):
        expected, size = given[number]
        assert count == size
        assert taken[-1] == min(number + 1, len(given) - 1), "the next is copied meanwhile"
        assert all(isinstance(array, cupy.ndarray) for array in arrays.values())
        for name, array in pair.fetched(arrays).items():
            assert array.dtype == expected[name].dtype
            np.testing.assert_array_equal(array, expected[name])
    assert taken == list(range(len(sizes)))
    assert not cupy.counts.to_device
    assert len(cupy.counts.ahead) == 2 * len(sizes)


def test_training_on_batches_ahead_is_training_on_the_batches(both):
    pair = both("iris")
    state, given = start(pair.own, np.float64), batches(pair, [5, 5, 5, 2])
    options = {"steps_per_epoch": 4, "epochs": 1}
    own = pair.own.Trainer(state, 5, **options)
    objectives = [own.step(arrays) for arrays, _ in given]
    trainer = pair.there.Trainer(state, 5, **options)
    found = [float(trainer.step(arrays)) for arrays, _ in pair.there.ahead(iter(given))]
    np.testing.assert_allclose(found, objectives, rtol=1e-12)
    expect_equal({"state": trainer.state()}, {"state": own.state()})


def test_the_same_arrays_may_be_filled_again_for_each_batch(both):
    """A reader that hands out one array again and again: it is copied before the next is read."""
    pair = both("iris")
    given = batches(pair, [4, 4, 4])
    page = {name: array.copy() for name, array in given[0][0].items()}

    def handed():
        for arrays, count in given:
            for name, array in arrays.items():
                np.copyto(page[name], array)
            yield page, count

    for (arrays, _), (expected, _) in zip(pair.there.ahead(handed()), given, strict=True):
        for name, array in pair.fetched(arrays).items():
            np.testing.assert_array_equal(array, expected[name])


def test_batches_on_the_device_stay_as_they_are(cupy, both):
    pair = both("iris")
    given = [(pair.there.place(arrays), count) for arrays, count in batches(pair, [3, 3])]
    cupy.counts.clear()
    for (arrays, _), (expected, _) in zip(pair.there.ahead(iter(given)), given, strict=True):
        assert all(arrays[name] is expected[name] for name in expected)
    assert not cupy.counts.ahead


def test_whoever_stops_early_leaves_nothing_in_flight(both):
    pair = both("iris")
    given = batches(pair, [3, 3, 3])
    going = pair.there.ahead(iter(given))
    next(going)
    going.close()
    for (arrays, _), (expected, _) in zip(pair.there.ahead(iter(given)), given, strict=True):
        np.testing.assert_array_equal(pair.get(arrays["x"]), expected["x"])


def test_an_error_of_the_reader_is_the_readers(both):
    pair = both("iris")

    def handed():
        yield batches(pair, [3])[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(pair.there.ahead(handed()))


# ----------------------------------------------------------------------- its own test


@pytest.mark.parametrize("name", ["circuit", "logistic", "xor221"])
def test_a_module_finds_itself_right(name: str, both, capsys):
    assert both(name).there._selftest() == 0
    said = capsys.readouterr().out
    assert said.endswith("passed\n")
    assert "WRONG" not in said


def test_a_written_module_tests_itself_in_a_process_of_its_own(tmp_path):
    """It needs nothing of this project: CuPy, here the stand-in, and NumPy."""
    target = tmp_path / "logistic.py"
    graphc.compile(MODELS / "logistic.gc", target="cupy").save(target)
    script = (
        "import runpy, sys, standin\n"
        f"sys.argv = [{str(target)!r}, '--selftest']\n"
        "try:\n"
        "    with standin.installed():\n"
        "        runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n"
        "    assert not {'graphc', 'lark', 'networkx'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"PYTHONPATH": str(TESTS), "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("passed\n")
