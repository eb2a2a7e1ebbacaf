"""Diagnostics as text for a terminal, and as JSON for a machine.

The picture is rustc's: the line with the place underlined, ``^`` for the main place and ``-`` for
the others; the label of the rightmost place stands behind its underline, the others hang below.
What a diagnostic says, and in which order, is decided by those who report it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from graphc.diagnostics import Diagnostic, Source, Span

__all__ = ["one_line", "render_diagnostic", "render_json", "render_text"]

_TAB = 4
_LONG_LINE = 140
_MOST = 120
"""Nobody reads more diagnostics of one run than these."""
_BEFORE, _AFTER = 50, 80
"""Characters of a long line that are shown before and behind the place that matters in it."""


def render_text(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """The first 120 diagnostics, errors before warnings where there are more, with a blank
    line between them and no line break at the end; where there are errors, the last line counts
    all of them. The empty text for none."""
    items = list(diagnostics)
    shown = items if len(items) <= _MOST else _first(items)
    parts = [render_diagnostic(item, color=color) for item in shown]
    if len(items) > len(shown):
        parts.append(f"… and {len(items) - len(shown):,} more")
    if any(item.severity == "error" for item in items):
        parts.append(_Paint(color).strong(_count(items)))
    return "\n\n".join(parts)


def _first(items: Sequence[Diagnostic]) -> list[Diagnostic]:
    """As many as are shown, in the order in which they were found."""
    by_weight = sorted(range(len(items)), key=lambda place: items[place].severity != "error")
    return [items[place] for place in sorted(by_weight[:_MOST])]


def render_diagnostic(diagnostic: Diagnostic, *, color: bool = False) -> str:
    """One diagnostic, without a line break at its end."""
    return "\n".join(_Picture(diagnostic, _Paint(color)).lines())


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON list with an object for each diagnostic; lines and columns are counted from 1, the
    end column is the one behind the last character, and all of them are null without a place."""
    items = [
        {
            "severity": item.severity,
            "code": item.code,
            "title": item.title,
            **_position(item.span),
            "label": item.label,
            "labels": [{"text": label.text, **_position(label.span)} for label in item.labels],
            "notes": list(item.notes),
            "help": item.help,
        }
        for item in diagnostics
    ]
    return json.dumps(items, indent=2)


def _position(span: Span | None) -> dict[str, str | int | None]:
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    line, column = span.source.line_column(span.start)
    end_line, end_column = span.source.line_column(max(span.start, span.end))
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _count(items: Sequence[Diagnostic]) -> str:
    errors = sum(item.severity == "error" for item in items)
    warnings = len(items) - errors
    counted = [(errors, "error"), (warnings, "warning")]
    return ", ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in counted if n)


# ---------------------------------------------------------------------------------------- colour


@dataclass(frozen=True)
class _Paint:
    """ANSI colours, or none."""

    color: bool

    def wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text

    def strong(self, text: str) -> str:
        return self.wrap("1", text)

    def gutter(self, text: str) -> str:
        return self.wrap("1;34", text)

    def severity(self, severity: str, text: str) -> str:
        return self.wrap("1;31" if severity == "error" else "1;33", text)


# ------------------------------------------------------------------------------------- characters


def _shown(character: str, column: int) -> str:
    """What a terminal gets for ``character`` when it stands in ``column`` (counted from 0)."""
    if character == "\t":
        return " " * (_TAB - column % _TAB)
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character


def _width(text: str) -> int:
    return sum(
        0
        if unicodedata.category(character) in ("Mn", "Me")
        else 2
        if unicodedata.east_asian_width(character) in ("W", "F")
        else 1
        for character in text
    )


def _safe(text: str) -> str:
    """A text of ours that may quote the user's: control characters are shown, not sent."""
    return "".join(character if character == "\n" else _shown(character, 0) for character in text)


def one_line(text: str) -> str:
    """A text of ours that may quote the user's, as a line that a terminal only shows."""
    return _safe(text).replace("\n", " ")


# ------------------------------------------------------------------------------------------ lines


@dataclass(frozen=True)
class _Mark:
    """A place in one line: characters ``start`` to ``end``, counted from 0."""

    start: int
    end: int
    text: str
    main: bool


@dataclass(frozen=True)
class _Bar:
    """A mark in columns of the terminal."""

    column: int
    width: int
    text: str
    main: bool


def _show_line(text: str, marks: Sequence[_Mark]) -> tuple[str, list[_Bar]]:
    """The line as a terminal shows it, shortened around its marks, and where the marks are."""
    first, last = _window(text, marks)
    shown = "…" if first > 0 else ""
    column = len(shown)
    columns = []
    for character in text[first:last]:
        columns.append(column)
        piece = _shown(character, column)
        shown += piece
        column += _width(piece)
    columns.append(column)
    bars = []
    for mark in marks:
        start = columns[min(max(mark.start, first), last) - first]
        end = columns[min(max(mark.end, first), last) - first]
        bars.append(_Bar(start, max(end - start, 1), mark.text, mark.main))
    return shown.rstrip() + ("…" if last < len(text) else ""), bars


def _window(text: str, marks: Sequence[_Mark]) -> tuple[int, int]:
    """The part of a long line that is shown."""
    if len(text) <= _LONG_LINE:
        return 0, len(text)
    focus = next((mark for mark in marks if mark.main), marks[0]).start
    first = max(0, min(focus - _BEFORE, len(text) - _BEFORE - _AFTER))
    return first, min(len(text), first + _BEFORE + _AFTER)


