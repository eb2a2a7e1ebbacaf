"""`graphc compile`: the generated module, to read or to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphc.cli.options import (
    Precision,
    data_option,
    json_option,
    output_options,
    settings_options,
    sizes_option,
    target_option,
)
from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.session import Model

__all__ = ["command"]


@click.command("compile")
@click.argument("model", metavar="MODEL|RUN")
@click.option("-o", "--out", metavar="FILE", help="Write the module here.")
@click.option(
    "--stop-after",
    metavar="STAGE",
    help="Print what is there after parse, model, a pass, schedule or source.",
)
@click.option(
    "--dump-passes", is_flag=True, help="Print the graph after each pass that changed it."
)
@click.option(
    "--product",
    "products",
    multiple=True,
    metavar="NAME",
    help="Add per_example_gradients, hessian_vector_products, gauss_newton_products, "
    "backpropagated_diagonal, layer_inputs or layer_curvatures.",
)
@click.option(
    "--cut",
    multiple=True,
    metavar="NAME",
    help="Value between network and loss; by default the first argument of the prelude's losses.",
)
@click.option("--no-fuse", "fuse", flag_value=False, default=True, help="Group nothing.")
@click.option(
    "--no-reuse", "reuse", flag_value=False, default=True, help="Memory of its own for each array."
)
@click.option(
    "--report",
    is_flag=True,
    help="Print what a training step costs: operations, bytes moved, peak memory.",
)
@click.option("--batch", type=int, metavar="N", help="With --report: examples in a batch.")
@sizes_option
@target_option
@data_option
@settings_options
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    model: str,
    out: str | None,
    stop_after: str | None,
    dump_passes: bool,
    products: tuple[str, ...],
    cut: tuple[str, ...],
    fuse: bool,
    reuse: bool,
    report: bool,
    batch: int | None,
    sizes: dict[str, int],
    target: str,
    data: str | None,
    sets: dict[str, str],
    at: dict[str, str],
    precision: Precision | None,
) -> None:
    """Write a model as a Python module that needs NumPy, or its target's library, and nothing else.

    Without -o it goes to standard output. A trained RUN brings its weights: -o digits.py writes
    digits.npz beside it. With --report the report takes the module's place on standard output.
    """
    from graphc import session
    from graphc.cli.scores import show_choice, show_warnings

    asked = _Report(batch, sizes) if report else None
    _check_usage(terminal, asked, batch is not None or bool(sizes), stop_after or dump_passes)
    if session.is_run(model):
        if stop_after or dump_passes:
            raise click.UsageError("stages are those of a model file; give one instead")
        if sets or at or precision or products or data:
            raise click.UsageError("a run has settings of its own; give a model file instead")
        _compile_run(session.load(model, target=target), out, asked, terminal)
        return
    compiled = session.compile(
        model,
        set=sets,
        at=at,
        precision=precision,
        data=data,
        products=products,
        cut=cut,
        fuse=fuse,
        reuse=reuse,
        target=target,
    )
    show_warnings(compiled, terminal)
    show_choice(compiled.choice, terminal)
    if dump_passes or stop_after:
        _say_stages(compiled, stop_after, dump_passes, terminal)
        return
    if asked is not None:
        _say_report(compiled, asked, terminal)
    elif out is None:
        terminal.say(compiled.source.rstrip("\n"))
    if out is not None:
        compiled.save(out)
        _say_written(terminal, Path(out))


@dataclass(frozen=True)
class _Report:
    """The sizes that a report is asked for."""

    batch: int | None
    sizes: dict[str, int]


def _check_usage(
    terminal: Terminal, asked: _Report | None, has_sizes: bool, has_stages: object
) -> None:
    if asked is not None:
        if has_stages:
            raise click.UsageError("--report does not go with --stop-after and --dump-passes")
    elif terminal.json:
        raise click.UsageError("--json goes with --report")
    elif has_sizes:
        raise click.UsageError("--batch and --size go with --report")


def _say_report(model: Model, asked: _Report, terminal: Terminal) -> None:
    from graphc.cli.costs import report_text

    found = model.report(asked.batch, asked.sizes)
    if terminal.json:
        chosen = {} if model.choice is None else {"target": model.choice.as_json()}
        terminal.say_json({"ok": True, **found.as_json(), **chosen})
    else:
        terminal.say(report_text(found))


def _say_stages(
    model: Model, stop_after: str | None, dump_passes: bool, terminal: Terminal
) -> None:
    from graphc.session import stages

    for text in stages.dump_passes(model) if dump_passes else ():
        terminal.say(text)
    if stop_after:
        terminal.say(stages.stage(model, stop_after).rstrip("\n"))


def _compile_run(run: object, out: str | None, asked: _Report | None, terminal: Terminal) -> None:
    from graphc.cli.scores import show_choice
    from graphc.session import Run

    assert isinstance(run, Run)
    show_choice(run.model.choice, terminal)
    if asked is not None:
        _say_report(run.model, asked, terminal)
    elif out is None:
        terminal.say(run.model.source.rstrip("\n"))
    if out is not None:
        weights = run.export(out)
        _say_written(terminal, Path(out), weights)


def _say_written(terminal: Terminal, *paths: Path) -> None:
    if not terminal.quiet:
        terminal.say_error(f"wrote {' and '.join(str(path) for path in paths)}")
