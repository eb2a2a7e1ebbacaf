"""The steps of a backward pass can be followed with a pencil."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from drawn import boxes_of, texts_of

import graphc

pytestmark = pytest.mark.usefixtures("no_dot")


CIRCUIT = """Start
  given: x, y, z
Forward: q
  q = x + y
  q = −2 + 5 = 3
Forward: f
  f = q·z
  f = 3·(−4) = −12
Backward: start at f
  f̄ = ∂f/∂f = 1: every derivative by itself is 1
Backward: f → q
  rule of f = q·z: ∂f/∂q = z = −4
  upstream: f̄ = 1
  contribution: f̄·z = 1 · (−4) = −4
  q has this one use, so q̄ is finished
Backward: f → z
  rule of f = q·z: ∂f/∂z = q = 3
  upstream: f̄ = 1
  contribution: f̄·q = 1 · 3 = 3
  z has this one use, so z̄ is finished
Backward: q → y
  rule of q = x + y: ∂q/∂y = 1
  upstream: q̄ = −4
  contribution: q̄ = −4
  y has this one use, so ȳ is finished
Backward: q → x
  rule of q = x + y: ∂q/∂x = 1
  upstream: q̄ = −4
  contribution: q̄ = −4
  x has this one use, so x̄ is finished
Finished: the gradients
  x̄ = −4
  ȳ = −4
  z̄ = 3
"""


def told(picture: graphc.Picture) -> str:
    return "".join(
        "\n  ".join((moment.title, *moment.caption)) + "\n" for moment in picture.moments
    )


def test_the_story_of_the_circuit(models: Path):
    assert told(graphc.render(models / "circuit.gc", "steps")) == CIRCUIT


def test_a_sum_over_two_uses(models: Path):
    story = told(graphc.render(models / "logistic.gc", "steps"))
    assert (
        "Backward: z → w\n"
        "  rule of z = w·x + b: ∂z/∂w = x = 1.5\n"
        "  upstream: z̄ = −0.0528771\n"
        "  contribution: z̄·x = (−0.0528771) · 1.5 = −0.0793156\n"
        "  w has other uses too: their contributions are added at Σ\n"
    ) in story
    assert (
        "Backward: Σ at w\n"
        "  w has 2 uses: what they contribute is added\n"
        "  w̄ = z̄·x + ∂decay·0.1·w\n"
        "  w̄ = −0.0793156 + 0.08 = 0.000684361\n"
        "  w̄ is finished\n"
    ) in story


@pytest.mark.parametrize("name", ["circuit", "logistic", "xor", "digits", "multitask"])
def test_every_value_comes_before_it_is_used_and_all_is_known_at_the_end(name: str, models: Path):
    picture = graphc.render(models / f"{name}.gc", "steps", values=name == "xor")
    boxes = {box.key: box for box in picture.diagram.boxes}
    into: dict[str, list[str]] = {}
    for arrow in picture.diagram.arrows:
        into.setdefault(arrow.head, []).append(arrow.tail)
    before = picture.moments[0]
    for moment in picture.moments[1:]:
        for key in moment.values - before.values:
            forward = [tail for tail in into.get(key, ()) if not tail.startswith("sum-")]
            assert all(
                tail in before.values or tail in before.gradients
                for tail in forward
                if any(
                    a.kind == "forward" and a.tail == tail and a.head == key
                    for a in picture.diagram.arrows
                )
            )
        assert before.values <= moment.values
        assert before.gradients <= moment.gradients
        assert before.arrows <= moment.arrows
        assert moment.caption
        before = moment
    last = picture.moments[-1]
    values = {key for key, box in boxes.items() if box.kind != "sum"}
    assert values == last.values
    assert {a.key for a in picture.diagram.arrows if a.kind != "forward"} == last.arrows
    graded = {key for key, box in boxes.items() if any(x.role == "gradient" for x in box.lines)}
    assert graded == last.gradients


def test_the_gradient_of_a_value_is_told_before_it_flows_on(models: Path):
    picture = graphc.render(models / "digits.gc", "steps")
    arrows = {arrow.key: arrow for arrow in picture.diagram.arrows}
    before = picture.moments[0]
    for moment in picture.moments[1:]:
        for key in moment.arrows - before.arrows:
            if arrows[key].kind == "gradient":
                assert arrows[key].tail in before.gradients
        before = moment


def test_a_frame_shows_what_is_known_then(models: Path):
    picture = graphc.render(models / "circuit.gc", "steps")
    first, last = picture.frames[0], picture.frames[-1]
    assert "−12" not in texts_of(first)
    assert "−12" in texts_of(last)
    assert boxes_of(first).keys() == boxes_of(last).keys()
    sizes = {re.search(r'viewBox="([^"]+)"', frame)[1] for frame in picture.frames}
    assert len(sizes) == 1, "frames are laid out once"


def test_a_story_that_nobody_reads_is_refused():
    lines = [f"param w{i}: real = 1\nz{i} = tanh(w{i})" for i in range(150)]
    total = " + ".join(f"z{i}" for i in range(150))
    text = "\n".join(["model long", *lines, f"loss l = {total}", ""])
    with pytest.raises(graphc.RunError, match="steps"):
        graphc.render(text, "steps")
