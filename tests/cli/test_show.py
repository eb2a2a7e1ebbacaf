"""`graphc show`: what it writes, says and refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

MODEL = """
model small
input x: real[n, 4]
target y: real[n, 2]
h = x |> dense{6} |> tanh
guess = h |> dense{2}
loss near = mean((guess - y)^2)
data {
  x = [[0, 1, 2, 3], [1, 0, 1, 0], [2, 2, 0, 1], [3, 1, 1, 1], [0, 0, 0, 1], [1, 2, 3, 4]]
  y = [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 3]]
  split = ordered{validation = 2}
}
train { epochs = 4 }
"""


@pytest.fixture
def small(say, here) -> Path:
    """A model file and its run in runs/small-1."""
    path = here / "small.gc"
    path.write_text(MODEL)
    assert say("train", "small.gc", "-q").status == 0
    return path


def test_help_names_it(say):
    assert "show" in say("--help").out
    assert "--surface" in say("show", "--help").out


def test_curves_of_a_run_and_of_a_model(say, small):
    said = say("show", "runs/small-1")
    assert said.status == 0
    assert said.out == ""
    assert said.err == "drew the training curves of runs/small-1 in small-1-curves.svg\n"
    written = Path("small-1-curves.svg").read_bytes()
    assert b"<title>small-1: training curves</title>" in written
    assert say("show", "small.gc", "-q", "-o", "again.svg").err == ""
    assert Path("again.svg").read_bytes() == written


def test_a_parameter_in_full_and_in_short(say, small):
    assert say("show", "runs/small-1", "h.dense1.W").status == 0
    assert Path("small-1-h.dense1.W.svg").exists()
    assert say("show", "small.gc", "h.W", "--as", "2x2", "-o", "w.png").status == 0
    assert Path("w.png").read_bytes().startswith(b"\x89PNG")


def test_many_images_are_said_on_standard_error(say, here):
    text = "model wide\nparam W: real[4, 120] = 1\nloss f = sum(W^2)\ntrain { epochs = 1 }\n"
    Path("wide.gc").write_text(text)
    assert say("train", "wide.gc", "-q").status == 0
    said = say("show", "wide.gc", "W", "--as", "2x2")
    assert "the first 100 of 120 units; all of them with --all" in said.err
    said = say("show", "wide.gc", "W", "--as", "2×2", "--all", "--json")
    assert (said.json["tiles"], said.json["shown"], said.json["notes"]) == (120, 120, [])


def test_the_surface_tells_what_takes_time(say, small):
    said = say("show", "small.gc", "--surface", "--grid", 5)
    assert said.status == 0
    assert "training small-1 again in memory to see its path: 4 epochs" in said.err
    assert "at 25 points" in said.err
    assert "drew the loss surface of runs/small-1 in small-1-surface.svg" in said.err
    assert Path("small-1-surface.svg").exists()


def test_as_json(say, small):
    said = say("show", "small.gc", "--surface", "--grid", 5, "--json", "-o", "s.pdf")
    assert said.err == ""
    told = said.json
    assert (told["ok"], told["file"], told["kind"]) == (True, "s.pdf", "surface")
    assert told["grid"] == [5, 5]
    assert len(told["shares"]) == 2
    told = say("show", "small.gc", "h.W", "--as", "2x2", "--json").json
    assert (told["kind"], told["name"], told["tile"]) == ("weights", "h.dense1.W", [2, 2])
    assert say("show", "small.gc", "--json").json["epochs"] == 4


def test_data_that_lie_elsewhere(say, kinds_elsewhere):
    assert "no data" in say("show", "runs/kinds-1", "--surface", "--grid", 3).err
    said = say("show", "runs/kinds-1", "--surface", "--grid", 3, "--data", "elsewhere")
    assert said.status == 0


@pytest.fixture
def kinds_elsewhere(say, here):
    """A run whose data file has moved since."""
    text = MODEL[: MODEL.index("data {")].replace("small", "kinds") + 'data { file = "a.csv"\n'
    text += "x = concat{-1}(stack{-1}(a, b), stack{-1}(c, d))\ny = stack{-1}(a, d) }\n"
    text = text.replace("concat{-1}(stack{-1}(a, b), stack{-1}(c, d))", "[a, b, c, d]")
    text = text.replace("stack{-1}(a, d)", "[a, d]")
    Path("kinds.gc").write_text(text + "train { epochs = 2 }\n")
    Path("a.csv").write_text("a,b,c,d\n1,2,3,4\n2,3,1,0\n0,1,0,1\n")
    said = say("train", "kinds.gc", "-q")
    assert said.status == 0, said.err
    Path("elsewhere").mkdir()
    Path("a.csv").rename("elsewhere/a.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small.gc", "nothing"], "small has no parameter nothing"),
        (["small.gc", "h.W", "--as", "3x3"], "h.dense1.W has 4 incoming weights a unit, 3×3"),
        (["small.gc", "-o", "a.jpg"], "help: name it a.svg, .png or .pdf"),
        (["small.gc", "-o", "no/a.svg"], "there is no folder no"),
        (["runs/other"], "runs/other"),
    ],
)
def test_what_is_refused(refused, small, arguments, message):
    assert message in refused("show", *arguments)


def test_a_model_that_was_never_trained(refused, models):
    assert "no finished run" in refused("show", models / "xor.gc")


def test_a_file_of_the_run_stays(refused, small):
    Path("a.svg").symlink_to("small.gc")
    assert "stays as it is" in refused("show", "small.gc", "-o", "a.svg")
    assert small.read_text() == MODEL


def test_without_matplotlib(refused, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = refused("show", "small.gc")
    assert told == "error: matplotlib is not installed\nhelp: pip install 'graphc[images]'\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--surface", "h.W"],
        ["--as", "2x2"],
        ["--all"],
        ["--grid", "5"],
        ["h.W", "--as", "2"],
        ["h.W", "--as", "2x2x2x2"],
        ["--surface", "--grid", "1"],
    ],
)
def test_wrong_usage(say, arguments):
    assert say("show", "RUN", *arguments).status == 2
