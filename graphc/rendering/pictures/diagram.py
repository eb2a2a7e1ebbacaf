"""What a picture shows, before it has positions: boxes, arrows and frames around boxes.

Everything is text here. Who paints decides on colours and places, who exports on syntax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "Arrow",
    "Box",
    "Diagram",
    "Direction",
    "Frame",
    "Image",
    "Line",
    "Mark",
    "Role",
    "frames_around",
]

Array = Any

Role = Literal["value", "name", "formula", "type", "gradient", "note"]
Mark = Literal["", "added", "removed", "changed"]
Direction = Literal["down", "right"]


@dataclass(frozen=True)
class Line:
    """One line of a box or of an arrow's label."""

    text: str
    role: Role


@dataclass(frozen=True)
class Image:
    """Pixels below the lines of a box: a PNG file, and how large it is shown."""

    png: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Box:
    """A value, a gradient, a Σ, a fold of several, a unit of a network or a matrix.

    ``kind`` is ``input``, ``target``, ``parameter``, ``state``, ``value``, ``gradient``, ``sum``,
    ``fold`` or ``group``; of a network's unit ``unit`` or ``dead``; ``matrix``. ``place`` is the
    line of the model, 0 for none; ``value`` and ``gradient`` are arrays where they are known.
    ``tip`` are further lines for who points at it.
    """

    key: str
    kind: str
    name: str
    lines: tuple[Line, ...]
    tip: tuple[Line, ...] = ()
    frame: str = ""
    place: int = 0
    value: Array | None = None
    gradient: Array | None = None
    mark: Mark = ""
    image: Image | None = None


@dataclass(frozen=True)
class Arrow:
    """From the box ``tail`` to the box ``head``.

    ``kind`` is ``forward``, ``gradient`` or ``total`` (from a Σ to the value); between units of a
    network ``weight``, whose ``strength`` is in parts of the largest, or ``removed``. ``slot`` is
    the operand's place at the head; ``number`` counts arrows between the same boxes; ``again``
    leads into the next round of something repeated, or out of it.
    """

    tail: str
    head: str
    kind: Literal["forward", "gradient", "total", "weight", "removed"] = "forward"
    label: tuple[Line, ...] = ()
    tip: tuple[Line, ...] = ()
    slot: str = ""
    number: int = 1
    again: bool = False
    mark: Mark = ""
    strength: float = 0.0

    @property
    def of_gradient(self) -> bool:
        """Whether it carries a gradient, against the way of the values."""
        return self.kind in ("gradient", "total")

    @property
    def key(self) -> str:
        count = f"-{self.number}" if self.number > 1 else ""
        return f"{self.kind}-{self.tail}-{self.head}{count}"


@dataclass(frozen=True)
class Frame:
    """A definition, a fused group or a repeated block: a frame around boxes and other frames."""

    key: str
    title: str
    kind: Literal["definition", "group", "block", "panel"] = "definition"
    parent: str = ""


def frames_around(frames: Mapping[str, Frame], key: str) -> list[str]:
    """Keys of a frame and of those around it, innermost first; nothing for the empty key."""
    found = []
    while key:
        found.append(key)
        key = frames[key].parent
    return found


@dataclass(frozen=True)
class Diagram:
    """A whole picture. ``notes`` are sentences that a reader needs: what was folded, for which
    numbers. ``direction`` None lets the layout choose."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()
    direction: Direction | None = None
    rows: tuple[tuple[str, ...], ...] = ()
    """Frames that stand beside each other, row below row."""

    @property
    def has_forward(self) -> bool:
        """Whether values flow in the picture, not gradients alone."""
        return any(box.kind not in ("gradient", "sum") for box in self.boxes)
