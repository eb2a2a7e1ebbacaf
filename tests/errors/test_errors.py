"""Every bad program sits beside the exact diagnostics that it must give.

A first line ``#: --set NAME=VALUE`` gives what the command line would; ``--columns`` what is known
of the data. ``pytest tests/errors --update-goldens`` rewrites the expected texts.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from graphc.diagnostics import CompileError, Diagnostics, Source
from graphc.diagnostics.render import render_text
from graphc.model import Settings, elaborate

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PROGRAMS = sorted(HERE.glob("*.gc"))
UNREACHED = {"E107", "E701"}
"""Shown below, for a file of 8 MB has no place among these, and in test_target_lacks."""


@dataclass(frozen=True)
class Column:
    kind: str
    shape: tuple[int, ...] = ()
    classes: tuple[str, ...] | None = field(default=None)


def settings_of(text: str) -> Settings:
    files = {f"used/{path.name}": path.read_text() for path in (HERE / "used").glob("*.gc")}
    first = text.split("\n", 1)[0]
    if not first.startswith("#: "):
        return Settings(files=files)
    sets, examples, columns = {}, {}, None
    words = iter(shlex.split(first.removeprefix("#: ").replace(", ", ",")))
    for flag, value in zip(words, words, strict=True):
        if flag == "--columns":
            columns = {n: Column(k) for n, k in (item.split("=") for item in value.split(","))}
            continue
        name, _, given = value.partition("=")
        (sets if flag == "--set" else examples)[name] = given
    return Settings(sets=sets, examples=examples, files=files, columns=columns)


def diagnostics_of(path: Path) -> tuple[str, bool]:
    """The rendered diagnostics, and whether the program compiled."""
    text = path.read_bytes().decode("utf-8")
    diagnostics = Diagnostics()
    try:
        elaborate(Source(path.name, text), diagnostics, settings_of(text))
    except CompileError:
        return render_text(diagnostics) + "\n", False
    return render_text(diagnostics) + "\n", True


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_diagnostics_are_exact(path: Path, request: pytest.FixtureRequest) -> None:
    rendered, compiled = diagnostics_of(path)
    expected = path.with_suffix(".txt")
    if request.config.getoption("--update-goldens"):
        expected.write_text(rendered, encoding="utf-8")
    assert rendered == expected.read_text(encoding="utf-8")
    assert compiled == (path.stem == "warnings")


def test_every_program_has_its_text_and_every_text_its_program() -> None:
    assert {path.stem for path in HERE.glob("*.txt")} == {path.stem for path in PROGRAMS}


def test_every_code_has_a_program() -> None:
    rooms = ("model", "language", "session")
    sources = [path for room in rooms for path in (ROOT / "graphc" / room).glob("*.py")]
    codes = {
        code for path in sources for code in re.findall(r'"([EW]\d{3})"', path.read_text("utf-8"))
    }
    shown = {
        code
        for path in HERE.glob("*.txt")
        for code in re.findall(r"^(?:error|warning)\[(\w+)\]", path.read_text("utf-8"), re.M)
    }
    assert codes - shown == UNREACHED


def test_no_message_shows_internals() -> None:
    words = re.compile(r"NoneType|Traceback|object at|<class|\btuple\b|\bNone\b|operand_|Const\(")
    for path in HERE.glob("*.txt"):
        assert not words.search(path.read_text("utf-8")), path.name


def test_a_huge_file_is_one_error() -> None:
    diagnostics = Diagnostics()
    with pytest.raises(CompileError):
        elaborate(Source("big.gc", "a = 1\n" * 1_500_000), diagnostics)
    assert diagnostics.errors[0].code == "E107"
