"""What a page shows beside its picture: the model's text and the generated function."""

from __future__ import annotations

import ast
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from graphc.rendering.pictures.page import Listing, to_page

if TYPE_CHECKING:
    from graphc.session.picture import Picture

__all__ = ["page_of"]

FUNCTIONS = ("_evaluation", "loss_and_gradients", "losses", "predict")
"""Generated functions that a page may show, the first that is there."""
MOST_LINES = 1500
"""Lines of a generated function that are still shown."""


def page_of(picture: Picture) -> str:
    """The picture as one HTML page."""
    request = picture.model.checked.request
    name = PurePath(request.source.name.replace("\\", "/")).name
    model = Listing(name, 1, tuple(request.source.text.split("\n")))
    return to_page(picture.placed, picture.moments, model, generated(picture, name))


def generated(picture: Picture, name: str) -> Listing | None:
    """The generated function that computes what the picture shows, each line with the model's line
    that its comment names."""
    source = picture.model.source
    lines = source.split("\n")
    found = {
        node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
    }
    chosen = next((found[function] for function in FUNCTIONS if function in found), None)
    if chosen is None or chosen.end_lineno is None:
        return None
    if chosen.end_lineno - chosen.lineno > MOST_LINES:
        return None
    text = tuple(lines[chosen.lineno - 1 : chosen.end_lineno])
    mark = re.compile(rf"#.*\s{re.escape(name)}:(\d+)$")
    places = tuple(int(match[1]) if (match := mark.search(line)) else 0 for line in text)
    return Listing(chosen.name, chosen.lineno, text, places)
