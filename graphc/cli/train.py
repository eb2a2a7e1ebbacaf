"""`graphc train`: from a model file to a trained run, or on with a run that stopped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from graphc.cli.options import (
    Precision,
    data_option,
    json_option,
    output_options,
    settings_options,
    target_option,
)
from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.session import Reporter, Run

__all__ = ["command"]

INTERRUPTED = 130


@click.command("train")
@click.argument("model", required=False)
@click.option("--epochs", type=click.IntRange(min=1), help="Short for --set train.epochs=N.")
@click.option("--resume", metavar="RUN", help="Go on with a run that stopped.")
@click.option("--out", metavar="FOLDER", help="Keep the run here.")
@target_option
@data_option
@settings_options
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    model: str | None,
    epochs: int | None,
    resume: str | None,
    out: str | None,
    target: str,
    data: str | None,
    sets: dict[str, str],
    at: dict[str, str],
    precision: Precision | None,
) -> int:
    """Train a model and keep the run in runs/NAME-N.

    Ctrl-C stops after the last whole epoch; --resume goes on from there.
    """
    if epochs is not None:
        sets = {**sets, "train.epochs": str(epochs)}
    if resume is not None:
        _expect_resumable(model, out, {**at, **({"precision": precision} if precision else {})})
        run = _resumed(resume, model, data, sets, target, terminal)
    elif model is None:
        raise click.UsageError("give a MODEL file, or --resume RUN")
    else:
        settings = {"set": sets, "at": at, "precision": precision, "target": target}
        run = _fresh(model, data, out, settings, terminal)
    return _conclude(run, terminal)


def _expect_resumable(model: str | None, out: str | None, settings: dict[str, str]) -> None:
    if out is not None:
        raise click.UsageError("--out does not go with --resume: a run stays in its folder")
    if settings:
        raise click.UsageError("--at and --precision do not go with --resume")


def _fresh(
    model: str, data: str | None, out: str | None, settings: dict[str, Any], terminal: Terminal
) -> Run:
    from graphc import session
    from graphc.cli.scores import show_choice, show_warnings

    if session.is_run(model):
        raise click.UsageError(f"{model} is a folder; to go on with a run: --resume {model}")
    compiled = session.compile(model, data=data, **settings)
    show_warnings(compiled, terminal)
    show_choice(compiled.choice, terminal)
    return compiled.train(folder=out, report=_reporter(terminal))


def _resumed(
    path: str,
    model: str | None,
    data: str | None,
    sets: dict[str, str],
    target: str,
    terminal: Terminal,
) -> Run:
    from graphc import session
    from graphc.cli.scores import show_choice

    run = session.load(path, data=data, target=target)
    show_choice(run.model.choice, terminal)
    if model is not None:
        session.expect_same_text(run, model)
    return run.resume(set=sets, report=_reporter(terminal))


def _reporter(terminal: Terminal) -> Reporter | None:
    if terminal.quiet or terminal.json:
        return None
    from graphc.session import LiveReporter, PlainReporter

    if not terminal.live(sys.stdout):
        return PlainReporter(sys.stdout)
    from rich.console import Console

    return LiveReporter(Console(no_color=not terminal.color(sys.stdout), highlight=False))


def _conclude(run: Run, terminal: Terminal) -> int:
    """Say how it ended and what can be done next; the exit status."""
    from graphc.cli.scores import show_scores

    interrupted = run.stopped == "interrupted"
    if terminal.json:
        choice = run.model.choice
        chosen = {} if choice is None else {"target": choice.as_json()}
        told = {"ok": not interrupted, "run": str(run.path), **(run.summary or {}), **chosen}
        terminal.say_json(told)
    elif interrupted:
        done = run.history[-1]["epoch"] if run.history else 0
        terminal.say_error(
            f"interrupted after epoch {done}; the run is in {run.path}\n"
            f"go on with: graphc train --resume {run.path}"
        )
    else:
        summary = run.summary or {}
        terminal.say("")
        show_scores(
            {name: summary[name] for name in ("train", "validation", "test") if name in summary},
            terminal,
        )
        _say_next(run, terminal)
    return INTERRUPTED if interrupted else 0


def _say_next(run: Run, terminal: Terminal) -> None:
    terminal.say(f"\nthe run is in {run.path}")
    if terminal.quiet:
        return
    terminal.say(f"  graphc eval {run.path}")
    if run.model.named("output") and run.model.spec.inputs:
        terminal.say(f"  graphc predict {run.path} FILE")
    terminal.say(f"  graphc compile {run.path} -o {run.model.name}.py")
