"""Where the values of connections stand, so that each can be read and belongs to its line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.rendering.pictures.diagram import Arrow, Diagram
from graphc.rendering.pictures.placing import Area, Point, label_extent

__all__ = ["place_values"]

PLACES = 41
"""Places on a line that are tried, from its middle outwards."""
STEP = 0.019
"""Between two of them, in parts of the line."""

Reals = NDArray[np.floating[Any]]


def place_values(
    diagram: Diagram, boxes: Mapping[str, Area], ends: Mapping[str, tuple[Point, Point]]
) -> tuple[dict[str, Area], set[str]]:
    """A place on its own line for every value, where it meets no other value, no box and, if that
    can be, no other line; and the tails of those that found none such.

    Those with the fewest good places choose first, each the one nearest to the middle.
    """
    arrows = [arrow for arrow in diagram.arrows if arrow.label]
    weights = [arrow.key for arrow in diagram.arrows if arrow.kind == "weight"]
    lines = np.array([ends[key] for key in weights], np.float64).reshape(-1, 4)
    blocks = np.array([(a.x, a.y, a.width, a.height) for a in boxes.values()], np.float64)
    choices = {
        arrow.key: _choices(arrow, ends[arrow.key], blocks, lines, weights.index(arrow.key))
        for arrow in arrows
    }
    order = sorted(arrows, key=lambda arrow: sum(not met for _, met in choices[arrow.key]))
    taken: dict[str, Area] = {}
    crossed: set[str] = set()
    for arrow in order:
        free = [
            (met, far, area)
            for far, (area, met) in enumerate(choices[arrow.key])
            if not any(_meet(area, other) for other in taken.values())
        ]
        if not free:
            crossed.add(arrow.tail)
            continue
        met, _, taken[arrow.key] = min(free, key=lambda place: place[:2])
        if met:
            crossed.add(arrow.tail)
    return taken, crossed


def _choices(
    arrow: Arrow, ends: tuple[Point, Point], blocks: Reals, lines: Reals, own: int
) -> list[tuple[Area, int]]:
    """Places on an arrow that meet no box, each with the number of other lines that cross it."""
    (x0, y0), (x1, y1) = ends
    width, height = label_extent(arrow)
    number = np.arange(PLACES)
    share = 0.5 + (number + 1) // 2 * np.where(number % 2, -1, 1) * STEP
    x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
    across = np.abs(x[:, None] - blocks[:, 0]) < (width + blocks[:, 2]) / 2 + 1
    down = np.abs(y[:, None] - blocks[:, 1]) < (height + blocks[:, 3]) / 2 + 1
    met = _crossing(x, y, width, height, np.delete(lines, own, axis=0)).sum(axis=1)
    free = np.flatnonzero(~(across & down).any(axis=1))
    return [(Area(float(x[i]), float(y[i]), width, height), int(met[i])) for i in free]


def _crossing(x: Reals, y: Reals, width: float, height: float, lines: Reals) -> NDArray[np.bool_]:
    """``[places, lines]``: whether a line passes through the rectangle around a place (Liang and
    Barsky, 1984)."""
    begin, end = np.zeros((len(x), len(lines))), np.ones((len(x), len(lines)))
    for middle, size, start, stop in (
        (x, width, lines[:, 0], lines[:, 2]),
        (y, height, lines[:, 1], lines[:, 3]),
    ):
        delta = np.where(stop == start, 1e-9, stop - start)
        low = (middle[:, None] - size / 2 - start) / delta
        high = (middle[:, None] + size / 2 - start) / delta
        begin = np.maximum(begin, np.minimum(low, high))
        end = np.minimum(end, np.maximum(low, high))
    return begin <= end


def _meet(a: Area, b: Area) -> bool:
    across = abs(a.x - b.x) < (a.width + b.width) / 2 + 1
    return across and abs(a.y - b.y) < (a.height + b.height) / 2 + 1
