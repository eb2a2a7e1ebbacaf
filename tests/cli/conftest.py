"""The command line in this process, with what it said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from graphc.cli import run


@dataclass(frozen=True)
class Said:
    """The exit status, standard output and standard error of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def say(here, capsys) -> Callable[..., Said]:
    """`say("check", path)` runs `graphc check PATH` in an empty folder."""

    def call(*arguments: object) -> Said:
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Said(status, captured.out, captured.err)

    return call


@pytest.fixture
def refused(say) -> Callable[..., str]:
    """`refused("check", path)` expects exit status 1, one error, and nothing on standard output;
    returns the message."""

    def call(*arguments: object) -> str:
        said = say(*arguments)
        assert said.status == 1
        assert said.out == ""
        assert said.err.count("error") >= 1
        assert "internal error" not in said.err
        return said.err

    return call
