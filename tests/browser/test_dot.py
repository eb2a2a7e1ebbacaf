"""With the system's Graphviz: the exported DOT can be drawn by it, PDF and PNG come from it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import graphc
from graphc.rendering.pictures import engines

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def _program():
    if shutil.which("dot") is None:
        pytest.fail("install Graphviz: these tests run its program dot")


def drawn(dot: str) -> str:
    done = subprocess.run(
        ["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True, timeout=60
    )
    lines = [
        line for line in done.stderr.split("\n") if line and "table size too small" not in line
    ]
    assert lines == []
    return done.stdout


@pytest.mark.parametrize("view", ["forward", "backward", "joint", "passes"])
@pytest.mark.parametrize("name", ["logistic", "xor", "digits"])
def test_dot_draws_what_is_exported(name: str, view: str, models: Path):
    picture = graphc.render(models / f"{name}.gc", view)
    svg = drawn(picture.dot)
    nodes = len(picture.diagram.boxes)
    assert svg.count('class="node"') >= nodes
    assert svg.count('class="edge"') >= len(picture.diagram.arrows)
    assert svg.count('class="cluster"') == len(picture.diagram.frames)


def test_every_moment_of_a_story_is_a_graph(models: Path, here: Path):
    for path in graphc.render(models / "circuit.gc", "steps").save("s.dot"):
        assert "circuit, steps" in drawn(path.read_text())


def test_hostile_text_is_text():
    mark = r"</text><script>alert(1)</script> & \"quoted\" \\N ]]>"
    text = (
        f'model m\ninput x: real[n] = [1, 2]\ndef odd{{mark = "{mark}"}}(v) = v * 2\n'
        f'y = odd{{"{mark}"}}(x)\nloss l = sum(y)\n'
    )
    svg = drawn(graphc.render(text, "joint", expand="odd").dot)
    assert "<script" not in svg


def test_pdf_and_png_come_from_dot(models: Path, here: Path):
    picture = graphc.render(models / "logistic.gc")
    picture.save("x.pdf")
    assert Path("x.pdf").read_bytes().startswith(b"%PDF")
    assert engines.dot_image(picture.dot, "png").startswith(b"\x89PNG")
    assert len(graphc.render(models / "circuit.gc", "steps").save("s.pdf")) == 9


def test_the_systems_dot_lays_out_too(models: Path):
    picture = graphc.render(models / "digits.gc")
    picture.engine = "dot"
    assert picture.placed.boxes.keys() == {box.key for box in picture.diagram.boxes}
    assert "<svg" in picture.svg
