"""What `show` draws of a run: that it is what the run says, and that the run stays as it is."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.session.parts import DataLike
from graphc.session.run import Run
from graphc.session.showing import Plot, show_curves, show_surface, show_weights
from graphc.session.surface import explore

GRID = 7


@pytest.fixture
def trained(kinds) -> Run:
    """A run of `kinds` in runs/kinds-1."""
    return graphc.compile(kinds.path).train()


@pytest.fixture
def fitted(line, line_data) -> Run:
    """A run of `line`, two numbers, kept nowhere."""
    return line.train(folder=False, **line_data)


def images(plot: Plot) -> np.ndarray:
    """The sheet of images in a figure."""
    return plot.figure.axes[0].images[0].get_array().filled(np.nan)


def model_of(*parameters: str, **state: np.ndarray) -> Run:
    """A run that was not trained, with parameters as given."""
    sums = " + ".join(f"sum({text.split(':')[0]}^2)" for text in parameters)
    text = "\n".join(["model m", *(f"param {p}" for p in parameters), f"loss f = {sums}\n"])
    run = graphc.compile(text + "train { epochs = 2 }\n").train(folder=False)
    run.state = {**run.state, **state}
    return run


# ------------------------------------------------------------------------------- curves


def test_curves_are_the_history(trained):
    plot = show_curves(trained)
    objective, accuracy = plot.figure.axes
    training, validation, _ = objective.lines
    history = trained.history
    assert training.get_ydata().tolist() == [record["objective"] for record in history]
    scores = [record["validation"] for record in history]
    assert validation.get_ydata().tolist() == [score["objective"] for score in scores]
    assert validation.get_label() == "validation (ce)"
    shown = accuracy.lines[0].get_ydata().tolist()
    assert shown == [score["metrics"]["accuracy"] for score in scores]
    assert set(accuracy.lines[1].get_xdata()) == {trained.best_epoch}
    assert plot.facts["best_epoch"] == trained.best_epoch


def test_a_loss_that_is_not_the_objective_has_a_panel():
    text = """
