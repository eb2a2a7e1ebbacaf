"""`graphc render`: what it draws where, and what it says when it cannot."""

from __future__ import annotations

import builtins
import hashlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from graphc.rendering.pictures import raster

pytestmark = pytest.mark.usefixtures("no_dot")


@pytest.fixture
def logistic(models: Path) -> Path:
    return models / "logistic.gc"


def lack(monkeypatch, *names: str) -> None:
    """Make imports of these packages fail."""
    real = builtins.__import__

    def fake(name, *rest, **options):
        if name.partition(".")[0] in names:
            raise ImportError(f"no {name}", name=name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", fake)


def test_without_a_file_it_says_what_it_drew_where(say, logistic: Path):
    said = say("render", logistic)
    assert said.status == 0
    assert said.out == "drew the picture of logistic, joint in logistic-joint.svg\n"
    assert "numbers at the example values, initial parameters" in said.err
    ElementTree.parse("logistic-joint.svg")
    said = say("render", logistic, "--view", "steps", "-q")
    assert (said.out, said.err) == ("", "")
    assert Path("logistic-steps.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("view", ["forward", "backward", "joint"])
def test_every_format(say, logistic: Path, view: str):
    starts = {
        "dot": b"digraph",
        "gv": b"digraph",
        "svg": b"<svg",
        "html": b"<!DOCTYPE",
        "png": b"\x89PNG",
    }
    for suffix, start in starts.items():
        assert say("render", logistic, "--view", view, "-o", f"x.{suffix}").status == 0
        assert Path(f"x.{suffix}").read_bytes().startswith(start)


def test_steps_are_numbered_files_a_page_an_animation_or_a_strip(say, models: Path):
    circuit = models / "circuit.gc"
    said = say("render", circuit, "--view", "steps", "-o", "s.svg")
    assert said.out == "drew 9 steps of circuit, steps in s-01.svg … s-09.svg\n"
    assert len(list(Path.cwd().glob("s-*.svg"))) == 9
    assert say("render", circuit, "--view", "steps", "-o", "s.dot").status == 0
    assert "Finished: the gradients" in Path("s-09.dot").read_text()
    assert say("render", circuit, "--view", "steps", "-o", "s.gif").status == 0
    from PIL import Image

    with Image.open("s.gif") as animation:
        assert animation.n_frames == 9
    assert say("render", circuit, "--view", "steps", "-o", "s.png").status == 0
    with Image.open("s.png") as strip, Image.open("s.gif") as frame:
        assert strip.size == (frame.size[0] * 3, frame.size[1] * 3)


def test_pictures_are_the_same_each_time(say, logistic: Path):
    digests = set()
    for number in range(2):
        for suffix in ("svg", "dot", "html"):
            say("render", logistic, "-o", f"{number}.{suffix}")
        digests.add(
            tuple(
                hashlib.sha256(Path(f"{number}.{suffix}").read_bytes()).hexdigest()
                for suffix in ("svg", "dot", "html")
            )
        )
    assert len(digests) == 1


def test_json(say, logistic: Path):
    found = say("render", logistic, "--json", "-o", "x.svg").json
    assert found["ok"] is True
    assert found["files"] == ["x.svg"]
    assert found["boxes"] == 10
    assert found["view"] == "joint"


def test_a_model_with_errors_shows_them(refused):
    Path("bad.gc").write_text("model m\nloss l = w\n")
    assert "error[E301]: unknown name `w`" in refused("render", "bad.gc")
    assert not Path("bad-joint.svg").exists()


def test_a_model_without_a_loss_is_drawn_forward(say, refused):
    Path("m.gc").write_text("model m\ninput x: real = 2\noutput y = x * x\n")
    assert "m, forward" in say("render", "m.gc").out
    assert "m has no loss" in refused("render", "m.gc", "--view", "joint")


@pytest.mark.parametrize(
    ("arguments", "message", "help"),
    [
        (("-o", "x.bmp"), "x.bmp has no ending that says what to draw", ".svg"),
        (("-o", "x"), "x has no ending", ".svg"),
        (("-o", "there/x.svg"), "there/x.svg lies in a folder that is not there", "exists"),
        (("-o", "x.gif"), "only steps can be animated", "--view steps"),
        (("--depth", "-1"), "the depth is -1", "0 or more"),
        (("--expand", "sigmoit"), "nothing to expand that is called sigmoit", "definition"),
        (("--row", "1"), "logistic has no data to take numbers from", "--at NAME=VALUE"),
        (("--stage", "fuse", "--row", "1"), "drawn without numbers", "leave --values"),
        (("--stage", "fuse", "--expand", "x1"), "nothing to expand that is called x1", "group"),
        (("--view", "passes", "--depth", "1"), "is drawn as it is", "--stage PASS"),
        (("--stage", "nothing"), "no pass is called nothing", "regularize"),
    ],
)
def test_what_cannot_be_drawn(refused, logistic: Path, arguments, message: str, help: str):
    said = refused("render", logistic, *arguments)
    assert message in said
    assert help in said


def test_rows_and_batches_of_the_data(say, refused, models: Path):
    digits = models / "digits.gc"
    said = say("render", digits, "--row", "3", "-o", "x.svg")
    assert "numbers of row 3, initial parameters" in said.err
    assert "have no row 1797" in refused("render", digits, "--row", "1797")
    said = say("render", models / "xor.gc", "--values", "-o", "x.svg")
    assert "numbers of the first 4 rows of the training part" in said.err
    assert "n is 4" in said.err


def test_data_that_are_not_there(refused, models: Path):
    assert "train" in refused("render", models / "lenet5.gc", "--row", "0")


def test_an_image_without_a_renderer_leaves_the_svg(refused, say, logistic: Path, monkeypatch):
    raster._fonts.cache_clear()
    lack(monkeypatch, "resvg_py")
    Path("x.svg").write_text("mine")
    said = refused("render", logistic, "-o", "x.png")
    assert (
        "cannot make PNG: neither resvg-py nor Graphviz is installed; the SVG is in x-2.svg" in said
    )
    assert "pip install 'graphc[images]', or install Graphviz" in said
    assert Path("x.svg").read_text() == "mine"
    ElementTree.parse("x-2.svg")
    said = refused("render", logistic, "--view", "steps", "-o", "s.gif")
    assert "cannot make GIF: resvg-py is not installed; the SVG is in s-01.svg … s-16.svg" in said


def test_pdf_without_dot_names_graphviz(refused, logistic: Path):
    said = refused("render", logistic, "-o", "x.pdf")
    assert "cannot make PDF: the program dot is not installed; the SVG is in x.svg" in said
    assert "install Graphviz" in said


def test_a_picture_does_not_overwrite_the_model(refused, here: Path, logistic: Path):
    Path("m.svg").write_text(logistic.read_text())
    assert "m.svg is the model file" in refused("render", "m.svg", "-o", "m.svg")
    assert Path("m.svg").read_text() == logistic.read_text()


def test_a_run_has_settings_of_its_own(refused, say, models: Path):
    assert say("train", models / "xor.gc", "--set", "train.epochs=2", "-q").status == 0
    said = say("render", "runs/xor-1", "--values", "-o", "x.svg")
    assert "parameters of xor-1, epoch" in said.err
    assert "settings of its own" in refused("render", "runs/xor-1", "--set", "train.epochs=5")
