"""Text in columns of a terminal: rows that wrap where they are too wide, and nothing cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

__all__ = ["WIDTH", "Row", "padded", "table", "width", "wrapped"]

WIDTH = 100
WIDEST_NAME = 26
"""Columns of a left side beyond which its formula starts on the next line."""
WIDEST_PLACE = 28
"""Columns of a place beyond which it stands on a line of its own."""
GAP = "  "

Row = tuple[str, str, str, str]
"""Left side, formula, numbers, place."""


def table(rows: Sequence[Row], indent: str = GAP) -> list[str]:
    """Rows in columns. Numbers that do not fit beside their formula stand below it."""
    first = _column((row[0] for row in rows), WIDEST_NAME)
    last = _column((row[3] for row in rows), WIDEST_PLACE)
    room = WIDTH - len(indent) - first - len(GAP) - (last + len(GAP) if last else 0)
    second = max((width(row[1]) for row in rows if _fits(row, 0, room)), default=0)
    third = max((width(row[2]) for row in rows if _fits(row, second, room)), default=0)
    bodies = [_body(row, second, room) for row in rows]
    whole = max([second + len(GAP) + third, *(width(body[0]) for body in bodies)])
    lines = []
    for (left, _, _, place), body in zip(rows, bodies, strict=True):
        lead = f"{indent}{padded(left, first)}{GAP}"
        start = " " * (len(indent) + first + len(GAP))
        if width(left) > first:
            lines.append(f"{indent}{left}")
            lead = start
        beside = place if width(place) <= last else ""
        lines.append(f"{lead}{padded(body[0], whole)}{GAP}{beside}".rstrip())
        lines += [f"{start}{line}" for line in body[1:]]
        lines += [f"{start}  {place}"] if place != beside else []
    return lines


def _fits(row: Row, column: int, room: int) -> bool:
    """Whether the numbers of a row fit beside its formula, from a column on."""
    _, formula, numbers, _ = row
    return bool(numbers) and max(column, width(formula)) + len(GAP) + width(numbers) <= room


def _body(row: Row, column: int, room: int) -> list[str]:
    """The lines of formula and numbers."""
    _, formula, numbers, _ = row
    if _fits(row, column, room):
        return [f"{padded(formula, column)}{GAP}{numbers}"]
    return [*wrapped(formula, room), *(wrapped(numbers, room) if numbers else [])]


def _column(cells: Iterable[str], widest: int) -> int:
    return max((w for cell in cells if (w := width(cell)) <= widest), default=0)


def padded(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))


def width(text: str) -> int:
    """Columns on a terminal: a bar over a letter takes none."""
    return sum(not unicodedata.combining(letter) for letter in text)


def wrapped(text: str, columns: int, hanging: str = "    ") -> list[str]:
    """Lines of a formula, a list of numbers or a sentence, broken outside of brackets if that can
    be."""
    lines: list[str] = []
    while width(text) > columns:
        at = _break(text, columns, bool(lines) * len(hanging))
        if at is None:
            break
        lines.append(text[:at].rstrip())
        text = hanging + text[at:].lstrip()
    return [*lines, text]


def _break(text: str, columns: int, begin: int) -> int | None:
    """Where to go on in the next line: of the last places, one inside fewest brackets."""
    best: tuple[int, int] | None = None
    depth = used = 0
    for place, letter in enumerate(text):
        used += not unicodedata.combining(letter)
        if used > columns and best is not None:
            break
        depth += (letter in "([{") - (letter in ")]}")
        if place <= begin + 2 or used <= columns // 3 or not _may_break(text, place, depth):
            continue
        if best is None or depth <= best[0]:
            best = (depth, place)
    return None if best is None else best[1]


def _may_break(text: str, place: int, depth: int) -> bool:
    """Whether a line may begin here: at a word, or at an operator, not behind one."""
    letter, before = text[place], text[place - 1]
    if letter == " ":
        following = text[place + 1 : place + 2]
        return before not in "·+−/→⊗=<>≤≥Σ₀₁₂₃₄₅₆₇₈₉" and (following != "=" or depth == 0)
    return letter in "·+−/→" and before not in " (=,⁰"
