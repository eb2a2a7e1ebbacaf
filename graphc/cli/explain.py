"""`graphc explain`: ∂objective/∂NAME, step by step."""

from __future__ import annotations

import click

from graphc.cli.options import Precision, json_option, output_options, settings_options
from graphc.cli.terminal import Terminal

__all__ = ["command"]


@click.command("explain")
@click.argument("model")
@click.argument("name")
@click.option("--latex", is_flag=True, help="The derivation as LaTeX (amsmath).")
@click.option("--all", "whole", is_flag=True, help="Every step, however many there are.")
@settings_options
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    model: str,
    name: str,
    latex: bool,
    whole: bool,
    sets: dict[str, str],
    at: dict[str, str],
    precision: Precision | None,
) -> None:
    """Derive the gradient of a model's objective by NAME.

    NAME is a parameter, an input or any named value; the model is that of evaluation, without
    dropout and noise. Numbers are shown as far as the inputs have example values; parameters have
    their initial ones.
    """
    from graphc import session
    from graphc.cli.scores import show_warnings
    from graphc.session.explaining import as_json, explain

    compiled = session.compile(model, set=sets, at=at, precision=precision)
    if not terminal.json:
        show_warnings(compiled, terminal)
    explained = explain(compiled, name, all=whole)
    if terminal.json:
        terminal.say_json({"ok": True, **as_json(explained)})
    else:
        terminal.say((explained.latex if latex else explained.text).rstrip("\n"))
