"""A model is compiled for a target: which one, what it runs on; runs know nothing of it."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
from toy_target import MIB, Toy, toy_target

import graphc
from graphc import RunError
from graphc.backends.targets import (
    TARGETS,
    DeviceInfo,
    NoDeviceError,
    TargetRoom,
    load_target,
)
from graphc.session import targets
from graphc.session.gradchecking import gradcheck
from graphc.session.reporting import step_report
from graphc.session.scoring import Question, find_run, score
from graphc.session.sizes import known_sizes
from graphc.session.stages import stage

NONE = NoDeviceError("the toy is in its box", "open the box")
ONE = """
model one
input  x: real[4]
target y: real
param  w: real[4] = 1
loss   f = (x @ w - y)^2
train {
  optimizer = sgd{0.1}
}
"""
SEQUENCE = """
model sequence
input  x: real[n, t]
target y: real[n]
param  a: real = 1
loss   f = mean((a * sum{axis = -1}(x) - y)^2)
train {
  batch     = 4
  optimizer = sgd{0.1}
}
"""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    return toy_target(monkeypatch)


@pytest.fixture
def all_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is large enough for the accelerator."""
    monkeypatch.setattr(targets, "MARGIN", 0.0)


# -------------------------------------------------------------------------------- the list


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_the_face(name):
    room = load_target(name)
    for function in ("print_module", "schedule_text", "find_device", "device_bytes"):
        wanted = list(inspect.signature(getattr(TargetRoom, function)).parameters)[1:]
        assert list(inspect.signature(getattr(room, function)).parameters) == wanted
    assert TARGETS[name].name == name


def test_the_first_target_is_the_host_and_takes_no_memory_of_a_device(line):
    assert targets.HOST == "numpy"
    room = load_target("numpy")
    assert room.find_device() is None
    assert room.device_bytes(line.generated.programs, {"n": 8}) == 0


@pytest.mark.parametrize("name", ["tyo", "Toy", "cuda"])
def test_an_unknown_target_is_named_with_those_there_are(toy, line, kinds, name):
    for ask in (
        lambda: graphc.compile(kinds.path, target=name),
        lambda: line.with_target(name),
        lambda: graphc.load("runs/none", target=name),
        lambda: gradcheck(kinds.path, target=name),
        lambda: score(Question(str(kinds.path), target=name)),
        lambda: find_run(str(kinds.path), target=name),
    ):
        with pytest.raises(RunError, match=f"there is no target {name}") as found:
            ask()
        assert found.value.help.endswith("there are numpy, toy, auto")
    assert ("did you mean 'toy'" in found.value.help) == (name != "cuda")


# -------------------------------------------------------------------------------- what it is for


def test_a_model_is_printed_for_its_target(toy, line):
    other = line.with_target("toy")
    assert (line.target, other.target) == ("numpy", "toy")
    assert other.source == line.source + "\n\nTARGET = 'toy'\n"
    assert other.module.TARGET == "toy"
    assert other.generated.programs is line.generated.programs, "the passes run once"
    assert other.host.source == line.source


def test_settings_data_and_masks_keep_the_target(toy, line, line_data):
    other = line.with_target("toy")
    changed = [other.with_sets({"train.batch": 4}), other.with_masks()]
    changed.append(other.over(line_data, {}))
    assert [model.target for model in changed] == ["toy"] * 3
    batch = {name: column[:3] for name, column in line_data.items()}
    asked = toy.asked
    other.per_example_gradients(other.init(), batch)
    assert toy.asked > asked, "a function on request comes from a module of the same target"


def test_the_schedule_and_the_report_are_those_of_the_target(toy, line):
    other = line.with_target("toy")
    assert stage(other, "schedule") == "the toy carries out line\n"
    assert stage(other, "source").endswith("TARGET = 'toy'\n")
    report, host = other.report(batch=3), line.report(batch=3)
    assert (report.device_memory, report.peak) == (13 * MIB, None)
    assert (host.device_memory, host.peak is None) == (None, False)
    assert report.flops == host.flops
    assert all(row.slot is None for row in report.rows)


def test_runs_know_nothing_of_the_target(toy, here, kinds):
    """Trained on one, resumed, evaluated, predicted and exported on the other: the same numbers."""
    there = graphc.compile(kinds.path, target="toy").train(epochs=3, folder="there")
    alone = graphc.compile(kinds.path).train(epochs=3, folder="alone")
    for name, array in alone.state.items():
        np.testing.assert_array_equal(there.state[name], array)
    configs = [json.loads((here / run / "config.json").read_text()) for run in ("there", "alone")]
    assert configs[0] == configs[1]
    assert "toy" not in json.dumps(configs)

    host, other = graphc.load("there"), graphc.load("alone", target="toy")
    assert (host.model.target, other.model.target) == ("numpy", "toy")
    assert host.evaluate() == other.evaluate()
    np.testing.assert_array_equal(host.predict()["probs"], other.predict()["probs"])
    resumed = [host.resume(epochs=5), other.resume(epochs=5)]
    assert [run.model.target for run in resumed] == ["numpy", "toy"]
    assert resumed[0].summary == resumed[1].summary


