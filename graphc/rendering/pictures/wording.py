"""The text of boxes and arrows: lines of a readable width, numbers in short and in full."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

from graphc.rendering.layout import width, wrapped
from graphc.rendering.numbers import brief, number
from graphc.rendering.pictures.diagram import Line, Role

__all__ = ["WIDEST", "breaks_well", "columns", "exact", "lines", "shortest", "summary", "visible"]

Array = Any

WIDEST = 34
"""Columns of a line in a box."""
MOST_LINES = 4
SMALL = 6
"""Elements of an array that a box shows in full."""
MOST_EXACT = 100
"""Elements of an array that the tip shows in full."""


def visible(text: str) -> str:
    """The text on one line, with everything that would not be seen, or would turn the text around,
    as an escape."""
    if text.isprintable():
        return text
    return "".join(_seen(letter) for letter in text)


def _seen(letter: str) -> str:
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def columns(text: str) -> int:
    """Columns in a font of fixed width: wide letters take two, marks on letters none."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text) - (
        len(text) - width(text)
    )


def lines(text: str, role: Role, widest: int = WIDEST, most: int = MOST_LINES) -> list[Line]:
    """A formula on lines that are not too wide; what is left of a long one becomes ``…``."""
    broken = wrapped(visible(text), widest, "  ")
    short = [line for each in broken for line in _cut(each, widest)]
    if len(short) > most:
        short = [*short[: most - 1], f"{short[most - 1][: widest - 1]}…"]
    return [Line(line, role) for line in short]


def breaks_well(text: str) -> bool:
    """Whether a formula fits on two lines that end where a reader expects it."""
    broken = wrapped(visible(text), WIDEST, "  ")
    return len(broken) <= 2 and all(columns(line) <= WIDEST for line in broken)


def _cut(text: str, widest: int) -> Iterable[str]:
    """A line that could not be broken anywhere, in pieces."""
    while columns(text) > widest + 2:
        yield text[:widest]
        text = "  " + text[widest:]
    yield text


def shortest(*texts: str, widest: int = WIDEST) -> str:
    """The first text that fits on a line, or else the last."""
    return next((text for text in texts if columns(text) <= widest), texts[-1])


def summary(value: Array | None, role: Role) -> list[Line]:
    """A number as it is, a small array in full, else what its elements are like."""
    if value is None:
        return []
    array = np.asarray(value)
    if array.ndim == 0 or (array.size <= SMALL and array.ndim <= 2):
        return lines(brief(array), role)
    if not array.size:
        return [Line(f"{_sizes(array)} numbers", role)]
    real = array.astype(np.float64)
    finite = real[np.isfinite(real)]
    if not finite.size:
        return [Line(f"[{_sizes(array)}] no finite number", role)]
    low, high = finite.min(), finite.max()
    if low == high and finite.size == real.size:
        return [Line(f"[{_sizes(array)}] all {number(low)}", role)]
    mean = finite.mean() if abs(finite.mean()) > 1e-12 * abs(finite).max() else 0.0
    first = f"[{_sizes(array)}] mean {_short(mean)} std {_short(finite.std())}"
    second = f"{_short(low)} … {_short(high)}, norm {_short(float(np.linalg.norm(finite)))}"
    lost = real.size - finite.size
    found = [*lines(first, role), *lines(second, role)]
    return [*found, Line(f"! {lost:,} NaN or ∞", role)] if lost else found


def _short(value: float) -> str:
    """Three digits are enough for what an array is like."""
    return number(float(f"{value:.3g}"))


def _sizes(array: Array) -> str:
    return "×".join(map(str, array.shape))


def exact(name: str, value: Array | None) -> list[str]:
    """Every digit of a number or of a small array, the shape and extremes of a large one."""
    if value is None:
        return []
    array = np.asarray(value)
    if array.ndim == 0:
        return [f"{name} = {array.item()!r}"]
    if array.size > MOST_EXACT:
        return [f"{name}: {line.text}" for line in summary(array, "value")]
    return [f"{name} =", *(f"  {row}" for row in np.array2string(array, precision=8).split("\n"))]
