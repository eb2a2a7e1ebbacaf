"""Units and connections: what is drawn is what is left, and everything can be read."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from drawn import SVG, flaws, texts_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pruned_networks import column_names, pruned_layers

from graphc.rendering.pictures.connections import Weights, draw_connections, living
from graphc.rendering.pictures.dot import to_dot
from graphc.rendering.pictures.svg import paint

CHAIN = [  # x1 → a1 → b1; x2 leads to a2, which leads nowhere; b2 is reached from nothing
    Weights(np.array([[2.0, 0], [0, -1]]), np.eye(2) > 0, np.array([0.5, 0]), np.array([1, 0]) > 0),
    Weights(np.array([[-4.0, 0], [0, 0]]), np.array([[1, 0], [0, 0]]) > 0),
]
NAMES = [["x1", "x2"], ["a1", "a2"], ["b1", "b2"]]


def test_what_is_dead():
    reached, leads = living(CHAIN)
    assert [mask.tolist() for mask in reached] == [[True, True], [True, True], [True, False]]
    assert [mask.tolist() for mask in leads] == [[True, False], [True, False], [True, True]]


def test_kept_removed_and_dead_are_told():
    placed = draw_connections("t", NAMES, CHAIN, ["note"])
    kinds = {box.name: box.kind for box in placed.diagram.boxes}
    assert kinds == {
        "x1": "input", "x2": "dead", "a1": "unit", "a2": "dead", "b1": "unit", "b2": "dead",
    }  # fmt: skip
    kept = {a.tip[0].text: a for a in placed.diagram.arrows if a.kind == "weight"}
    assert list(kept) == ["x1 → a1: 2.0", "x2 → a2: -1.0", "a1 → b1: -4.0"]
    assert [arrow.strength for arrow in kept.values()] == [0.5, -0.25, -1.0]
    removed = [a.tip[0].text for a in placed.diagram.arrows if a.kind == "removed"]
    assert len(removed) == 5
    assert "a2 → b1: removed" in removed
    texts = texts_of(paint(placed))
    for told in ("x2, dead", "bias 0.5", "bias removed", "2", "−1", "−4", "note"):
        assert told in texts
    assert texts.count("dead") == 2


def test_signs_and_sizes_are_seen():
    svg = paint(draw_connections("t", NAMES, CHAIN, []))
    found = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if "weight" in group.attrib.get("class", "").split():
            key = (group.attrib["data-tail"], group.attrib["data-head"])
            tip = next(e for e in group if e.attrib.get("class") == "tip")
            found[key] = (tip.tag.removeprefix(SVG), float(group[1].attrib["stroke-width"]))
    assert found["unit-0-0", "unit-1-0"] == ("path", 2.45)
    assert found["unit-1-0", "unit-2-0"] == ("circle", 4.0)
    dashed = svg.count("stroke-dasharray")
    assert dashed == 5


@pytest.mark.parametrize("left", [0, 1, 14, 40, 41, 58])
def test_a_network_for_monks_is_readable(left):
    placed = draw_connections("t", column_names((17, 3, 1)), pruned_layers((17, 3, 1), left, 5), [])
    assert flaws(placed) == []
    kept = [arrow for arrow in placed.diagram.arrows if arrow.kind == "weight"]
    if left <= 14:
        assert all(arrow.label for arrow in kept)
    if left == 58:
        assert not any(arrow.label for arrow in kept)
    told = "a connection tells its value to who points at it" in placed.diagram.notes
    assert told == (bool(kept) and not kept[0].label)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=4),
    st.integers(0, 40),
    st.integers(0, 10**6),
)
def test_nothing_overlaps_whatever_is_left(sizes, left, seed):
    layers = pruned_layers(sizes, left, seed)
    placed = draw_connections("t", column_names(sizes), layers, [])
    assert flaws(placed) == []
    assert paint(placed) == paint(draw_connections("t", column_names(sizes), layers, []))


def test_dot_has_the_same_signs():
    text = to_dot(draw_connections("t", NAMES, CHAIN, []).diagram)
    assert text.count("style=dashed") == 5
    assert text.count("arrowhead=dot") == 2
    assert text.count("arrowhead=normal") == 1
    assert "2 · x1" in text
    assert "−4 · a1" in text
