"""Plots with matplotlib: training curves, parameters as images, a surface with a path on it.

Arrays and words come in, a figure goes out; nothing here knows a run. Importing this file needs
matplotlib, so whoever draws imports it then. Figures are made without pyplot: no display is asked
for and no state is left behind. The same arguments give the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from graphc.rendering.plot_style import (
    BLUE,
    DECADES,
    FEW,
    INK,
    LOOKS,
    RED,
    WIDTH,
    Heading,
    Reals,
    figure_with,
    make_log,
    plain_text,
    settled,
    shortened,
    spans_decades,
    styled,
)

__all__ = [
    "Heading",
    "Line",
    "Panel",
    "Path",
    "PlotFormat",
    "draw_curves",
    "draw_matrix",
    "draw_profile",
    "draw_surface",
    "draw_tiles",
    "draw_vector",
    "figure_bytes",
    "plain_text",
]

PlotFormat = Literal["svg", "png", "pdf"]

_PNG_DPI = 192
_DIVERGING, _SEQUENTIAL = "RdBu_r", "viridis"
_LEVELS = 18


@dataclass(frozen=True)
class Line:
    """A curve over the epochs; NaN leaves a gap."""

    label: str
    values: Reals
    look: Literal["training", "validation"]


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes. The first panel has a legend, so the titles of the others say
    what their curves are."""

    title: str
    lines: tuple[Line, ...]
    log: bool = False
    """Whether the axis may be logarithmic, which it is for a range of over two decades."""


@dataclass(frozen=True)
class Path:
    """The points that an optimizer passed, ``[points, axes]``, and what to call the last one."""

    points: Reals
    label: str
    end: str


# ------------------------------------------------------------------------------- curves


