"""Positions: a diagram's boxes get their sizes from their text, Graphviz finds the places.

Lengths are pixels of the picture, which are Graphviz's points. Labels are handed over as so many
letters of a font whose widths every Graphviz knows: what they say never passes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from graphc.rendering.pictures.diagram import (
    Arrow,
    Box,
    Diagram,
    Direction,
    Line,
    frames_around,
)
from graphc.rendering.pictures.engines import Engine, lay_out
from graphc.rendering.pictures.wording import columns

__all__ = ["LABEL_SIZE", "PAGE", "Area", "Placed", "Point", "Route", "place", "size_of", "step_of"]

Point = tuple[float, float]

PAGE = 1040.0
"""Width up to which text is readable when a picture is scaled to a page."""
ADVANCE = 0.602
"""Width of a letter in a font of fixed width, in parts of its size."""
PAD = 8.0
LARGE = 100
"""Boxes of a picture that is laid out once only, and not as carefully."""
LABEL_SIZE = 11.0
SIZES = {"name": 12.5, "type": 10.5, "note": 10.5}
STEP = 1.28
"""Distance of lines, in parts of the letters' size."""


@dataclass(frozen=True)
class Area:
    """A rectangle by its centre."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """An arrow's way: one or two pieces, each of Bézier curves of three points from its first point
    on, the tip of its head, and the area of its label, which lies between the pieces."""

    pieces: tuple[tuple[Point, ...], ...]
    tip: Point
    label: Area | None = None


@dataclass(frozen=True)
class Placed:
    """A diagram with positions; y grows downwards."""

    diagram: Diagram
    width: float
    height: float
    boxes: dict[str, Area]
    frames: dict[str, Area]
    routes: dict[str, Route]


def size_of(line: Line) -> float:
    """Size of a line's letters."""
    return SIZES.get(line.role, 12.0)


def step_of(line: Line) -> float:
    """Height that a line takes."""
    return size_of(line) * STEP


def place(diagram: Diagram, engine: Engine | None = None) -> Placed:
    """Lay out a diagram, downwards unless that is too wide for a page. LayoutError where Graphviz
    finds no layout."""
    if diagram.rows:
        beside = _placed(diagram, "down", engine)
        single = tuple((key,) for row in diagram.rows for key in row)
        below = replace(diagram, rows=single)
        return beside if beside.width <= PAGE else _placed(below, "down", engine)
    if diagram.direction is not None:
        return _placed(diagram, diagram.direction, engine)
    down = _placed(diagram, "down", engine)
    if down.width <= PAGE or len(diagram.boxes) > LARGE:
        return down
    right = _placed(diagram, "right", engine)
    return right if right.width < down.width else down


def _placed(diagram: Diagram, direction: Direction, engine: Engine | None) -> Placed:
    if not diagram.boxes:
        return Placed(diagram, 0.0, 0.0, {}, {}, {})
    text = "\n".join(_dot(diagram, direction))
    return _read(diagram, lay_out(text, engine))


# ---------------------------------------------------------------------- to Graphviz


def _dot(diagram: Diagram, direction: Direction) -> Iterator[str]:
    """The graph as Graphviz needs it to find places: numbers for names, sizes for text."""
    rank = "TB" if direction == "down" else "LR"
    yield "digraph {"
    yield f"graph [rankdir={rank}, nodesep=0.3, ranksep=0.3, fontname=Courier]"
    if len(diagram.boxes) > LARGE:
        yield "graph [nslimit=1, nslimit1=1]"
    yield 'node [shape=box, fixedsize=true, label=""]'
    yield "edge [arrowsize=0.8]"
    numbers = {box.key: number for number, box in enumerate(diagram.boxes)}
    yield from _frames(diagram, "", numbers, _label_frames(diagram))
    for box in diagram.boxes:
        if not box.frame:
            yield _node(box, numbers)
    for number, arrow in enumerate(diagram.arrows):
        yield from _edges(arrow, number, numbers, diagram)
    for number, (above, below) in enumerate(row_ends(diagram)):
        yield f"row{number} [width=0.01, height=0.01, style=invis]"
        yield from (f"{numbers[key]} -> row{number} [style=invis]" for key in above)
        yield from (f"row{number} -> {numbers[key]} [style=invis]" for key in below)
    yield "}"


