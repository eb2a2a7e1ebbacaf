"""Definitions of a model's file and of the files that it uses.

They are collected before anything is elaborated, so they may stand anywhere in a file. Each used
file is read once and keeps names of its own.
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

from graphc.diagnostics import Diagnostics, Label, Source, Span
from graphc.language import parse, tree
from graphc.model import builtins
from graphc.model.frame import Frame, Home
from graphc.model.meanings import Definition

__all__ = ["Files", "words_of_errors"]

MAX_BYTES = 8_000_000


class Files:
    """The files of one model. ``given`` holds texts that need not be read from the disk."""

    def __init__(self, source: Source, frame: Frame, given: Mapping[str, str] | None) -> None:
        self.source = source
        self.frame = frame
        self.home = frame.home
        self.given = given
        self.texts: dict[str, str] = {}
        """Texts of used files by their path from the folder of the model's."""
        self.opened: dict[str, Source] = {}
        self.homes: dict[str, Home] = {}
        self.uses: set[tuple[Source, str]] = set()
        self.opening = [posixpath.basename(source.name.replace("\\", "/"))]
        """The model's file and the used files inside each other that are being read."""

    @property
    def sources(self) -> list[Source]:
        """The model's file and the used ones, in the order in which they were read."""
        return [self.source, *self.opened.values()]

    @property
    def all_homes(self) -> list[Home]:
        return [self.home, *self.homes.values()]

    def collect(self, file: tree.File, home: Home, used: bool) -> None:
        """Make the definitions of a file known in ``home``."""
        for statement in file.statements:
            if isinstance(statement, tree.Definition):
                self._define(home, statement, used)
            elif isinstance(statement, tree.Use):
                self._use(statement, file.source, home)
            elif used:
                self.frame.error("E347", "a used file holds definitions only", statement.span)

    def _define(self, home: Home, statement: tree.Definition, used: bool) -> None:
        name = statement.name.name
        if self._collides(home, name, statement.name.span):
            return
        shadowed = home.outer is not None and home.outer.find(name) is not None
        if shadowed or name in builtins.BUILTINS:
            what = "definition of the prelude" if shadowed else "primitive"
            self.frame.diagnostics.warning(
                "W101", f"`{name}` shadows the {what} of that name", statement.name.span
            )
        home.definitions[name] = Definition.of(statement, home)
        if used:
            home.used.add(name)

    def _collides(self, home: Home, name: str, span: Span) -> bool:
        before = home.definitions.get(name)
        if before is None:
            return False
        self.frame.error(
            "E348",
            f"`{name}` is defined twice",
            span,
            labels=(Label(before.tree.name.span, "first defined here"),),
        )
        return True

    def _use(self, statement: tree.Use, within: Source, home: Home) -> None:
        """Make the definitions of another file known in ``home``; what that file itself uses stays
        its own."""
        key = self._key(within, statement.path.value)
        if (within, key) in self.uses:
            self.frame.error("E349", f"`{statement.path.value}` is used twice", statement.span)
            return
        self.uses.add((within, key))
        if key in self.opening:
            circle = " uses ".join(f"`{name}`" for name in [*self.opening, key])
            self.frame.error("E350", f"files use each other in a circle: {circle}", statement.span)
            return
        if key not in self.homes:
            self._open(statement, key)
        for name, definition in self.homes[key].definitions.items():
            if definition.home is self.homes[key] and not self._collides(
                home, name, statement.path.span
            ):
                home.definitions[name] = definition
                home.used.add(name)

    def _key(self, within: Source, text: str) -> str:
        """The path of a used file from the folder of the model's."""
        if within is self.source:
            return posixpath.normpath(text)
        here = next(key for key, source in self.opened.items() if source is within)
        return posixpath.normpath(posixpath.join(posixpath.dirname(here), text))

    def _open(self, statement: tree.Use, key: str) -> None:
        home = self.homes[key] = Home(outer=self.home.outer)
        source = self._read(statement, key)
        if source is None:
            return
        self.texts[key] = source.text
        self.opened[key] = source
        self.opening.append(key)
        file = parse(source, self.frame.diagnostics)
        self.frame.context.broken = words_of_errors(self.frame.diagnostics)
        self.collect(file, home, used=True)
        self.opening.pop()

    def _read(self, statement: tree.Use, key: str) -> Source | None:
        if self.given is not None and key in self.given:
            return Source(key, self.given[key])
        path = Path(self.source.name).parent / key
        try:
            return Source(str(path), _text(path))
        except (OSError, ValueError) as error:
            reason = "it is not UTF-8 text" if isinstance(error, ValueError) else _reason(error)
            self.frame.error("E351", f"cannot read `{path}`: {reason}", statement.path.span)
            return None


def words_of_errors(diagnostics: Diagnostics) -> frozenset[str]:
    """Words on lines that could not be read: names that a broken statement may have bound."""
    spans = [item.span for item in diagnostics.errors if item.span is not None]
    lines = {span.source.line_text(span.line) for span in spans}
    return frozenset(word for line in lines for word in re.findall(r"\w+", line))


def _text(path: Path) -> str:
    """OSError or ValueError for what is no text file: a pipe or a device might never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is not a regular file")
    if path.stat().st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MAX_BYTES // 1_000_000} MB")
    return path.read_text(encoding="utf-8-sig")


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
