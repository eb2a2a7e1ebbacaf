"""What plots with matplotlib share: their style, their heading, names that can be drawn.

Figures are made without pyplot: no display is asked for and no state is left behind.
"""

from __future__ import annotations

import contextlib
import functools
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

__all__ = [
    "BLUE",
    "DECADES",
    "FEW",
    "INK",
    "LOOKS",
    "RED",
    "WIDTH",
    "Heading",
    "Reals",
    "figure_with",
    "make_log",
    "plain_text",
    "settled",
    "shortened",
    "spans_decades",
    "styled",
]

Reals = NDArray[np.floating[Any]]
P = ParamSpec("P")
R = TypeVar("R")

WIDTH = 9.375
"""Inches: 900 pixels of a page, where a point of text is 4/3 pixels."""
_HEAD = 0.62
"""Inches above the axes for title and subtitle."""
BLUE, RED, INK = "#0072b2", "#d55e00", "#222222"
LOOKS: dict[str, dict[str, Any]] = {
    "training": {"color": BLUE, "linestyle": "-", "marker": "o", "markersize": 4},
    "validation": {"color": RED, "linestyle": (0, (4, 1.5)), "marker": "s", "markersize": 4},
}
FEW = 40
"""Points of a line that get a marker each, bars of a vector that get a gap."""
DECADES = 100
"""A ratio of largest to smallest value beyond which an axis is logarithmic."""

_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.linewidth": 1.8,
    "text.parse_math": False,  # names hold $ and _ that mean themselves
    "svg.fonttype": "path",
    "svg.hashsalt": "graphc",
}


@dataclass(frozen=True)
class Heading:
    """What stands above a plot: what it is, and a line of details."""

    title: str
    details: str


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """In the style of this file, whatever a person's own settings of matplotlib are."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(), _quiet():
            matplotlib.rcdefaults()
            settings: Any = matplotlib.rcParams
            settings.update(_STYLE)
            return function(*args, **kwargs)

    return call


def spans_decades(values: Reals) -> bool:
    """Whether an axis had better be logarithmic."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() > DECADES * finite.min())


def make_log(ax: Axes) -> None:
    """A logarithmic axis whose numbers are plain, 0.01 and not a power of 10 in mathematics."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(base=10, numticks=8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def plain_text(text: str) -> str:
    """A name as it can be drawn: a character that has no shape is a replacement character."""
    return "".join(c if _has_shape(c) else "�" for c in text)


def shortened(text: str, most: int) -> str:
    """A text with no more than ``most`` characters in a line, the middle left out."""
    if "\n" in text:
        return "\n".join(shortened(line, most) for line in text.split("\n"))
    shown = plain_text(text)
    half = (most - 1) // 2
    return shown if len(shown) <= most else f"{shown[:half]}…{shown[-half:]}"


def _has_shape(character: str) -> bool:
    return character == "\n" or unicodedata.category(character)[0] not in "C"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No words about letters that the font lacks, which are drawn as boxes, nor about a surface
    that is level."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="No contour levels were found")
        yield


def figure_with(heading: Heading, height: float) -> Figure:
    """A figure with its heading, ``height`` inches for what stands below that."""
    total = height + _HEAD
    figure = Figure(figsize=(WIDTH, total))
    figure.set_layout_engine(
        "constrained", rect=(0, 0.01, 1, 0.99 - _HEAD / total), w_pad=0.1, h_pad=0.08
    )
    title, details = shortened(heading.title, 72), shortened(heading.details, 108)
    figure.text(0.012, 1 - 0.08 / total, title, size=13, weight="bold", va="top")
    figure.text(0.012, 1 - 0.35 / total, details, size=10, color="#555555", va="top")
    return figure


def settled(figure: Figure) -> Figure:
    """The figure with everything in its place for good: it would move a little in each file."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure
