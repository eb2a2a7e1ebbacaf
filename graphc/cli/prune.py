"""`graphc prune`: the section is checked; removing weights is not part of this version."""

from __future__ import annotations

import click

from graphc.cli.options import Precision, output_options, settings_options
from graphc.cli.terminal import Terminal

__all__ = ["command"]


@click.command("prune")
@click.argument("model", metavar="RUN|MODEL")
@settings_options
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    model: str,
    sets: dict[str, str],
    at: dict[str, str],
    precision: Precision | None,
) -> None:
    """Check the prune section of a model. (Pruning itself is not in this version.)"""
    from graphc import __version__, session
    from graphc.cli.scores import show_warnings

    if session.is_run(model):
        checked = session.load(model).model
    else:
        checked = session.compile(model, set=sets, at=at, precision=precision)
    show_warnings(checked, terminal)
    if checked.spec.prune is None:
        raise session.RunError(
            f"{checked.name} has no prune section",
            help="write one, as in: prune { method = magnitude  sparsity = 80% }",
        )
    raise session.RunError(
        f"the prune section of {checked.name} is right, but graphc {__version__} cannot prune yet",
        help="train and use the model without it; a later version runs the section as it is",
    )
