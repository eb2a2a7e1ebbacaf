"""What a person asks for: compile a model text, train it, load a run, evaluate, predict.

This room ties the compiler to the runtime; it is the public API of graphc, and what the command
line calls. Errors are of two kinds: :class:`CompileError` for what is wrong with a text, with all
its diagnostics, and :class:`RunError` for everything else that a person can put right.
"""

from __future__ import annotations

from graphc.diagnostics import CompileError
from graphc.runtime import (
    DivergedError,
    FailedError,
    LiveReporter,
    PlainReporter,
    Reporter,
    RunError,
    write_atomic,
)
from graphc.runtime.atomic import json_ready
from graphc.session.model import Model, compile
from graphc.session.predicting import records_text
from graphc.session.run import Run, expect_same_text, is_run, latest_run, load
from graphc.session.scoring import Question, Scores, find_run, score

__all__ = [
    "CompileError",
    "DivergedError",
    "FailedError",
    "LiveReporter",
    "Model",
    "PlainReporter",
    "Question",
    "Reporter",
    "Run",
    "RunError",
    "Scores",
    "compile",
    "expect_same_text",
    "find_run",
    "is_run",
    "json_ready",
    "latest_run",
    "load",
    "records_text",
    "score",
    "write_atomic",
]
