"""A diagram as DOT, for everyone else's tools: standard, deterministic, every text escaped.

Boxes are tables, because records lose edges in newer versions of Graphviz.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from typing import Any

from graphc.rendering.layout import wrapped
from graphc.rendering.pictures.diagram import Arrow, Box, Diagram, Frame, Line
from graphc.rendering.pictures.moments import Moment
from graphc.rendering.pictures.network_strokes import (
    NEGATIVE,
    PALE,
    POSITIVE,
    THICKEST,
    THINNEST,
)
from graphc.rendering.pictures.placing import goes_against, label_of, row_ends, runs_back
from graphc.rendering.pictures.svg import FILL, FONT, FRAME_INK, INK, MARK, STROKE
from graphc.rendering.pictures.wording import visible

__all__ = ["to_dot"]

NOTE = 90
"""Columns of a note."""
FACE = FONT.partition(",")[0]


def to_dot(diagram: Diagram, moment: Moment | None = None) -> str:
    """The text of a DOT file, of a story that of one moment."""
    from graphviz import Digraph

    hidden: frozenset[str] = frozenset()
    if moment is not None:
        keys = (arrow.key for arrow in diagram.arrows if arrow.of_gradient)
        hidden = frozenset(keys) - moment.arrows
        diagram = _at(diagram, moment)

    network = any(arrow.kind in ("weight", "removed") for arrow in diagram.arrows)
    diagram = _listed(diagram) if network else diagram
    title = _table([Line(diagram.title, "name")], _notes(diagram.notes))
    rank = "LR" if diagram.direction == "right" else "TB"
    graph = Digraph(
        "graphc",
        graph_attr={
            "label": title,
            "labelloc": "t",
            "labeljust": "l",
            "rankdir": rank,
            "fontname": FACE,
            "nodesep": "0.3",
            "ranksep": "0.35",
        },
        node_attr={"shape": "plain", "fontname": FACE, "fontsize": "12"},
        edge_attr={"fontname": FACE, "fontsize": "11", "arrowsize": "0.8"},
    )
    if network:
        graph.attr("graph", splines="line", ranksep="2.6", outputorder="edgesfirst")
    _frames(graph, diagram, "")
    for box in diagram.boxes:
        if not box.frame:
            _node(graph, box)
    for arrow in diagram.arrows:
        _edge(graph, arrow, diagram, arrow.key in hidden)
    for number, (above, below) in enumerate(row_ends(diagram)):
        graph.node(f"row{number}", style="invis")
        for key in above:
            graph.edge(key, f"row{number}", style="invis")
        for key in below:
            graph.edge(f"row{number}", key, style="invis")
    source: str = graph.source
    return source


def _notes(notes: Iterable[str]) -> list[Line]:
    return [Line(line, "note") for note in notes for line in wrapped(visible(note), NOTE, "  ")]


def _at(diagram: Diagram, moment: Moment) -> Diagram:
    """What is known at a moment; its caption is a note, and what it speaks of is marked."""
    boxes = []
    for box in diagram.boxes:
        unknown = moment.unknown(box.key)
        lines = tuple(line for line in box.lines if line.role not in unknown)
        kind = "active" if box.key in moment.active else box.kind
        boxes.append(replace(box, lines=lines, kind=kind))
    notes = (*diagram.notes, moment.title, *moment.caption)
    return replace(diagram, boxes=tuple(boxes), notes=notes)


def _listed(diagram: Diagram) -> Diagram:
    """A network whose units list the values of their weights: Graphviz lays labels of straight
    lines beside others."""
    names = {box.key: box.name for box in diagram.boxes}
    values: dict[str, list[Line]] = {}
    for arrow in diagram.arrows:
        told = [Line(f"{line.text} · {names[arrow.tail]}", "formula") for line in arrow.label]
        values.setdefault(arrow.head, []).extend(told)
    boxes = (replace(b, lines=(*b.lines, *values.get(b.key, ()))) for b in diagram.boxes)
    arrows = (replace(arrow, label=()) for arrow in diagram.arrows)
    return replace(diagram, boxes=tuple(boxes), arrows=tuple(arrows))


def _frames(graph: Any, diagram: Diagram, parent: str) -> None:
    for number, frame in enumerate(diagram.frames):
        if frame.parent != parent:
            continue
        with graph.subgraph(name=f"cluster_{number}") as inner:
            inner.attr(label=_table([Line(frame.title, "name")]), **_frame_style(frame))
            for box in diagram.boxes:
                if box.frame == frame.key:
                    _node(inner, box)
            _frames(inner, diagram, frame.key)


def _frame_style(frame: Frame) -> dict[str, str]:
    ink = FRAME_INK[frame.kind]
    style = "rounded,dashed" if frame.kind == "block" else "rounded"
    return {"color": ink, "fontcolor": ink, "fontsize": "11", "labeljust": "l", "style": style}


def _node(graph: Any, box: Box) -> None:
    stroke, sign = MARK.get(box.mark, (STROKE.get(box.kind, "#555555"), ""))
    dashed = box.kind in ("gradient", "target") or box.mark == "removed"
    style = ' STYLE="ROUNDED,DASHED"' if dashed else ' STYLE="ROUNDED"'
    frame = (
        f'BORDER="{2 if sign else 1}" COLOR="{stroke}" '
        f'BGCOLOR="{FILL.get(box.kind, "#ffffff")}"{style} CELLPADDING="3"'
    )
    text = [Line(f"({sign})", "note"), *box.lines] if sign else list(box.lines)
    graph.node(box.key, label=_table(text, frame=frame), tooltip=_tip(box.name, box.tip))


def _edge(graph: Any, arrow: Arrow, diagram: Diagram, hidden: bool) -> None:
    dashed = arrow.of_gradient
    ink = MARK[arrow.mark][0] if arrow.mark else INK["gradient"] if dashed else "#555555"
    attributes = {"color": ink, "style": "dashed" if dashed else "dotted" if arrow.again else ""}
    if arrow.kind in ("weight", "removed"):
        attributes = _connection(arrow)
    tail, head = arrow.tail, arrow.head
    if runs_back(arrow, diagram):
        tail, head = head, tail
        attributes["dir"] = "back"
    if goes_against(arrow, diagram):
        attributes["constraint"] = "false"
    if hidden:
        attributes["style"] = "invis"
    label = label_of(arrow)
    if label:
        attributes["label"] = _table(label)
    if arrow.tip:
        attributes["tooltip"] = _tip("", arrow.tip)
    graph.edge(tail, head, **{key: value for key, value in attributes.items() if value})


def _connection(arrow: Arrow) -> dict[str, str]:
    """Between units of a network, as network_strokes paints it."""
    if arrow.kind == "removed":
        return {"color": PALE, "style": "dashed", "arrowhead": "none"}
    negative = arrow.strength < 0
    width = f"{THINNEST + (THICKEST - THINNEST) * abs(arrow.strength):.2f}"
    color, head = (NEGATIVE, "dot") if negative else (POSITIVE, "normal")
    return {"color": color, "penwidth": width, "arrowhead": head}


def _tip(name: str, tip: Iterable[Line]) -> str:
    from graphviz import escape as literal

    text = "; ".join(filter(None, [visible(name), *(visible(line.text) for line in tip)]))
    plain: str = literal(text)  # a kind of text that is no HTML, whatever signs are around it
    return plain


def _table(*parts: Iterable[Line], frame: str = 'BORDER="0"') -> str:
    """Lines below each other; what begins with < and ends with > is no plain text to Graphviz."""
    rows = "".join(f"<TR><TD>{_cell(line)}</TD></TR>" for part in parts for line in part)
    return f'<<TABLE CELLBORDER="0" CELLSPACING="0" {frame}>{rows}</TABLE>>'


def _cell(line: Line) -> str:
    text = escape(visible(line.text), quote=True).replace("  ", "&#160;&#160;") or "&#160;"
    inner = f"<B>{text}</B>" if line.role == "name" else text
    size = {"name": "12", "type": "10", "note": "10"}.get(line.role, "11")
    return f'<FONT COLOR="{INK[line.role]}" POINT-SIZE="{size}">{inner}</FONT>'
