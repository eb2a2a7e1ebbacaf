"""Where the definitions of a text stand, without reading what they say."""

from __future__ import annotations

import re
from itertools import pairwise

from graphc.diagnostics import Source

__all__ = ["outline"]

_HEAD = re.compile(r"^(?:def|layer|optimizer)[ \t]+(\w+)", re.MULTILINE)


def outline(source: Source) -> dict[str, tuple[int, int]]:
    """The definitions of a text of definitions: where the head of each is, at the beginning of a
    line, and where that of the next one is or the text ends."""
    heads = list(_HEAD.finditer(source.text))
    bounds = pairwise([*(head.start() for head in heads), len(source.text)])
    return {head[1]: (start, end) for head, (start, end) in zip(heads, bounds, strict=True)}
