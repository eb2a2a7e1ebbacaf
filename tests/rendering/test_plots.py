"""What is in a figure: the data of its artists; and that files are the same each time."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import graphc.rendering.plots as plots
from graphc.rendering.plots import (
    Heading,
    Line,
    Panel,
    Path,
    contour_levels,
    draw_curves,
    draw_matrix,
    draw_profile,
    draw_surface,
    draw_tiles,
    draw_vector,
    figure_bytes,
    good_columns,
)

HEADING = Heading("run-1: something", "some details")
SVG = "{http://www.w3.org/2000/svg}"


def curves(*values, best=None, log=True):
    lines = tuple(
        Line(name, np.array(v), name)
        for name, v in zip(("training", "validation"), values, strict=False)
    )
    epochs = np.arange(1, len(values[0]) + 1)
    return draw_curves(epochs, [Panel("objective", lines, log=log)], HEADING, best)


def surface(z, points=((0.0, 0.0), (1.0, 0.5), (2.0, 1.0)), **options):
    rows, columns = np.shape(z)
    return draw_surface(
        np.linspace(0, 2, columns),
        np.linspace(0, 1, rows),
        z,
        Path(np.array(points), "path", "end"),
        HEADING,
        labels=("a", "b"),
        **options,
    )


# ------------------------------------------------------------------------------- curves


def test_curves_are_the_values_by_epoch():
    (ax,) = curves([3.0, 2.0, 1.5], [4.0, np.nan, 2.0], best=3).axes
    training, validation, best = ax.lines
    assert training.get_xdata().tolist() == [1, 2, 3]
    assert training.get_ydata().tolist() == [3.0, 2.0, 1.5]
    np.testing.assert_array_equal(validation.get_ydata(), [4.0, np.nan, 2.0])
    assert set(best.get_xdata()) == {3}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "training",
        "validation",
        "best epoch, 3",
    ]


def test_curves_are_told_apart_without_colour():
    first, second = curves([3.0, 2.0], [4.0, 3.0]).axes[0].lines
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 0.009], "log"),
        ([1.0, 0.02], "linear"),
        ([1.0, 0.0], "linear"),
        ([1.0, -1.0], "linear"),
        ([np.nan], "linear"),
    ],
)
def test_an_axis_is_logarithmic_over_two_decades(values, scale):
    assert curves(values).axes[0].get_yscale() == scale
    assert curves(values, log=False).axes[0].get_yscale() == "linear"


def test_every_panel_has_its_axes_and_the_best_epoch():
    panels = [Panel(f"p{i}", (Line("v", np.ones(2), "validation"),)) for i in range(5)]
    figure = draw_curves([1, 2], panels, HEADING, best=2)
    shown = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in shown] == ["p0", "p1", "p2", "p3", "p4"]
    assert all(len(ax.lines) == 2 for ax in shown)
    assert [ax.get_legend() is not None for ax in shown] == [True, False, False, False, False]


# ------------------------------------------------------------------------------ weights


def test_a_vector_is_bars():
    (ax,) = draw_vector([1.0, -2.0, 0.5], HEADING).axes
    assert [bar.get_height() for bar in ax.patches] == [1.0, -2.0, 0.5]
    assert len({bar.get_facecolor() for bar in ax.patches}) == 2


def test_a_matrix_is_a_heat_map_centred_on_zero():
    values = np.array([[1.0, -3.0, 0.0], [2.0, 0.5, np.nan]])
    ax, bar = draw_matrix(values, HEADING).axes
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array().filled(np.nan), values)
    assert (image.norm.vmin, image.norm.vmax) == (-3.0, 3.0)
    assert image.get_cmap().name == "RdBu_r"
    assert bar.get_ylabel() == "weight"


def test_few_extreme_entries_do_not_pale_the_others():
    values = np.linspace(-1, 1, 1000).reshape(10, 100)
    values[0, 0] = 50
    figure = draw_matrix(values, HEADING)
    assert figure.axes[0].images[0].norm.vmax == pytest.approx(1, abs=0.01)
    assert figure.axes[0].images[0].colorbar.extend == "both"


def test_zeros_are_white():
    norm = draw_matrix(np.zeros((2, 2)), HEADING).axes[0].images[0].norm
    assert norm(0.0) == 0.5


def test_tiles_stand_side_by_side():
    tiles = np.arange(24.0).reshape(6, 2, 2)
    ax = draw_tiles(tiles, HEADING, columns=3).axes[0]
    sheet = ax.images[0].get_array().filled(np.nan)
    assert sheet.shape == (5, 8)
    for number, tile in enumerate(tiles):
        top, left = number // 3 * 3, number % 3 * 3
        np.testing.assert_array_equal(sheet[top : top + 2, left : left + 2], tile)
    assert np.isnan(sheet[2]).all()
    assert np.isnan(sheet[:, 2]).all()
    assert (ax.images[0].norm.vmin, ax.images[0].norm.vmax) == (-23.0, 23.0)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "2"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0", "3"]


def test_tiles_by_two_axes_are_numbered_by_both():
    ax = draw_tiles(np.ones((6, 2, 2)), HEADING, columns=3, across="out", down="in").axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0", "1"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("out", "in")


def test_tiles_of_three_colours():
    tiles = np.zeros((3, 1, 1, 3))
    tiles[1] = [2.0, 0.0, -2.0]
    (ax,) = draw_tiles(tiles, HEADING, columns=2).axes
    shown = ax.images[0].get_array()
    np.testing.assert_array_equal(shown[0, 0], [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(shown[0, 2], [1.0, 0.5, 0.0])
    np.testing.assert_array_equal(shown[2, 2], [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("count", "ratio", "columns"),
    [(1, 1, 1), (6, 1, 6), (10, 1, 5), (64, 1, 8), (100, 1, 10), (100, 4, 25)],
)
def test_columns_of_a_good_shape(count, ratio, columns):
    assert good_columns(count, ratio) == columns


# ------------------------------------------------------------------------------ surface


def test_a_surface_has_its_levels_and_the_path():
    z = np.add.outer(np.linspace(-1, 1, 11) ** 2, np.linspace(-1, 1, 21) ** 2)
    ax, bar = surface(z).axes
    filled = ax.collections[0]
    np.testing.assert_array_equal(filled.levels, contour_levels(z.ravel()))
    path, start, end = ax.lines
    assert path.get_xydata().tolist() == [[0, 0], [1, 0.5], [2, 1]]
    assert start.get_xydata().tolist() == [[0, 0]]
    assert end.get_xydata().tolist() == [[2, 1]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 2), (0, 1))
    assert bar.get_ylabel() == "objective"
    assert ax.get_aspect() == "auto"
    assert surface(z, equal=True).axes[0].get_aspect() == 1


def test_a_surface_may_have_holes_and_be_level():
    z = np.ones((5, 5))
    figure_bytes(surface(z), "svg", HEADING)
    z[0] = [np.nan, np.inf, 2, 3, 1e30]
    figure_bytes(surface(z), "svg", HEADING)


def test_a_profile_has_its_curve_and_the_points():
    path = Path(np.array([[0.0, 4.0], [1.0, 1.0]]), "path", "end")
    (ax,) = draw_profile([0, 1, 2], [4, 1, 0], path, HEADING, label="w").axes
    curve, points, *_ = ax.lines
    assert curve.get_xydata().tolist() == [[0, 4], [1, 1], [2, 0]]
    assert points.get_xydata().tolist() == [[0, 4], [1, 1]]
    assert points.get_linestyle() == "None"


@pytest.mark.parametrize(
    "values", [(0.03, 2.3), (0.0008, 1.1), (-5.0, 5.0), (0.0, 1e-7), (1000.0, 1001.0), (2.0, 1e38)]
)
def test_levels_rise_and_enclose(values):
    levels = contour_levels(np.array(values))
    assert len(levels) > 10
    assert (np.diff(levels) > 0).all()
    assert levels[0] <= values[0]
    assert levels[-1] >= values[1]
    assert levels[0] >= values[0] - 0.1 * (values[1] - values[0])


def test_levels_are_round_and_closer_near_the_least():
    assert contour_levels(np.array([0.0, 1.0]))[:4].tolist() == [0.0, 0.0031, 0.012, 0.028]
    wide = contour_levels(np.array([1e-6, 1.0]))
    assert wide[1:] / wide[:-1] == pytest.approx(10 ** (6 / 18), rel=0.1)


def test_levels_of_what_is_level():
    assert len(contour_levels(np.array([2.0, 2.0]))) == 2
    assert len(contour_levels(np.array([0.0]))) == 2
    assert len(contour_levels(np.array([]))) == 2


# -------------------------------------------------------------------------------- files


def figures():
    return [
        curves([3.0, 0.01], [4.0, 0.2], best=2),
        draw_vector([1.0, -1.0], HEADING),
        draw_matrix(np.eye(3), HEADING),
        draw_tiles(np.ones((3, 2, 2)), HEADING),
        surface(np.arange(9.0).reshape(3, 3)),
    ]


def test_files_are_the_same_each_time():
    for first, second in zip(figures(), figures(), strict=True):
        data = figure_bytes(first, "svg", HEADING)
        assert data == figure_bytes(first, "svg", HEADING)
        assert data == figure_bytes(second, "svg", HEADING)
        assert b"Matplotlib v" not in data
        assert b"<dc:date>" not in data


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_so_are_those_of_other_kinds(kind):
    first, second = (figure_bytes(draw_vector([1.0], HEADING), kind, HEADING) for _ in range(2))
    assert first == second


def test_kinds_of_files():
    figure = draw_vector([1.0], HEADING)
    assert figure_bytes(figure, "png", HEADING).startswith(b"\x89PNG")
    assert figure_bytes(figure, "pdf", HEADING).startswith(b"%PDF")


def test_an_svg_says_what_it_shows():
    heading = Heading("a <b> & c", "x < y")
    svg = ET.fromstring(figure_bytes(draw_vector([1.0], heading), "svg", heading))
    assert svg.get("role") == "img"
    assert svg.get("width") == "900"
    assert [child.tag for child in svg][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert (svg[0].text, svg[1].text) == ("a <b> & c", "x < y")


NAMES = [
    "a$b_{c}^2$",
    r"\frac{1}{2} $x",
    "w\x1b[0m\x00\n",
    "\u202eabc\u202c",
    "\ud800",
    "重み שלום",
    "x" * 500,
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_drawn(name):
    heading = Heading(name, name)
    line = Line(name, np.array([1.0, 2.0]), "training")
    path = Path(np.array([[0.0, 0.0], [1.0, 1.0]]), name, name)
    for figure in (
        draw_curves([1, 2], [Panel(name, (line,))], heading),
        draw_tiles(np.ones((2, 2, 2)), heading, across=name, down=name),
        draw_surface([0, 1], [0, 1], np.eye(2), path, heading, labels=(name, name)),
    ):
        ET.fromstring(figure_bytes(figure, "svg", heading))


def test_names_mean_themselves():
    texts = curves([1.0, 2.0]).axes[0].get_legend().get_texts()
    assert not any(text.get_parse_math() for text in texts)
    assert plots.plain_text("a\x00$b\u202e") == "a�$b�"


def test_a_persons_own_style_is_left_out_and_left_alone():
    import matplotlib

    plain = figure_bytes(draw_vector([1.0], HEADING), "svg", HEADING)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": "x"}):
        assert figure_bytes(draw_vector([1.0], HEADING), "svg", HEADING) == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_nothing_global_is_asked_for():
    code = (
        "import sys, graphc, graphc.session.showing\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import graphc.rendering.plots as p\n"
        "p.figure_bytes(p.draw_vector([1.0], p.Heading('a', 'b')), 'svg', p.Heading('a', 'b'))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
