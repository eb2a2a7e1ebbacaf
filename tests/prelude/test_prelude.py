"""The prelude as a text: every definition explains itself and stands once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphc.diagnostics import Diagnostics, Source
from graphc.language import parse, tree
from graphc.model.prelude import load_prelude

FILES = sorted((Path(__file__).resolve().parents[2] / "graphc/prelude").glob("*.gc"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_definition_carries_a_comment(path: Path) -> None:
    file = parse(Source(path.name, path.read_text("utf-8"), prelude=True), Diagnostics())
    definitions = [item for item in file.statements if isinstance(item, tree.Definition)]
    assert len(definitions) == len(file.statements)
    assert [item.name.name for item in definitions if not item.doc] == []
    assert [item.name.name for item in definitions if not _is_a_docstring(item.doc)] == []


def _is_a_docstring(doc: str) -> bool:
    """Lines that fit a terminal; the first says what it is, the source stands at the end."""
    first = doc.split("\n", maxsplit=1)[0]
    sources = re.findall(r"\([^()]*\b\d{4}\)", doc)
    known_late = re.search(r"\([^()]*\b\d{4}\)\.$", doc) is not None
    return (
        doc.endswith(".")
        and max(map(len, doc.split("\n"))) <= 98
        and len(first) > 10
        and bool(sources) == known_late
    )


def test_names_stand_once() -> None:
    names = [
        item.name.name
        for path in FILES
        for item in parse(Source(path.name, path.read_text("utf-8")), Diagnostics()).statements
        if isinstance(item, tree.Definition)
    ]
    assert sorted(names) == sorted(set(names)) == sorted(load_prelude().definitions)
