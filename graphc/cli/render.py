"""`graphc render`: pictures of the graph, of gradients and of every step of a backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from graphc.cli.options import at_option, data_option, json_option, output_options, set_option
from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.session.picture import Picture

__all__ = ["command"]


@click.command("render")
@click.argument("model", metavar="MODEL|RUN")
@click.option(
    "--view",
    type=click.Choice(["forward", "backward", "joint", "steps", "passes", "removed"]),
    help="Values, gradients, both (the default), the backward pass step by step, what passes "
    "changed, or of a pruned run what was removed.",
)
@click.option("--stage", metavar="PASS", help="The graph as it is after a pass.")
@click.option(
    "--expand",
    multiple=True,
    metavar="NAME",
    help="Open a value, a definition, a block or a fused group. Repeatable.",
)
@click.option("--depth", type=int, default=0, metavar="N", help="Open N levels of folds.")
@click.option("--values", is_flag=True, help="Numbers of the first batch of the data, if needed.")
@click.option("--row", type=int, metavar="N", help="Numbers of one row of the data, from 0.")
@click.option("-o", "--out", metavar="FILE", help="Draw into FILE.(dot|gv|svg|html|png|pdf|gif).")
@data_option
@at_option
@set_option
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    model: str,
    view: Any,
    stage: str | None,
    expand: tuple[str, ...],
    depth: int,
    values: bool,
    row: int | None,
    out: str | None,
    data: str | None,
    at: dict[str, str],
    sets: dict[str, str],
) -> None:
    """Draw a model's graph with formulas, and with numbers as far as there are example values.

    Without -o the picture goes to NAME-VIEW.svg here, steps to a page, NAME-steps.html.
    """
    from graphc.rendering.pictures.engines import start_early

    placed = view != "removed"  # graphc places networks and matrices itself
    if placed and (out is None or not out.lower().endswith((".dot", ".gv", ".pdf"))):
        start_early()
    from graphc.session.rendering import as_json, render

    picture = render(
        model,
        view,
        stage=stage,
        expand=expand,
        depth=depth,
        values=values or row is not None,
        row=row,
        at=at,
        set=sets,
        data=data,
    )
    from graphc.diagnostics.render import one_line

    if not terminal.json:
        _warn(picture, terminal)
    files = picture.save(out or picture.file_name)
    if terminal.json:
        terminal.say_json({"ok": True, **as_json(picture, files)})
    elif not terminal.quiet:
        where = str(files[0]) if len(files) == 1 else f"{files[0]} … {files[-1]}"
        what = f"{len(picture.moments)} steps" if picture.moments else "the picture"
        for note in picture.diagram.notes:
            terminal.say_error(one_line(note))
        terminal.say(f"drew {what} of {one_line(picture.diagram.title)} in {one_line(where)}")


def _warn(picture: Picture, terminal: Terminal) -> None:
    from graphc.cli.scores import show_warnings

    show_warnings(picture.model, terminal)
