"""Painting what is left of a network: its connections and its matrices."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from html import escape

from graphc.rendering.pictures.diagram import Arrow, Image
from graphc.rendering.pictures.pen import curve, n, written
from graphc.rendering.pictures.placing import LABEL_SIZE, PAD, STEP, Area, Route
from graphc.rendering.pictures.wording import visible

__all__ = ["NEGATIVE", "PALE", "POSITIVE", "THICKEST", "THINNEST", "connection", "pixels"]

POSITIVE, NEGATIVE = "#b93c00", "#0065a0"
PALE = "#bdbdbd"
THINNEST, THICKEST = 0.9, 4.0


def connection(arrow: Arrow, route: Route) -> Iterator[str]:
    """A weight: with a pointed head where it is positive, with a round one where it is negative,
    dashed and without a head where it was removed."""
    yield (
        f'<g id="{arrow.key}" class="arrow forward {arrow.kind}" '
        f'data-tail="{arrow.tail}" data-head="{arrow.head}">'
    )
    told = "\n".join(visible(line.text) for line in arrow.tip)
    yield f"<title>{escape(told)}</title>"
    if arrow.kind == "removed":
        style = f'fill="none" stroke="{PALE}" stroke-width="0.9" stroke-dasharray="3 4"'
        yield f'<path d="{curve(route.pieces[0])}" {style}/>'
    else:
        yield from _weight(arrow, route)
    yield "</g>"


def _weight(arrow: Arrow, route: Route) -> Iterator[str]:
    ink = NEGATIVE if arrow.strength < 0 else POSITIVE
    width = THINNEST + (THICKEST - THINNEST) * abs(arrow.strength)
    for points in route.pieces:
        yield f'<path d="{curve(points)}" fill="none" stroke="{ink}" stroke-width="{n(width)}"/>'
    yield _head(arrow, route, ink, width)
    if route.label is not None:
        area, (line,) = route.label, arrow.label
        yield (
            f'<rect x="{n(area.x - area.width / 2)}" y="{n(area.y - area.height / 2)}" '
            f'width="{n(area.width)}" height="{n(area.height)}" rx="3" fill="#ffffff"/>'
        )
        baseline = area.y + (0.95 - STEP / 2) * LABEL_SIZE
        yield written(line.text, area.x, baseline, LABEL_SIZE, ink, "middle", 'class="value"')


def _head(arrow: Arrow, route: Route, ink: str, width: float) -> str:
    """At the unit that reads: a triangle, or a disc for a negative weight."""
    (x0, y0), (x1, y1) = route.pieces[-1][0], route.tip
    length = math.hypot(x1 - x0, y1 - y0)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    if arrow.strength < 0:
        size = 2.2 + width / 3
        x, y = x1 - dx * size, y1 - dy * size
        return f'<circle class="tip" cx="{n(x)}" cy="{n(y)}" r="{n(size)}" fill="{ink}"/>'
    long, half = 6.0 + width, 2.4 + width / 2
    x, y = x1 - dx * long, y1 - dy * long
    corners = ((x1, y1), (x - dy * half, y + dx * half), (x + dy * half, y - dx * half))
    path = "M" + "L".join(f"{n(a)} {n(b)}" for a, b in corners) + "Z"
    return f'<path class="tip" d="{path}" fill="{ink}" stroke="none"/>'


def pixels(image: Image, area: Area) -> str:
    """An image at the foot of its box, each pixel with sharp edges, in a thin frame."""
    data = base64.b64encode(image.png).decode()
    left, top = area.x - image.width / 2, area.y + area.height / 2 - PAD - image.height
    place = f'x="{n(left)}" y="{n(top)}" width="{image.width}" height="{image.height}"'
    return (
        f'<image {place} preserveAspectRatio="none" image-rendering="optimizeSpeed" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
        f'<rect {place} fill="none" stroke="#888888" stroke-width="0.8"/>'
    )
