"""`graphc gradcheck`: the table, the verdict, the exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

WRONG = """model m
param w: real = 1
param v: real[2] = [1, 2]
def cube(x) = x^3
  derivative 3.003 * x^2
loss f = cube(w) + sum(v^2)
"""


def test_a_model_that_passes(say, models):
    said = say("gradcheck", models / "digits.gc")
    assert said.status == 0
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == "digits at 8 rows of its training data"
    assert "in training too" in lines[1]
    assert lines[3].split() == [
        "parameter", "shape", "first", "kinks", "error", "second", "kinks", "error", "status",
    ]  # fmt: skip
    assert lines[4].startswith("h.dense1.W       [64, 64]     12      0")
    assert lines[5].split()[:3] == ["h.dense1.b", "[64]", "128"]
    assert all(line.endswith("  ok") for line in lines[4:10])
    assert lines[11].startswith("worst: ")
    assert lines[12].startswith("digits passes: 312 first and 26,910 second derivatives")
    assert len(lines) == 13


def test_a_wrong_derivative(say, here):
    Path("m.gc").write_text(WRONG)
    said = say("gradcheck", "m.gc")
    assert said.status == 1
    assert "WRONG" in said.out
    worst, summary = said.out.splitlines()[-2:]
    assert worst.startswith("worst: first derivative by w: exact 3.")
    assert worst.endswith("relative error 1.0e-03 of 1e-06 allowed")
    assert summary == "m FAILS: derivatives by 1 of 2 parameters are wrong"
    assert say("gradcheck", "m.gc", "--tolerance", "0.01").status == 0


def test_as_json(say, here):
    Path("m.gc").write_text(WRONG)
    said = say("gradcheck", "m.gc", "--json")
    assert said.status == 1
    told = said.json
    assert told["ok"] is False
    assert [p["status"] for p in told["parameters"]] == ["WRONG", "ok"]
    assert told["parameters"][1] | {"first": 0, "second": 0} == {
        "name": "v", "shape": [2], "status": "ok", "first": 0, "second": 0,
    }  # fmt: skip
    assert told["worst"]["parameter"] == "w"
    assert told["worst"]["exact"] == pytest.approx(1.001 * told["worst"]["numeric"])


def test_quiet_is_the_verdict(say, models):
    lines = say("gradcheck", models / "logistic.gc", "-q").out.splitlines()
    assert [line.split()[0] for line in lines] == ["worst:", "logistic"]


def test_options(say, models):
    path = models / "iris.gc"
    assert "3 rows of its" in say("gradcheck", path, "--rows", 3, "--set", "train.batch=4").out
    one = say("gradcheck", models / "digits.gc", "--directions", 1, "--seed", 5, "--json").json
    assert one["parameters"][0]["first"]["checked"] == 4
    at = say("gradcheck", models / "logistic.gc", "--at", "x=2")
    assert "logistic at its example values" in at.out
    assert say("gradcheck", path, "--rows", 0).status == 2
    assert say("gradcheck", path, "--tolerance", 0).status == 2


def test_notes(say, here):
    Path("s.gc").write_text(
        "model s\nparam w: real = 1\nparam v: real = 2\nparam u: real = 3\n"
        "loss f = stop_gradient(w) * v^2 * u\ntrain { frozen on u }\n"
    )
    said = say("gradcheck", "s.gc")
    assert said.status == 0
    assert "stopped: w: a stop_gradient hides" in said.out
    assert "frozen, so not differentiated: u" in said.out
    assert said.out.splitlines()[-1].endswith("undecided: w")


def test_what_cannot_be_checked(refused, here):
    Path("n.gc").write_text("model n\nparam w: real = 1\noutput f = w\n")
    assert "has no loss" in refused("gradcheck", "n.gc")
    Path("l.gc").write_text("model l\nparam w: real = 1\nloss f = log(-w^2)\n")
    assert "not finite" in refused("gradcheck", "l.gc")
    assert "no model file" in refused("gradcheck", "absent.gc")
