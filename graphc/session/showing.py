"""What `show` draws of a run: its training curves, a parameter as images, its loss surface.

Values are gathered here; :mod:`graphc.rendering.plots` draws them, with matplotlib, which is loaded
when something is drawn. A picture is shown by Jupyter, and saved as SVG, PNG or PDF.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from graphc.runtime import Array, RunError, RunFolder, write_atomic
from graphc.runtime.folder import file_stem
from graphc.runtime.wording import count, did_you_mean, listing
from graphc.session.parts import DataLike
from graphc.session.run import Run
from graphc.session.scoring import find_run
from graphc.session.surface import Surface, Tell, explore, run_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from graphc.rendering.plots import Heading, Panel, PlotFormat

__all__ = [
    "Plot",
    "RunLike",
    "expect_matplotlib",
    "expect_target",
    "found_run",
    "show_curves",
    "show_surface",
    "show_weights",
    "stem_of",
]

RunLike = Run | str | os.PathLike[str]
MOST_TILES = 100
"""Images that are shown of a parameter unasked."""
_FORMATS = ("svg", "png", "pdf")
_OWN_FILES = ("model.gc", "config.json", "metrics.jsonl", "pruning.jsonl", "summary.json")


@dataclass(frozen=True, eq=False)
class Plot:
    """What was drawn. ``kind`` is curves, weights, surface or pruning, ``name`` a stem for a file;
    ``facts`` say in numbers what there is to see, ``notes`` what is not."""

    kind: str
    name: str
    run: Run | None = field(repr=False)
    figure: Figure = field(repr=False)
    heading: Heading = field(repr=False)
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()

    @cached_property
    def svg(self) -> str:
        """The picture as the text of an SVG file, the same for the same run."""
        return self.data("svg").decode()

    def data(self, kind: PlotFormat) -> bytes:
        """The picture as the bytes of an SVG, PNG or PDF file."""
        from graphc.rendering.plots import figure_bytes

        return figure_bytes(self.figure, kind, self.heading)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture at a path that ends in .svg, .png or .pdf, whole or not at all.

        RunError for another ending, and for a file of the run or its model.
        """
        kind = expect_target(path, self.run)
        write_atomic(Path(path), self.data(kind))
        return Path(path)

    def as_json(self) -> dict[str, Any]:
        """What was drawn, for a machine."""
        path = None if self.run is None or self.run.path is None else str(self.run.path)
        return {"kind": self.kind, "run": path, **self.facts, "notes": list(self.notes)}

    def _repr_svg_(self) -> str:
        return self.svg


def expect_target(path: str | os.PathLike[str], run: Run | None = None) -> PlotFormat:
    """The format that the ending of a path means. RunError for another ending, and for a file
    that belongs to the run or is its model."""
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in _FORMATS:
        raise RunError(
            f"{path} does not end like a picture",
            help=f"name it {Path(path).stem}.svg, .png or .pdf",
        )
    if not Path(path).parent.is_dir():
        raise RunError(f"there is no folder {Path(path).parent}", help="make it first")
    for own in () if run is None else _own_files(run):
        with contextlib.suppress(OSError, ValueError):
            if os.path.samefile(path, own):
                raise RunError(f"{path} is {own}, which stays as it is", help="name another file")
    return cast("PlotFormat", ending)


def _own_files(run: Run) -> list[Path]:
    """The model's text, where that was read from, and whatever else the run consists of."""
    own = [Path(run.model.checked.request.source.name)]
    if run.path is None:
        return own
    file = RunFolder.open(run.path).config().get("file")
    own += [Path(file)] if isinstance(file, str) else []
    own += [run.path / name for name in _OWN_FILES]
    return [*own, *run.path.glob("*.safetensors"), *(run.path / "files").rglob("*")]


# ------------------------------------------------------------------------------- curves


