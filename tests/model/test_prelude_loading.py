"""The prelude's definitions: found at once, each read when it is used, as its file says it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from graphc.diagnostics import CompileError, Diagnostics, Source, Span
from graphc.language import parse
from graphc.model import elaborate, prelude
from graphc.model.frame import Home

FILES = sorted((Path(__file__).resolve().parents[2] / "graphc/prelude").glob("*.gc"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first lines of what the prelude has had read."""
    seen: list[str] = []

    def noting(source: Source, diagnostics: Diagnostics, *, start: int, end: int) -> Any:
        seen.append(source.text[start:end].split("\n")[0])
        return parse(source, diagnostics, start=start, end=end)

    monkeypatch.setattr(prelude, "parse", noting)
    return seen


def loaded() -> Home:
    """The prelude as a new process loads it."""
    return prelude.load_prelude.__wrapped__()


def of_files(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Home:
    (folder / "prelude").mkdir()
    (folder / "prelude" / "own.gc").write_text(text, encoding="utf-8")
    monkeypatch.setattr(prelude, "files", lambda _package: folder)
    return loaded()


def plain(item: Any) -> Any:
    """A tree as lists, texts and numbers; a span keeps the name of its source and its line."""
    if isinstance(item, Span):
        return [item.source.name, item.source.prelude, item.start, item.end, item.line]
    if dataclasses.is_dataclass(item):
        values = (plain(getattr(item, field.name)) for field in dataclasses.fields(item))
        return [type(item).__name__, *values]
    return [plain(each) for each in item] if isinstance(item, tuple) else item


def test_each_tree_is_that_of_the_whole_file() -> None:
    diagnostics = Diagnostics()
    whole = [
        statement
        for path in FILES
        for statement in parse(
            Source(f"prelude/{path.name}", path.read_text("utf-8"), prelude=True), diagnostics
        ).statements
    ]
    definitions = loaded().definitions
    assert not list(diagnostics)
    assert list(definitions) == [statement.name.name for statement in whole]
    assert [plain(each.tree) for each in definitions.values()] == [plain(each) for each in whole]
    for definition in definitions.values():
        assert definition.name == definition.tree.name.name
        assert definition.source is definition.tree.span.source


def test_a_model_has_read_what_it_uses_once(
    read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = loaded()
    assert read == []
    monkeypatch.setattr(sys.modules[elaborate.__module__], "load_prelude", lambda: home)
    text = "model m\ninput x: real[n, 4]\noutput y = softplus(softplus(silu(x)))\n"
    for _ in range(2):
        elaborate(Source("m.gc", text), Diagnostics())
        heads = sorted(line.split("(")[0].split("{")[0] for line in read)
        assert heads == ["def sigmoid", "def silu", "def softplus"]


def test_a_prelude_with_a_mistake_says_so_when_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = of_files(tmp_path, monkeypatch, "def right(x) = x\n\ndef wrong(x) = x +\n")
    assert home.definitions["right"].tree.span.line == 1
    with pytest.raises(CompileError) as caught:
        _ = home.definitions["wrong"].tree
    spans = [item.span for item in caught.value.diagnostics]
    assert [span.line for span in spans if span is not None] == [3]


def test_a_prelude_holds_definitions_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = of_files(tmp_path, monkeypatch, "def f(x) = x\ny = 3\n")
    with pytest.raises(RuntimeError, match="holds definitions only"):
        _ = home.definitions["f"].tree
