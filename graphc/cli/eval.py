"""`graphc eval`: losses, metrics and gradients of a run, or of a model at its example values."""

from __future__ import annotations

from math import isclose
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
    from graphc.session import Scores

__all__ = ["command"]


@click.command("eval")
@click.argument("model", metavar="RUN|MODEL")
@click.option(
    "--part",
    type=click.Choice(["train", "validation", "test", "all"]),
    help="Part of the data; the test part if there is one.",
)
@click.option("--gradients", is_flag=True, help="Also the gradient of every parameter.")
@click.option("--init", is_flag=True, help="A model's initial parameters, not those of a run.")
@target_option
@data_option
@settings_options
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    model: str,
    part: Any,
    gradients: bool,
    init: bool,
    target: str,
    data: str | None,
    sets: dict[str, str],
    at: dict[str, str],
    precision: Precision | None,
) -> None:
    """Evaluate a run on its test part, or a model at its example values.

    A model file means its latest finished run here; without one, its initial parameters, where
    it has example values for all inputs.
    """
    from graphc.session import Question, score

    question = Question(
        model,
        part=part,
        data=data,
        at=at,
        sets=sets,
        precision=precision,
        init=init,
        gradients=gradients,
        target=target,
    )
    scores = score(question)
    if terminal.json:
        terminal.say_json(scores.as_json())
    else:
        _show(scores, terminal)


def _show(scores: Scores, terminal: Terminal) -> None:
    from graphc.cli.scores import number, show_choice, show_gradients, show_scores

    show_choice(scores.choice, terminal)
    if not terminal.quiet:
        terminal.say(f"{scores.model}: {scores.place}, {scores.origin}")
    show_scores({scores.part: scores.evaluation}, terminal)
    if scores.gradients is not None:
        terminal.say("")
        objective, gradients = scores.gradients
        if not isclose(objective, scores.evaluation["objective"], rel_tol=1e-5):
            terminal.say(f"gradients of the objective with penalties, {number(objective)}")
        show_gradients(gradients, scores.state, terminal)
