"""The plot of a pruning: its artists hold the numbers given, near zero and below it too."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.rendering.plot_style import Heading
from graphc.rendering.plots import figure_bytes
from graphc.rendering.pruning_plot import PrunedRound, draw_pruning, rise_ticks

HEADING = Heading("m-1-pruned-1: pruning", "4 deletions")
ROUNDS = [
    PrunedRound(9, 1e-6, 2e-6, 0.1, {"train": 1.0, "validation": 0.9}),
    PrunedRound(8, None, -3e-7, 0.11, {"train": 1.0, "validation": None}),
    PrunedRound(8, None, None, 0.05, {"train": 1.0, "validation": 0.95}, retrained=True),
    PrunedRound(6, 0.02, 0.03, 0.13, {"train": 0.9, "validation": 0.8}, undone=True),
]


def lines(ax) -> dict[str, tuple[list[float], list[float]]]:
    """The points of an axes' named lines."""
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in ax.lines
        if not line.get_label().startswith("_")
    }


def test_everything_is_there():
    rises, objective, metric = draw_pruning(ROUNDS, HEADING, metric="accuracy", stopped=8).axes
    found = lines(rises)
    assert found["measured"] == ([9, 8, 6], [2e-6, -3e-7, 0.03])
    assert found["predicted"][0] == [9, 8, 6]
    np.testing.assert_array_equal(found["predicted"][1], [1e-6, np.nan, 0.02])
    assert found["stopped with 8 left"][0] == [8, 8]
    assert rises.get_yscale() == "symlog"
    assert list(objective.lines[0].get_ydata()) == [0.1, 0.11, 0.05, 0.13]
    assert lines(objective)["retrained"] == ([8], [0.05])
    assert lines(objective)["taken back"] == ([6], [0.13])
    assert lines(metric)["train"] == ([9, 8, 8, 6], [1.0, 1.0, 1.0, 0.9])
    assert metric.get_title(loc="left") == "accuracy"
    left, right = metric.get_xlim()
    assert left > 9 > 6 > right


def test_many_weights_are_on_a_logarithmic_axis():
    many = [PrunedRound(n, None, 1.0, 1.0) for n in (250_000, 20_000, 1_000)]
    rises, objective = draw_pruning(many, HEADING).axes
    assert objective.get_xscale() == "log"
    assert list(lines(rises)) == ["measured"]
    assert objective.get_xlim()[0] > objective.get_xlim()[1]


@pytest.mark.parametrize(
    ("values", "threshold", "ticks"),
    [
        ([], 1.0, [0.0]),
        ([0.0, np.nan], 1.0, [0.0]),
        ([0.001], 1e-4, [0.0, 1e-4, 1e-3]),
        ([2e-3, 5e-2], 1e-3, [0.0, 1e-3, 1e-2, 1e-1]),
        ([-2e-3, 5e-2], 1e-3, [-1e-2, -1e-3, 0.0, 1e-3, 1e-2, 1e-1]),
        ([-0.5], 1e-1, [-1.0, -0.1, 0.0]),
        ([1e-40, 1.0], 1e-12, [0.0, 1e-10, 1e-5, 1.0]),
    ],
)
def test_ticks_of_rises(values, threshold, ticks):
    found = rise_ticks(np.array(values, np.float64))
    assert found[0] == pytest.approx(threshold)
    assert found[1] == pytest.approx(ticks)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_bytes_each_time(kind):
    first, second = (
        figure_bytes(draw_pruning(ROUNDS, HEADING, metric="accuracy"), kind, HEADING)
        for _ in range(2)
    )
    assert first == second


def test_a_single_round_and_nothing_known():
    for rounds in ([PrunedRound(3, 0.0, 0.0, 0.0)], [PrunedRound(0)]):
        assert figure_bytes(draw_pruning(rounds, HEADING), "svg", HEADING).startswith(b"<?xml")
