"""`--stop-after` and `--dump-passes`: one can stop after any arrow and read what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphc
from graphc.ir import parse_graph, print_graph
from graphc.session.stages import dump_passes, stage, stage_names


@pytest.mark.parametrize("name", stage_names())
def test_every_stage_can_be_read(name: str, models: Path):
    assert stage(graphc.compile(models / "digits.gc"), name).strip()


def test_a_graph_stage_reads_back(models: Path):
    text = stage(graphc.compile(models / "digits.gc"), "differentiate")
    graph, roots = parse_graph(text)
    assert print_graph(graph, roots) == text
    assert ("gradient", "h.dense1.W") in roots


def test_looking_at_stages_changes_nothing(models: Path):
    model = graphc.compile(models / "logistic.gc")
    before = graphc.compile(models / "logistic.gc").source
    list(dump_passes(model))
    stage(model, "simplify")
    assert model.source == before


def test_a_dump_shows_only_what_changed(models: Path):
    texts = list(dump_passes(graphc.compile(models / "logistic.gc")))
    titles = [text.splitlines()[0] for text in texts]
    assert "== training, after differentiate" in titles
    assert "== training, after regularize" not in titles


def test_an_unknown_stage_names_the_nearest(models: Path):
    with pytest.raises(graphc.RunError) as caught:
        stage(graphc.compile(models / "circuit.gc"), "simplfy")
    assert "did you mean simplify" in caught.value.help


def test_a_model_that_learns_nothing_has_no_schedule():
    model = graphc.compile("model m\ninput x: real[n]\noutput y = 2 * x\n")
    with pytest.raises(graphc.RunError, match="learns nothing"):
        stage(model, "schedule")
