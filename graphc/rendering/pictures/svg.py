"""Painting: a placed diagram as SVG, with everything it needs inside.

Letters come from a font of fixed width and are told how wide to be, so a picture is the same
whatever font a viewer has. Colour is never the only sign: gradients are dashed and below, values
above, changes carry a sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from graphc.rendering.layout import wrapped
from graphc.rendering.pictures.diagram import Arrow, Box, Diagram, Frame, Line
from graphc.rendering.pictures.moments import Moment
from graphc.rendering.pictures.network_strokes import connection, pixels
from graphc.rendering.pictures.pen import curve, n, written
from graphc.rendering.pictures.placing import (
    ADVANCE,
    LABEL_SIZE,
    PAD,
    STEP,
    Area,
    Placed,
    Route,
    label_of,
    size_of,
    step_of,
)
from graphc.rendering.pictures.wording import columns, visible

__all__ = ["FONT", "caption_lines", "paint"]

FONT = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace"
MARGIN = 14.0
TITLE = 15.0
NOTE = 11.0
CAPTION = 12.5
LEAST_WIDTH = 320.0

INK = {
    "value": "#116329",
    "name": "#111111",
    "formula": "#333333",
    "type": "#666666",
    "gradient": "#b42318",
    "note": "#666666",
}
FILL = {
    "input": "#eaf2fb",
    "target": "#eaf2fb",
    "parameter": "#fff4d6",
    "state": "#fff4d6",
    "sum": "#fdeceb",
    "gradient": "#fff7f6",
    "fold": "#f1f1f1",
    "group": "#f4f0fa",
    "active": "#ffe58a",
    "dead": "#e4e4e4",
}
STROKE = {"gradient": "#b42318", "sum": "#b42318", "dead": "#a8a8a8", "matrix": "#cccccc"}
FRAME_INK = {"definition": "#7a8aa0", "group": "#8a6fb0", "block": "#5c8a5c", "panel": "#999999"}
MARK = {"added": ("#116329", "+"), "removed": ("#b42318", "−"), "changed": ("#8a5a00", "~")}


def paint(placed: Placed, moment: Moment | None = None, room: int = 0) -> str:
    """The picture as SVG text, deterministic, with an id for every box, arrow and frame.

    Of a story it is one ``moment``: what is not known yet is left out, what is spoken of stands
    out, and the caption below has ``room`` for that many lines.
    """
    diagram = placed.diagram
    head = list(_head(diagram, placed.width))
    foot = [] if moment is None else list(_caption(moment, placed.width))
    top = MARGIN + sum(step for _, _, step in head) + (6.0 if head else 0.0)
    wide = max((columns(text) * ADVANCE * size for text, size, _ in head), default=0.0)
    below = max(room, len(foot)) * CAPTION * 1.4 if moment else 0.0
    width = max(placed.width, wide, LEAST_WIDTH) + 2 * MARGIN
    height = top + placed.height + MARGIN + below
    shift = MARGIN + (width - 2 * MARGIN - placed.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graphc" role="img" '
        f'width="{n(width)}" height="{n(height)}" viewBox="0 0 {n(width)} {n(height)}" '
        f'font-family="{FONT}">',
        f"<title>{escape(visible(diagram.title))}</title>",
        f'<rect width="{n(width)}" height="{n(height)}" fill="#ffffff"/>',
    ]
    parts += _head_parts(head)
    parts.append(f'<g class="graph" transform="translate({n(shift)} {n(top)})">')
    for frame in diagram.frames:
        if frame.key in placed.frames:
            parts += _frame(frame, placed.frames[frame.key])
    for box in diagram.boxes:
        if moment is not None and box.key in moment.active:
            parts.append(_halo(placed.boxes[box.key]))
    for arrow in diagram.arrows:
        if arrow.key in placed.routes:
            parts += _arrow(arrow, placed.routes[arrow.key], moment)
    for box in diagram.boxes:
        parts += _box(box, placed.boxes[box.key], moment)
    for frame in diagram.frames:
        if frame.key in placed.frames:
            parts += _frame_title(frame, placed.frames[frame.key])
    parts.append("</g>")
    y = top + placed.height + CAPTION * 1.4
    for number, line in enumerate(foot):
        weight = ' font-weight="bold"' if number == 0 else ""
        parts.append(
            written(line, MARGIN, y, CAPTION, INK["name"], "start", f'class="caption"{weight}')
        )
        y += CAPTION * 1.4
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


# ------------------------------------------------------------------------------ head


def _head(diagram: Diagram, width: float) -> Iterator[tuple[str, float, float]]:
    """Title and notes as lines: text, size, step."""
    if diagram.title:
        yield visible(diagram.title), TITLE, TITLE * 1.5
    room = int(max(width, LEAST_WIDTH * 1.6) / (ADVANCE * NOTE))
    for note in diagram.notes:
        for line in wrapped(visible(note), room, "  "):
            yield line, NOTE, NOTE * 1.4


def caption_lines(moments: Sequence[Moment], width: float) -> int:
    """Lines that the longest caption takes below a picture of that width."""
    return max((len(list(_caption(moment, width))) for moment in moments), default=0)


def _caption(moment: Moment, width: float) -> Iterator[str]:
    room = int(max(width, LEAST_WIDTH * 1.6) / (ADVANCE * CAPTION))
    for text in (moment.title, *moment.caption):
        yield from wrapped(visible(text), room, "  ")


def _head_parts(head: list[tuple[str, float, float]]) -> Iterator[str]:
    y = MARGIN
    for number, (text, size, step) in enumerate(head):
        ink = INK["name"] if number == 0 else INK["note"]
        weight = ' font-weight="bold"' if number == 0 else ""
        yield written(text, MARGIN, y + size, size, ink, "start", f'class="head"{weight}')
        y += step


# ----------------------------------------------------------------------------- boxes


def _box(box: Box, area: Area, moment: Moment | None) -> Iterator[str]:
    left, top = area.x - area.width / 2, area.y - area.height / 2
    place = f' data-line="{box.place}"' if box.place else ""
    frame = f' data-frame="{escape(box.frame)}"' if box.frame else ""
    mark = f" {box.mark}" if box.mark else ""
    hidden = frozenset() if moment is None else moment.unknown(box.key)
    yield (
        f'<g id="box-{box.key}" class="box {box.kind}{mark}" '
        f'data-name="{escape(visible(box.name))}"{place}{frame}{_numbers(box)}>'
    )
    tip = [line.text for line in (*box.lines, *box.tip)]
    yield f"<title>{escape(chr(10).join(map(visible, tip)))}</title>"
    yield from _outline(box, left, top, area)
    y = top + PAD / 2
    if box.image is not None:
        yield pixels(box.image, area)
    elif box.kind in ("unit", "dead"):
        y = area.y - sum(map(step_of, box.lines)) / 2
    for line in box.lines:
        size = size_of(line)
        y += step_of(line)
        if line.role in hidden:
            continue
        weight = ' font-weight="bold"' if line.role == "name" else ""
        attributes = f'class="{line.role}"{weight}'
        baseline = y - (STEP - 0.95) * size
        yield written(line.text, area.x, baseline, size, INK[line.role], "middle", attributes)
    yield "</g>"


def _halo(area: Area) -> str:
    left, top = area.x - area.width / 2 - 5, area.y - area.height / 2 - 5
    return (
        f'<rect class="halo" x="{n(left)}" y="{n(top)}" width="{n(area.width + 10)}" '
        f'height="{n(area.height + 10)}" rx="8" fill="#ffe58a" stroke="#c79a00"/>'
    )


def _numbers(box: Box) -> str:
    """Single numbers with every digit, for who reads the picture by machine."""
    text = ""
    for key, value in (("value", box.value), ("gradient", box.gradient)):
        if value is not None and getattr(value, "ndim", 0) == 0:
            text += f' data-{key}="{float(value)!r}"'
    return text


def _outline(box: Box, left: float, top: float, area: Area) -> Iterator[str]:
    fill = FILL.get(box.kind, "#ffffff")
    stroke, sign = MARK.get(box.mark, (STROKE.get(box.kind, "#555555"), ""))
    style = f'fill="{fill}" stroke="{stroke}" stroke-width="{2.2 if sign else 1.1}"'
    if box.kind == "gradient" or box.mark == "removed":
        style += ' stroke-dasharray="5 3"'
    elif box.kind == "target":
        style += ' stroke-dasharray="2 2"'
    round = {"input": 8.0, "target": 8.0, "unit": 8.0, "dead": 8.0, "sum": area.height / 2}.get(
        box.kind, 3.0
    )
    shape = f'width="{n(area.width)}" height="{n(area.height)}" rx="{n(round)}"'
    if box.kind in ("fold", "group"):
        yield f'<rect x="{n(left + 3)}" y="{n(top + 3)}" {shape} {style}/>'
    yield f'<rect class="shape" x="{n(left)}" y="{n(top)}" {shape} {style}/>'
    if box.kind in ("parameter", "state"):
        yield (
            f'<path d="M{n(left + 3)} {n(top)}V{n(top + area.height)}" '
            f'stroke="{stroke}" stroke-width="1" fill="none"/>'
        )
    if sign:
        yield f'<circle cx="{n(left)}" cy="{n(top)}" r="8" fill="{stroke}"/>'
        yield written(sign, left, top + 4.5, 13.0, "#ffffff", "middle", 'font-weight="bold"')


# ---------------------------------------------------------------------------- arrows


def _arrow(arrow: Arrow, route: Route, moment: Moment | None) -> Iterator[str]:
    if arrow.kind in ("weight", "removed"):
        yield from connection(arrow, route)
        return
    dashed = arrow.of_gradient
    if moment is not None and dashed and arrow.key not in moment.arrows:
        return
    heavy = moment is not None and arrow.key in moment.active
    ink = INK["gradient"] if dashed else "#555555"
    if arrow.mark:
        ink = MARK[arrow.mark][0]
    dash = ' stroke-dasharray="5 3"' if dashed else ' stroke-dasharray="1 3"' if arrow.again else ""
    again = " again" if arrow.again else ""
    yield (
        f'<g id="{arrow.key}" class="arrow {arrow.kind}{again}" '
        f'data-tail="{arrow.tail}" data-head="{arrow.head}">'
    )
    if arrow.tip:
        told = "\n".join(visible(line.text) for line in arrow.tip)
        yield f"<title>{escape(told)}</title>"
    style = f'fill="none" stroke="{ink}" stroke-width="{"2.6" if heavy else "1.2"}"{dash}'
    for points in route.pieces:
        yield f'<path d="{curve(points)}" {style}/>'
    yield f'<path class="tip" d="{_head_shape(route)}" fill="{ink}" stroke="none"/>'
    label = label_of(arrow)
    if label and route.label is not None:
        yield from _label(label, route.label)
    yield "</g>"


def _head_shape(route: Route) -> str:
    """A triangle from the end of the curve to the tip."""
    (x0, y0), (x1, y1) = route.pieces[-1][-1], route.tip
    dx, dy = (x1 - x0) * 0.42, (y1 - y0) * 0.42
    corners = ((x1, y1), (x0 - dy, y0 + dx), (x0 + dy, y0 - dx))
    return "M" + "L".join(f"{n(x)} {n(y)}" for x, y in corners) + "Z"


def _label(label: tuple[Line, ...], area: Area) -> Iterator[str]:
    step = LABEL_SIZE * STEP
    y = area.y - step * len(label) / 2
    for line in label:
        y += step
        size = LABEL_SIZE if line.role != "note" else LABEL_SIZE - 1
        attributes, baseline = f'class="{line.role}"', y - (STEP - 0.95) * LABEL_SIZE
        yield written(line.text, area.x, baseline, size, INK[line.role], "middle", attributes)


# ----------------------------------------------------------------------------- frames


def _frame(frame: Frame, area: Area) -> Iterator[str]:
    left, top = area.x - area.width / 2, area.y - area.height / 2
    ink = FRAME_INK[frame.kind]
    dash = ' stroke-dasharray="6 3"' if frame.kind == "block" else ""
    yield f'<g class="frame {frame.kind}" data-frame="{escape(frame.key)}">'
    yield (
        f'<rect x="{n(left)}" y="{n(top)}" width="{n(area.width)}" height="{n(area.height)}" '
        f'rx="6" fill="{ink}" fill-opacity="0.07" stroke="{ink}"{dash}/>'
    )
    yield "</g>"


def _frame_title(frame: Frame, area: Area) -> Iterator[str]:
    """The title, above the arrows that cross the frame."""
    left, top = area.x - area.width / 2, area.y - area.height / 2
    title, ink = visible(frame.title), FRAME_INK[frame.kind]
    wide = columns(title) * ADVANCE * LABEL_SIZE
    yield f'<g class="frame-title {frame.kind}" data-frame="{escape(frame.key)}">'
    yield (
        f'<rect x="{n(left + 5)}" y="{n(top + 4)}" width="{n(wide + 6)}" '
        f'height="{n(LABEL_SIZE * 1.4)}" fill="#ffffff" fill-opacity="0.85"/>'
    )
    yield written(title, left + 8, top + 15, LABEL_SIZE, ink, "start", 'font-weight="bold"')
    yield "</g>"
