"""Groups: nodes that run as one. A pass makes them; whoever runs the graph may open them again.

Unlike a call a group is no use of a definition: its members are nodes of the graph around it, with
their names and origins, and what they compute is the same inside and outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphc.ir.graph import Body, Graph, Node, Operand, Origin
from graphc.ir.notation import Formula, Notation
from graphc.ir.operator import OPERATORS, Operator
from graphc.ir.types import AnyType

__all__ = ["Group", "group_nodes", "in_order", "open_group"]


@dataclass(frozen=True, eq=True)
class Group(Operator):
    """Members as a body: operands are what they read from outside, results what is read of them.

    The body's ``definition`` is the kind of group, its ``title`` what it computes, for people.
    """

    name = "group"
    arity = -1
    body: Body

    def infer(self, *types: AnyType) -> AnyType:
        return self.body.type

    @property
    def members(self) -> list[Node]:
        """What the group computes, and its own constants, in order."""
        return [node for node in self.body.graph.topological() if not _is_operand(node)]

    @property
    def origins(self) -> list[Origin]:
        """Where the members come from, in order, each once."""
        return list(dict.fromkeys(node.origin for node in self.members))

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call(self.body.title, *args)


def _is_operand(node: Node) -> bool:
    return isinstance(node.op, Operand)


def in_order(graph: Graph, ids: Iterable[int]) -> list[Node]:
    """Members of a group, each after what it reads and close to its first use."""
    inside = dict.fromkeys(ids)
    read = {i for id in inside for i in graph[id].inputs}
    return graph.depth_first((id for id in inside if id not in read), read.difference(inside))


def group_nodes(
    graph: Graph, ids: Sequence[int], kind: str, title: str, kept: Iterable[int] = ()
) -> dict[int, int]:
    """Replace nodes, given in topological order, by one group.

    ``kept`` are those of them that are results though nobody else may read them: roots. Returns
    what stands for each result: the group, or an item of it where there are several. No way may
    lead from a member out of the group and back into it.
    """
    members, kept = set(ids), set(kept)
    inner, where = Graph(), dict[int, int]()
    inputs: list[int] = []
    for id in ids:
        for source in graph[id].inputs:
            if source not in where:
                assert source not in members, "members come in topological order"
                op = Operand(len(inputs), graph[source].name)
                where[source] = inner.add(op, (), graph[source].type, graph[source].origin)
                inputs.append(source)
        node = graph[id]
        places = tuple(where[i] for i in node.inputs)
        where[id] = inner.add(node.op, places, node.type, node.origin, node.name)
        inner[where[id]].verified = node.verified
    results = [id for id in ids if id in kept or not members.issuperset(graph.users(id))]
    body = Body(
        title=title,
        definition=kind,
        graph=inner,
        operands=tuple(where[id] for id in inputs),
        results=tuple(where[id] for id in results),
    )
    origin = graph[results[-1]].origin
    name = graph[results[0]].name if len(results) == 1 else ""
    group = graph.add(Group(body), tuple(inputs), body.type, origin, name)
    return _redirect(graph, group, results, ids)


def _redirect(
    graph: Graph, group: int, results: list[int], members: Sequence[int]
) -> dict[int, int]:
    """Let users outside read the group, and remove the members."""
    inside, moved = set(members), dict[int, int]()
    for index, id in enumerate(results):
        node = graph[id]
        new = group
        if len(results) > 1:
            item = OPERATORS["item"](index)  # type: ignore[call-arg]
            new = graph.add(item, (group,), node.type, node.origin, node.name)
        graph.replace_uses(id, new, keep=inside)
        moved[id] = new
    for id in reversed(members):
        graph.remove(id)
    return moved


def open_group(graph: Graph, node: Node) -> dict[int, int]:
    """Put the members of a group back in its place.

    Returns where each result went: the group itself, or its items, by what stands for them now.
    """
    assert isinstance(node.op, Group)
    body = node.op.body
    where = graph.absorb(body.graph, dict(zip(body.operands, node.inputs, strict=True)))
    results = [where[id] for id in body.results]
    if len(results) == 1:
        graph.replace_uses(node.id, results[0])
        graph.remove(node.id)
        return {node.id: results[0]}
    moved = {}
    for item in graph.users(node.id):
        moved[item] = results[graph[item].op.index]  # type: ignore[attr-defined]
        graph.replace_uses(item, moved[item])
        graph.remove(item)
    graph.remove(node.id)
    return moved
