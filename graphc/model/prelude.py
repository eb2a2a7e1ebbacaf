"""The prelude: definitions in the language, from the ``.gc`` files that ship with graphc."""

from __future__ import annotations

from functools import cache, partial
from importlib.resources import files

from graphc.diagnostics import Diagnostics, Source
from graphc.language import outline, parse, tree
from graphc.model.frame import Home
from graphc.model.meanings import Definition

__all__ = ["load_prelude", "loss_names"]


@cache
def load_prelude() -> Home:
    """All definitions of the prelude, each parsed when its tree is first asked for. Its files share
    one set of names."""
    home = Home()
    folder = files("graphc") / "prelude"
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".gc"):
            continue
        source = Source(f"prelude/{entry.name}", entry.read_text(encoding="utf-8"), prelude=True)
        for name, (start, end) in outline(source).items():
            read = partial(_read, source, start, end)
            home.definitions[name] = Definition(name, source, home, read)
    return home


def _read(source: Source, start: int, end: int) -> tree.Definition:
    diagnostics = Diagnostics()
    statements = parse(source, diagnostics, start=start, end=end).statements
    diagnostics.raise_errors()
    if len(statements) != 1 or not isinstance(statements[0], tree.Definition):
        raise RuntimeError(f"{source.name}: the prelude holds definitions only")
    return statements[0]


@cache
def loss_names() -> frozenset[str]:
    """Names of the prelude's losses: functions of a prediction and more, in ``losses.gc``."""
    return frozenset(
        name
        for name, definition in load_prelude().definitions.items()
        if definition.source.name == "prelude/losses.gc" and len(definition.tree.parameters) > 1
    )