# -------------------------------------------------------------------------------- the device


def test_without_a_device_a_model_is_printed_and_not_run(toy, here, kinds):
    toy.device = NONE
    model = graphc.compile(kinds.path, target="toy")
    model.save("kinds.py")
    assert (here / "kinds.py").read_text().endswith("TARGET = 'toy'\n")
    for ask in (
        model.train,
        model.init,
        model.evaluate,
        lambda: model.train(folder=False),
        lambda: gradcheck(kinds.path, target="toy"),
        lambda: score(Question(str(kinds.path), init=True, target="toy")),
    ):
        with pytest.raises(RunError) as found:
            ask()
        assert found.value.message == "the target toy does not run here: the toy is in its box"
        assert found.value.help == "open the box"
    assert not (here / "runs").exists()


def test_the_device_is_looked_for_before_the_data_are_read(toy, kinds):
    toy.device = NONE
    model = graphc.compile(kinds.path, target="toy")
    kinds.data.unlink()
    with pytest.raises(RunError, match="in its box"):
        model.train()


def test_without_a_device_a_run_is_loaded_and_exported(toy, here, kinds):
    graphc.compile(kinds.path).train(epochs=1, folder="run")
    toy.device = NONE
    run = graphc.load("run", target="toy")
    weights = run.export("kinds.py")
    assert (here / "kinds.py").read_text().endswith("TARGET = 'toy'\n")
    assert set(np.load(weights)) >= set(run.model.spec.parameters)
    with pytest.raises(RunError, match="in its box"):
        run.evaluate()


# -------------------------------------------------------------------------------- its memory


@pytest.mark.parametrize(
    ("batch", "free", "message", "help"),
    [
        (
            8192,
            1000,
            "training line with batches of 8,192 takes 8.0 GiB of device memory, "
            "1000.0 MiB are free on Toy 9000",
            "batches of 512 fit: --set train.batch=512",
        ),
        (80, 74, "batches of 80 takes 90.0 MiB", "batches of 64 fit: --set train.batch=64"),
        (80, 73.5, "batches of 80 takes 90.0 MiB", "batches of 63 fit: --set train.batch=63"),
        (2, 11, "with batches of 2 takes 12.0 MiB", "batches of 1 fit: --set train.batch=1"),
        (2, 10, "with batches of 2", "not even one example fits; train it elsewhere: --target"),
        ("all", 50, "with all 9,000 examples in a batch takes 8.8", "batches of 40 fit: --set"),
    ],
)
def test_what_does_not_fit_is_said_before_training(toy, line, batch, free, message, help, here):
    toy.device = DeviceInfo("Toy 9000", 2**40, int(free * MIB))
    x = np.linspace(-1, 1, 9000)
    model = line.with_target("toy").with_sets({"train.batch": batch})
    with pytest.raises(RunError) as found:
        model.train(x=x, y=x)
    assert message in found.value.message
    assert found.value.help.startswith(help)
    assert not list(here.glob("runs/*")), "no run is left behind"


def test_the_batch_that_is_advised_fits_and_one_that_is_no_larger_than_the_data_is_counted(
    toy, line, line_data
):
    toy.device = DeviceInfo("Toy 9000", 2**40, 42 * MIB)
    model = line.with_target("toy")
    run = model.train(line_data, batch=8192, epochs=1, folder=False)
    assert run.stopped == "finished", "32 examples are a batch of 32"
    toy.device = DeviceInfo("Toy 9000", 2**40, 42 * MIB - 1)
    with pytest.raises(RunError, match="batches of 32") as found:
        model.train(line_data, batch=8192, epochs=1, folder=False)
    batch = int(found.value.help.split("=")[1])
    assert batch == 31
    assert model.train(line_data, batch=batch, epochs=1, folder=False).stopped == "finished"


def test_a_run_that_goes_on_is_asked_too_and_stays_as_it_is(toy, here, kinds):
    graphc.compile(kinds.path).train(epochs=1, folder="run")
    before = (here / "run/summary.json").read_text()
    toy.fixed = 2000 * MIB
    with pytest.raises(RunError, match="training kinds with batches of 16 takes 2"):
        graphc.load("run", target="toy").resume(epochs=2)
    assert (here / "run/summary.json").read_text() == before


def test_a_step_of_one_example_or_of_all_is_given_no_batch(toy, monkeypatch, models):
    toy.fixed = 2000 * MIB
    arrays = {"x": np.ones((3, 4)), "y": np.ones(3)}
    with pytest.raises(RunError, match=r"training one takes 2\.0 GiB") as found:
        graphc.compile(ONE, target="toy").train(arrays, epochs=1, folder=False)
    assert found.value.help == "train it elsewhere: --target numpy"
    driven = ONE.replace("[4]\ntarget y: real", "[n, 4]\ntarget y: real[n]")
    driven = driven.replace("(x @ w - y)^2", "mean((x @ w - y)^2)")
    driven = driven.replace("optimizer = sgd{0.1}", "batch = all\n  optimizer = lbfgs")
    toy.fixed = 999 * MIB
    with pytest.raises(RunError, match="with all 3 examples in a batch") as found:
        graphc.compile(driven, target="toy").train(arrays, epochs=1, folder=False)
    assert found.value.help.startswith("lbfgs takes all examples at once, and 1 fit; ")


