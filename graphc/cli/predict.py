"""`graphc predict`: class names and probabilities, or values in their units, for a data file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from graphc.cli.options import output_options
from graphc.cli.terminal import Terminal

__all__ = ["command"]

Kind = Literal["csv", "json"]


@click.command("predict")
@click.argument("run", metavar="RUN|MODEL")
@click.argument("file")
@click.option("-o", "--out", metavar="FILE", help="Write the predictions here.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "json"]),
    help="The ending of the output file decides, otherwise CSV.",
)
@output_options
@click.pass_obj
def command(terminal: Terminal, run: str, file: str, out: str | None, kind: Kind | None) -> None:
    """Predict for every row of FILE (.npz or .csv).

    A model file means its latest finished run here. FILE needs the columns of the inputs only.
    """
    from graphc import session

    found = session.find_run(run)
    records = found.records(file)
    text = session.records_text(records, kind or _kind_of(out))
    if out is None:
        terminal.say(text.rstrip("\n"))
        return
    session.write_atomic(Path(out), text.encode())
    if not terminal.quiet:
        count = f"{len(records)} prediction{'s' if len(records) != 1 else ''}"
        terminal.say_error(f"wrote {count} of {found.path} to {out}")


def _kind_of(out: str | None) -> Kind:
    return "json" if out is not None and out.lower().endswith(".json") else "csv"
