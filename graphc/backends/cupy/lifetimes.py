"""What statements do to memory, line by line, and where arrays are let go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from graphc.backends.printing.plain import LET_GO, PlainBody, deletions
from graphc.backends.printing.text import remark
from graphc.ir import Node, Type

__all__ = ["Memory", "TrackedBody"]


@dataclass(frozen=True)
class Memory:
    """What a line does to memory, by variables: the arrays that it makes, those that it reads or
    names anew, and what it holds on the way."""

    makes: Mapping[str, Type] = field(default_factory=dict)
    reads: tuple[int, ...] = ()
    uses: tuple[str, ...] = ()
    """Variables that it mentions beside the values that it reads."""
    view: tuple[str, str] | None = None
    """A variable, and the one whose memory it looks into."""
    hidden: tuple[Type, ...] = ()
    drops: tuple[str, ...] = ()


@dataclass
class TrackedBody(PlainBody):
    """Statements of which each says what it does to memory."""

    memory: list[Memory] = field(default_factory=list)
    """Of each line."""

    lets_go: ClassVar[bool] = True
    """Whether arrays are deleted after their last use; else they stay until the function ends."""

    def write_line(self, text: str, node: Node, memory: Memory, comment: str | None = None) -> None:
        self.lines.append((text, remark(node) if comment is None else comment, node))
        self.memory.append(memory)

    def let_go(self) -> None:
        if not self.lets_go:
            return
        dead = self.last_used()
        lines, memory = list(self.lines), list(self.memory)
        self.lines, self.memory = [], []
        waiting: list[str] = []
        for position, line in enumerate(lines):
            self.lines.append(line)
            self.memory.append(memory[position])
            waiting += dead.get(position, [])
            if len(waiting) >= LET_GO:
                self._let_go_of(waiting)
                waiting = []

    def _let_go_of(self, names: list[str]) -> None:
        texts = deletions(names)
        self.lines += [(text, "", None) for text in texts]
        self.memory += [Memory(drops=tuple(names)), *[Memory()] * (len(texts) - 1)]

    def _held(self, id: int) -> bool:
        """Whether a value is an array that a statement made."""
        how = self.how[id]
        return how in ("compute", "view") or (how == "static" and bool(self.graph[id].tensor.shape))

    def last_used(self) -> dict[int, list[str]]:
        kept = {self.value[id] for id in self.roots}
        last: dict[str, int] = {}
        for position, memory in enumerate(self.memory):
            names = [*memory.makes, *memory.uses]
            names += [self.value[id] for id in memory.reads if id in self.value and self._held(id)]
            last.update(dict.fromkeys(names, position))
        found: dict[int, list[str]] = {}
        for name, position in last.items():
            if name not in kept and name.isidentifier():
                found.setdefault(position, []).append(name)
        return found
