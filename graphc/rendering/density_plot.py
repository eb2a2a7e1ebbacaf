"""The plot of a density of eigenvalues with its error bars."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from graphc.rendering.plot_style import BLUE, Heading, figure_with, make_log, settled, styled

__all__ = ["draw_density"]

_DECADES = 1e-6
"""What is less than this part of the highest point is drawn as that."""


@styled
def draw_density(
    places: ArrayLike, heights: ArrayLike, errors: ArrayLike, heading: Heading
) -> Figure:
    """A density on a logarithmic scale, with two standard errors on either side as a band."""
    x, y, spread = (np.asarray(array, dtype=np.float64) for array in (places, heights, errors))
    figure = figure_with(heading, 3.8)
    ax = figure.subplots()
    floor = float(y.max()) * _DECADES
    low, high = np.maximum(y - 2 * spread, floor), np.maximum(y + 2 * spread, floor)
    ax.fill_between(x, low, high, color=BLUE, alpha=0.25, linewidth=0)
    ax.plot(x, np.maximum(y, floor), color=BLUE)
    ax.axvline(0, color="#888888", linewidth=0.8, zorder=0)
    make_log(ax)
    ax.set_ylim(floor, float(high.max()) * 2)
    ax.set_xlabel("eigenvalue")
    ax.set_ylabel("density")
    return settled(figure)
