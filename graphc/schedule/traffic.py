"""Bytes that a group moves if it runs as one: what it reads from outside once, its results once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphc.ir import Graph, Group, Node
from graphc.schedule.memory import Precision, array_bytes, item_bytes, size_value
from graphc.schedule.order import Groups, How, memory_of

__all__ = ["Traffic"]


@dataclass
class Traffic:
    """The traffic between the groups of a graph in order.

    ``kept`` are values that are read after the run. ``dims`` gives every symbolic dimension.
    """

    graph: Graph
    order: Sequence[Node]
    how: Mapping[int, How]
    groups: Groups
    kept: Iterable[int]
    precision: Precision
    dims: Mapping[str, int]

    def __post_init__(self) -> None:
        self._read_outside = {self._memory(id) for id in self.kept}
        self._members: dict[Group, list[Node]] = {}
        for node in self.order:
            if self.how[node.id] == "view":
                continue
            own = self.groups.get(node.id)
            if own is not None and self.how[node.id] == "compute":
                self._members.setdefault(own, []).append(node)
            sources = map(self._memory, node.inputs)
            self._read_outside.update(i for i in sources if self.groups.get(i) is not own)

    def bytes(self, group: Group) -> int:
        """Bytes that a group reads and writes as one. An operand counts with what its keenest
        reader needs of it."""
        read: dict[int, int] = {}
        written = 0
        for node in self._members.get(group, ()):
            for id, count in self._reads(node):
                source = self._memory(id)
                if self.groups.get(source) is not group:
                    read[source] = max(read.get(source, 0), self._needed(source, count))
            if node.id in self._read_outside:
                written += array_bytes(node.tensor, self.precision, self.dims)
        return sum(read.values()) + written

    def _reads(self, node: Node) -> Iterable[tuple[int, int]]:
        types = tuple(self.graph[id].tensor for id in node.inputs)
        for id, count in zip(node.inputs, node.op.reads(types, node.tensor), strict=True):
            yield id, size_value(count, self.dims)

    def _needed(self, source: int, count: int) -> int:
        type = self.graph[source].tensor
        elements = min(count, size_value(type.size, self.dims))
        return elements * item_bytes(type.kind, self.precision)

    def _memory(self, id: int) -> int:
        return memory_of(self.graph, self.how, id)
