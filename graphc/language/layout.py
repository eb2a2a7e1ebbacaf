"""The layout of a text: its brackets, comments and line breaks, before it is parsed.

The parser reads a copy of the text, character for character as long as the original, in which
comments and line breaks without meaning are blanks. What stands in the way of finding the lines
(an open text, a bracket without its partner, a control character) is reported here, and the places
are noted at which the parser can go on reading after a mistake.

What the lines say is left to the grammar.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from graphc.diagnostics import Diagnostics, Label, Source, Span

__all__ = ["MAX_FAULTS", "MAX_NESTING", "Forced", "Layout", "Resume", "lay_out"]

MAX_NESTING = 200
"""Brackets inside brackets, and expressions inside expressions, that a text may have."""

MAX_FAULTS = 100
"""Mistakes of one text that are reported: who makes more has given the wrong file."""

_OPENER = {")": "(", "]": "[", "}": "{"}
_CLOSER = {opener: closer for closer, opener in _OPENER.items()}

# The order matters: a text and a comment hide what is inside them, and a line break takes all the
# blank lines and comment lines below it along, up to the first character of the next line.
_SCAN = re.compile(
    r"""
      (?P<text>"(?:[^"\\\n]++|\\[^\n])*+"?)
    | (?P<comment>\#[^\n]*)
    | (?P<lines>\n(?>[ \t\r\f]*+(?:\#[^\n]*+)?\n)*+[ \t\r\f]*+)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<control>(?:
          [\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]
        | \r(?!\n)
      )+)
    """,
    re.VERBOSE,
)
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_TOUCHES_NAME = re.compile(r"[\w\u0300-\u036f]")

_DEFINITION = re.compile(r"def[ \t]")
_DERIVATIVE = re.compile(r"derivative(?![\w'])(?![ \t]*(?:=(?!=)|,))")
_ELSE = re.compile(r"else(?!\w)")
_KEYWORD_LINE = re.compile(
    r"(?:model|use|hyper|input|target|param|state|loss|metric|output|def|layer|optimizer|repeat)"
    r"[ \t]+[^\W\d]|(?:data|train|regularize|prune)[ \t]+\{"
)
_BINDING_LINE = re.compile(r"[^\W\d]\w*'?[ \t]*(?:,[ \t]*[^\W\d]\w*'?[ \t]*)*=(?!=)")
_TOP_LINE = re.compile(
    r"(?:model|use|hyper|input|target|def|layer|optimizer)[ \t]+[^\W\d]"
    r"|(?:data|train|regularize|prune)[ \t]+\{"
)
_WANTS_MORE = frozenset(",([{=+-*/@^|<>:")


@dataclass(frozen=True)
class Resume:
    """A place where reading can go on: a line break that ends a statement, or the brace that ends
    a block. ``depth`` is the number of blocks open there."""

    offset: int
    depth: int


@dataclass(frozen=True)
class Forced:
    """A line break before which ``count`` blocks must be closed: their braces are missing. In a
    ``torn`` line another bracket is open as well, so that a brace would close the wrong one."""

    offset: int
    count: int
    torn: bool


@dataclass
class Layout:
    """``text`` is as long as the source's up to where it is read, plus a line break. ``faults`` are
    the offsets of what has been reported, in ascending order once the text is laid out."""

    text: str = ""
    resumes: list[Resume] = field(default_factory=list)
    forced: list[Forced] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Bracket:
    """An open bracket. ``indent`` is that of its line; a ``block`` brace holds statements."""

    character: str
    offset: int
    indent: int
    block: bool


def lay_out(
    source: Source, diagnostics: Diagnostics, start: int = 0, end: int | None = None
) -> Layout:
    """Lay the text of ``source`` out; what is wrong with its brackets and texts is reported.

    Of a part of it, from the beginning of a line at ``start`` to ``end``, the lines above are a
    blank one.
    """
    above = " " * (start - 1) + "\n" if start else ""
    return _Scanner(source, above + source.text[start:end], diagnostics).run()


class _Scanner:
    def __init__(self, source: Source, text: str, diagnostics: Diagnostics) -> None:
        self.source = source
        self.diagnostics = diagnostics
        self.text = text + "\n"
        self.layout = Layout()
        self.pieces: list[str] = []
        self.copied = 0
        self.brackets: list[_Bracket] = []
        self.open_counts: Counter[str] = Counter()
        self.inline = 0
        """How many of the open brackets make line breaks meaningless."""
        self.indent = len(self.text) - len(self.text.lstrip("\ufeff \t"))
        self.top_line = self.indent
        """Where the statement of the top level begins that is being read."""
        self.anchor = 0
        """The end of what the scan last stopped at, comments apart."""
        self.anchor_character = ""
        self.too_deep = False

    def run(self) -> Layout:
        handlers = {
            "text": self.on_text,
            "comment": self.on_comment,
            "lines": self.on_lines,
            "open": self.on_open,
            "close": self.on_close,
            "control": self.on_control,
        }
        if self.text.startswith("\ufeff"):
            self.blank(0, 1)
        for match in _SCAN.finditer(self.text, self.copied):
            handlers[match.lastgroup or ""](match)
        self.pieces.append(self.text[self.copied :])
        self.layout.text = "".join(self.pieces)
        self.layout.faults.sort()
        return self.layout

    # ------------------------------------------------------------------------- what is found

    def on_text(self, match: re.Match[str]) -> None:
        start, end = match.span()
        self.touch(end)
        written = match.group()
        if len(written) < 2 or not written.endswith('"') or _ends_escaped(written):
            self.fault(
                "E103",
                "this text has no closing quote",
                start,
                end,
                help='a text ends on its own line: close it with `"`; `\\n` writes a line break',
            )
        elif control := _CONTROL_IN_TEXT.search(written):
            place = start + control.start()
            self.fault(
                "E108",
                f"control character U+{ord(control.group()):04X} inside a text",
                place,
                place + 1,
                help=f"write it as `\\u{ord(control.group()):04x}`",
            )

    def on_comment(self, match: re.Match[str]) -> None:
        self.blank(*match.span())

    def on_lines(self, match: re.Match[str]) -> None:
        start, end = match.span()
        if end == len(self.text):
            self.end_of_text(start)
            return
        indent = end - self.text.rindex("\n", start, end) - 1
        torn = self.inline > 0
        if torn and self.starts_statement(start, end, indent):
            self.report_open(self.brackets[-1])
            self.drop_inline()
        elif torn or self.continues(start, end):
            self.blank(start, end)
            self.anchor, self.anchor_character = end, self.last_character(start)
            return
        self.end_line(start, end, indent, torn)

    def on_open(self, match: re.Match[str]) -> None:
        start, end = match.span()
        character = match.group()
        before = self.text[start - 1] if start else ""
        block = character == "{" and not self.inline and not _TOUCHES_NAME.match(before)
        self.brackets.append(_Bracket(character, start, self.indent, block))
        self.open_counts[character] += 1
        self.inline += not block
        self.touch(end)
        if len(self.brackets) > MAX_NESTING and not self.too_deep:
            self.too_deep = True
            self.fault(
                "E106",
                f"more than {MAX_NESTING} brackets inside each other",
                start,
                end,
                help="name the inner parts: `part = …` on a line of its own",
            )

    def on_close(self, match: re.Match[str]) -> None:
        start, end = match.span()
        character = match.group()
        self.touch(end)
        if not self.brackets:
            self.fault("E104", f"`{character}` closes nothing", start, end, help="remove it")
            return
        opener = _OPENER[character]
        top = self.brackets[-1]
        if top.character != opener and self.open_counts[opener]:
            self.report_open(top)
            while self.brackets[-1].character != opener:
                self.pop()
        elif top.character != opener and top.block:
            self.fault("E104", f"`{character}` closes nothing", start, end, help="remove it")
            return
        elif top.character != opener:
            self.report_mismatch(character, start, end)
        if self.brackets[-1].block:
            self.layout.resumes.append(Resume(start, len(self.brackets)))
        self.pop()

    def on_control(self, match: re.Match[str]) -> None:
        start, end = match.span()
        self.blank(start, end)
        self.fault(
            "E108",
            f"control or invisible character U+{ord(self.text[start]):04X}",
            start,
            end,
            help="remove it; lines end with a line feed, words are kept apart by blanks",
        )

    # --------------------------------------------------------------------------------- lines

    def starts_statement(self, start: int, end: int, indent: int) -> bool:
        """Whether the line at ``end`` begins a statement although a bracket is still open: it
        stands no deeper than the line with the bracket and cannot belong to a list."""
        if indent > self.brackets[-1].indent:
            return False
        if _KEYWORD_LINE.match(self.text, end):
            return True
        wants_more = self.last_character(start) in _WANTS_MORE
        return not wants_more and _BINDING_LINE.match(self.text, end) is not None

    def continues(self, start: int, end: int) -> bool:
        """Whether the line at ``end`` goes on with the statement: a link of a chain, the derivative
        of a definition, or an ``else``."""
        if self.text.startswith("|>", end):
            return True
        if not self.brackets and _DERIVATIVE.match(self.text, end):
            return _DEFINITION.match(self.text, self.top_line) is not None
        return self.last_character(start) == "}" and _ELSE.match(self.text, end) is not None

    def last_character(self, end: int) -> str:
        """The last character before ``end`` that is neither blank nor comment."""
        tail = self.text[self.anchor : end]
        comment = tail.find("#")
        tail = (tail if comment < 0 else tail[:comment]).rstrip()
        return tail[-1] if tail else self.anchor_character

    def end_line(self, start: int, end: int, indent: int, torn: bool) -> None:
        """The statement ends here; braces that a statement of the top level proves missing too."""
        if self.brackets and indent == 0 and _TOP_LINE.match(self.text, end):
            self.close_blocks(start, torn)
        self.layout.resumes.append(Resume(start, len(self.brackets)))
        self.blank(start, end, keep=True)
        self.indent = indent
        if not self.brackets:
            self.top_line = end
        self.anchor, self.anchor_character = end, ""

    def end_of_text(self, start: int) -> None:
        torn = self.inline > 0
        if torn:
            self.report_open(self.brackets[-1])
            self.drop_inline()
        if self.brackets:
            self.close_blocks(start, torn)
        self.layout.resumes.append(Resume(start, 0))
        self.blank(start, len(self.text), keep=True)

    def close_blocks(self, offset: int, torn: bool) -> None:
        self.report_open(self.brackets[-1])
        self.layout.forced.append(Forced(offset, len(self.brackets), torn))
        while self.brackets:
            self.pop()

    # ------------------------------------------------------------------------------ brackets

    def pop(self) -> None:
        bracket = self.brackets.pop()
        self.open_counts[bracket.character] -= 1
        self.inline -= not bracket.block
        if not self.brackets:
            self.too_deep = False

    def drop_inline(self) -> None:
        while self.inline:
            self.pop()

    def report_open(self, bracket: _Bracket) -> None:
        self.fault(
            "E104",
            f"this `{bracket.character}` is never closed",
            bracket.offset,
            bracket.offset + 1,
            help=f"add the missing `{_CLOSER[bracket.character]}`",
        )

    def report_mismatch(self, character: str, start: int, end: int) -> None:
        top = self.brackets[-1]
        opened = Span(self.source, top.offset, top.offset + 1)
        self.fault(
            "E104",
            f"`{character}` does not close `{top.character}`",
            start,
            end,
            labels=(Label(opened, "opened here"),),
            help=f"write `{_CLOSER[top.character]}` here",
        )

    # ------------------------------------------------------------------------------- the copy

    def blank(self, start: int, end: int, *, keep: bool = False) -> None:
        """Blanks for the characters from ``start``; with ``keep`` the line break there stays."""
        self.pieces.append(self.text[self.copied : start])
        self.pieces.append("\n" + " " * (end - start - 1) if keep else " " * (end - start))
        self.copied = end

    def touch(self, end: int) -> None:
        self.anchor, self.anchor_character = end, self.text[end - 1]

    def fault(
        self,
        code: str,
        title: str,
        start: int,
        end: int,
        *,
        labels: tuple[Label, ...] = (),
        help: str = "",
    ) -> None:
        self.layout.faults.append(start)
        if len(self.layout.faults) > MAX_FAULTS:
            return
        self.diagnostics.error(code, title, Span(self.source, start, end), labels=labels, help=help)


def _ends_escaped(written: str) -> bool:
    """Whether the last quote of an open text belongs to an escape: ``"abc\\"``."""
    body = written[1:-1]
    return (len(body) - len(body.rstrip("\\"))) % 2 == 1
