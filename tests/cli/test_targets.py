"""`--target`: what each command does with it, and what it says of `auto`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_target import MIB, Toy, toy_target

from graphc.backends.targets import DeviceInfo, NoDeviceError
from graphc.session import targets

LINE = """model line
input x: real[n, 2]
target y: real[n]
param w: real[2] = 1
param b: real = 0

guess = tanh(x @ w + b)

loss error = mean((guess - y)^2)
output value = guess

data {
  x     = [[1, 2], [3, 4], [5, 6], [7, 8]]
  y     = [0.1, 0.2, 0.3, 0.4]
}

train {
  epochs    = 2
  batch     = 2
  optimizer = sgd{0.1}
}
"""
WHY = "the toy is in its box"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    return toy_target(monkeypatch)


@pytest.fixture
def all_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MARGIN", 0.0)


@pytest.fixture
def line(here: Path) -> Path:
    path = here / "line.gc"
    path.write_text(LINE)
    return path


@pytest.fixture
def run(say, line) -> str:
    assert say("train", line, "--out", "run", "-q").status == 0
    return "run"


def commands(line: object) -> list[tuple[object, ...]]:
    """Everything that runs a model, with the run in the folder `run`."""
    return [
        ("train", line),
        ("train", "--resume", "run", "--epochs", 9),
        ("eval", "run"),
        ("eval", line, "--init", "--part", "all"),
        ("predict", "run"),
        ("gradcheck", line),
    ]


def test_every_command_runs_on_a_target(say, toy, line, run):
    for command in commands(line):
        toy.asked = 0
        said = say(*command, "--target", "toy")
        assert said.status == 0, said.err
        assert toy.asked, command
        assert "target" not in said.err + said.out


def test_numbers_do_not_depend_on_the_target(say, toy, line, run):
    for command in commands(line)[2:]:
        assert say(*command, "--target", "toy").out == say(*command).out


def test_without_a_device_nothing_runs(say, refused, toy, line, run, here):
    toy.device = NoDeviceError(WHY, "open the box")
    for command in commands(line):
        assert refused(*command, "--target", "toy") == (
            f"error: the target toy does not run here: {WHY}\nhelp: open the box\n"
        )
    assert not (here / "runs").exists()


def test_without_a_device_a_module_is_written(say, toy, line, run, here):
    toy.device = NoDeviceError(WHY)
    for command in (("compile", line), ("compile", line, "--stop-after", "source")):
        assert say(*command, "--target", "toy").out.endswith("TARGET = 'toy'\n")
    schedule = say("compile", line, "--target", "toy", "--stop-after", "schedule")
    assert schedule.out == "the toy carries out line\n"
    assert say("compile", "run", "--target", "toy", "-o", "line.py").err == (
        "wrote line.py and line.npz\n"
    )
    assert (here / "line.py").read_text().endswith("TARGET = 'toy'\n")


def test_an_unknown_target_is_wrong_usage(say, toy, line):
    said = say("compile", line, "--target", "tyo")
    assert said.status == 2
    assert "'tyo' is not one of 'numpy', 'toy', 'auto'" in said.err


def test_what_does_not_fit_is_an_error(refused, toy, line, here):
    toy.device = DeviceInfo("Toy 9000", 2**31, 11 * MIB)
    assert refused("train", line, "--target", "toy") == (
        "error: training line with batches of 2 takes 12.0 MiB of device memory, 11.0 MiB are free "
        "on Toy 9000\nhelp: batches of 1 fit: --set train.batch=1\n"
    )
    assert not list(here.glob("runs/*"))


def test_a_target_that_lacks_an_operator(refused, toy, line):
    toy.lacks = "tanh"
    for command in (("compile", line), ("train", line)):
        said = refused(*command, "--target", "toy")
        assert "error[E701]: the target toy has no operator tanh\n" in said
        assert "line.gc:7:9" in said


def test_the_report_says_what_training_takes_on_a_device(say, toy, line):
    said = say("compile", line, "--report", "--target", "toy")
    assert said.out.endswith(f"\n\ndevice memory, bytes: {12 * MIB:,}\n")
    assert "peak memory" not in said.out
    told = say("compile", line, "--report", "--target", "toy", "--json").json
    assert (told["device_memory"], told["peak"]) == (12 * MIB, None)


# -------------------------------------------------------------------------------- auto


def test_auto_is_said_in_one_line(say, toy, all_gain, line, run):
    for command in [*commands(line), ("compile", line), ("compile", "run")]:
        said = say(*command, "--target", "auto")
        assert said.status == 0
        (told,) = [text for text in said.err.splitlines() if text.startswith("target: ")]
        assert told.startswith("target: toy, Toy 9000: a ")
        assert told.endswith(" gains from it")
        assert "target: " not in said.out
        if "--resume" in command:
            continue  # that run has done all of its epochs now
        quiet = say(*command, "--target", "auto", "--quiet")
        assert quiet.status == 0
        assert "target: " not in quiet.err + quiet.out


def test_auto_is_the_cpu_without_a_device(say, toy, line, run):
    toy.device = NoDeviceError(WHY)
    for command in commands(line):
        said = say(*command, "--target", "auto")
        assert said.status == 0
        assert f"target: numpy: {WHY}\n" in said.err


def test_auto_in_json_is_a_field(say, toy, all_gain, line, run):
    for command in (
        ("train", line),
        ("eval", "run"),
        ("gradcheck", line),
        ("compile", line, "--report"),
    ):
        said = say(*command, "--target", "auto", "--json")
        told = json.loads(said.out)["target"]
        assert (told["target"], told["device"]) == ("toy", "Toy 9000")
        assert told["why"].endswith(" gains from it")
        assert "target" not in said.err
        assert "target" not in say(*command, "--json").json