def row_ends(diagram: Diagram) -> Iterator[tuple[list[str], list[str]]]:
    """Between each two rows of frames, the last boxes of the one and the first of the other."""
    led_to = {arrow.head for arrow in diagram.arrows}
    led_from = {arrow.tail for arrow in diagram.arrows}
    for above, below in pairwise(diagram.rows):
        last = [b.key for b in diagram.boxes if b.frame in above and b.key not in led_from]
        first = [b.key for b in diagram.boxes if b.frame in below and b.key not in led_to]
        yield last, first


def _label_frames(diagram: Diagram) -> dict[str, list[int]]:
    """Numbers of the arrows whose labels lie inside a frame, as both of their ends do."""
    frames = {frame.key: frame for frame in diagram.frames}
    of_box = {box.key: frames_around(frames, box.frame) for box in diagram.boxes}
    found: dict[str, list[int]] = {}
    for number, arrow in enumerate(diagram.arrows):
        shared = [key for key in of_box[arrow.tail] if key in of_box[arrow.head]]
        if shared and label_of(arrow):
            found.setdefault(shared[0], []).append(number)
    return found


def _frames(
    diagram: Diagram, parent: str, numbers: dict[str, int], labels: Mapping[str, list[int]]
) -> Iterator[str]:
    for number, frame in enumerate(diagram.frames):
        if frame.parent != parent:
            continue
        yield f"subgraph cluster_{number} {{"
        letters = "x" * (columns(frame.title) + 1)
        yield f'graph [label="{letters}", fontsize={LABEL_SIZE}, labeljust=l, margin=10]'
        for box in diagram.boxes:
            if box.frame == frame.key:
                yield _node(box, numbers)
        yield from (f"label{label}" for label in labels.get(frame.key, ()))
        yield from _frames(diagram, frame.key, numbers, labels)
        yield "}"


def _node(box: Box, numbers: dict[str, int]) -> str:
    width, height = extent(box)
    return f"{numbers[box.key]} [width={width / 72:.4f}, height={height / 72:.4f}]"


def extent(box: Box) -> tuple[float, float]:
    """Width and height of a box around its text."""
    wide = max(columns(line.text) * ADVANCE * size_of(line) for line in box.lines)
    high = sum(map(step_of, box.lines))
    least = 0.0 if box.kind == "sum" else 44.0
    if box.image is not None:
        wide, high = max(wide, box.image.width), high + box.image.height + PAD
    return max(wide + 2 * PAD, least), high + PAD


def _edges(arrow: Arrow, number: int, numbers: dict[str, int], diagram: Diagram) -> Iterator[str]:
    """An arrow; one that goes back along a forward arrow is laid out the same way round. A label
    is a node on the way, so that nothing is drawn across it."""
    tail, head = str(numbers[arrow.tail]), str(numbers[arrow.head])
    back = runs_back(arrow, diagram)
    loose = "" if arrow.of_gradient else ", weight=3"
    if goes_against(arrow, diagram):
        loose = ", constraint=false"
    pieces = [(tail, head, "")]
    if label_of(arrow):
        middle = f"label{number}"
        width, height = label_extent(arrow)
        yield f"{middle} [width={width / 72:.4f}, height={height / 72:.4f}]"
        pieces = [(tail, middle, "none"), (middle, head, "")]
    for part, (start, end, style) in enumerate(pieces):
        if back:
            start, end = end, start
        shown = style or ("back" if back else "forward")
        yield f"{start} -> {end} [id={number * 2 + part}, dir={shown}{loose}]"


