"""Every exception as something a person can act on; a traceback only where graphc is at fault."""

from __future__ import annotations

import os
import sys
import traceback

from graphc.cli.terminal import Terminal

__all__ = ["report"]

_LONGEST = 1000
"""Characters of a message that are shown: it may quote names from a data file."""


def report(problem: Exception, terminal: Terminal) -> int:
    """Say what went wrong; the exit status."""
    try:
        from graphc.session import CompileError, RunError
    except ImportError as missing:
        sys.stderr.write(f"error: graphc is not installed properly: {missing}\n")
        return 1
    if isinstance(problem, CompileError):
        _report_diagnostics(problem, terminal)
    elif isinstance(problem, RunError):
        _report_error(problem.message, problem.help, terminal)
    elif isinstance(problem, OSError):
        _report_error(_reason(problem), "check the path, its permissions and the disk", terminal)
    elif isinstance(problem, MemoryError):
        _report_error("out of memory", "use a smaller batch, model or data file", terminal)
    else:
        _report_internal(problem, terminal)
    return 1


def _report_diagnostics(problem: object, terminal: Terminal) -> None:
    import json

    from graphc.diagnostics import CompileError
    from graphc.diagnostics.render import render_json, render_text

    assert isinstance(problem, CompileError)
    if terminal.json:
        found = json.loads(render_json(problem.diagnostics))
        terminal.say_json({"ok": False, "diagnostics": found})
        return
    terminal.say_error(render_text(problem.diagnostics, color=terminal.color(sys.stderr)))


def _report_error(message: str, help: str, terminal: Terminal) -> None:
    if terminal.json:
        terminal.say_json({"ok": False, "error": {"message": message, "help": help}})
        return
    from graphc.diagnostics.render import one_line

    paint = "\x1b[1;31merror\x1b[0m" if terminal.color(sys.stderr) else "error"
    terminal.say_error(f"{paint}: {one_line(message)[:_LONGEST]}")
    if help:
        terminal.say_error(f"help: {one_line(help)[:_LONGEST]}")


def _report_internal(problem: Exception, terminal: Terminal) -> None:
    if os.environ.get("GRAPHC_TRACEBACK"):
        traceback.print_exception(problem)
    text = str(problem).split("\n")[0][:200]
    _report_error(
        f"internal error in graphc: {type(problem).__name__}: {text}",
        "this is a mistake in graphc, please report it with the model; "
        "GRAPHC_TRACEBACK=1 shows where",
        terminal,
    )


def _reason(problem: OSError) -> str:
    reason = problem.strerror or str(problem)
    return f"{problem.filename}: {reason}" if problem.filename else f"cannot write: {reason}"
