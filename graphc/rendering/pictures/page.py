"""A picture as one page: offline, with keyboard, hover, search, folding and links to the text.

The page holds the SVG, the story's moments and the texts as data; ``page.js`` does the rest. No
text from a model becomes markup or script: it is data, and put on the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from graphc.rendering.pictures.diagram import Box, Diagram
from graphc.rendering.pictures.moments import Moment
from graphc.rendering.pictures.placing import Placed
from graphc.rendering.pictures.svg import paint
from graphc.rendering.pictures.wording import visible

__all__ = ["Listing", "to_page"]


@dataclass(frozen=True)
class Listing:
    """A text with numbered lines; ``places`` has for each the model's line that it computes, 0 for
    none. The model's own lines are places themselves."""

    title: str
    first: int
    lines: tuple[str, ...]
    places: tuple[int, ...] = ()


def to_page(
    placed: Placed, moments: Sequence[Moment], model: Listing, generated: Listing | None
) -> str:
    """The page as HTML text, deterministic."""
    script, style = _asset("page.js"), _asset("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sources = f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    policy = f"default-src 'none'; {sources}"
    data = _data(placed.diagram, moments, model, generated)
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(visible(placed.diagram.title))}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            f'<main id="picture">{paint(placed)}</main>',
            f'<script type="application/json" id="data">{data}</script>',
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        )
    )


def _asset(name: str) -> str:
    return (files("graphc.rendering.pictures") / name).read_text("utf-8")


def _data(
    diagram: Diagram, moments: Sequence[Moment], model: Listing, generated: Listing | None
) -> str:
    """Everything that the script needs, as JSON that cannot end its element."""
    data = {
        "title": visible(diagram.title),
        "boxes": {box.key: _box(box) for box in diagram.boxes},
        "frames": {
            frame.key: {"title": visible(frame.title), "parent": frame.parent}
            for frame in diagram.frames
        },
        "moments": [_moment(*pair) for pair in zip((None, *moments), moments, strict=False)],
        "model": _listing(model),
        "generated": None if generated is None else _listing(generated),
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _box(box: Box) -> dict[str, Any]:
    return {
        "name": visible(box.name),
        "kind": box.kind,
        "lines": [[line.role, visible(line.text)] for line in box.lines],
        "tip": [[line.role, visible(line.text)] for line in box.tip],
        "place": box.place,
        "frame": box.frame,
    }


def _moment(before: Moment | None, moment: Moment) -> dict[str, Any]:
    """What a moment adds to what is known: what is known once stays known."""
    data: dict[str, Any] = {
        "title": visible(moment.title),
        "caption": [visible(line) for line in moment.caption],
        "active": sorted(moment.active),
    }
    for what in ("values", "gradients", "arrows"):
        known = getattr(before, what) if before else frozenset()
        data[what] = sorted(getattr(moment, what) - known)
    return data


def _listing(listing: Listing) -> dict[str, Any]:
    return {
        "title": visible(listing.title),
        "first": listing.first,
        "lines": [visible(line.expandtabs(4)) for line in listing.lines],
        "places": list(listing.places),
    }
