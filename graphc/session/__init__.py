"""What a person asks for: compile a model text, train it, load a run, evaluate, predict.

This room ties the compiler to the runtime; it is the public API of graphc, and what the command
line calls. Errors are of two kinds: :class:`CompileError` for what is wrong with a text, with all
its diagnostics, and :class:`RunError` for everything else that a person can put right.
"""

from __future__ import annotations

from graphc.diagnostics import CompileError
from graphc.runtime import DivergedError, RunError
from graphc.session.model import Model, compile
from graphc.session.run import Run, is_run, latest_run, load

__all__ = [
    "CompileError",
    "DivergedError",
    "Model",
    "Run",
    "RunError",
    "compile",
    "is_run",
    "latest_run",
    "load",
]
