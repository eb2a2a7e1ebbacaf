"""The prelude: definitions in the language, from the ``.gc`` files that ship with graphc."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from graphc.diagnostics import Diagnostics, Source
from graphc.language import parse, tree
from graphc.model.frame import Home
from graphc.model.meanings import Definition

__all__ = ["load_prelude", "loss_names"]


@cache
def load_prelude() -> Home:
    """All definitions of the prelude, parsed once a process. Its files share one set of names."""
    home = Home()
    folder = files("graphc") / "prelude"
    diagnostics = Diagnostics()
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".gc"):
            continue
        source = Source(f"prelude/{entry.name}", entry.read_text(encoding="utf-8"), prelude=True)
        for statement in parse(source, diagnostics).statements:
            if not isinstance(statement, tree.Definition):
                raise RuntimeError(f"{source.name}: the prelude holds definitions only")
            home.definitions[statement.name.name] = Definition(statement, home)
    diagnostics.raise_errors()
    return home


@cache
def loss_names() -> frozenset[str]:
    """Names of the prelude's losses: functions of a prediction and more, in ``losses.gc``."""
    return frozenset(
        name
        for name, definition in load_prelude().definitions.items()
        if definition.tree.span.source.name == "prelude/losses.gc"
        and len(definition.tree.parameters) > 1
    )