def show_curves(run: RunLike) -> Plot:
    """The training curves of a run: the objective in training and validation, and every loss and
    metric of the validation part; the best epoch is marked.

    A loss that is the objective itself has no panel of its own. ``run`` is one, its folder, or a
    model file for its latest finished run. RunError for a run that has not finished an epoch.
    """
    expect_matplotlib()
    from graphc.rendering.plots import Heading, draw_curves

    run = found_run(run)
    if not run.history:
        raise RunError(
            f"{run_name(run)} has not finished an epoch, so there are no curves",
            help=f"how it was pruned: graphc show {run.path} --pruning" if run.model.masked else "",
        )
    panels, left_out = _panels(run)
    epochs = [int(record["epoch"]) for record in run.history]
    best = run.best_epoch or None
    heading = Heading(f"{run_name(run)}: training curves", _ending(run))
    return Plot(
        "curves",
        stem_of(run, "curves"),
        run,
        draw_curves(epochs, panels, heading, best),
        heading,
        {
            "epochs": len(epochs),
            "best_epoch": best,
            "panels": [panel.title for panel in panels],
        },
        tuple(f"{name} has several values an epoch and is left out" for name in left_out),
    )


def _ending(run: Run) -> str:
    """How far a run went, in words."""
    words = f"{count(len(run.history), 'epoch')}, {count(int(run.last['step']), 'step')}"
    known = {"early": "stopped early"}
    known.update({word: word for word in ("interrupted", "diverged", "failed")})
    return f"{words}, {known[run.stopped]}" if run.stopped in known else words


def _panels(run: Run) -> tuple[list[Panel], list[str]]:
    """A panel for the objective and one for each loss and metric; names of metrics that are
    arrays, which have no curve."""
    from graphc.rendering.plots import Line, Panel

    scores = [record["validation"] for record in run.history]
    held = [score for score in scores if score]
    names = {group: list(held[0][group]) for group in ("losses", "metrics")} if held else {}
    arrays = [
        name
        for name in names.get("metrics", ())
        if any(isinstance(score["metrics"][name], list | np.ndarray) for score in held)
    ]
    validation = _values(score and score["objective"] for score in scores)
    training = _values(record["objective"] for record in run.history)
    lines = [Line(_training_label(run), training, "training")]
    same = [
        name
        for name in names.get("losses", ())
        if np.array_equal(_score(scores, "losses", name), validation, equal_nan=True)
    ]
    if held:
        label = f"validation ({', '.join(same)})" if same else "validation"
        lines.append(Line(label, validation, "validation"))
    panels = [Panel("objective", tuple(lines), log=True)]
    for group, drop in (("losses", same), ("metrics", arrays)):
        for name in names.get(group, ()):
            if name not in drop:
                line = Line(name, _score(scores, group, name), "validation")
                panels.append(Panel(f"validation {name}", (line,), log=group == "losses"))
    return panels, arrays


def _training_label(run: Run) -> str:
    return "training, with penalties" if run.model.spec.penalties else "training"


def _score(scores: Sequence[Any], group: str, name: str) -> NDArray[np.float64]:
    return _values(score and score[group][name] for score in scores)


def _values(numbers: Any) -> NDArray[np.float64]:
    """Numbers of a history, where what is not finite is None."""
    return np.array([math.nan if number is None else number for number in numbers], np.float64)


# ------------------------------------------------------------------------------ weights


def show_weights(
    run: RunLike, name: str, *, shape: Sequence[int] | None = None, all: bool = False
) -> Plot:
    """A parameter of a run's best state as images.

    A vector is a bar chart, a matrix a heat map. With ``shape``, ``(height, width)`` or ``(height,
    width, 3)`` for colours, each column of the matrix, the incoming weights of a unit, is an image.
    Kernels ``[height, width, in, out]`` are an image for each pair of channels, of an array
    ``[k, rows, columns]`` each matrix is one. ``all`` shows every image, however many there are.
    ``run`` as in :func:`show_curves`. RunError for an unknown name, a shape that does not fit and
    a single number.
    """
    expect_matplotlib()
    run = found_run(run)
    name = _full_name(run, name)
    values = np.asarray(run.state[name])
    return _draw_weights(run, name, values, shape, None if all else MOST_TILES)


@dataclass(frozen=True)
class _Tiles:
    """Images ``[n, height, width]`` or ``[n, height, width, 3]``, and how they are laid out."""

    images: Array
    count: int
    """How many there are in all."""
    what: str
    columns: int | None = None
    across: str = "unit"
    down: str = ""


