"""`graphc curvature`: what it says, what it writes, what it refuses."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import graphc

TEXT = """
model bend
input  x: real[n, 2]
target y: label{2}[n]
logits = x |> dense{3} |> tanh |> dense{2}
loss ce = cross_entropy(logits, y)
data {
  x = [[0, 0], [0, 1], [1, 0], [1, 1]]
  y = [0, 1, 1, 0]
}
train {
  epochs = 3
  batch = all
}
"""


@pytest.fixture
def run(here: Path) -> Path:
    (here / "bend.gc").write_text(TEXT)
    return graphc.compile("bend.gc").train().path


def test_a_run_in_lines(say, run: Path) -> None:
    said = say("curvature", run, "--top", 3)
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[0] == "bend: Hessian, best state of runs/bend-1"
    assert lines[1] == "4 examples, the train part, in f64; the model trains in f32"
    assert [line.split("  ")[0] for line in lines[3:13]] == [
        "parameters",
        "objective",
        "gradient norm",
        "largest eigenvalue",
        "smallest eigenvalue",
        "condition number",
        "negative",
        "near zero",
        "trace",
        "sharpness in a box",
    ]
    assert "NOT converged: a minimum would have less than 1e-06" in said.out
    assert "eigenvalues of largest magnitude, 3 of 17" in said.out
    assert len({line.find("residual") for line in lines if "   residual" in line}) == 1


def test_a_model_means_its_latest_run(say, run: Path) -> None:
    by_run = say("curvature", run, "--json").json
    assert say("curvature", "bend.gc", "--json").json == by_run
    whole = graphc.curvature(run).hessian()
    values = np.linalg.eigvalsh(whole)
    assert by_run["n"] == 17
    assert by_run["largest"]["value"] == pytest.approx(values[-1])
    assert by_run["negative"]["value"] == pytest.approx(np.mean(values < -by_run["zero_below"]))
    assert by_run["trace"] == {"value": pytest.approx(np.trace(whole)), "error": 0}
    assert by_run["converged"] is False
    sampled = say("curvature", run, "--exact", 0, "--json").json
    assert sampled["condition"] is None
    assert sampled["largest"]["value"] == pytest.approx(values[-1], rel=1e-4)
    for of in ("gauss_newton", "fisher", "exact_fisher"):
        found = say("curvature", run, "--of", of, "--json").json
        assert found["smallest"]["value"] > -1e-12


def test_files(say, run: Path) -> None:
    said = say("curvature", run, "--density", "d.svg", "--save", "h.npz", "--rows", 3, "-q")
    assert said.status == 0
    assert ElementTree.parse("d.svg").getroot().tag.endswith("svg")
    assert "eigenvalues of the Hessian" in Path("d.svg").read_text()
    with np.load("h.npz") as saved:
        found = graphc.curvature(run, rows=3)
        np.testing.assert_array_equal(saved["matrix"], found.hessian())
        np.testing.assert_array_equal(saved["gradient"], found.gradient)
        assert saved["names"].tolist() == list(found.layout.shapes)
        assert saved["ends"][-1] == 17
    again = Path("d.svg").read_bytes()
    say("curvature", run, "--density", "d.svg", "--rows", 3, "-q")
    assert Path("d.svg").read_bytes() == again
    assert say("curvature", "bend.gc", "--at", "init", "--density", "i.png").status == 0


def test_a_model_of_example_values(say, models) -> None:
    said = say("curvature", models / "logistic.gc", "--at", "init")
    assert said.status == 0
    assert "1 example, its example values, in f64" in said.out


def test_what_is_refused(say, refused, run: Path) -> None:
    assert "has no test part" in refused("curvature", run, "--part", "test")
    Path("other.gc").write_text(TEXT.replace("model bend", "model other"))
    assert "no finished run of other.gc" in refused("curvature", "other.gc")
    assert "does not end in .npz" in refused("curvature", run, "--save", "h.txt")
    assert "does not end like a picture" in refused("curvature", run, "--density", "d.txt")
    assert "there is no folder" in refused("curvature", run, "--save", run / "x" / "h.npz")
    Path("still.gc").write_text("model still\ninput x: real[n] = [1]\nloss l = mean(x)\n")
    assert "learns nothing" in refused("curvature", "still.gc", "--at", "init")
    assert say("curvature", run, "--part", "some").status == 2
    assert say("curvature", run, "--rows", 0).status == 2
    problem = say("curvature", run, "--part", "test", "--json").json
    assert problem["ok"] is False


def test_too_large_says_what_it_takes_and_what_fits(refused, here: Path) -> None:
    text = TEXT.replace("dense{3}", "dense{2100}")
    (here / "wide.gc").write_text(text.replace("model bend", "model wide"))
    said = refused("curvature", "wide.gc", "--at", "init", "--save", "h.npz", "--exact", 0)
    assert "10,502 parameters are more than 10,000: a matrix of 0.882 GB, about" in said
    assert "hutchinson, eigenpairs, density, products and operator take any size" in said
    assert not Path("h.npz").exists()
