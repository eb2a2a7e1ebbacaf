"""`graphc gradcheck`: are the derivatives those of the objective?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from graphc.cli.options import (
    at_option,
    data_option,
    json_option,
    output_options,
    set_option,
    target_option,
)
from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.session.tallies import GradCheck

__all__ = ["command"]


@click.command("gradcheck")
@click.argument("model")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    help="Examples in the batch; 8 by default, fewer for models that compute much with each.",
)
@click.option(
    "--directions",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Random directions, and single entries, of each parameter that is not small.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, min_open=True),
    default=1e-6,
    show_default=True,
    help="Relative error that is allowed.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the point, the directions and a batch that is drawn.",
)
@target_option
@data_option
@at_option
@set_option
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    model: str,
    rows: int | None,
    directions: int,
    tolerance: float,
    seed: int,
    target: str,
    data: str | None,
    at: dict[str, str],
    sets: dict[str, str],
) -> int:
    """Compare first and second derivatives with finite differences, in f64.

    First derivatives are compared by every entry of a small parameter, along random directions and
    by some entries of a large one; second ones as the Hessian times random directions of all
    parameters. Points without a derivative are counted and left out. The exit status is 1 when a
    derivative is wrong.
    """
    from graphc.cli.scores import show_choice
    from graphc.session.gradchecking import gradcheck

    found = gradcheck(
        model,
        set=sets,
        at=at,
        data=data,
        rows=rows,
        directions=directions,
        seed=seed,
        tolerance=tolerance,
        target=target,
    )
    if terminal.json:
        terminal.say_json(found.as_json())
    else:
        show_choice(found.choice, terminal)
        _show(found, terminal)
    return 0 if found.ok else 1


def _show(found: GradCheck, terminal: Terminal) -> None:
    if not terminal.quiet:
        _show_place(found, terminal)
        _show_table(found, terminal)
        _show_notes(found, terminal)
    if found.worst is not None:
        worst = found.worst
        terminal.say(
            f"worst: {worst}: exact {worst.exact:.10g}, numeric {worst.numeric:.10g}, "
            f"relative error {worst.error:.1e} of {found.tolerance:g} allowed"
        )
    terminal.say(_summary(found))


def _show_place(found: GradCheck, terminal: Terminal) -> None:
    terminal.say(f"{found.model} at {found.origin}")
    moved = f"moved by {found.moved:.1%}" if found.moved else "as they start"
    training = "; the objective in training too" if found.training else ""
    terminal.say(f"parameters {moved}, f64{training}\n")


def _show_table(found: GradCheck, terminal: Terminal) -> None:
    """A line a parameter, numbers to the right."""
    rows: list[Sequence[str]] = [
        ("parameter", "shape", "first", "kinks", "error", "second", "kinks", "error", "status")
    ]
    for check in found.parameters:
        cells = [
            text
            for tally in (check.first, check.second)
            for text in (f"{tally.checked:,}", f"{tally.kinks:,}", f"{tally.error:.1e}")
        ]
        rows.append((check.name, str(list(check.shape)), *cells, check.status))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, shape, *cells, status in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[2:-1], strict=True)]
        first = f"{name.ljust(widths[0])}  {shape.ljust(widths[1])}"
        terminal.say("  ".join([first, *padded, status]))
    terminal.say("")


def _show_notes(found: GradCheck, terminal: Terminal) -> None:
    for status, why in (
        ("stopped", "a stop_gradient hides a part of the objective's change, as it is meant to"),
        ("kinks", "no derivative to compare with was found; another --seed may find one"),
    ):
        if found.named(status):
            terminal.say(f"{status}: {', '.join(found.named(status))}: {why}")
    if found.frozen:
        terminal.say(f"frozen, so not differentiated: {', '.join(found.frozen)}")


def _summary(found: GradCheck) -> str:
    wrong = found.named("WRONG")
    if wrong:
        total = len(found.parameters)
        return f"{found.model} FAILS: derivatives by {len(wrong)} of {total} parameters are wrong"
    first = sum(check.first.checked for check in found.parameters)
    second = sum(check.second.checked for check in found.parameters)
    kinks = sum(check.first.kinks + check.second.kinks for check in found.parameters)
    told = f"{found.model} passes: {first:,} first and {second:,} second derivatives compared"
    if kinks:
        told += f"; {kinks:,} at kinks left out"
    undecided = [*found.named("stopped"), *found.named("kinks")]
    return f"{told}; undecided: {', '.join(undecided)}" if undecided else told
