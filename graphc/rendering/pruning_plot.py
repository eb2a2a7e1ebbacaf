"""A plot of pruning: what each round was predicted to cost, what it did cost, what was left.

As in :mod:`graphc.rendering.plots`: numbers and words come in, a figure goes out, and the same
arguments give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from graphc.rendering.plot_style import (
    BLUE,
    FEW,
    INK,
    LOOKS,
    RED,
    Heading,
    Reals,
    figure_with,
    make_log,
    settled,
    shortened,
    spans_decades,
    styled,
)

__all__ = ["PrunedRound", "draw_pruning", "rise_ticks"]

_PREDICTED: dict[str, Any] = {"color": BLUE, "linestyle": "-", "marker": "o", "markersize": 4}
_MEASURED: dict[str, Any] = {
    "color": RED,
    "linestyle": (0, (4, 1.5)),
    "marker": "x",
    "markersize": 5,
    "markeredgewidth": 1.6,
}
_ROUND: dict[str, Any] = {"linestyle": "", "markerfacecolor": "none"}
_RETRAINED: dict[str, Any] = {**_ROUND, "marker": "o", "markersize": 9, "color": "#118811"}
_UNDONE: dict[str, Any] = {**_ROUND, "marker": "s", "markersize": 11, "color": "#888888"}
_MOST_TICKS = 3
"""Powers of ten on either side of 0."""
_MOST_DECADES = 12
"""Of the size of rises; smaller ones are drawn as 0 is."""


@dataclass(frozen=True)
class PrunedRound:
    """A deletion, or the retraining after one, after which ``left`` weights are left.

    ``predicted`` and ``measured`` are the rise of the objective by a deletion, before and after it;
    ``objective`` is its value in the end, ``scores`` are those of the metric by part; None where
    nothing is known. What was ``undone`` is not in the result.
    """

    left: int
    predicted: float | None = None
    measured: float | None = None
    objective: float | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    retrained: bool = False
    undone: bool = False


@styled
def draw_pruning(
    rounds: Sequence[PrunedRound],
    heading: Heading,
    *,
    metric: str = "",
    stopped: int | None = None,
) -> Figure:
    """Rises of the objective, the objective and the ``metric`` over the number of weights left,
    which falls to the right; ``stopped`` is the number with which pruning ended."""
    left = np.array([each.left for each in rounds], np.float64)
    parts = list(dict.fromkeys(part for each in rounds for part in each.scores)) if metric else []
    figure = figure_with(heading, 6.6 if parts else 4.9)
    axes = figure.subplots(3 if parts else 2, 1, sharex=True, squeeze=False).ravel()
    _draw_rises(axes[0], left, rounds)
    _draw_objective(axes[1], left, rounds)
    if parts:
        _draw_metric(axes[2], left, rounds, metric, parts)
    for ax in axes:
        if stopped is not None:
            line = {"color": "#444444", "linestyle": (0, (2, 2)), "linewidth": 1, "zorder": 1}
            mark = ax.axvline(stopped, **line)
            if ax is axes[0]:
                mark.set_label(f"stopped with {stopped:,} left")
    _fall(axes[-1], left)
    for ax in axes:
        if ax.get_legend_handles_labels()[1]:
            ax.legend(loc="lower left", bbox_to_anchor=(0.32, 1.0), ncols=4, borderaxespad=0.1)
    return settled(figure)


# ------------------------------------------------------------------------------- panels


def _draw_rises(ax: Axes, left: Reals, rounds: Sequence[PrunedRound]) -> None:
    deletions = np.array([not each.retrained for each in rounds])
    left = left[deletions]
    predicted = _numbers([each.predicted for each in rounds])[deletions]
    measured = _numbers([each.measured for each in rounds])[deletions]
    for values, look, label in (
        (predicted, _PREDICTED, "predicted"),
        (measured, _MEASURED, "measured"),
    ):
        if np.isfinite(values).any():
            ax.plot(left, values, **look, markevery=_every(left), label=label)
    ax.set_title("rise of the objective by each deletion")
    threshold, ticks = rise_ticks(np.concatenate([predicted, measured]))
    ax.set_yscale("symlog", linthresh=threshold, linscale=0.6)
    ax.set_yticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.axhline(0, color="#666666", linewidth=0.8, zorder=1)


def rise_ticks(values: Reals) -> tuple[float, list[float]]:
    """Where a symmetric logarithmic axis begins to be one, and its ticks: 0 and powers of ten on
    the sides that have values."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size:
        return 1.0, [0.0]
    high = math.ceil(math.log10(float(sizes.max())))
    low = math.floor(math.log10(float(np.quantile(sizes, 0.05, method="lower"))))
    low = min(max(low, high - _MOST_DECADES), high - 1)
    step = math.ceil((high - low + 1) / _MOST_TICKS)
    powers = [10.0**power for power in range(high, low - 1, -step)]
    finite = values[np.isfinite(values)]
    down = [-power for power in powers] if finite.min() < 0 else []
    up = powers if finite.max() > 0 else []
    lowest = -(10.0 ** math.ceil(math.log10(-finite.min()))) if down else 0.0
    return 10.0**low, sorted([tick for tick in down if tick >= lowest] + [0.0] + up)


def _draw_objective(ax: Axes, left: Reals, rounds: Sequence[PrunedRound]) -> None:
    values = _numbers([each.objective for each in rounds])
    ax.plot(left, values, color=INK, marker="o", markersize=4, markevery=_every(left))
    for label, look, marked in (
        ("retrained", _RETRAINED, [each.retrained for each in rounds]),
        ("taken back", _UNDONE, [each.undone for each in rounds]),
    ):
        if any(marked):
            ax.plot(left[marked], values[marked], label=label, **look)
    ax.set_title("objective")
    if spans_decades(values):
        make_log(ax)


def _draw_metric(
    ax: Axes, left: Reals, rounds: Sequence[PrunedRound], metric: str, parts: Sequence[str]
) -> None:
    looks = [LOOKS["training"], LOOKS["validation"], {"color": INK, "marker": "^", "markersize": 4}]
    for part, look in zip(parts, looks, strict=False):
        values = _numbers([each.scores.get(part) for each in rounds])
        ax.plot(left, values, **look, markevery=_every(left), label=shortened(part, 24))
    ax.set_title(shortened(metric, 40))


def _fall(ax: Axes, left: Reals) -> None:
    """The number of weights left, falling to the right; logarithmic over more than two decades."""
    low, high = float(left.min()), float(left.max())
    ax.set_xlabel("weights left")
    if spans_decades(left):
        ax.set_xscale("log")
        ax.set_xlim(high * 1.15, low / 1.15)
        ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=12))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        margin = max(0.5, 0.02 * (high - low))
        ax.set_xlim(high + margin, max(low - margin, -0.5))
        ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _every(left: Reals) -> int:
    return 1 if len(left) <= 2 * FEW else len(left) // FEW


def _numbers(values: Sequence[float | None]) -> Reals:
    return np.array([math.nan if value is None else value for value in values], np.float64)
