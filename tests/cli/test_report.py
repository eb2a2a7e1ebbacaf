"""`graphc compile --report`: what it prints, as text and as JSON, and what does not go with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import graphc

GOLDEN = Path(__file__).with_name("report.txt")

LINE = """model line
input x: real[n, 2]
target y: real[n]
param w: real[2] = 1
param b: real = 0

guess = tanh(x @ w + b)

loss error = mean((guess - y)^2)

train {
  epochs    = 1
  batch     = 4
  optimizer = sgd{0.1}
}
"""
FORWARD = "model forward\ninput x: real[n, t]\noutput y = exp(x) + 1\n"


@pytest.fixture
def line(here: Path) -> Path:
    path = here / "line.gc"
    path.write_text(LINE)
    return path


def test_report_as_text(say, here, line, request):
    said = [say("compile", line, "--report")]
    (here / "forward.gc").write_text(FORWARD)
    said.append(say("compile", here / "forward.gc", "--report", "--batch", 2, "--size", "t=3"))
    assert [(one.status, one.err) for one in said] == [(0, ""), (0, "")]
    text = "\n".join(one.out for one in said)
    if request.config.getoption("--update-goldens"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize("name", ["digits", "lstm", "transformer"])
def test_tables_fit_a_terminal(say, models, name):
    said = say("compile", models / f"{name}.gc", "--report")
    assert max(map(len, said.out.splitlines())) <= 100
    report = graphc.compile(models / f"{name}.gc").report()
    assert f"{report.flops:,}" in said.out
    assert said.out.endswith(f"{report.peak.total:,}\n")


def test_report_as_json(say, line):
    told = say("compile", line, "--report", "--json", "--batch", 3).json
    expected = graphc.compile(line).report(batch=3)
    assert told == {"ok": True, **json.loads(json.dumps(expected.as_json()))}


def test_report_beside_the_module(say, here, line):
    said = say("compile", line, "--report", "-o", here / "line.py")
    assert said.out == say("compile", line, "--report").out
    assert said.err == f"wrote {here / 'line.py'}\n"
    assert (here / "line.py").read_text() == graphc.compile(line).source


def test_report_of_a_run_is_that_of_its_model(say, here, models):
    assert say("train", models / "iris.gc", "--epochs", 1, "-q").status == 0
    run = say("compile", here / "runs" / "iris-1", "--report", "--json").json
    model = say("compile", models / "iris.gc", "--report", "--json").json
    for key in ("model", "dims", "groups", "totals", "peak"):
        assert run[key] == model[key]


def test_sizes_that_are_missing(refused, here):
    (here / "forward.gc").write_text(FORWARD)
    message = refused("compile", here / "forward.gc", "--report")
    assert message == "error: forward leaves to the data how large t is\nhelp: say it: --size t=N\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--json",), "--json goes with --report"),
        (("--batch", 3), "--batch and --size go with --report"),
        (("--size", "t=3"), "--batch and --size go with --report"),
        (("--report", "--size", "t=many"), "'many' is not a number of elements"),
        (("--report", "--stop-after", "source"), "--report does not go with --stop-after"),
    ],
)
def test_wrong_usage(say, line, options, message):
    said = say("compile", line, *options)
    assert said.status == 2
    assert message in said.err
    assert said.out == ""
