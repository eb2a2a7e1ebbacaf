"""Sources, spans and diagnostics: what a person is told about a text, and where.

A :class:`Diagnostic` is data; :mod:`graphc.diagnostics.render` turns it into text for a terminal
or JSON for a machine. Compiler rooms collect diagnostics in a :class:`Diagnostics` bag and go on,
so that one run reports every error of a file. :class:`CompileError` carries the bag to whoever
asked for the compilation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

__all__ = [
    "MOST_ERRORS",
    "CompileError",
    "Diagnostic",
    "Diagnostics",
    "Label",
    "Source",
    "Span",
]

Severity = Literal["error", "warning"]


@dataclass(frozen=True, eq=False)
class Source:
    """A named text. ``name`` is what messages call it: the path as the user wrote it."""

    name: str
    text: str
    prelude: bool = False
    """True for the files that ship with graphc; errors there are shown at the user's own line."""

    @cached_property
    def line_starts(self) -> list[int]:
        starts = [0]
        position = self.text.find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = self.text.find("\n", position + 1)
        return starts

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both counted from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """Text of a line counted from 1, without its line break."""
        start = self.line_starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")


@dataclass(frozen=True)
class Span:
    """Characters ``start`` (included) to ``end`` (excluded) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.line_column(self.start)[0]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of ``other``, in the same source."""
        return Span(self.source, self.start, max(self.end, other.end))


@dataclass(frozen=True)
class Label:
    """A secondary place with what is to be known of it."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One message: ``error[E204]: title``, where, what else to look at, what to do.

    ``label`` is the text beside the caret of ``span``; ``labels`` are further places;
    ``notes`` are further facts (the line inside the prelude, say); ``help`` says what to do.
    """

    severity: Severity
    code: str
    title: str
    span: Span | None = None
    label: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""


MOST_ERRORS = 1000
"""A text with more errors than this is read no further: it takes long and tells nothing new."""


@dataclass
class Diagnostics:
    """A bag of diagnostics in the order in which they were found, without repetition."""

    items: list[Diagnostic] = field(default_factory=list)
    _seen: set[Diagnostic] = field(default_factory=set)
    _errors: int = 0

    def add(self, diagnostic: Diagnostic) -> None:
        """Take a diagnostic in. Raises CompileError at the last error that there is room for."""
        if diagnostic in self._seen:
            return
        self._seen.add(diagnostic)
        self.items.append(diagnostic)
        self._errors += diagnostic.severity == "error"
        if self._errors >= MOST_ERRORS:
            raise CompileError(self)

    def error(
        self,
        code: str,
        title: str,
        span: Span | None = None,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        help: str = "",
    ) -> None:
        self.add(Diagnostic("error", code, title, span, label, labels, notes, help))

    def warning(
        self,
        code: str,
        title: str,
        span: Span | None = None,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        help: str = "",
    ) -> None:
        self.add(Diagnostic("warning", code, title, span, label, labels, notes, help))

    @property
    def errors(self) -> list[Diagnostic]:
        return [item for item in self.items if item.severity == "error"]

    @property
    def warnings(self) -> list[Diagnostic]:
        return [item for item in self.items if item.severity == "warning"]

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.items)

    def raise_errors(self) -> None:
        """Raise :class:`CompileError` if there is an error among the items."""
        if self.errors:
            raise CompileError(self)


class CompileError(Exception):
    """A text has errors; ``diagnostics`` holds all of them, warnings included."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        super().__init__(diagnostics)

    def __str__(self) -> str:
        from graphc.diagnostics.render import render_text

        return render_text(self.diagnostics)
