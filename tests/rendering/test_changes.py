"""Pictures of passes: what was added, removed and changed, before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import flaws, texts_of

import graphc

pytestmark = pytest.mark.usefixtures("no_dot")


def marked(picture: graphc.Picture, frame: str, mark: str) -> list[str]:
    return [b.name for b in picture.diagram.boxes if b.frame == frame and b.mark == mark]


def test_dropout_and_weight_decay_are_added(models: Path):
    picture = graphc.render(models / "digits.gc", "passes", stage="regularize")
    assert marked(picture, "1-before", "removed") == []
    assert marked(picture, "1-after", "added") == [
        "h.relu1.rule1",
        "h.relu2.rule1",
        "penalty",
        "objective",
    ]
    assert marked(picture, "1-after", "changed") == ["h.dense2", "logits"]
    assert flaws(picture.placed) == []
    shown = texts_of(picture.svg)
    assert "+" in shown
    assert any("dropout{0.2}(h)" in text for text in shown)


def test_simplification_and_fusion(models: Path):
    picture = graphc.render(models / "logistic.gc", "passes")
    assert [frame.title for frame in picture.diagram.frames] == [
        "before simplify",
        "after simplify",
        "before fuse",
        "after fuse",
    ]
    assert marked(picture, "1-before", "removed") == ["power1", "power2"]
    assert marked(picture, "1-after", "added") == ["multiply8", "multiply9"]
    assert "z, y, fit: sigmoid" in marked(picture, "2-after", "added")
    assert flaws(picture.placed) == []


@pytest.mark.parametrize("name", ["digits", "lenet5", "gaussian", "svm"])
def test_passes_of_models(name: str, models: Path):
    picture = graphc.render(models / f"{name}.gc", "passes")
    assert flaws(picture.placed) == []
    before, after = (
        [f for f in picture.diagram.frames if f.title.startswith(side)]
        for side in ("before", "after")
    )
    assert len(before) == len(after) >= 2


def test_the_graph_after_a_pass(models: Path):
    picture = graphc.render(models / "digits.gc", stage="fuse")
    groups = [box.name for box in picture.diagram.boxes if box.kind == "group"]
    assert "h: dense, relu, dropout" in groups
    assert flaws(picture.placed) == []
    first = graphc.render(models / "digits.gc", stage="model")
    assert not [box for box in first.diagram.boxes if box.kind == "group"]


def test_groups_open_into_their_members(models: Path):
    folded = graphc.render(models / "logistic.gc", stage="fuse").diagram
    one = graphc.render(models / "logistic.gc", stage="fuse", expand="z, y, fit: sigmoid")
    assert [(f.title, f.kind) for f in one.diagram.frames] == [("z, y, fit: sigmoid", "group")]
    inside = [box.name for box in one.diagram.boxes if box.frame]
    assert {"z", "y", "fit"} <= set(inside)
    assert len(inside) == 9
    assert flaws(one.placed) == []
    every = graphc.render(models / "logistic.gc", stage="fuse", depth=1).diagram
    groups = [box for box in folded.boxes if box.kind == "group"]
    assert len(every.frames) == len(groups) - 1
    assert [box.name for box in every.boxes if box.kind == "group"] == ["adam"]


def test_definitions_open_at_a_stage_too(models: Path):
    picture = graphc.render(models / "digits.gc", stage="regularize", expand="dropout")
    assert [f.title for f in picture.diagram.frames] == [
        "h.relu2.rule1: dropout{0.2}",
        "h.relu1.rule1: dropout{0.2}",
    ]
    assert flaws(picture.placed) == []


def test_a_pass_that_is_none(models: Path):
    with pytest.raises(graphc.RunError, match="no pass is called fus") as caught:
        graphc.render(models / "digits.gc", stage="fus")
    assert "did you mean 'fuse'" in caught.value.help
    with pytest.raises(graphc.RunError, match="regularize changes nothing"):
        graphc.render(models / "logistic.gc", "passes", stage="regularize")
    with pytest.raises(graphc.RunError, match="has no view joint"):
        graphc.render(models / "digits.gc", "joint", stage="fuse")