def test_other_dimensions_are_those_of_the_data(toy, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "graphc_toy_target.device_bytes",
        lambda programs, dims: seen.append(dict(dims)) or 0,
        raising=True,
    )
    model = graphc.compile(SEQUENCE, target="toy")
    model.train({"x": np.ones((9, 7)), "y": np.ones(9)}, epochs=1, folder=False)
    assert seen == [{"n": 4, "t": 7}]


# -------------------------------------------------------------------------------- auto


def test_auto_takes_the_accelerator_where_a_model_gains(toy, all_gain, line):
    model = line.with_target("auto")
    assert model.target == "toy"
    flops = line.report().flops
    assert model.choice.line == f"target: toy, Toy 9000: a step of {flops} FLOP gains from it"
    assert graphc.compile(line.checked.request.source.text, target="auto").target == "toy"


def test_auto_takes_the_cpu_for_what_is_small(toy, line):
    model = line.with_target("auto")
    assert model.target == "numpy"
    flops = line.report().flops
    why = f"a step of {flops} FLOP is too small to gain from a GPU"
    assert model.choice.line == f"target: numpy: {why}"
    assert model.choice.as_json() == {"target": "numpy", "why": why, "device": ""}


def test_auto_without_a_device_says_why_and_estimates_nothing(toy, line):
    toy.device = NONE
    model = line.with_target("auto")
    assert model.choice.line == "target: numpy: the toy is in its box"
    assert "programs" not in vars(model.generated), "nothing was compiled for that"


def test_auto_does_not_choose_what_cannot_be(toy, all_gain, line, here):
    toy.fixed = 3000 * MIB
    assert line.with_target("auto").choice.line == (
        "target: numpy: training takes 2.9 GiB of device memory, 1000.0 MiB are free"
    )
    toy.fixed, toy.lacks = 0, "abs"
    choice = line.with_target("auto").choice
    assert choice.line == "target: numpy: the target toy has no operator abs"


def test_auto_says_where_the_size_of_a_step_is_not_known(toy, all_gain):
    model = graphc.compile(SEQUENCE, target="auto")
    assert model.target == "numpy"
    assert "what a step takes is not known: sequence leaves to the data" in model.choice.line
    given = graphc.compile(SEQUENCE).over({"x": np.ones((9, 7)), "y": np.ones(9)}, {})
    assert given.with_target("auto").target == "toy"
    assert known_sizes(given) == {"n": 4, "t": 7}
    examples = SEQUENCE.replace("[n, t]", "[n, t] = [[1, 2, 3]]").replace("[n]\n", "[n] = [1]\n")
    assert known_sizes(graphc.compile(examples)) == {"n": 4, "t": 3}


def test_auto_judges_an_evaluation_by_what_it_computes(toy, all_gain, kinds):
    graphc.compile(kinds.path).train(epochs=1, folder="run")
    found = score(Question("run", target="auto"))
    assert found.choice.line.startswith("target: toy, Toy 9000: a batch of ")
    assert found.as_json()["target"]["target"] == "toy"
    assert find_run("run", target="auto").model.choice == found.choice
    assert score(Question("run")).choice is None


def test_auto_of_a_gradcheck_is_judged_by_its_batch(toy, all_gain, kinds):
    found = gradcheck(kinds.path, target="auto", rows=2)
    step = step_report(graphc.compile(kinds.path, precision="f64"), {"n": 2})
    assert found.ok
    assert f"a step of {step.flops / 1000:.2g} kFLOP" in found.choice.line
    assert found.as_json()["target"]["target"] == "toy"


@pytest.mark.parametrize(
    ("name", "gain"), [("logistic", False), ("digits", False), ("lenet300", True)]
)
def test_what_gains(models, name, gain):
    model = graphc.compile(models / f"{name}.gc")
    assert targets.gains(step_report(model, known_sizes(model))) is gain


@pytest.mark.parametrize(
    ("flops", "text"),
    [
        (0, "0 FLOP"),
        (999, "999 FLOP"),
        (9_960, "10 kFLOP"),
        (1_100_000, "1.1 MFLOP"),
        (2_450_000_000, "2.5 GFLOP"),
        (149_400_000, "149 MFLOP"),
        (999_700_000, "1 GFLOP"),
        (932_000_000_000, "932 GFLOP"),
        (5_320_000_000_000, "5.32 TFLOP"),
    ],
)
def test_operations_in_words(line, monkeypatch, flops, text):
    report = line.report()
    monkeypatch.setattr(type(report), "flops", flops)
    assert targets._operations(report) == text
