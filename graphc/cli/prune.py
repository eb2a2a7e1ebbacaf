"""`graphc prune`: remove weights of a trained run, and say at each step what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from graphc.cli.options import data_option, json_option, output_options, set_option
from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.session.pruning import Event

__all__ = ["command"]

INTERRUPTED = 130
F = TypeVar("F", bound=Callable[..., object])


def _option(name: str, words: tuple[str, ...], help: str) -> Callable[[F], F]:
    return click.option(f"--{name}", type=click.Choice(words), help=help)


@click.command("prune")
@click.argument("run", metavar="RUN|MODEL")
@_option(
    "method",
    ("magnitude", "random", "movement", "obd", "obs", "lottery"),
    "How weights are chosen; obs by default.",
)
@_option(
    "curvature",
    ("exact", "backpropagated", "fisher", "rows"),
    "Second order that obd and obs use; by the size of the network by default.",
)
@click.option("--sparsity", metavar="PART", help="Share of the weights that goes, as in 80%.")
@click.option("--max-rise", metavar="X", help="The most that the objective may rise in all.")
@click.option("--stop", metavar="NAME", help="Stop where this loss or metric becomes worse.")
@_option("remove", ("weights", "units"), "Single weights, or whole neurons and channels.")
@_option("scope", ("global", "layer"), "Compare weights of all layers, or prune each layer alike.")
@_option("schedule", ("one_shot", "gradual", "recompute"), "In one go, in rounds, one by one.")
@click.option("--steps", metavar="N", help="Rounds.")
@click.option("--retrain", metavar="N", help="Epochs of training after each round.")
@click.option("--rewind", metavar="N", help="With lottery: epochs of training to go back to.")
@click.option("--damping", metavar="X", help="Added to the diagonal of a curvature matrix.")
@click.option("--strict", is_flag=True, help="Stop at the first check that fails.")
@click.option(
    "--no-compact", is_flag=True, help="Make no smaller model where whole units are dead."
)
@click.option("--out", metavar="FOLDER", help="Keep the pruned run here.")
@data_option
@set_option
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    /,
    run: str,
    strict: bool,
    no_compact: bool,
    out: str | None,
    data: str | None,
    sets: dict[str, str],
    **options: str | None,
) -> int:
    """Remove weights of a trained run and keep the pruned run beside it.

    A model file means its latest finished run, which is not changed. What is not given here is as
    the prune section says.
    """
    from graphc.session.pruning import prune

    progress = _Progress(terminal)
    given = {name: value for name, value in options.items() if value is not None}
    found = prune(
        run,
        set=sets,
        data=data,
        folder=out,
        strict=strict,
        compact=not no_compact,
        report=None if terminal.quiet or terminal.json else progress,
        notice=None if terminal.quiet else lambda text: terminal.say_error(f"note: {text}"),
        **given,
    )
    if terminal.json:
        terminal.say_json(found.as_json())
    else:
        from graphc.cli.pruned import show_pruning

        show_pruning(found, terminal)
    if found.summary["stopped"] == "interrupted":
        return INTERRUPTED
    return 1 if found.summary["stopped"] == "check" else 0


class _Progress:
    """A line a deletion and a retraining, under a line of headings."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._begun = False

    def __call__(self, event: Event) -> None:
        from graphc.cli.pruned import event_line, heading

        if not self._begun:
            self._terminal.say(heading(event))
            self._begun = True
        self._terminal.say(event_line(event))
