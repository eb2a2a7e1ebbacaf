"""Names for the values of a derivation: those of the text, and places of definitions inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from graphc.ir import Call, Graph, Node, TupleType
from graphc.ops.leaves import Item
from graphc.passes.differentiate import Contribution

__all__ = ["OBJECTIVE", "Titles", "named_values", "titles"]

OBJECTIVE = "objective"


@dataclass
class Titles:
    """``names`` of nodes; ``steps`` are those between NAME and the objective, in order."""

    names: dict[int, str] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    items: dict[tuple[int, int], int] = field(default_factory=dict)
    """The nodes that take the items of calls which return several values."""
    consumers: dict[int, int] = field(default_factory=dict)

    def name(self, id: int) -> str:
        return self.names.get(id, OBJECTIVE)

    def result(self, user: int, item: int) -> int:
        """The node that holds item ``item`` of a node, itself where it has one value only."""
        return self.items.get((user, item), user)

    def results(self, graph: Graph, user: int) -> list[int]:
        if not isinstance(graph[user].type, TupleType):
            return [user]
        return [id for (call, _), id in sorted(self.items.items()) if call == user]

    def consumer(self, graph: Graph, user: int) -> int:
        """The first named value that a node leads to, or the call whose items are named."""
        start, chain = user, []
        while user not in self.consumers and user not in self.names:
            if isinstance(graph[user].type, TupleType):
                break
            chain.append(user)
            user = next(id for id in graph.users(user) if id in self._inside)
        found = self.consumers.get(user, user)
        for id in (start, *chain):
            self.consumers[id] = found
        return found

    _inside: set[int] = field(default_factory=set)


def named_values(graph: Graph) -> dict[int, str]:
    """Every named node; a name that is bound several times is counted: ``h#1``, ``h#2``."""
    named = [node for node in graph.topological() if node.name]
    count = Counter(node.name for node in named)
    number: Counter[str] = Counter()
    names = {}
    for node in named:
        number[node.name] += 1
        several = count[node.name] > 1
        names[node.id] = f"{node.name}#{number[node.name]}" if several else node.name
    return names


def titles(
    graph: Graph, objective: int, wanted: int, notes: Iterable[Contribution], end: int
) -> Titles:
    """Names for the values from ``wanted`` to ``objective``; ``end`` is the first backward node."""
    result = Titles({id: name for id, name in named_values(graph).items() if id < end})
    inside = {wanted, objective}
    for note in notes:
        inside |= {note.source, note.user}
    result._inside = inside
    result.names.setdefault(objective, OBJECTIVE)
    for node in graph.topological():
        if node.id >= end or node.id not in inside:
            continue
        if isinstance(node.op, Item):
            result.items[node.inputs[0], node.op.index] = node.id
        if isinstance(node.type, TupleType):
            continue
        if node.id not in result.names and _needs_name(graph, node, inside):
            result.names[node.id] = _own_name(graph, node, set(result.names.values()))
        if node.id in result.names:
            result.steps.append(node.id)
    return result


def _needs_name(graph: Graph, node: Node, inside: set[int]) -> bool:
    """What several values use, and a definition that has a place in the text."""
    users = [id for id in graph.users(node.id) if id in inside]
    if len(users) > 1 or isinstance(node.op, Item):
        return True
    return isinstance(node.op, Call) and bool(node.op.place)


def _own_name(graph: Graph, node: Node, taken: set[str]) -> str:
    """The place of a definition; of an operator, its name and a number."""
    op = node.op
    if isinstance(op, Item):
        call = graph[node.inputs[0]].op
        assert isinstance(call, Call)
        return _free(f"{call.place or call.body.definition}[{op.index}]", taken)
    if isinstance(op, Call):
        return _free(op.place or op.body.definition, taken)
    number = 1
    while f"{op.name}{number}" in taken:
        number += 1
    return f"{op.name}{number}"


def _free(name: str, taken: set[str]) -> str:
    number = 2
    wanted = name
    while name in taken:
        name = f"{wanted}#{number}"
        number += 1
    return name
