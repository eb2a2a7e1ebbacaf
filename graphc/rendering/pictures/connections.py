"""A small network as units and connections: what is left of it, what was removed, what is dead.

Units stand in columns, inputs on the left; graphc places them itself, because their order and
their columns are the network's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.rendering.numbers import number
from graphc.rendering.pictures.diagram import Arrow, Box, Diagram, Line
from graphc.rendering.pictures.placing import Area, Placed, Point, Route, extent
from graphc.rendering.pictures.value_places import place_values
from graphc.rendering.pictures.wording import visible

__all__ = ["MOST_CONNECTIONS", "Weights", "draw_connections", "living"]

MOST_CONNECTIONS = 150
"""Weights between units of a network that is still drawn as one."""
MOST_VALUES = 40
"""Weights left whose values are written beside them."""
PORT = 6.0
"""Pixels between the ends of two connections at a unit."""
GAP, LOOSEST = 12.0, 60.0
"""Pixels between units: at least in the highest column, at most in others."""
NEAREST, FARTHEST = 190.0, 520.0
"""Pixels between columns: as far apart as the values need."""
LONGEST_NAME = 24
IN_TIPS = "a connection tells its value to who points at it"

Reals = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Weights:
    """A layer: ``W [inputs, units]`` with what is kept of it, and ``b [units]`` or None."""

    weight: Reals
    kept: Mask
    bias: Reals | None = None
    bias_kept: Mask | None = None


def living(layers: Sequence[Weights]) -> tuple[list[Mask], list[Mask]]:
    """For the inputs and the units of each layer: whether a way leads there from an input, and
    whether one leads on from there to an output. A unit without both is dead."""
    reached: list[Mask] = [np.ones(len(layers[0].weight), np.bool_)]
    for layer in layers:
        reached.append(np.any(layer.kept & reached[-1][:, None], axis=0))
    leads: list[Mask] = [np.ones(layers[-1].weight.shape[1], np.bool_)]
    for layer in reversed(layers):
        leads.insert(0, np.any(layer.kept & leads[0][None, :], axis=1))
    return reached, leads


def draw_connections(
    title: str, names: Sequence[Sequence[str]], layers: Sequence[Weights], notes: Sequence[str]
) -> Placed:
    """The picture of ``layers`` whose inputs and units have ``names``, a column each."""
    reached, leads = living(layers)
    columns = [
        [
            _unit(level, i, name, layers, bool(reached[level][i]), bool(leads[level][i]))
            for i, name in enumerate(column)
        ]
        for level, column in enumerate(names)
    ]
    arrows = _arrows(columns, layers)
    boxes = tuple(box for column in columns for box in column)
    diagram = Diagram(title, boxes, arrows, notes=tuple(notes), direction="right")
    if any(arrow.label for arrow in arrows):
        gaps = [NEAREST] * len(layers)
        placed, crossed = _placed(diagram, columns, gaps)
        while crossed and all(gaps[level] < FARTHEST for level in crossed):
            gaps = [gap * 1.25 if i in crossed else gap for i, gap in enumerate(gaps)]
            placed, crossed = _placed(diagram, columns, gaps)
        if not crossed:
            return placed
    return _placed(_without_values(diagram), columns, [NEAREST] * len(layers))[0]


# ------------------------------------------------------------------------------ diagram


def _unit(
    level: int, i: int, name: str, layers: Sequence[Weights], reached: bool, leads: bool
) -> Box:
    name = visible(name)
    name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    alive = reached and leads
    lines = [Line(name, "name" if alive else "type")]
    if level == 0:
        if not alive:
            lines = [Line(f"{name}, dead", "type")]
        return Box(_key(level, i), "input" if alive else "dead", name, tuple(lines))
    layer = layers[level - 1]
    tip = []
    if layer.bias is not None:
        kept = layer.bias_kept is None or bool(layer.bias_kept[i])
        lines.append(_bias(float(layer.bias[i]), kept))
        if kept:
            tip.append(Line(f"bias = {float(layer.bias[i])!r}", "value"))
    if not alive:
        lines.append(Line("dead", "type"))
        way = "from here to an output" if reached else "here from an input"
        tip.append(Line(f"no way leads {way}", "note"))
    return Box(_key(level, i), "unit" if alive else "dead", name, tuple(lines), tuple(tip))


def _bias(value: float, kept: bool) -> Line:
    return Line(f"bias {_short(value)}", "formula") if kept else Line("bias removed", "note")


def _key(level: int, i: int) -> str:
    return f"unit-{level}-{i}"


def _arrows(columns: Sequence[Sequence[Box]], layers: Sequence[Weights]) -> tuple[Arrow, ...]:
    """Those that were removed first, so that they lie below the others."""
    sizes = [np.abs(layer.weight[layer.kept]).max(initial=0.0) for layer in layers]
    largest = max(map(float, sizes)) or 1.0
    few = sum(int(layer.kept.sum()) for layer in layers) <= MOST_VALUES
    found: list[Arrow] = []
    for layer, (tails, heads) in zip(layers, pairwise(columns), strict=True):
        for j, head in enumerate(heads):
            for i, tail in enumerate(tails):
                value = float(layer.weight[i, j])
                way = f"{tail.name} → {head.name}"
                if not layer.kept[i, j]:
                    tip = (Line(f"{way}: removed", "note"),)
                    found.append(Arrow(tail.key, head.key, "removed", tip=tip))
                    continue
                label = (Line(_short(value), "value"),) if few else ()
                tip = (Line(f"{way}: {value!r}", "value"),)
                strength = value / largest
                found.append(Arrow(tail.key, head.key, "weight", label, tip, strength=strength))
    return tuple(sorted(found, key=lambda arrow: arrow.kind != "removed"))


def _short(value: float) -> str:
    return number(float(f"{value:.3g}"))


def _without_values(diagram: Diagram) -> Diagram:
    """The values in tips alone, with a word about that if there are any."""
    arrows = tuple(replace(arrow, label=()) for arrow in diagram.arrows)
    some = any(arrow.kind == "weight" for arrow in arrows)
    notes = (*diagram.notes, *([IN_TIPS] if some else []))
    return replace(diagram, arrows=arrows, notes=notes)


# ------------------------------------------------------------------------------- places


def _placed(
    diagram: Diagram, columns: Sequence[Sequence[Box]], gaps: Sequence[float]
) -> tuple[Placed, set[int]]:
    """The picture with ``gaps`` between columns, and the gaps where values are hard to read."""
    boxes = _stacked(diagram, columns, gaps)
    ends = _ends(diagram, boxes)
    labels, crossed = place_values(diagram, boxes, ends)
    routes = {
        arrow.key: _route(*ends[arrow.key], labels.get(arrow.key)) for arrow in diagram.arrows
    }
    width = max(area.x + area.width / 2 for area in boxes.values())
    height = max(area.y + area.height / 2 for area in boxes.values())
    level = {box.key: i for i, column in enumerate(columns) for box in column}
    return Placed(diagram, width, height, boxes, {}, routes), {level[key] for key in crossed}


def _stacked(
    diagram: Diagram, columns: Sequence[Sequence[Box]], gaps: Sequence[float]
) -> dict[str, Area]:
    """Columns beside each other, each in the middle of the height of the highest."""
    coming: dict[str, int] = {}
    for arrow in diagram.arrows:
        coming[arrow.head] = coming.get(arrow.head, 0) + 1
    sizes = []
    for column in columns:
        found = [extent(box) for box in column]
        least = [PORT * (coming.get(box.key, 0) + 1) for box in column]
        high = [max(size[1], ports) for size, ports in zip(found, least, strict=True)]
        sizes.append((max(width for width, _ in found), high))
    total = max(sum(high) + GAP * (len(high) - 1) for _, high in sizes)
    boxes: dict[str, Area] = {}
    left = 0.0
    for column, (wide, high), gap in zip(columns, sizes, (*gaps, 0.0), strict=True):
        between = min((total - sum(high)) / len(high), LOOSEST)
        top = (total - sum(high) - between * (len(high) - 1)) / 2
        for box, height in zip(column, high, strict=True):
            boxes[box.key] = Area(left + wide / 2, top + height / 2, wide, height)
            top += height + between
        left += wide + gap
    return boxes


def _ends(diagram: Diagram, boxes: dict[str, Area]) -> dict[str, tuple[Point, Point]]:
    """Where connections begin and end: from one point of a unit, to a point each of the next."""
    coming: dict[str, list[Arrow]] = {}
    for arrow in diagram.arrows:
        coming.setdefault(arrow.head, []).append(arrow)
    ends = {}
    for head, arrows in coming.items():
        to = boxes[head]
        arrows = sorted(arrows, key=lambda arrow: boxes[arrow.tail].y)
        step = to.height / (len(arrows) + 1)
        for place, arrow in enumerate(arrows, start=1):
            start = boxes[arrow.tail]
            end = (to.x - to.width / 2, to.y - to.height / 2 + place * step)
            ends[arrow.key] = ((start.x + start.width / 2, start.y), end)
    return ends


def _route(start: Point, end: Point, label: Area | None) -> Route:
    if label is None:
        return Route((_straight(start, end),), end)
    dx, dy = end[0] - start[0], end[1] - start[1]
    share = min(label.width / 2 / abs(dx) if dx else 1.0, label.height / 2 / abs(dy) if dy else 1.0)
    before = (label.x - share * dx, label.y - share * dy)
    after = (label.x + share * dx, label.y + share * dy)
    return Route((_straight(start, before), _straight(after, end)), end, label)


def _straight(start: Point, end: Point) -> tuple[Point, ...]:
    (x0, y0), (x1, y1) = start, end
    return (
        start,
        (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3),
        (x0 + (x1 - x0) * 2 / 3, y0 + (y1 - y0) * 2 / 3),
        end,
    )