def _draw_weights(
    run: Run, name: str, values: Array, shape: Sequence[int] | None, most: int | None
) -> Plot:
    from graphc.rendering.plots import Heading, draw_matrix, draw_tiles, draw_vector

    tiles = _tiles(name, values, shape, most)
    title = f"{run_name(run)}: {name}"
    state = f"epoch {run.best_epoch}, the best" if run.best_epoch else "last state"
    size = "×".join(map(str, values.shape))
    facts: dict[str, Any] = {"name": name, "shape": list(values.shape), "epoch": run.best_epoch}
    if tiles is None:
        entries = f"{size} entries" if values.ndim == 1 else size
        heading = Heading(title, f"{entries}, {state}")
        draw = draw_vector if values.ndim == 1 else draw_matrix
        figure = draw(values, heading)
        return Plot("weights", stem_of(run, name), run, figure, heading, facts)
    shown, height, width = tiles.images.shape[:3]
    part = count(tiles.count, tiles.what)
    part = part if shown == tiles.count else f"the first {shown} of {part}"
    heading = Heading(title, f"{size}, {state}: {part}, {height}×{width} each")
    figure = draw_tiles(
        tiles.images, heading, columns=tiles.columns, across=tiles.across, down=tiles.down
    )
    facts |= {"tiles": tiles.count, "shown": shown, "tile": list(tiles.images.shape[1:])}
    notes = () if shown == tiles.count else (f"these are {part}; all of them with --all",)
    return Plot("weights", stem_of(run, name), run, figure, heading, facts, notes)


def _full_name(run: Run, name: str) -> str:
    """A parameter's name from what a person calls it."""
    spec = run.model.spec
    if name in spec.parameters:
        return name
    if name in spec.aliases:
        return spec.aliases[name]
    known = list(spec.parameters)
    raise RunError(
        f"{run.model.name} has no parameter {name}",
        help=f"{did_you_mean(name, [*known, *spec.aliases])}it has {listing(known)}"
        if known
        else "it learns nothing",
    )


def _tiles(
    name: str, values: Array, shape: Sequence[int] | None, most: int | None
) -> _Tiles | None:
    """A parameter as images; None for a vector or a matrix that is to be seen whole. RunError for
    what has no image."""
    if values.ndim == 0:
        raise RunError(f"{name} is a single number, {values.item():.6g}: there is nothing to show")
    if values.size == 0:
        raise RunError(f"{name} has no entries: there is nothing to show")
    if shape is not None:
        return _columns(name, values, tuple(shape), most)
    if values.ndim <= 2:
        return None
    if values.ndim == 3:
        shown = values[:most]
        return _Tiles(shown, len(values), "slice", across="first axis")
    if values.ndim == 4:
        return _kernels(values, most)
    raise RunError(
        f"{name} has {values.ndim} axes: pictures are of four at most",
        help="give the shape of an image with --as, if its first axis is one",
    )


def _columns(name: str, values: Array, shape: tuple[int, ...], most: int | None) -> _Tiles:
    """Each column as an image: what comes into each unit."""
    _expect_fit(name, values, shape)
    columns = values.reshape(len(values), -1).T
    shape = shape[:2] if shape[2:] == (1,) else shape
    return _Tiles(
        columns[:most].reshape(-1, *shape), len(columns), "unit" if values.ndim > 1 else "image"
    )


def _expect_fit(name: str, values: Array, shape: tuple[int, ...]) -> None:
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise RunError(
            f"{'x'.join(map(str, shape))} is no size of an image",
            help="give height and width, as in 28x28, or 32x32x3 for three colours",
        )
    if shape[2:] not in ((), (1,), (3,)):
        raise RunError(
            f"an image of {shape[2]} colours cannot be shown", help="give it 1 colour, or 3"
        )
    size, asked = math.prod(shape), "×".join(map(str, shape))
    if size == len(values):
        return
    what = "incoming weights a unit" if values.ndim == 2 else "entries along its first axis"
    fits = _near_square(len(values))
    raise RunError(
        f"{name} has {len(values):,} {what}, {asked} would be {size:,}",
        help=f"{fits} would fit" if fits else "show it without --as",
    )