@styled
def draw_curves(
    epochs: ArrayLike, panels: Sequence[Panel], heading: Heading, best: int | None = None
) -> Figure:
    """Small multiples over the epochs ``[n]``, the epoch ``best`` marked in each."""
    number = np.asarray(epochs)
    columns = min(len(panels), 2 if len(panels) in (2, 4) else 3)
    rows = math.ceil(len(panels) / columns)
    figure = figure_with(heading, 2.9 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, panel in zip(axes, panels, strict=False):
        _draw_panel(ax, number, panel, best, 100 // columns)
    axes[0].legend(loc="best")
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    return settled(figure)


def _draw_panel(ax: Axes, epochs: NDArray[Any], panel: Panel, best: int | None, most: int) -> None:
    """``most`` is the longest title that there is room for."""
    for number, line in enumerate(panel.lines):
        look = LOOKS[line.look]
        every = max(1, len(epochs) // 12)
        marked = slice(None) if len(epochs) <= FEW else (number * every // 2, every)
        ax.plot(epochs, line.values, **look, markevery=marked, label=shortened(line.label, 40))
    if best is not None:
        mark = ax.axvline(best, color="#444444", linestyle=(0, (2, 2)), linewidth=1, zorder=1)
        mark.set_label(f"best epoch, {best}")
    ax.set_title(shortened(panel.title, most))
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    ax.set_xlim(_from_one(epochs))
    if panel.log and spans_decades(np.concatenate([line.values for line in panel.lines])):
        make_log(ax)


def _from_one(epochs: NDArray[Any]) -> tuple[float, float]:
    """All epochs and a little more, so that no tick says 0."""
    margin = max(0.5, 0.02 * len(epochs))
    return epochs[0] - min(margin, 0.9), epochs[-1] + margin


# ------------------------------------------------------------------------------ weights


@styled
def draw_vector(values: ArrayLike, heading: Heading) -> Figure:
    """A bar for each entry of ``[n]``, from 0."""
    array = np.asarray(values, dtype=np.float64)
    figure = figure_with(heading, 2.6)
    ax = figure.subplots()
    colors = [RED if value > 0 else BLUE for value in array]
    width = 0.8 if array.size <= 2 * FEW else 1.0
    ax.bar(np.arange(array.size), array, width=width, color=colors)
    ax.axhline(0, color="#666666", linewidth=0.8)
    ax.grid(False, axis="x")
    ax.margins(x=0.01)
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    ax.set_xlabel("entry")
    ax.set_ylabel("value")
    return settled(figure)


@styled
def draw_matrix(values: ArrayLike, heading: Heading) -> Figure:
    """A heat map of ``[rows, columns]``, white at 0."""
    array = np.asarray(values, dtype=np.float64)
    rows, columns = array.shape
    ratio = min(max(rows / columns, 0.12), 0.85)
    figure = figure_with(heading, 0.9 + ratio * (WIDTH - 2.2))
    ax = figure.subplots()
    norm, extend = _symmetric(array)
    image = ax.imshow(array, cmap=_diverging(), norm=norm, interpolation="none", aspect="auto")
    _whole_numbers(ax)
    ax.set_xlabel("second axis")
    ax.set_ylabel("first axis")
    _framed(ax)
    _color_bar(figure, ax, image, "weight", extend)
    return settled(figure)


@styled
def draw_tiles(
    tiles: ArrayLike,
    heading: Heading,
    *,
    columns: int | None = None,
    across: str = "unit",
    down: str = "",
) -> Figure:
    """Images ``[n, height, width]`` side by side, all scaled alike, white at 0.

    Of images with three colours, ``[n, height, width, 3]``, grey is 0. Rows are filled one after
    the other with ``columns`` images each, by default as many as make a good shape. ``across``
    names what the columns count, ``down`` what the rows do where that is something else.
    """
    array = np.asarray(tiles, dtype=np.float64)
    wide = columns or good_columns(len(array), array.shape[1] / array.shape[2])
    rows = math.ceil(len(array) / wide)
    gap = max(1, round(min(array.shape[1:3]) / 12))
    sheet = _sheet(array, rows, wide, gap)
    ratio = sheet.shape[0] / sheet.shape[1]
    box = min(WIDTH - 2.0, 6.5 / ratio, 1.3 * wide)
    figure = figure_with(heading, 0.75 + ratio * box)
    ax = figure.subplots()
    norm, extend = _symmetric(array)
    if array.ndim == 4:
        ax.imshow(_colors(sheet, norm), interpolation="none")
    else:
        image = ax.imshow(sheet, cmap=_diverging(), norm=norm, interpolation="none")
        _color_bar(figure, ax, image, "weight", extend)
    _number_tiles(ax, array.shape[1] + gap, array.shape[2] + gap, rows, wide, bool(down))
    across = shortened(across, 24)
    ax.set_xlabel(across if down or rows == 1 else f"{across}, row + column")
    ax.set_ylabel(shortened(down, 24))
    return settled(figure)


def good_columns(count: int, ratio: float) -> int:
    """How many of ``count`` images, each ``ratio`` times as high as wide, stand in a row: all of a
    few; of more as many as leave few places empty and make a whole somewhat wider than high."""
    if count <= 8 * ratio:
        return count

    def badness(columns: int) -> float:
        rows = math.ceil(count / columns)
        empty = rows * columns - count
        return 3 * empty / count + 0.3 * abs(math.log(columns / (rows * ratio) / 1.5))

    return min(range(1, count + 1), key=badness)


def _sheet(tiles: Reals, rows: int, columns: int, gap: int) -> Reals:
    """The images on one sheet, NaN between them."""
    count, height, width, *colors = tiles.shape
    down, across = height + gap, width + gap
    sheet = np.full((rows * down - gap, columns * across - gap, *colors), np.nan)
    for number in range(count):
        top, left = number // columns * down, number % columns * across
        sheet[top : top + height, left : left + width] = tiles[number]
    return sheet


def _colors(sheet: Reals, norm: Normalize) -> Reals:
    """Red, green and blue in 0..1, white where there is no image."""
    scaled = np.clip(np.asarray(norm(sheet), dtype=np.float64), 0, 1)
    return np.where(np.isfinite(sheet), scaled, 1.0)


def _number_tiles(
    ax: Axes, height: int, width: int, rows: int, columns: int, two_axes: bool
) -> None:
    """Numbers beside the first images of rows and columns. The two add up to an image's number,
    unless rows count something else."""
    x = _spread(columns, 20)
    y = _spread(rows, 20)
    ax.set_xticks([(i + 0.5) * width - 1 for i in x], [str(i) for i in x])
    per_row = 1 if two_axes else columns
    ax.set_yticks([(i + 0.5) * height - 1 for i in y], [str(i * per_row) for i in y])
    ax.tick_params(labelleft=rows > 1)
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)


def _spread(count: int, most: int) -> list[int]:
    return list(range(0, count, max(1, math.ceil(count / most))))


def _symmetric(values: Reals) -> tuple[Normalize, str]:
    """From −m to m for the largest size m, or, where few entries are far larger than all others,
    for the size that 99.5% do not exceed. Which ends values go beyond, for a colour bar."""
    finite = values[np.isfinite(values)]
    if not finite.size or not finite.any():
        return Normalize(-1, 1), "neither"
    sizes = np.abs(finite)
    most, largest = float(np.quantile(sizes, 0.995)), float(sizes.max())
    if not 0 < 1.5 * most < largest:
        return Normalize(-largest, largest), "neither"
    beyond = [bool((finite < -most).any()), bool((finite > most).any())]
    ends = {(True, True): "both", (True, False): "min", (False, True): "max"}
    return Normalize(-most, most), ends[beyond[0], beyond[1]]


def _diverging() -> Any:
    """White is 0; what is no number is grey, and the gaps between images are see-through."""
    return matplotlib.colormaps[_DIVERGING]


def _color_bar(figure: Figure, ax: Axes, image: ScalarMappable, label: str, extend: str) -> None:
    bar = figure.colorbar(image, ax=ax, extend=extend, aspect=28, pad=0.015, fraction=0.05)
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.grid(False)


def _whole_numbers(ax: Axes) -> None:
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def _framed(ax: Axes) -> None:
    ax.grid(False)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_linewidth(0.6)


# ------------------------------------------------------------------------------ surfaces


@styled
def draw_surface(
    x: ArrayLike,
    y: ArrayLike,
    z: ArrayLike,
    path: Path,
    heading: Heading,
    *,
    labels: tuple[str, str],
    equal: bool = False,
) -> Figure:
    """Levels of ``z [len(y), len(x)]`` and a path over them; what is not finite is hatched.

    ``equal`` gives both axes one scale.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    heights = np.ma.masked_invalid(np.asarray(z, dtype=np.float64))
    ratio = (ys[-1] - ys[0]) / (xs[-1] - xs[0]) if equal else 0.65
    figure = figure_with(heading, 0.9 + min(ratio * (WIDTH - 2), 6))
    ax = figure.subplots()
    levels = contour_levels(heights.compressed())
    norm = BoundaryNorm(levels, 256)
    ax.set_facecolor("#bbbbbb")
    filled = ax.contourf(xs, ys, heights, levels, cmap=_SEQUENTIAL, norm=norm)
    ax.contour(
        xs, ys, heights, levels, colors="white", linewidths=0.5, alpha=0.6, linestyles="solid"
    )
    trail = {
        "color": "white",
        "linewidth": 1.4,
        "marker": "o" if len(path.points) <= FEW else "",
        "markersize": 3,
        "path_effects": [withStroke(linewidth=3.2, foreground=INK)],
    }
    _draw_path(ax, path, trail)
    bar = figure.colorbar(filled, ax=ax, aspect=28, pad=0.015, fraction=0.05, spacing="uniform")
    bar.set_label("objective")
    ticks = levels[::3].tolist()
    bar.set_ticks(ticks, labels=[f"{level:g}".replace("-", "−") for level in ticks])
    bar.ax.grid(False)
    ax.set_xlim(xs[0], xs[-1])
    ax.set_ylim(ys[0], ys[-1])
    ax.set_xlabel(shortened(labels[0], 60))
    ax.set_ylabel(shortened(labels[1], 44))
    ax.set_aspect("equal" if equal else "auto")
    _framed(ax)
    return settled(figure)


@styled
def draw_profile(x: ArrayLike, z: ArrayLike, path: Path, heading: Heading, *, label: str) -> Figure:
    """``z [len(x)]`` as a curve, and a path ``[points, 2]`` on it."""
    heights = np.asarray(z, dtype=np.float64)
    figure = figure_with(heading, 3.8)
    ax = figure.subplots()
    ax.plot(np.asarray(x), heights, color=BLUE)
    # Its points alone: between them the optimizer jumps.
    dots = {"color": RED, "linestyle": "", "marker": "o", "markersize": 4}
    _draw_path(ax, path, dots)
    if spans_decades(heights):
        make_log(ax)
    ax.set_xlabel(shortened(label, 60))
    ax.set_ylabel("objective")
    return settled(figure)


def contour_levels(values: Reals) -> Reals:
    """Rising levels that enclose all values: at equal ratios where these are positive and far
    apart, otherwise closer near the least, as level lines of a bowl at equal distances. They are
    rounded to two digits, of themselves or of their distances."""
    if not values.size:
        return np.array([0.0, 1.0])
    low, high = float(values.min()), float(values.max())
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        return np.array([low - max(abs(low), 1e-3), low + max(abs(low), 1e-3)])
    steps = np.linspace(0, 1, _LEVELS + 1)
    if low > 0 and high > DECADES * low:
        levels = scale = low * (high / low) ** steps
    else:
        levels = low + (high - low) * steps**2
        scale = np.diff(levels, append=2 * high - levels[-2])
    digits = [1 - math.floor(math.log10(size)) for size in scale]
    inner = [round(float(level), n) for level, n in zip(levels, digits, strict=True)][1:-1]
    ends = _rounded_down(low, digits[0]), -_rounded_down(-high, digits[-1])
    return np.unique([ends[0], *inner, ends[1]])


def _rounded_down(value: float, digits: int) -> float:
    unit = 10.0**-digits
    return round(math.floor(value / unit) * unit, digits)


def _draw_path(ax: Axes, path: Path, look: dict[str, Any]) -> None:
    x, y = path.points.T
    ax.plot(x, y, label=shortened(path.label, 36), **look)
    ends: dict[str, Any] = {"markeredgecolor": INK, "linestyle": "", "zorder": 4}
    ax.plot(x[:1], y[:1], marker="o", markersize=8, color="white", label="start", **ends)
    star: dict[str, Any] = {"marker": "*", "markersize": 15, "color": "#f0a500"}
    ax.plot(x[-1:], y[-1:], label=shortened(path.end, 36), **star, **ends)
    # Above the axes, where it covers nothing.
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, columnspacing=1.6
    )


# -------------------------------------------------------------------------------- files


@styled
def figure_bytes(figure: Figure, kind: PlotFormat, heading: Heading) -> bytes:
    """The file. An SVG says what it shows in words too, for whoever does not see it."""
    stream = io.BytesIO()
    title, details = plain_text(heading.title), plain_text(heading.details)
    metadata: dict[str, Any] = {"Title": title, "Creator": None}
    if kind == "svg":
        metadata.update(Date=None)
    elif kind == "pdf":
        metadata.update(Producer=None, CreationDate=None)
    else:
        metadata = {"Title": title, "Software": None}
    resolution = _PNG_DPI if kind == "png" else "figure"
    figure.savefig(stream, format=kind, dpi=resolution, metadata=metadata)
    data = stream.getvalue()
    return _described(data, title, details) if kind == "svg" else data


def _described(svg: bytes, title: str, details: str) -> bytes:
    """The picture with the role, and the words, that screen readers look for."""
    head, tag, rest = svg.decode().partition("<svg ")
    rest = rest.replace("</title>", f"</title>\n <desc>{escape(details)}</desc>", 1)
    # In pixels, because some programs do not know how large a point is.
    rest = re.sub(r'="([0-9.]+)pt"', lambda size: f'="{float(size[1]) * 4 / 3:g}"', rest, count=2)
    return f'{head}{tag}role="img" {rest}'.encode()
