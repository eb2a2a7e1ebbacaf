"""The command line, thin: each command in a file of its own, loaded when it is called for.

Asking for help imports nothing but click. Exit status: 0, 1 for errors of a text, of data or of
a run, 2 for wrong usage, 130 after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from graphc import __version__
from graphc.cli.terminal import Terminal

__all__ = ["graphc", "main", "run"]

COMMANDS = (
    "check",
    "compile",
    "train",
    "eval",
    "predict",
    "show",
    "explain",
    "render",
    "doc",
    "gradcheck",
    "curvature",
    "prune",
)
INTERRUPTED = 130


class _Lazy(click.Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"graphc.cli.{cmd_name}").command
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="graphc")
def graphc() -> None:
    """Compile, train and use neural networks written as equations in .gc files."""


def main() -> NoReturn:
    """The entry point of the command `graphc`."""
    # A compilation makes many objects and drops few: looking for dead cycles is a tenth of it.
    gc.set_threshold(100_000, 50, 50)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit status; no error leaves this function."""
    _print_anything()
    try:
        return _status(list(arguments), Terminal())
    except OSError:
        # The outputs are full or closed: nobody can be told.
        _forget_output()
        return 1


def _status(arguments: list[str], terminal: Terminal) -> int:
    try:
        result: Any = graphc.main(
            arguments, prog_name="graphc", standalone_mode=False, obj=terminal
        )
        sys.stdout.flush()
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        terminal.say_error("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as problem:
        from graphc.cli.failures import report

        status = report(problem, terminal)
        sys.stdout.flush()
        return status
    return result if isinstance(result, int) else 0


def _print_anything() -> None:
    """A terminal that cannot show a letter gets an escape in its place, not an exception; an
    output that was closed before the start takes everything."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """What is left in the buffers must not fail once more when Python exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            os.dup2(nowhere, stream.fileno())
