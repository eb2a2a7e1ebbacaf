"""`graphc doc`: what there is to use, and what a name means."""

from __future__ import annotations

import dataclasses
from itertools import groupby

import click

from graphc.cli.options import json_option, output_options
from graphc.cli.terminal import Terminal

__all__ = ["command"]


@click.command("doc")
@click.argument("name", required=False)
@click.option("--model", metavar="FILE", help="Definitions of a model file too.")
@click.option("--latex", is_flag=True, help="Formulas as LaTeX.")
@json_option
@output_options
@click.pass_obj
def command(terminal: Terminal, name: str | None, model: str | None, latex: bool) -> None:
    """Explain a definition or a primitive: comment, formula, derivatives, text.

    Without NAME, list all definitions of the prelude, all drivers and all primitives.
    """
    if name is None:
        _list(terminal, model)
        return
    from graphc.rendering.reference_text import page_text
    from graphc.session.documenting import page

    found = page(name, model)
    if terminal.json:
        terminal.say_json({"ok": True, **dataclasses.asdict(found)})
    else:
        terminal.say(page_text(found, latex).rstrip("\n"))


def _list(terminal: Terminal, model: str | None) -> None:
    from graphc.session.documenting import contents

    entries = contents(model)
    if terminal.json:
        terminal.say_json({"ok": True, "names": [dataclasses.asdict(item) for item in entries]})
        return
    width = min(34, max(len(item.signature) for item in entries))
    for place, group in groupby(entries, key=lambda item: item.place):
        terminal.say(place)
        for item in group:
            if len(item.signature) > width:
                terminal.say(f"  {item.signature}\n  {'':{width}}  {item.summary}")
            else:
                terminal.say(f"  {item.signature.ljust(width)}  {item.summary}".rstrip())
        terminal.say("")
    terminal.say("graphc doc NAME says more of each")