model two
input x: real[n]
param w: real = 1
loss near = mean((w - x)^2)
loss far = mean(abs(w - x))
minimize near + far
data {
  x = [1, 2, 3, 4, 5, 6]
  split = ordered{validation = 2}
}
train { epochs = 3 }
"""
    run = graphc.compile(text).train(folder=False)
    plot = show_curves(run)
    assert plot.facts["panels"] == ["objective", "validation near", "validation far"]
    far = plot.figure.axes[2].lines[0].get_ydata().tolist()
    assert far == [record["validation"]["losses"]["far"] for record in run.history]


def test_metrics_of_several_values_are_told(trained):
    for record in trained.history:
        record["validation"]["metrics"]["confusion"] = [[1, 2], [3, 4]]
    plot = show_curves(trained)
    assert plot.notes == ("confusion has several values an epoch and is left out",)
    assert len(plot.facts["panels"]) == 2


def test_curves_of_the_training_part_alone_with_gaps(fitted):
    fitted.history[3]["objective"] = None
    (ax,) = show_curves(fitted).figure.axes
    assert np.isnan(ax.lines[0].get_ydata()[3])


def test_curves_and_paths_need_an_epoch(fitted):
    fitted.history = []
    for show in (show_curves, show_surface):
        with pytest.raises(graphc.RunError, match="not finished an epoch"):
            show(fitted)


# ------------------------------------------------------------------------------ weights


def test_the_columns_of_a_matrix_as_images(trained):
    run = model_of("W: real[6, 4] = 1", W=np.arange(24.0).reshape(6, 4))
    plot = show_weights(run, "W", shape=(2, 3))
    sheet = images(plot)
    assert sheet.shape == (2, 4 * 3 + 3)
    for unit in range(4):
        shown = sheet[:, 4 * unit : 4 * unit + 3]
        np.testing.assert_array_equal(shown, run.state["W"][:, unit].reshape(2, 3))
    assert plot.facts["tiles"] == plot.facts["shown"] == 4


def test_colours_are_the_last_axis():
    run = model_of("W: real[12, 1] = 1", W=np.linspace(-1, 1, 12)[:, None])
    plot = show_weights(run, "W", shape=(2, 2, 3))
    shown = plot.figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, np.linspace(0, 1, 12).reshape(2, 2, 3), atol=0.01)
    assert images(show_weights(run, "W", shape=(3, 4, 1))).shape == (3, 4)


def test_a_matrix_and_a_vector_are_shown_whole(trained):
    plot = show_weights(trained, "logits.dense1.W")
    np.testing.assert_array_equal(images(plot), trained.state["logits.dense1.W"])
    plot = show_weights(trained, "logits.dense1.b")
    heights = [bar.get_height() for bar in plot.figure.axes[0].patches]
    np.testing.assert_allclose(heights, trained.state["logits.dense1.b"])


def test_a_vector_is_an_image_too():
    run = model_of("v: real[6] = 1", v=np.arange(6.0))
    np.testing.assert_array_equal(
        images(show_weights(run, "v", shape=(2, 3))), np.arange(6.0).reshape(2, 3)
    )


@pytest.mark.parametrize("inner", [1, 2, 5])
def test_kernels_by_channels(inner):
    kernels = np.arange(2.0 * 2 * inner * 3).reshape(2, 2, inner, 3)
    plot = show_weights(model_of(f"K: real[2, 2, {inner}, 3] = 1", K=kernels), "K")
    sheet = images(plot)
    for i in range(inner):
        for o in range(3):
            down, across = (i, o) if inner <= 3 else (o, i)
            tile = sheet[3 * down : 3 * down + 2, 3 * across : 3 * across + 2]
            np.testing.assert_array_equal(tile, kernels[:, :, i, o])
    assert plot.facts["tiles"] == 3 * inner


def test_many_images_are_cut_and_said():
    run = model_of("W: real[4, 130] = 1", "K: real[2, 2, 30, 20] = 1", "T: real[120, 2, 2] = 1")
    for name, shape, shown, total in [
        ("W", (2, 2), 100, "130 units"),
        ("K", None, 90, "600 kernels"),
        ("T", None, 100, "120 slices"),
    ]:
        plot = show_weights(run, name, shape=shape)
        assert plot.facts["shown"] == shown
        assert f"the first {shown} of {total}" in plot.heading.details
        assert f"the first {shown} of {total}" in plot.notes[0]
        plot = show_weights(run, name, shape=shape, all=True)
        assert plot.facts["shown"] == plot.facts["tiles"]
        assert plot.notes == ()


def test_short_names(trained, here):
    text = "model m\ninput x: real[n, 4]\nh = x |> dense{3}\nloss f = mean(h^2)\n"
    run = graphc.compile(text).train(folder=False, epochs=1, x=np.ones((3, 4)))
    assert show_weights(run, "h.W").facts["name"] == "h.dense1.W"


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("V", None, "m has no parameter V"),
        ("W", (28, 27), "W has 784 incoming weights a unit, 28×27 would be 756"),
        ("W", (28, 28, 3), "28×28×3 would be 2,352"),
        ("W", (14, 14, 4), "4 colours"),
        ("W", (784,), "no size of an image"),
        ("W", (-28, -28), "no size of an image"),
        ("s", None, "s is a single number, 0.5"),
        ("five", None, "five has 5 axes"),
        ("five", (1, 2), "five has 1 entries along its first axis"),
    ],
)
def test_what_has_no_image(name, shape, message):
    run = model_of("W: real[784, 2] = 1", "s: real = 0.5", "five: real[1, 1, 1, 1, 1] = 1")
    run.state["s"] = np.array(0.5)
    with pytest.raises(graphc.RunError, match=message):
        show_weights(run, name, shape=shape)


def test_an_unknown_name_and_a_wrong_shape_get_help(trained):
    with pytest.raises(graphc.RunError) as caught:
        show_weights(trained, "logits.dense1.w")
    assert "did you mean 'logits.dense1.W'" in caught.value.help
    run = model_of("W: real[784, 2] = 1")
    with pytest.raises(graphc.RunError) as caught:
        show_weights(run, "W", shape=(28, 27))
    assert caught.value.help == "28x28 would fit"


# ------------------------------------------------------------------------------ surface


def squares(a: float, b: float, data: DataLike) -> float:
    return float(np.mean((a * data["x"] + b - data["y"]) ** 2))


def test_two_numbers_are_the_axes(fitted, line_data):
    surface = explore(fitted, grid=GRID)
    assert surface.labels == ("a", "b")
    assert surface.shares is None
    assert surface.path[0].tolist() == [0, 0]
    assert surface.path[-1].tolist() == [fitted.last["a"], fitted.last["b"]]
    assert len(surface.path) == 40 * 4 + 1
    for i, a in enumerate(surface.axes[0]):
        for j, b in enumerate(surface.axes[1]):
            assert surface.values[j, i] == pytest.approx(squares(a, b, line_data), rel=1e-5)
    assert surface.end == pytest.approx(fitted.evaluate("train")["objective"], rel=1e-5)
    low, high = surface.path.min(axis=0), surface.path.max(axis=0)
    for axis, coordinates in enumerate(surface.axes):
        assert coordinates[0] < low[axis]
        assert coordinates[-1] > high[axis]


def test_the_picture_is_the_surface(fitted):
    plot = show_surface(fitted, grid=GRID)
    surface = explore(fitted, grid=GRID)
    ax = plot.figure.axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), surface.path)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    assert plot.facts["grid"] == [GRID, GRID]
    assert plot.facts["examples"] == 32
    assert plot.facts["points"] == 161


def test_one_number_is_a_curve():
    text = "model one\nparam w: real = 2\nloss f = w^2 + 1\n"
    text += "train { epochs = 30\n optimizer = sgd{0.1} }\n"
    run = graphc.compile(text).train(folder=False)
    surface = explore(run)
    assert surface.values == pytest.approx(surface.axes[0] ** 2 + 1, rel=1e-5)
    assert surface.heights == pytest.approx(surface.path[:, 0] ** 2 + 1, rel=1e-5)
    curve = show_surface(run).figure.axes[0].lines[0]
    np.testing.assert_array_equal(curve.get_xdata(), surface.axes[0])


def test_principal_directions_of_the_path(trained):
    told = []
    surface = explore(trained, grid=GRID, tell=told.append)
    assert "training kinds-1 again" in told[0]
    assert "12 epochs" in told[0]
    assert surface.path[-1].tolist() == [0, 0]
    assert surface.path[0, 0] < 0
    assert 0 < surface.shares[1] < surface.shares[0] < 1
    assert f"{100 * surface.shares[0]:.1f}% of its variance" in surface.labels[0]
    assert surface.end == pytest.approx(
        trained.model.evaluate(trained.last, part="train")["objective"], rel=1e-5
    )


def test_a_straight_path_is_a_curve():
    text = "model one\nparam w: real[3] = 1\nloss f = sum(w^2)\n"
    text += "train { epochs = 9\n optimizer = sgd{0.1} }\n"
    surface = explore(graphc.compile(text).train(folder=False))
    assert len(surface.axes) == 1
    assert surface.shares == (pytest.approx(1),)
    along = (surface.path[:, 0] - surface.path[0, 0]) / np.sqrt(3)
    assert surface.heights == pytest.approx(3 * (1 - along) ** 2, rel=1e-4)


REGULARIZED = """
model regularized
input x: real[n, 3]
target y: real[n, 1]
h = x |> dense{5} |> tanh
guess = h |> dense{1}
loss near = mean((guess - y)^2)
def wide(w) = sum(abs(w))
regularize {
  dropout{0.5} after h
  l2{0.1} on weights
  wide on biases
}
train {
  epochs = 3
  precision = f64
}
"""


def test_penalties_count_and_dropout_does_not():
    draw = np.random.default_rng(0)
    data = {"x": draw.normal(size=(20, 3)), "y": draw.normal(size=(20, 1))}
    run = graphc.compile(REGULARIZED).train(folder=False, **data)
    exact, _ = run.model.loss_and_gradients(run.last, data)
    assert explore(run, grid=2).end == pytest.approx(exact, rel=1e-12)
    assert "with penalties" in show_surface(run, grid=3).heading.details


def test_large_data_are_sampled_at_equal_distances(line, monkeypatch):
    x = np.linspace(-1, 1, 5000)
    run = line.train(folder=False, epochs=1, batch=500, x=x, y=3 * x + 1)
    surface = explore(run, grid=2)
    assert surface.examples == 2048
    assert surface.end == pytest.approx(run.evaluate("train")["objective"], rel=0.01)
    monkeypatch.setattr("graphc.session.surface._WORK", 1)
    surface = explore(run)
    assert surface.examples == 64
    assert surface.values.shape == (15, 15)
    assert explore(run, grid=4).values.shape == (4, 4)


def test_a_path_has_no_more_than_200_points(line, line_data):
    run = line.train(folder=False, epochs=150, **line_data)
    surface = explore(run, grid=2)
    assert 100 < len(surface.path) <= 202
    assert surface.path[-1].tolist() == [run.last["a"], run.last["b"]]


def test_runs_that_stopped_and_went_on(line, line_data):
    text = line.checked.request.source.text.replace(
        "epochs    = 40", "epochs = 40\n stop = early{patience = 2}"
    )
    early = graphc.compile(text).train(folder=False, **{k: v[:8] for k, v in line_data.items()})
    assert explore(early, grid=2).path[-1].tolist() == [early.last["a"], early.last["b"]]


def test_a_resumed_run_has_one_path(kinds):
    run = graphc.compile(kinds.path, set={"train.epochs": 2}).train()
    run = run.resume(epochs=4)
    assert explore(run, grid=2).path[-1].tolist() == [0, 0]


def test_a_path_that_ends_elsewhere_is_not_drawn(fitted):
    fitted.last = {**fitted.last, "a": fitted.last["a"] + np.float32(0.5)}
    with pytest.raises(graphc.RunError, match="does not arrive at its last state"):
        show_surface(fitted, grid=3)


def test_a_path_that_ends_close_by_is_drawn_with_a_note(fitted):
    fitted.last = {**fitted.last, "a": fitted.last["a"] + np.float32(1e-4)}
    plot = show_surface(fitted, grid=3)
    assert "off by" in plot.notes[0]


def test_data_that_changed_are_noticed(trained, kinds):
    lines = kinds.data.read_text().splitlines()
    kinds.data.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    with pytest.raises(graphc.RunError, match="does not arrive"):
        show_surface("runs/kinds-1", grid=3)


def test_what_does_not_move_has_no_surface():
    text = "model still\nparam w: real[2] = 0\nloss f = sum(w^2)\ntrain { epochs = 2 }\n"
    with pytest.raises(graphc.RunError, match="did not move"):
        show_surface(graphc.compile(text).train(folder=False))
    text = text.replace("[2]", "[3]")
    with pytest.raises(graphc.RunError, match="did not move"):
        show_surface(graphc.compile(text).train(folder=False))


# ------------------------------------------------------------------------------- common


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_the_run_stays_as_it_is(trained):
    before = contents(trained.path)
    first = [
        show_curves(trained).svg,
        show_weights(trained, "logits.dense1.W").svg,
        show_surface(trained, grid=5).svg,
    ]
    assert contents(trained.path) == before
    run = graphc.load(trained.path)
    assert first == [
        show_curves(run).svg,
        show_weights(run, "logits.dense1.W").svg,
        show_surface(run, grid=5).svg,
    ]


def test_saved_by_the_ending(fitted, here):
    plot = show_curves(fitted)
    assert plot._repr_svg_() == plot.svg
    assert plot.save("a.svg").read_text() == plot.svg
    assert plot.save(here / "a.PNG").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(graphc.RunError, match="does not end like a picture") as caught:
        plot.save("a.jpg")
    assert caught.value.help == "name it a.svg, .png or .pdf"
    with pytest.raises(graphc.RunError, match="there is no folder missing"):
        plot.save("missing/a.svg")


@pytest.mark.parametrize(
    "own", ["kinds.gc", "runs/kinds-1/metrics.jsonl", "runs/kinds-1/best.safetensors"]
)
def test_files_of_the_run_are_not_overwritten(trained, own):
    Path("a.svg").symlink_to(own)
    before = Path(own).read_bytes()
    with pytest.raises(graphc.RunError, match="stays as it is"):
        show_curves(trained).save("a.svg")
    assert Path(own).read_bytes() == before
    assert Path("a.svg").is_symlink()


def test_without_matplotlib(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for show in (show_curves, lambda run: show_weights(run, "a"), show_surface):
        with pytest.raises(graphc.RunError, match="matplotlib is not installed") as caught:
            show(fitted)
        assert caught.value.help == "pip install 'graphc[images]'"


def test_a_name_leads_nowhere_else(fitted):
    plot = show_curves(fitted)
    assert plot.name == "line-curves"
    assert replace(plot, name="x").name == "x"
