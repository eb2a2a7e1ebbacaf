"""`graphc check`: is the text right?"""

from __future__ import annotations

import click

from graphc.cli.options import Precision, data_option, json_option, output_options, settings_options
from graphc.cli.terminal import Terminal

__all__ = ["command"]


@click.command("check")
@click.argument("model")
@data_option
@settings_options
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    model: str,
    data: str | None,
    sets: dict[str, str],
    at: dict[str, str],
    precision: Precision | None,
) -> None:
    """Report all errors and warnings of a model file.

    The exit status is 0 when there is no error; warnings are allowed.
    """
    from graphc import session
    from graphc.cli.scores import show_warnings, summary_line

    checked = session.compile(model, set=sets, at=at, precision=precision, data=data)
    if terminal.json:
        _say_json(checked, terminal)
        return
    show_warnings(checked, terminal)
    if not terminal.quiet:
        terminal.say(summary_line(checked))


def _say_json(checked: object, terminal: Terminal) -> None:
    import json

    from graphc.diagnostics.render import render_json
    from graphc.session import Model

    assert isinstance(checked, Model)
    terminal.say_json(
        {
            "ok": True,
            "diagnostics": json.loads(render_json(checked.warnings)),
            "model": checked.name,
            "parameters": checked.parameter_count,
            "inputs": {name: str(info.type) for name, info in checked.spec.inputs.items()},
        }
    )