def label_extent(arrow: Arrow) -> tuple[float, float]:
    """Width and height of an arrow's label."""
    label = label_of(arrow)
    wide = max(columns(line.text) for line in label) * ADVANCE * LABEL_SIZE
    return wide + 6.0, len(label) * LABEL_SIZE * STEP + 4.0


def runs_back(arrow: Arrow, diagram: Diagram) -> bool:
    """Whether an arrow of a gradient goes back beside the forward arrows of the same picture; one
    that comes out of the next round goes their way."""
    return arrow.of_gradient and not arrow.again and diagram.has_forward


def goes_against(arrow: Arrow, diagram: Diagram) -> bool:
    """Whether an arrow leads to a box that stands before its own."""
    return arrow.again and (not arrow.of_gradient or not diagram.has_forward)


def label_of(arrow: Arrow) -> tuple[Line, ...]:
    """An arrow's label; of a forward one the operand's place."""
    return (*arrow.label, *([Line(arrow.slot, "note")] if arrow.slot else []))


# -------------------------------------------------------------------- from Graphviz


def _read(diagram: Diagram, found: dict[str, Any]) -> Placed:
    left, bottom, right, top = _floats(found["bb"].split(","))

    def point(text: str) -> Point:
        x, y = _floats(text.split(","))
        return x - left, top - y

    boxes: dict[str, Area] = {}
    frames: dict[str, Area] = {}
    labels: dict[int, Area] = {}
    for entry in found.get("objects", []):
        name = entry["name"]
        if name.startswith("cluster_") and "bb" in entry:
            frame = diagram.frames[int(name.removeprefix("cluster_"))]
            frames[frame.key] = _area(entry["bb"], left, top)
        elif name.startswith("label"):
            number = int(name.removeprefix("label"))
            labels[number] = Area(*point(entry["pos"]), *label_extent(diagram.arrows[number]))
        elif name.isdecimal():
            box = diagram.boxes[int(name)]
            boxes[box.key] = Area(*point(entry["pos"]), *extent(box))
    edges = [entry for entry in found.get("edges", []) if "id" in entry]
    pieces = {int(entry["id"]): _piece(entry, point) for entry in edges}
    routes = {
        arrow.key: _route(number, diagram, pieces, labels)
        for number, arrow in enumerate(diagram.arrows)
    }
    return Placed(diagram, right - left, top - bottom, boxes, frames, routes)


def _area(text: str, left: float, top: float) -> Area:
    x0, y0, x1, y1 = _floats(text.split(","))
    return Area((x0 + x1) / 2 - left, top - (y0 + y1) / 2, x1 - x0, y1 - y0)


Piece = tuple[tuple[Point, ...], "Point | None"]
"""Points of a curve from its tail on, and the tip of the head where it has one."""


def _piece(entry: dict[str, Any], point: Callable[[str], Point]) -> Piece:
    """Graphviz's ``e,x,y`` (the tip of a head at the end), ``s,x,y`` (at the start), points."""
    tip = None
    points = []
    for part in entry["pos"].split(";")[0].split():
        if part[:2] in ("e,", "s,"):
            tip = point(part[2:])
        else:
            points.append(point(part))
    return tuple(points), tip


def _route(
    number: int, diagram: Diagram, pieces: Mapping[int, Piece], labels: Mapping[int, Area]
) -> Route:
    """The pieces in the direction of the arrow, joined to its label."""
    back = runs_back(diagram.arrows[number], diagram)
    found = [pieces[i] for i in (number * 2, number * 2 + 1) if i in pieces]
    curves = tuple(points[::-1] if back else points for points, _ in found)
    tip = found[-1][1]
    return Route(curves, tip or curves[-1][-1], labels.get(number))


def _floats(parts: Iterable[str]) -> Sequence[float]:
    return [float(part) for part in parts]
