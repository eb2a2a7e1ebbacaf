"""`graphc show`: training curves, a parameter, the loss surface, a pruning, as pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphc.cli.options import data_option, json_option, output_options
from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.session.showing import Plot

__all__ = ["command"]


def _shape(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """``28x28`` or ``32x32x3``, with × too."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}([x×X][0-9]{1,9}){1,2}", text):
        raise click.BadParameter(f"'{text}' is not HxW, as in 28x28", ctx=ctx, param=param)
    return tuple(int(size) for size in re.split("[x×X]", text))


@click.command("show")
@click.argument("run", metavar="RUN|MODEL")
@click.argument("name", required=False)
@click.option(
    "--as",
    "shape",
    metavar="HxW",
    callback=_shape,
    help="With NAME: each unit's incoming weights as an image, 28x28; HxWx3 for colours.",
)
@click.option("--all", "whole", is_flag=True, help="With NAME: every image, however many.")
@click.option("--surface", is_flag=True, help="The loss surface, with the optimizer's path.")
@click.option(
    "--grid",
    type=click.IntRange(min=2, max=1000),
    metavar="N",
    help="With --surface: points along each axis; 41, fewer for large models.",
)
@click.option(
    "--pruning",
    is_flag=True,
    help="Of a pruned run: the predicted and the measured rise of each deletion.",
)
@data_option
@click.option(
    "-o", "--out", metavar="FILE", help="Where to write: FILE.svg, .png or .pdf; by default here."
)
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    run: str,
    name: str | None,
    shape: tuple[int, ...] | None,
    whole: bool,
    surface: bool,
    grid: int | None,
    pruning: bool,
    data: str | None,
    out: str | None,
) -> None:
    """Draw a run: its training curves, the parameter NAME, its loss surface, or its pruning.

    A model file means its latest finished run here. Parameters are those of the best epoch. For
    the surface the training is done again in memory, to see the path that it took; the run itself
    stays as it is. Needs matplotlib: pip install 'graphc[images]'.
    """
    from graphc import session
    from graphc.session import showing

    _check_usage(name, shape is not None or whole, surface, grid is not None)
    if pruning and (surface or name is not None):
        raise click.UsageError("--pruning is a picture of its own; leave NAME and --surface out")
    if out is not None:
        showing.expect_target(out)
    found = session.find_run(run, data)
    if out is not None:
        showing.expect_target(out, found)
    silent = terminal.quiet or terminal.json
    if surface:
        tell = None if silent else terminal.say_error
        plot = showing.show_surface(found, grid=grid, tell=tell)
    elif pruning:
        from graphc.session.pruning_shown import show_pruning

        plot = show_pruning(found)
    elif name is not None:
        plot = showing.show_weights(found, name, shape=shape, all=whole)
    else:
        plot = showing.show_curves(found)
    target = plot.save(out or f"{plot.name}.svg")
    if terminal.json:
        terminal.say_json({"ok": True, "file": str(target), **plot.as_json()})
    elif not terminal.quiet:
        _say_drawn(plot, found.path, target, terminal)


def _check_usage(name: str | None, of_images: bool, surface: bool, has_grid: bool) -> None:
    if surface and name is not None:
        raise click.UsageError("--surface is of the whole model; leave NAME out")
    if of_images and name is None:
        raise click.UsageError("--as and --all go with the NAME of a parameter")
    if has_grid and not surface:
        raise click.UsageError("--grid goes with --surface")


def _say_drawn(plot: Plot, run: Path | None, target: Path, terminal: Terminal) -> None:
    for note in plot.notes:
        terminal.say_error(f"note: {note}")
    whole = {
        "curves": "the training curves",
        "surface": "the loss surface",
        "pruning": "the pruning",
    }
    what = whole.get(plot.kind) or str(plot.facts["name"])
    terminal.say_error(f"drew {what} of {run} in {target}")
