"""`graphc predict`: class names and probabilities, or values in their units, for a data file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import click

from graphc.cli.options import output_options, target_option
from graphc.cli.terminal import Terminal

__all__ = ["command"]

Kind = Literal["csv", "json"]


@click.command("predict")
@click.argument("run", metavar="RUN|MODEL")
@click.argument("file", required=False)
@click.option(
    "--part",
    type=click.Choice(["train", "validation", "test", "all"]),
    help="Without FILE: part of the run's own data; the test part if there is one.",
)
@click.option(
    "--data",
    metavar="FOLDER",
    help="Without FILE: folder that the files of the run's own data lie in.",
)
@click.option("-o", "--out", metavar="FILE", help="Write the predictions here.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "json"]),
    help="The ending of the output file decides, otherwise CSV.",
)
@target_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    run: str,
    file: str | None,
    part: Any,
    data: str | None,
    out: str | None,
    kind: Kind | None,
    target: str,
) -> None:
    """Predict for every row of FILE (.npz or .csv, or IDX for inputs made from one column).

    A model file means its latest finished run here. FILE needs the columns of the inputs only.
    Without FILE the rows are those of the run's own data.
    """
    from graphc import session
    from graphc.cli.scores import show_choice

    if file is not None and (part or data):
        raise click.UsageError("--part and --data are about the run's own data; leave FILE out")
    if data is not None and not os.path.isdir(data):
        raise click.UsageError(f"--data {data} is not a folder; for a file: predict {run} {data}")
    found = session.find_run(run, data, target=target)
    show_choice(found.model.choice, terminal)
    records = found.records(file, part=part)
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