class _Canvas:
    """Rows of styled text that grow as they are written on."""

    def __init__(self, paint: _Paint, severity: str) -> None:
        self.paint = paint
        self.severity = severity
        self.rows: list[dict[int, tuple[str, bool]]] = []

    def put(self, row: int, column: int, text: str, main: bool) -> None:
        while len(self.rows) <= row:
            self.rows.append({})
        for character in text:
            width = _width(character)
            if width == 0 and column - 1 in self.rows[row]:
                before, style = self.rows[row][column - 1]
                self.rows[row][column - 1] = (before + character, style)
                continue
            self.rows[row][column] = (character, main)
            if width == 2:
                self.rows[row][column + 1] = ("", main)
            column += width

    def lines(self) -> Iterator[str]:
        for row in self.rows:
            cells = [row.get(column, (" ", None)) for column in range(max(row, default=-1) + 1)]
            yield self.styled(cells)

    def styled(self, cells: Sequence[tuple[str, bool | None]]) -> str:
        line, run, style = "", "", None
        for text, cell_style in [*cells, ("", None)]:
            if cell_style is not style:
                line += self.paint_run(run, style)
                run, style = "", cell_style
            run += text
        return line + self.paint_run(run, style)

    def paint_run(self, text: str, main: bool | None) -> str:
        if main is None:
            return text
        return self.paint.severity(self.severity, text) if main else self.paint.gutter(text)


def _draw(bars: Sequence[_Bar], canvas: _Canvas) -> None:
    """Underlines in the first row, one label behind them, the others below from right to left."""
    for bar in sorted(bars, key=lambda bar: bar.main):
        canvas.put(0, bar.column, ("^" if bar.main else "-") * bar.width, bar.main)
    labelled = sorted((bar for bar in bars if bar.text), key=lambda bar: bar.column)
    if not labelled:
        return
    last = labelled[-1]
    if all(bar is last or bar.column + bar.width <= last.column for bar in bars):
        canvas.put(0, last.column + last.width + 1, last.text, last.main)
        labelled.pop()
    if not labelled:
        return
    for bar in labelled:
        canvas.put(1, bar.column, "|", bar.main)
    for row in range(2, len(labelled) + 2):
        bar = labelled.pop()
        for other in labelled:
            canvas.put(row, other.column, "|", other.main)
        canvas.put(row, bar.column, bar.text, bar.main)


# -------------------------------------------------------------------------------------- the whole


class _Picture:
    def __init__(self, diagnostic: Diagnostic, paint: _Paint) -> None:
        self.diagnostic = diagnostic
        self.paint = paint
        self.places = self.marks()
        numbers = [line for by_line in self.places.values() for line in by_line]
        self.gutter = len(str(max(numbers))) if numbers else 0

    def marks(self) -> dict[Source, dict[int, list[_Mark]]]:
        """The marks by file, the main one first, and line."""
        diagnostic = self.diagnostic
        spans = [(label.span, label.text, False) for label in diagnostic.labels]
        if diagnostic.span is not None:
            spans.insert(0, (diagnostic.span, diagnostic.label, True))
        places: dict[Source, dict[int, list[_Mark]]] = {}
        for span, text, main in spans:
            line, column = span.source.line_column(span.start)
            length = len(span.source.line_text(line))
            start = min(column - 1, length)
            end = max(start, min(column - 1 + span.end - span.start, length))
            mark = _Mark(start, end, one_line(text), main)
            places.setdefault(span.source, {}).setdefault(line, []).append(mark)
        return places

    def lines(self) -> Iterator[str]:
        yield self.title()
        for number, (source, by_line) in enumerate(self.places.items()):
            yield from self.file(source, by_line, "-->" if number == 0 else ":::")
        for note in self.diagnostic.notes:
            yield from self.remark("note", note)
        if self.diagnostic.help:
            yield from self.remark("help", self.diagnostic.help)

    def title(self) -> str:
        diagnostic = self.diagnostic
        head = self.paint.severity(diagnostic.severity, f"{diagnostic.severity}[{diagnostic.code}]")
        return head + self.paint.strong(f": {one_line(diagnostic.title)}")

    def file(self, source: Source, by_line: dict[int, list[_Mark]], arrow: str) -> Iterator[str]:
        line, marks = next(iter(by_line.items()))
        place = f" {one_line(source.name)}:{line}:{marks[0].start + 1}"
        yield " " * (self.gutter + 1) + self.paint.gutter(arrow) + place
        yield self.row("", "")
        shown = 0
        for line in sorted(by_line):
            yield from self.between(source, shown, line)
            yield from self.line(source, line, by_line[line])
            shown = line

    def between(self, source: Source, shown: int, line: int) -> Iterator[str]:
        """What stands for the lines that are left out: one line is shown rather than left out."""
        if shown and line == shown + 2:
            text, _ = _show_line(source.line_text(shown + 1), [_Mark(0, 0, "", False)])
            yield self.row(str(shown + 1), text)
        elif shown and line > shown + 2:
            yield self.paint.gutter("...")

    def line(self, source: Source, line: int, marks: list[_Mark]) -> Iterator[str]:
        text, bars = _show_line(source.line_text(line), marks)
        yield self.row(str(line), text)
        canvas = _Canvas(self.paint, self.diagnostic.severity)
        _draw(bars, canvas)
        for row in canvas.lines():
            yield self.row("", row)

    def row(self, number: str, text: str) -> str:
        gutter = self.paint.gutter(f" {number:>{self.gutter}} |")
        return f"{gutter} {text}" if text else gutter

    def remark(self, kind: str, text: str) -> Iterator[str]:
        first, *others = _safe(text).split("\n")
        start = " " * (self.gutter + 2)
        yield f"{start}{self.paint.gutter('=')} {self.paint.strong(f'{kind}:')} {first}"
        for other in others:
            yield f"{start}  {' ' * len(kind)}  {other}".rstrip()
