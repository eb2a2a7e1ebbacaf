"""Lines of source, indented, and text from the user made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["WIDTH", "Writer", "harmless", "quoted"]

WIDTH = 100
"""Columns of a line. A comment that does not fit is left out."""


def harmless(text: str) -> str:
    """Text for a comment or a docstring: one line, nothing that ends it, nothing invisible."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text.replace("\\", "/").replace('"', "'")


def quoted(text: str) -> str:
    """A string as source, in double quotes unless there are some in it. The gate for user text."""
    single = repr(text)
    return f'"{single[1:-1]}"' if single[0] == "'" and '"' not in single else single


_STRING = re.compile(r"""([\"'])(?:\\.|(?!\1).)*\1""")
_PLAIN = re.compile(r"\w+ = [\w.]+( [-+*/@]+ [\w.]+)+")
_OPERATOR = re.compile(r" ([-+*/@]+) ")


def _bare(text: str) -> str:
    """A text of the same length without what its strings hold."""
    return _STRING.sub(lambda found: "_" * len(found[0]), text)


def _outer_call(text: str) -> int:
    """Where the inside of the bracket begins that closes at the end of the text; 0 if none."""
    text = _bare(text)
    if text[-1:] not in (")", "]"):
        return 0
    closing, opening = text[-1], {")": "(", "]": "["}[text[-1]]
    depth = 0
    for position in range(len(text) - 1, -1, -1):
        depth += (text[position] == closing) - (text[position] == opening)
        if depth == 0:
            return position + 1 if position else 0
    return 0


def _parts(text: str) -> list[str]:
    """What the commas outside of brackets and strings separate."""
    parts, depth, start = [], 0, 0
    for position, sign in enumerate(_bare(text)):
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and not depth:
            parts.append(text[start:position])
            start = position + 1
    return [part.strip() for part in (*parts, text[start:])]


class Writer:
    """Collects lines, from the indentation given: a part knows how wide its lines may be."""

    def __init__(self, indent: int = 0) -> None:
        self.lines: list[str] = []
        self.indent = indent

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A line, and what follows indented under it."""
        self.line(head)
        self.indent += 1
        yield
        self.indent -= 1

    def line(self, text: str = "", comment: str = "") -> None:
        """One line; the comment must be harmless."""
        if not text and not comment:
            self.lines.append("")
            return
        line = "    " * self.indent + text
        remark = f"  # {comment}" if text else "    " * self.indent + f"# {comment}"
        if comment and (not text or len(line) + len(remark) <= WIDTH):
            line = (line + remark) if text else remark
        if len(line) > WIDTH and _outer_call(text):
            self._broken(text)
        elif len(line) > WIDTH and _PLAIN.fullmatch(text):
            self._bracketed(text)
        else:
            self.lines.append(line)

    def _broken(self, text: str) -> None:
        """A call that is too long: its arguments on a line of their own, or one a line."""
        start = _outer_call(text)
        inside = text[start:-1]
        with self.block(text[:start]):
            if text[-1] == "]" and len(_parts(inside)) == 1:
                self.line(inside)  # a comma would make the index a tuple
            else:
                self._arguments(inside)
        self.line(text[-1])

    def _bracketed(self, text: str) -> None:
        """An assignment without brackets that is too long: its right side in brackets."""
        name, right = text.split(" = ", 1)
        with self.block(f"{name} = ("):
            if self._fits(right):
                self.line(right)
            else:
                first, *rest = _OPERATOR.split(right)
                self.line(first)
                for sign, operand in zip(rest[::2], rest[1::2], strict=True):
                    self.line(f"{sign} {operand}")
        self.line(")")

    def _arguments(self, text: str) -> None:
        """Arguments on one line if they fit, else one a line."""
        if self._fits(text):
            self.line(text)
            return
        for part in _parts(text):
            if self._fits(f"{part},") or part[0] != "[":
                self.line(f"{part},")
                continue
            with self.block("["):
                self._arguments(part[1:-1])
            self.line("],")

    def _fits(self, text: str) -> bool:
        return 4 * self.indent + len(text) <= WIDTH

    def docstring(self, *paragraphs: str) -> None:
        """Lines of a docstring, which must be harmless."""
        if len(paragraphs) == 1:
            self.line(f'"""{paragraphs[0]}"""')
            return
        self.line(f'"""{paragraphs[0]}')
        for text in paragraphs[1:]:
            self.line(text)
        self.line('"""')

    def items(self, head: str, items: Sequence[str], tail: str) -> None:
        """``head`` + items + ``tail``, such as a call: on one line if it fits, else one an item."""
        line = f"{head}{', '.join(items)}{tail}"
        if 4 * self.indent + len(line) <= WIDTH:
            self.line(line)
            return
        with self.block(head):
            for item in items:
                self.line(f"{item},")
        self.line(tail)

    def source(self, text: str) -> None:
        """Finished source at this indentation."""
        for line in text.splitlines():
            self.lines.append("    " * self.indent + line if line else "")

    def append(self, other: Writer) -> None:
        """The lines of a part, which was written at its indentation."""
        self.lines.extend(other.lines)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"
