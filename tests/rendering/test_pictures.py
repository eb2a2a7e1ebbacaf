"""Pictures say what is true, leave nothing out, and can be read."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from drawn import boxes_of, flaws, texts_of

import graphc
from graphc.rendering.pictures import engines

VIEWS = ("forward", "backward", "joint")
MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.gc"))
SLOW = {"lstm", "transformer"}
"""Models whose formulas take seconds; one view of them is enough here."""


pytestmark = pytest.mark.usefixtures("no_dot")


# ---------------------------------------------------------------------------- numbers


def with_nudges(path: Path) -> tuple[str, list[str]]:
    """The model with a parameter of 0 added to each named value: the gradient by it is the
    gradient by the value. Every value is an output too."""
    lines, names = [], []
    for line in path.read_text().split("\n"):
        found = re.match(r"(?:loss )?(\w+)\s+= ([^#]+)", line)
        if found is None or line.startswith(("hyper", " ")):
            lines.append(line)
            continue
        name = found[1]
        lines += [f"param e_{name}: real = 0", f"{line.split('#')[0].rstrip()} + e_{name}"]
        lines.append(f"output o_{name} = {name}")
        names.append(name)
    return "\n".join(lines), names


@pytest.mark.parametrize("name", ["logistic", "circuit"])
def test_every_number_is_the_generated_modules(name: str, models: Path):
    path = models / f"{name}.gc"
    text, inner = with_nudges(path)
    model = graphc.compile(text, precision="f64")
    state = model.init()
    objective, gradients = model.loss_and_gradients(state)
    outputs = model.predict(state)
    boxes = boxes_of(graphc.render(path, "joint").svg)
    leaves = {**{n: state[n] for n in model.spec.parameters}, **model.example_batch()}
    seen = 0
    for title, box in boxes.items():
        if title.startswith("Σ"):
            continue
        seen += 1
        if title == "objective":
            assert float(box["data-value"]) == pytest.approx(objective, rel=1e-12)
            assert float(box["data-gradient"]) == 1
        elif title in inner:
            assert float(box["data-value"]) == pytest.approx(
                float(outputs[f"o_{title}"]), rel=1e-12
            )
            found = float(box["data-gradient"])
            assert found == pytest.approx(float(gradients[f"e_{title}"]), rel=1e-12)
        else:
            assert float(box["data-value"]) == float(leaves[title])
            if title in gradients:
                found = float(box["data-gradient"])
                assert found == pytest.approx(float(gradients[title]), rel=1e-12)
            else:
                assert "data-gradient" not in box
    assert seen == len(inner) + len(model.spec.inputs) + len(
        [n for n in model.spec.parameters if not n.startswith("e_")]
    ) + (name == "logistic")


def test_the_worked_numbers_of_logistic(models: Path):
    boxes = boxes_of(graphc.render(models / "logistic.gc").svg)
    assert float(boxes["objective"]["data-value"]) == pytest.approx(0.0681647, abs=1e-7)
    assert float(boxes["w"]["data-gradient"]) == pytest.approx(0.00068436, abs=1e-8)
    assert float(boxes["b"]["data-gradient"]) == pytest.approx(-0.0528771, abs=1e-7)


def test_gradients_of_tensors_are_the_modules(models: Path):
    picture = graphc.render(models / "digits.gc", "joint", row=3)
    model = graphc.compile(models / "digits.gc", precision="f64")
    module, parts = model.parts()
    state = model.init()
    raw = {name: column[3:4] for name, column in parts.all.items()}
    batch = module.prepare(raw, state)
    objective, gradients = module.loss_and_gradients(state, batch)
    found = {box.name: box for box in picture.diagram.boxes}
    assert float(found["objective"].value) == pytest.approx(objective, rel=1e-9)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(found[name].gradient, gradient, rtol=1e-6, atol=1e-12)


def test_numbers_of_a_run_are_those_of_its_best_epoch(here: Path, models: Path):
    run = graphc.compile(models / "xor.gc").train(epochs=3, folder="runs/xor-1")
    picture = graphc.render("runs/xor-1", values=True)
    found = {box.name: box for box in picture.diagram.boxes}
    for name in run.model.spec.parameters:
        np.testing.assert_allclose(found[name].value, run.state[name], rtol=1e-6)
    assert any("xor-1" in note for note in picture.diagram.notes)
    again = graphc.render(run, values=True)
    np.testing.assert_array_equal(
        found["bce"].value, {b.name: b for b in again.diagram.boxes}["bce"].value
    )


def test_numbers_follow_an_example_value(models: Path):
    boxes = boxes_of(graphc.render(models / "logistic.gc", at={"x": 2}).svg)
    assert float(boxes["z"]["data-value"]) == pytest.approx(0.8 * 2 - 0.2)


# ------------------------------------------------------------------------- structure


def test_an_operand_that_is_used_twice_has_two_arrows():
    picture = graphc.render("model m\nparam x: real = 3\nloss l = x * x\n", "joint")
    forward = [a for a in picture.diagram.arrows if a.kind == "forward"]
    assert [(a.tail, a.head, a.number) for a in forward] == [("x", "l", 1), ("x", "l", 2)]
    gradient = [a for a in picture.diagram.arrows if a.kind == "gradient"]
    assert [(a.tail, a.head) for a in gradient] == [("l", "sum-x")] * 2
    assert float({b.name: b for b in picture.diagram.boxes}["x"].gradient) == 6


def test_a_fan_out_is_a_sum_whose_contributions_add_up(models: Path):
    picture = graphc.render(models / "logistic.gc", "joint")
    into = [a for a in picture.diagram.arrows if a.head == "sum-w"]
    numbers = [float(a.label[-1].text.replace("−", "-")) for a in into]
    assert sum(numbers) == pytest.approx(0.000684361, abs=1e-6)
    assert [a.head for a in picture.diagram.arrows if a.kind == "total"] == ["w"]


def test_arrows_name_the_local_derivative(models: Path):
    shown = texts_of(graphc.render(models / "logistic.gc", "backward").svg)
    assert "∂z/∂w = x = 1.5" in shown
    assert "∂fit/∂y = y − t = −0.268941" in shown
    without = texts_of(graphc.render(models / "digits.gc", "backward").svg)
    assert "∂logits·logits.dense1.Wᵀ" in without


def test_definitions_fold_until_they_are_opened(models: Path):
    folded = graphc.render(models / "digits.gc", "forward").diagram
    assert not folded.frames
    opened = graphc.render(models / "digits.gc", "forward", expand="dense").diagram
    assert [f.title for f in opened.frames] == [
        "h.dense1: dense{64}",
        "h.dense2: dense{64}",
        "logits: dense{10}",
    ]
    one = graphc.render(models / "digits.gc", "forward", expand="h.dense2").diagram
    assert [f.title for f in one.frames] == ["h.dense2: dense{64}"]
    deep = graphc.render(models / "digits.gc", "forward", depth=3).diagram
    assert any(frame.parent for frame in deep.frames)


def test_a_value_opens_into_its_operators(models: Path):
    picture = graphc.render(models / "logistic.gc", "joint", expand="fit")
    inside = [box.name for box in picture.diagram.boxes if box.frame]
    assert inside == ["subtract1", "power1", "fit"]
    assert flaws(picture.placed) == []


BLOCKS = """model deep
input x: real[n, 8]
target y: real[n, 8]
h = x
repeat block in 1..{count} {{
  z = dense{{8}}(h)
  a = tanh(z)
  h = h + a
}}
loss l = mean((h - y)^2)
"""


def test_equal_blocks_are_one():
    picture = graphc.render(BLOCKS.format(count=12), "joint")
    (frame,) = picture.diagram.frames
    assert frame.title == "block ×12, round 2 shown"
    assert len(picture.diagram.boxes) < 12
    assert any(arrow.again for arrow in picture.diagram.arrows)
    assert flaws(picture.placed) == []
    whole = graphc.render(BLOCKS.format(count=4), "forward", expand="block")
    assert not whole.diagram.frames
    assert sum("dense" in box.lines[-1].text for box in whole.diagram.boxes) == 4


def test_an_unrolled_network_is_drawn_as_what_it_repeats(models: Path):
    picture = graphc.render(models / "lstm.gc", "forward", expand="lstm")
    assert [frame.title for frame in picture.diagram.frames] == [
        "h: lstm{64}",
        "h.lstm1.time ×100, round 2 shown",
    ]
    assert len(picture.diagram.boxes) < 30
    assert flaws(picture.placed) == []


def test_a_sum_over_rounds_says_how_many_there_are():
    loop = "h = x\nrepeat i in 1..9 {\n  h = tanh(h * w)\n}\nloss l = h\n"
    text = f"model m\ninput x: real = 1\nparam w: real = 2\n{loop}"
    boxes = {box.key: box for box in graphc.render(text, "joint").diagram.boxes}
    assert [line.text for line in boxes["sum-w"].lines] == ["Σ", "9 contributions"]


def long_chain(count: int) -> str:
    lines = ["model chain", "input x: real = 1", "param w: real = 0.5", "z0 = w * x"]
    lines += [f"z{i} = tanh(z{i - 1} + {i % 7})" for i in range(1, count)]
    return "\n".join([*lines, f"loss l = z{count - 1}^2", ""])


def test_a_large_graph_folds_and_says_so():
    picture = graphc.render(long_chain(1200), "joint")
    assert len(picture.diagram.boxes) < 10
    assert "1,199 values in chains are folded" in picture.diagram.notes
    assert flaws(picture.placed) == []
    assert float({b.name: b for b in picture.diagram.boxes}["w"].gradient) == pytest.approx(
        0, abs=1
    )


def test_a_folded_chain_of_gradients_flows_down():
    placed = graphc.render(long_chain(1200), "backward").placed
    assert flaws(placed) == []
    assert min(placed.boxes, key=lambda key: placed.boxes[key].y) == "d-l"


def test_five_thousand_values_fold_and_it_is_said():
    picture = graphc.render(long_chain(5000), "forward")
    assert "4,999 values in chains are folded" in picture.diagram.notes
    assert flaws(picture.placed) == []


def test_jupyter_shows_a_picture(models: Path):
    picture = graphc.render(models / "logistic.gc")
    assert picture._repr_svg_() == picture.svg
    assert picture.svg.startswith("<svg")


def test_what_cannot_be_read_is_refused_but_can_be_written_as_dot(here: Path):
    names = [f"w{i}" for i in range(500)]
    params = "\n".join(f"param {name}: real = 1" for name in names)
    picture = graphc.render(f"model wide\n{params}\nloss l = {' + '.join(names)}\n", "forward")
    with pytest.raises(graphc.RunError, match="501 boxes, more than can be read") as caught:
        picture.save("wide.svg")
    assert "-o FILE.dot" in caught.value.help
    assert picture.save("wide.dot") == [Path("wide.dot")]


# --------------------------------------------------------------------------- layout


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_model_can_be_drawn(path: Path):
    views = ("joint",) if path.stem in SLOW else VIEWS
    for view in views:
        picture = graphc.render(path, view)
        assert flaws(picture.placed) == [], view
        assert picture.svg == graphc.render(path, view).svg or path.stem in SLOW
        assert_is_plain(picture.dot)


def assert_is_plain(dot: str) -> None:
    """Tables are well-formed, and no shape loses edges in newer versions of Graphviz."""
    assert "record" not in dot
    tables = re.findall(r"<(<TABLE.*?</TABLE>)>", dot)
    assert tables
    for table in tables:
        ElementTree.fromstring(table.replace("&#160;", " "))


def test_dot_is_readable_by_graphviz(models: Path):
    dot = graphc.render(models / "logistic.gc").dot
    found = engines.lay_out(re.sub(r"<<TABLE.*?</TABLE>>", '"label"', dot), "wheel")
    names = {entry["name"] for entry in found["objects"]}
    assert {"x", "t", "w", "b", "z", "y", "fit", "decay", "objective", "sum-w"} <= names
    assert len(found["edges"]) == dot.count("->")


# --------------------------------------------------------------------------- hostile

HOSTILE = """model m
input x: real[n] = [1, 2]
def odd{{mark = "{mark}"}}(v) = v * 2
שלום = odd{{"{mark}"}}(x)
loss l = sum(שלום)
"""
MARK = r"</script><script>alert(1)</script> & \"quoted\" <b> ]]>"


@pytest.mark.parametrize("view", VIEWS)
def test_text_is_text(view: str):
    picture = graphc.render(HOSTILE.format(mark=MARK), view, expand="odd")
    for text in (picture.svg, picture.dot, picture.html):
        assert "<script>alert" not in text
    assert "שלום" in picture.svg
    ElementTree.fromstring(picture.svg)
    assert_is_plain(picture.dot)
    plain = re.sub(r"<<TABLE.*?</TABLE>>", '"label"', picture.dot)
    engines.lay_out(plain, "wheel")


def test_what_cannot_be_seen_is_an_escape():
    from graphc.rendering.pictures.wording import columns, lines, visible

    assert visible("a\u202eb\nc\x00d\u2028") == "a\\u202eb\\u000ac\\u0000d\\u2028"
    assert visible("שלום ∂z z̄") == "שלום ∂z z̄"
    assert columns("z̄") == 1
    assert columns("漢字") == 4
    assert all(columns(line.text) <= 36 for line in lines("x" * 200, "name"))
