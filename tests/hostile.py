"""Text that tries to break out of a picture or a page, and a model that is full of it."""

from __future__ import annotations

from graphc.rendering.pictures.diagram import Arrow, Box, Diagram, Frame, Line
from graphc.rendering.pictures.moments import Moment

__all__ = ["ATTACK", "FILE", "MODEL", "hostile_diagram", "hostile_moments"]

ATTACK = (
    "</script></style></title></svg><script>window.__hit = 1</script>"
    "<img src=x onerror='window.__hit = 1'><!-- \" ' & &lt; ]]> "
    "\u2028 \u2029 \u202e \u2066 \x00 \n \r"
)
FILE = "a\"b'<b>&\u202e\nc.gc"
"""The name of a model's file."""

_ONE_LINE = "".join(letter for letter in ATTACK if letter.isprintable() or letter in "\u2028\u202e")
_QUOTED = _ONE_LINE.replace("\\", "").replace('"', "'")

MODEL = f"""model hostile    # {_ONE_LINE}

hyper rate = 0.5 "{_QUOTED}"

input  x: real = 1.5\t# {_ONE_LINE}
param  שלום: real = 0.25
y = שלום * x * rate
loss f = y^2
"""


def hostile_diagram() -> Diagram:
    """A diagram with attacks wherever there is text."""
    lines = (Line(ATTACK, "name"), Line(ATTACK, "value"), Line(ATTACK, "gradient"))
    boxes = tuple(
        Box(key, "value", f"{key}{ATTACK}", lines, lines, "frame", 1) for key in ("a", "b")
    )
    arrow = Arrow("a", "b", label=lines, tip=lines, slot=ATTACK)
    frames = (Frame("frame", f"title{ATTACK}"),)
    return Diagram(f"picture{ATTACK}", boxes, (arrow,), frames, (f"note{ATTACK}",))


def hostile_moments() -> list[Moment]:
    """A story of one moment with attacks in its words."""
    both, none = frozenset("ab"), frozenset[str]()
    return [Moment(f"title{ATTACK}", (f"caption{ATTACK}",), both, both, none, both)]