def _near_square(size: int) -> str:
    """Height and width of the image of a number of pixels that is nearest to a square; nothing
    where that would be a mere line."""
    height = next(h for h in range(math.isqrt(size), 0, -1) if size % h == 0)
    return f"{height}x{size // height}" if height > 1 else ""


def _kernels(values: Array, most: int | None) -> _Tiles:
    """Convolution kernels, the longer of the two axes of channels across."""
    height, width, inner, outer = values.shape
    total = inner * outer
    if most is not None and total > most:
        inner = min(inner, most)
        outer = max(1, most // inner)
    shown = values[:, :, :inner, :outer]
    if inner == 1 or (outer == 1 and inner > 1):
        across = "output channel" if inner == 1 else "input channel"
        images = shown.reshape(height, width, -1).transpose(2, 0, 1)
        return _Tiles(images, total, "kernel", across=across)
    channels = ("input channel", "output channel")
    order = (2, 3, 0, 1) if outer >= inner else (3, 2, 0, 1)
    images = shown.transpose(order).reshape(-1, height, width)
    down, across = channels if outer >= inner else channels[::-1]
    return _Tiles(images, total, "kernel", max(inner, outer), across, down)


# ------------------------------------------------------------------------------ surface


def show_surface(
    run: RunLike,
    *,
    data: DataLike | None = None,
    grid: int | None = None,
    tell: Tell | None = None,
) -> Plot:
    """The loss surface of a run along two directions, with the path of the optimizer.

    Training is done again in memory to see the path. ``data`` may be the folder that the run's
    data lie in by now, or data in their place; ``grid`` is the number of points along each axis,
    41 for models that are not too large; ``tell`` is called with a line about each thing that takes
    time. More in :mod:`graphc.session.surface`. RunError for a run that learned nothing, and where
    training again does not arrive at the run's last state.
    """
    expect_matplotlib()
    from graphc.rendering.plots import Heading

    run = found_run(run, data)
    surface = explore(run, data, grid=grid, tell=tell)
    penalties = " with penalties" if run.model.spec.penalties else ""
    heading = Heading(
        f"{run_name(run)}: loss surface",
        f"objective{penalties} on {count(surface.examples, 'training example')}",
    )
    facts = {
        "axes": list(surface.labels),
        "grid": list(surface.values.shape[::-1]),
        "examples": surface.examples,
        "steps": surface.steps,
        "points": len(surface.path),
        "shares": surface.shares,
        "objective": surface.end,
        "lowest": float(np.nanmin(surface.values)),
    }
    notes = (surface.note,) if surface.note else ()
    figure = _draw_surface(surface, heading)
    return Plot("surface", stem_of(run, "surface"), run, figure, heading, facts, notes)


def _draw_surface(surface: Surface, heading: Heading) -> Figure:
    from graphc.rendering.plots import Path as Drawn
    from graphc.rendering.plots import draw_profile, draw_surface

    label = f"path of {count(surface.steps, 'step')}"
    end = f"end, {surface.end:.4g}".replace("-", "−")
    if surface.heights is not None:
        path = Drawn(np.column_stack([surface.path[:, 0], surface.heights]), label, end)
        (x,), (name,) = surface.axes, surface.labels
        return draw_profile(x, surface.values, path, heading, label=name)
    x, y = surface.axes
    return draw_surface(
        x,
        y,
        surface.values,
        Drawn(surface.path, label, end),
        heading,
        labels=(surface.labels[0], surface.labels[1]),
        equal=surface.shares is not None,
    )


# ------------------------------------------------------------------------------- common


def found_run(run: RunLike, data: DataLike | None = None) -> Run:
    """The run that is meant: by its folder, or by a model file its latest finished one."""
    if isinstance(run, Run):
        return run
    return find_run(os.fspath(run), cast("str | None", data))


def stem_of(run: Run, what: str) -> str:
    """A name for the file: the run's and what is shown."""
    return file_stem(f"{run_name(run)}-{what}")


def expect_matplotlib() -> None:
    """RunError where plots cannot be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as missing:
        raise RunError(
            "matplotlib is not installed", help="pip install 'graphc[images]'"
        ) from missing
