"""What tests ask of a picture: its boxes by name, and whether anything overlaps or is cut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from xml.etree import ElementTree

from graphc.rendering.pictures.placing import Area, Placed, Point
from graphc.rendering.pictures.svg import paint

SVG = "{http://www.w3.org/2000/svg}"


def boxes_of(svg: str) -> dict[str, dict[str, str]]:
    """The attributes of every box of an SVG by the name of its value."""
    root = ElementTree.fromstring(svg)
    return {
        group.attrib["data-name"]: dict(group.attrib)
        for group in root.iter(f"{SVG}g")
        if "data-name" in group.attrib
    }


def texts_of(svg: str) -> list[str]:
    """Every line of text that an SVG shows."""
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def flaws(placed: Placed) -> list[str]:
    """What is wrong with a layout: overlaps, cuts, arrows in the air. Nothing in a good one."""
    return [*_overlaps(placed), *_cuts(placed), *_loose(placed), *_broken_text(placed)]


def _overlaps(placed: Placed) -> Iterator[str]:
    named = dict(placed.boxes)
    for key, route in placed.routes.items():
        if route.label is not None:
            named[f"label {key}"] = route.label
    for (a, first), (b, second) in combinations(named.items(), 2):
        if _meet(first, second):
            yield f"{a} overlaps {b}"


def _meet(a: Area, b: Area) -> bool:
    slack = 1.0
    across = abs(a.x - b.x) < (a.width + b.width) / 2 - slack
    return across and abs(a.y - b.y) < (a.height + b.height) / 2 - slack


def _cuts(placed: Placed) -> Iterator[str]:
    for key, area in (*placed.boxes.items(), *placed.frames.items()):
        left, right = area.x - area.width / 2, area.x + area.width / 2
        top, bottom = area.y - area.height / 2, area.y + area.height / 2
        if left < -1 or top < -1 or right > placed.width + 1 or bottom > placed.height + 1:
            yield f"{key} is cut"
    for key, route in placed.routes.items():
        for x, y in (point for piece in route.pieces for point in _on_curve(piece)):
            if not (-8 <= x <= placed.width + 8 and -8 <= y <= placed.height + 8):
                yield f"{key} leaves the picture at {x:.0f}, {y:.0f}"
                break


def _on_curve(points: tuple[Point, ...]) -> Iterator[Point]:
    """Points of the Bézier curves themselves, which may bend less far than their handles."""
    for start in range(0, len(points) - 3, 3):
        a, b, c, d = points[start : start + 4]
        for step in range(9):
            t = step / 8
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            x, y = (
                sum(w * p[i] for w, p in zip(weights, (a, b, c, d), strict=True)) for i in (0, 1)
            )
            yield x, y


def _loose(placed: Placed) -> Iterator[str]:
    """An arrow begins at its tail, ends at its head, and its label joins the pieces."""
    for arrow in placed.diagram.arrows:
        route = placed.routes[arrow.key]
        if _distance(route.tip, placed.boxes[arrow.head]) > 3:
            yield f"{arrow.key} does not touch its head"
        if _distance(route.pieces[0][0], placed.boxes[arrow.tail]) > 3:
            yield f"{arrow.key} does not touch its tail"
        if route.label is not None and (
            _distance(route.pieces[0][-1], route.label) > 3
            or _distance(route.pieces[1][0], route.label) > 3
        ):
            yield f"{arrow.key} does not touch its label"


def _distance(point: Point, area: Area) -> float:
    """From a point to the border of a rectangle."""
    dx = abs(point[0] - area.x) - area.width / 2
    dy = abs(point[1] - area.y) - area.height / 2
    if dx <= 0 and dy <= 0:
        return -max(dx, dy)
    return math.hypot(max(dx, 0.0), max(dy, 0.0))


def _broken_text(placed: Placed) -> Iterator[str]:
    """Text that is wider than its box."""
    root = ElementTree.fromstring(paint(placed))
    for group in root.iter(f"{SVG}g"):
        if "data-name" not in group.attrib:
            continue
        key = group.attrib["id"].removeprefix("box-")
        for text in group.iter(f"{SVG}text"):
            if float(text.attrib.get("textLength", 0)) > placed.boxes[key].width:
                yield f"{key}: {text.text} is wider than its box"
