"""Names for the values of a derivation: those of the text, and places of definitions inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from graphc.ir import OPERATORS, Call, Graph, Group, Node, TupleType
from graphc.model.nodes import draws
from graphc.model.program import RootKey
from graphc.ops.leaves import Constant, Dimension, Item, Length
from graphc.passes.differentiate import Contribution
from graphc.rendering.formulas import SILENT

__all__ = ["OBJECTIVE", "Titles", "every_title", "named_values", "root_titles", "titles"]

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
    taken = dict.fromkeys(result.names.values(), 1)
    for node in graph.topological():
        if node.id >= end or node.id not in inside:
            continue
        if isinstance(node.op, Item):
            result.items[node.inputs[0], node.op.index] = node.id
        if isinstance(node.type, TupleType):
            continue
        if node.id not in result.names and _needs_name(graph, node, inside):
            result.names[node.id] = _counted(_own_title(graph, node), taken)
            taken.setdefault(result.names[node.id], 1)
        if node.id in result.names:
            result.steps.append(node.id)
    return result


def every_title(
    graph: Graph, roots: Mapping[int, str], end: int, operators: Container[int] = ()
) -> Titles:
    """Names for all values that a picture shows: what the text names, leaves, ``roots``, uses of
    definitions, what several values use, and of the nodes in ``operators`` each operator. ``end``
    is the first node that does not count."""
    result = Titles({id: name for id, name in named_values(graph).items() if id < end})
    result._inside = {node.id for node in graph if node.id < end}
    # Names in use and, below the stem of a name that is counted, its last number.
    taken = dict.fromkeys(result.names.values(), 1)
    fixed: set[int] = set()
    for node in graph.topological():
        if node.id >= end:
            continue
        if _is_fixed(node, fixed):
            fixed.add(node.id)
        if isinstance(node.op, Item):
            result.items[node.inputs[0], node.op.index] = node.id
        if isinstance(node.type, TupleType):
            continue
        if node.id not in result.names:
            title = _picture_title(graph, node, result, fixed, operators, roots)
            if not title:
                continue
            result.names[node.id] = _counted(title, taken)
            taken.setdefault(result.names[node.id], 1)
        result.steps.append(node.id)
    return result


def _is_fixed(node: Node, fixed: set[int]) -> bool:
    """Whether a node depends on numbers of the text and on lengths alone."""
    if not node.inputs:
        return isinstance(node.op, Constant | Dimension | Length)
    return all(i in fixed for i in node.inputs) and not draws(node)


def root_titles(roots: Mapping[RootKey, int]) -> dict[int, str]:
    """What results without a name are called; the objective last, as a loss may be it."""
    found: dict[int, str] = {}
    for (role, name), id in sorted(roots.items(), key=lambda root: root[0][0] == "objective"):
        title = {"gradient": f"∂{name}", "next": f"{name}′", "update": f"update {name}"}.get(role)
        found.setdefault(id, title or name or role)
    return found


def _picture_title(
    graph: Graph,
    node: Node,
    titles: Titles,
    fixed: set[int],
    operators: Container[int],
    roots: Mapping[int, str],
) -> str:
    """What a node without a name is called in a picture; empty where it is not shown itself."""
    op = node.op
    if node.id in roots:
        return roots[node.id]
    if node.id in fixed:
        return ""
    if not node.inputs:
        return str(getattr(op, "label", "") or getattr(op, "which", "") or f"{op.name}1")
    is_operator = node.id in operators and op.name not in SILENT
    if is_operator or _needs_name(graph, node, titles._inside):
        return _own_title(graph, node)
    return ""


def _own_title(graph: Graph, node: Node) -> str:
    """The place of a definition; of an operator, its name and a number."""
    op = node.op
    if isinstance(op, Item):
        call = graph[node.inputs[0]].op
        assert isinstance(call, Call | Group), "an item is one of a call or a group"
        place = call.place if isinstance(call, Call) else ""
        return f"{place or call.body.definition}[{op.index}]"
    return (op.place or op.body.definition) if isinstance(op, Call) else f"{op.name}1"


def _counted(name: str, taken: dict[str, int]) -> str:
    """The name, with the next free number where it is taken; operators are numbered from 1."""
    stem = name.removesuffix("1") if name.removesuffix("1") in OPERATORS else f"{name}#"
    while name in taken:
        number = taken.get(stem, 1) + 1
        taken[stem] = number
        name = f"{stem}{number}"
    return name


def _needs_name(graph: Graph, node: Node, inside: set[int]) -> bool:
    """What several values use, and a definition that has a place in the text."""
    users = [id for id in graph.users(node.id) if id in inside]
    if len(users) > 1 or isinstance(node.op, Item):
        return True
    return isinstance(node.op, Call) and bool(node.op.place)
