"""Whatever a name, a note or a title holds, a picture stays a picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from drawn import texts_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphc.rendering.pictures import engines
from graphc.rendering.pictures.diagram import Arrow, Box, Diagram, Frame, Line
from graphc.rendering.pictures.dot import to_dot
from graphc.rendering.pictures.outline import safe_key
from graphc.rendering.pictures.placing import place
from graphc.rendering.pictures.svg import paint
from graphc.rendering.pictures.wording import visible

TEXT = st.text(min_size=1, max_size=30) | st.sampled_from(
    [
        '"',
        "<b>&",
        "\\N \\G",
        "]]>",
        "\n\r\t",
        "\u202eabc\u2066",
        "‏שלום‎",
        "<!--",
        "\ud800",
        "a:b",
        "\\",
    ]
)


def diagram(text: str, note: str, title: str) -> Diagram:
    key = safe_key(text)
    boxes = (
        Box(f"a{key}", "value", text, (Line(text, "name"), Line(note, "value")), frame="f"),
        Box("b", "gradient", note, (Line(note, "gradient"),), (Line(text, "note"),)),
    )
    arrows = (Arrow(f"a{key}", "b", "gradient", (Line(note, "formula"),), (Line(title, "note"),)),)
    return Diagram(title, boxes, arrows, (Frame("f", title),), (note,))


@given(TEXT, TEXT, TEXT)
@example(">", "<<", "0")
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_svg_or_dot(text: str, note: str, title: str):
    drawn = diagram(text, note, title)
    svg = paint(place(drawn, "wheel"))
    shown = texts_of(svg)
    assert visible(text) in shown
    assert visible(note) in shown
    root = ElementTree.fromstring(svg)
    assert not [
        e for e in root.iter() if e.tag.rpartition("}")[2] in ("script", "a", "image", "use")
    ]
    assert not re.search(r"\son\w+=", re.sub(r">[^<]*<|\"[^\"]*\"", "", svg))
    dot = to_dot(drawn)
    for table in re.findall(r"<(<TABLE.*?</TABLE>)>", dot):
        ElementTree.fromstring(table.replace("&#160;", " "))
    found = engines.lay_out(re.sub(r"<<TABLE.*?</TABLE>>", '"label"', dot), "wheel")
    names = {entry["name"] for entry in found["objects"]}
    assert {f"a{safe_key(text)}", "b"} <= names


@given(st.text(min_size=1), st.text(min_size=1))
def test_keys_of_different_names_differ(one: str, other: str):
    assert (safe_key(one) == safe_key(other)) == (one == other)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", safe_key(one))
