"""Text to syntax tree, whatever the text: every mistake becomes a diagnostic, none an exception.

The parser reads a text once. At a mistake it does what yacc does: it takes back what it has read of
the statement, puts the token ``BROKEN`` in its place, skips to the end of the line or block and
reads on, so that one run reports the mistakes of all statements. :mod:`graphc.language.layout`
knows where the lines and blocks end, :mod:`graphc.language.mistakes` what to say.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.lexer import Lexer, LexerState
from lark.parsers.lalr_analysis import Shift
from lark.parsers.lalr_parser_state import ParserState

from graphc.diagnostics import Diagnostic, Diagnostics, Source, Span
from graphc.language.build import Builder, TooDeep
from graphc.language.grammar import grammar_text
from graphc.language.layout import MAX_FAULTS, Resume, lay_out
from graphc.language.mistakes import Place, explain
from graphc.language.tables import make_parser
from graphc.language.tree import File

__all__ = ["MAX_BYTES", "parse"]

MAX_BYTES = 8_000_000


def parse(
    source: Source, diagnostics: Diagnostics, *, start: int = 0, end: int | None = None
) -> File:
    """The syntax tree of the statements of ``source`` that can be read.

    What cannot be read is reported (E101 and following) in the order of the text. ``start``, at the
    beginning of a line, and ``end`` limit the reading to a part of the text, of whole statements.
    """
    if len(source.text) > MAX_BYTES or len(source.text.encode(errors="replace")) > MAX_BYTES:
        diagnostics.error(
            "E107",
            f"{source.name} has more than {MAX_BYTES // 1_000_000} MB",
            help="a model file holds a model; put data into files that `data { file = … }` names",
        )
        return File(source, ())
    found = Diagnostics()
    file = _Reading(source, found, start, end).run()
    for diagnostic in sorted(found, key=_position):
        diagnostics.add(diagnostic)
    return file


def _position(diagnostic: Diagnostic) -> int:
    return diagnostic.span.start if diagnostic.span is not None else -1


@dataclass(frozen=True)
class _Machine:
    """The parser with the builder that it calls."""

    lark: Lark
    builder: Builder


class _Machines(threading.local):
    """One machine a thread, made when first needed: its builder belongs to the text being read."""

    machine: _Machine | None = None


_machines = _Machines()


def _machine() -> _Machine:
    if _machines.machine is None:
        builder = Builder()
        _machines.machine = _Machine(make_parser(grammar_text(), builder), builder)
    return _machines.machine


class _Reading:
    """One reading of one text, or of a part of it."""

    def __init__(
        self, source: Source, diagnostics: Diagnostics, start: int = 0, end: int | None = None
    ) -> None:
        self.source = source
        self.diagnostics = diagnostics
        self.layout = lay_out(source, diagnostics, start, end)
        self.resume_offsets = [resume.offset for resume in self.layout.resumes]
        self.forced = iter(self.layout.forced)
        self.next_forced = next(self.forced, None)
        self.resumed = -1
        self.token = _token("BROKEN", 0, 0)
        self.last_token: Token | None = None
        machine = _machine()
        machine.builder.begin(source, diagnostics)
        parsing = machine.lark.parse_interactive(self.layout.text)
        self.parser: ParserState[int] = parsing.parser_state
        self.lexer: Lexer = parsing.lexer_thread.lexer
        self.lexer_state = cast(LexerState, parsing.lexer_thread.state)

    def run(self) -> File:
        for _ in range(MAX_FAULTS):
            if self.read():
                break
        else:
            self.give_up()
        if not self.accepts("$END"):  # a block is open that the layout takes for closed
            self.go_on(self.layout.resumes[-1])
            self.read()
        end = len(self.layout.text)
        file: File = self.parser.feed_token(_token("$END", end, end), is_end=True)
        return file

    def read(self) -> bool:
        """Read up to the end (True) or through the next mistake, which is reported (False)."""
        try:
            for token in self.tokens():
                self.token = token
                self.parser.feed_token(token)
                self.last_token = token
        except UnexpectedToken as mistake:
            self.on_mistake(mistake.token)
        except UnexpectedCharacters as mistake:
            start = mistake.pos_in_stream or 0
            self.on_mistake(_token("", start, start + 1, self.layout.text[start]))
        except TooDeep as mistake:
            self.on_too_deep(mistake)
        else:
            return True
        return False

    def tokens(self) -> Iterator[Token]:
        """The tokens from here on, with the closing braces that the text lacks; where a brace would
        close the wrong bracket, a token that fits nowhere."""
        for token in self.lexer.lex(self.lexer_state, self.parser):
            forced = self.next_forced
            if forced is not None and _start(token) >= forced.offset:
                self.next_forced = next(self.forced, None)
                kind = "TORN" if forced.torn else "RBRACE"
                for _ in range(forced.count):
                    yield _token(kind, forced.offset, forced.offset)
            yield token

    def give_up(self) -> None:
        start = max(self.resumed, 0)
        self.diagnostics.error(
            "E199",
            "too many mistakes: the rest of the text is not read",
            Span(self.source, start, start),
        )
        self.go_on(self.layout.resumes[-1])
        self.read()

    # ------------------------------------------------------------------------------ mistakes

    def on_mistake(self, token: Token) -> None:
        start = _start(token)
        lacking = token.type in ("RBRACE", "TORN") and token.start_pos == token.end_pos
        if not lacking and not self.reported_around(start):
            place = Place(
                self.source,
                self.layout.text,
                token,
                self.last_token,
                self.statement_start(start),
                self.accepted(),
            )
            self.diagnostics.add(explain(place))
        self.go_on(self.resume_after(start))

    def on_too_deep(self, mistake: TooDeep) -> None:
        start = mistake.span.start
        if not self.reported_around(start):
            self.diagnostics.error(
                "E106",
                mistake.title,
                Span(self.source, start, start + 1),
                label="it begins here",
                help="name an intermediate value: `part = …`, and go on with `part`",
            )
        self.go_on(self.resume_after(_start(self.token)))

    def statement_start(self, offset: int) -> int:
        """Where the line or block begins that ``offset`` belongs to."""
        index = bisect_left(self.resume_offsets, offset)
        return self.resume_offsets[index - 1] + 1 if index else 0

    def reported_around(self, offset: int) -> bool:
        """Whether the layout has said already what is wrong with the line of ``offset``."""
        start = self.statement_start(offset)
        end = self.resume_offsets[bisect_left(self.resume_offsets, offset)]
        faults = self.layout.faults
        index = bisect_left(faults, start)
        return index < len(faults) and faults[index] <= end

    def accepted(self) -> frozenset[str]:
        """The terminals with which the statement could go on."""
        states = self.parser.parse_conf.states
        candidates = (name for name in states[self.parser.position] if name.isupper())
        return frozenset(name for name in candidates if self.accepts(name))

    def accepts(self, terminal: str) -> bool:
        """Whether the parser can shift ``terminal`` after the reductions that it calls for."""
        states = self.parser.parse_conf.states
        stack = list(self.parser.state_stack)
        while True:
            action, rule = states[stack[-1]].get(terminal, (None, None))
            if action is None or rule is None:
                return False
            if action is Shift:
                return True
            del stack[len(stack) - len(rule.expansion) :]
            stack.append(states[stack[-1]][rule.origin.name][1])

    # ---------------------------------------------------------------------------- reading on

    def resume_after(self, offset: int) -> Resume:
        """The first place at or after ``offset`` at which the broken statement has ended."""
        depth = self.unwind()
        resumes = self.layout.resumes
        index = bisect_left(self.resume_offsets, max(offset, self.resumed + 1))
        while index < len(resumes) and resumes[index].depth > depth:
            index += 1
        return resumes[min(index, len(resumes) - 1)]

    def go_on(self, resume: Resume) -> None:
        """Put ``BROKEN`` in the place of the statement that was read, and go on at ``resume``."""
        depth = self.unwind()
        while depth > resume.depth:
            depth -= _opens_block(self.pop())
        self.unwind_statement()
        self.parser.feed_token(_token("BROKEN", resume.offset, resume.offset))
        self.resumed = resume.offset
        self.lexer_state.line_ctr.char_pos = resume.offset
        while self.next_forced is not None and self.next_forced.offset <= resume.offset:
            self.next_forced = next(self.forced, None)

    def unwind(self) -> int:
        """Take back the statement being read; the number of blocks around it."""
        self.unwind_statement()
        return sum(_opens_block(value) for value in self.parser.value_stack)

    def unwind_statement(self) -> None:
        states = self.parser.parse_conf.states
        while "BROKEN" not in states[self.parser.position]:
            self.pop()

    def pop(self) -> object:
        self.parser.state_stack.pop()
        return self.parser.value_stack.pop()


def _opens_block(value: object) -> bool:
    return isinstance(value, Token) and value.type == "LBRACE"


def _token(kind: str, start: int, end: int, text: str = "") -> Token:
    return Token(kind, text, start_pos=start, end_pos=end)


def _start(token: Token) -> int:
    return token.start_pos or 0
