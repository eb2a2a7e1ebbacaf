"""Which values of a graph a picture shows, and who reads whom: structure before any text.

What is said of a value may take long to work out, so it is settled first what is drawn at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphc.ir import Call, Graph, Group, Node, TupleType
from graphc.rendering.naming import Titles

__all__ = ["Outline", "Use", "call_of", "line_of", "make_outline", "safe_key"]


@dataclass(frozen=True)
class Use:
    """The unit ``user`` reads the unit ``source``: in slot ``slot`` of the node ``reader``."""

    source: int
    user: int
    reader: int
    slot: int


@dataclass
class Outline:
    """Units are the values that may get a box: titled values, and calls of several values.

    They are in topological order; ``uses`` holds a line for every slot, so ``x * x`` gives two.
    """

    graph: Graph
    titles: Titles
    units: list[int]
    uses: list[Use]
    calls: dict[int, str] = field(default_factory=dict)
    """Names of the calls and groups that return several values."""

    def name(self, id: int) -> str:
        return self.calls.get(id) or self.titles.name(id)

    def key(self, id: int) -> str:
        """A key for the unit's box: its name with nothing in it that any syntax minds."""
        return safe_key(self.name(id))


def safe_key(name: str) -> str:
    """A name as an identifier of DOT, SVG and HTML alike; different names stay different."""
    return re.sub(r"[^A-Za-z0-9.]", lambda match: f"_{ord(match[0]):x}_", name)


def make_outline(graph: Graph, titles: Titles, roots: Iterable[int], end: int) -> Outline:
    """The units that the roots depend on; nodes from ``end`` on do not count."""
    needed = graph.ancestors(roots)
    calls = _call_names(graph, titles, needed, end)
    units = [
        node.id
        for node in graph.topological()
        if node.id in needed and node.id < end and (node.id in titles.names or node.id in calls)
    ]
    shown = set(units)
    uses = [use for id in units for use in _uses(graph, id, shown)]
    return Outline(graph, titles, units, uses, calls)


def _call_names(graph: Graph, titles: Titles, needed: set[int], end: int) -> dict[int, str]:
    taken = set(titles.names.values())
    calls: dict[int, str] = {}
    for node in graph.topological():
        if node.id >= end or node.id not in needed or not isinstance(node.type, TupleType):
            continue
        assert isinstance(node.op, Call | Group)
        place = node.op.place if isinstance(node.op, Call) else node.op.body.title
        name = stem = place or node.op.body.definition
        number = 2
        while name in taken:
            name, number = f"{stem}#{number}", number + 1
        taken.add(name)
        calls[node.id] = name
    return calls


def _uses(graph: Graph, id: int, shown: set[int]) -> list[Use]:
    """What a unit reads, through nodes that are no units, in the order of the operands."""
    found: list[Use] = []
    stack = [(id, slot) for slot in reversed(range(len(graph[id].inputs)))]
    while stack:
        reader, slot = stack.pop()
        source = graph[reader].inputs[slot]
        if source in shown:
            found.append(Use(source, id, reader, slot))
        else:
            stack.extend((source, i) for i in reversed(range(len(graph[source].inputs))))
    return found


def line_of(node: Node) -> int:
    """The line of the model that a node comes from, 0 where it has none."""
    return node.origin.span.line if node.origin.span else 0


def call_of(graph: Graph, id: int) -> Mapping[int, str]:
    """What a definition calls its operands, by slot; nothing for other nodes."""
    op = graph[id].op
    if not isinstance(op, Call):
        return {}
    inner = (op.body.graph[operand] for operand in op.body.operands)
    return {
        slot: node.name or str(getattr(node.op, "label", "")) for slot, node in enumerate(inner)
    }
