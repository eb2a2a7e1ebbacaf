"""Lines of source, indented, and text from the user made harmless."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["WIDTH", "Writer", "harmless", "quoted"]

WIDTH = 100
"""Columns of a line. A comment that does not fit is left out."""


def harmless(text: str) -> str:
    """Text for a comment or a docstring: one line, nothing that ends it, nothing invisible."""
    kept = (c if c.isprintable() else "?" for c in text)
    return "".join(kept).replace("\\", "/").replace('"', "'")


def quoted(text: str) -> str:
    """A string as source, in double quotes unless there are some in it. The gate for user text."""
    single = repr(text)
    return f'"{single[1:-1]}"' if single[0] == "'" and '"' not in single else single


class Writer:
    """Collects lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.indent = 0

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
        self.lines.append(line)

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
        """Another writer's lines at this indentation."""
        self.source("\n".join(other.lines))

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"
