"""The graph: typed nodes, given as a NetworkX ``MultiDiGraph`` keyed by argument slot on request.

``x * x`` is two edges from ``x``, with keys 0 and 1. The ordered inputs on a node are the truth;
the slots that each user of a node fills are counted beside them, so that users are found at once.
Ids grow in the order of creation and are never reused, so a topological order with ties broken by
id is deterministic.
"""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphc.diagnostics import Span
from graphc.ir.notation import Formula, Notation
from graphc.ir.operator import Operator
from graphc.ir.types import AnyType, TupleType, Type

if TYPE_CHECKING:
    from networkx import MultiDiGraph

__all__ = ["Body", "Call", "Graph", "Node", "Operand", "Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node comes from.

    ``span`` is where the model says it; ``chain`` the definitions that it was expanded from,
    outermost first; ``made_by`` the pass that made it (empty: the model); ``adjoint_of`` the name
    of the value whose gradient it is, ``tangent_of`` of the value whose derivative along the
    tangents it is.
    """

    span: Span | None = None
    chain: tuple[str, ...] = ()
    made_by: str = ""
    adjoint_of: str = ""
    tangent_of: str = ""

    def inside(self, outer: Origin, name: str) -> Origin:
        """This origin, seen from a call of definition ``name`` that stands at ``outer``."""
        return Origin(
            outer.span or self.span,
            (*outer.chain, name, *self.chain),
            self.made_by or outer.made_by,
            self.adjoint_of or outer.adjoint_of,
            self.tangent_of or outer.tangent_of,
        )


@dataclass(slots=True)
class Node:
    """One value. ``name`` is what the model calls it, empty where it has no name."""

    id: int
    op: Operator
    inputs: tuple[int, ...]
    type: AnyType
    origin: Origin
    name: str = ""
    verified: bool = False
    """Whether the verifier has seen this operator with these inputs; a change resets it."""

    def copy(self) -> Node:
        """Another node of the same value."""
        return Node(self.id, self.op, self.inputs, self.type, self.origin, self.name, self.verified)

    @property
    def tensor(self) -> Type:
        """The type of a node that is not a tuple."""
        assert isinstance(self.type, Type), f"node {self.id} is a tuple"
        return self.type


class Graph:
    """Nodes and their order. A pass owns the graph it is given and rewrites it in place."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        self._users: dict[int, dict[int, int]] = {}
        """For each node its users, with the number of slots in which they read it."""
        self._next = 0
        self._order: list[Node] | None = None
        """The topological order, until the next change."""

    # -- reading

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, id: object) -> bool:
        return id in self._nodes

    def __getitem__(self, id: int) -> Node:
        return self._nodes[id]

    def __iter__(self) -> Iterator[Node]:
        """Nodes in the order of creation (not topological after rewrites)."""
        return iter(list(self._nodes.values()))

    @property
    def networkx(self) -> MultiDiGraph[int]:
        """The graph as it is now: nodes by id, an edge from operand to user for each slot.

        It is made on request: no pass needs it, and importing NetworkX takes longer than compiling
        a small model.
        """
        from networkx import MultiDiGraph

        result: MultiDiGraph[int] = MultiDiGraph()
        result.add_nodes_from(self._nodes)
        for id, node in self._nodes.items():
            for slot, source in enumerate(node.inputs):
                result.add_edge(source, id, key=slot)
        return result

    @property
    def next_id(self) -> int:
        """The id that the next node gets."""
        return self._next

    def users(self, id: int) -> list[int]:
        """Ids of the nodes that read ``id``, ascending, each once."""
        return sorted(self._users[id])

    def user_count(self, id: int) -> int:
        """Number of argument slots that read ``id``."""
        return sum(self._users[id].values())

    def slots(self, id: int, user: int) -> int:
        """Number of argument slots of ``user`` that read ``id``."""
        return self._users[id].get(user, 0)

    @property
    def pair_count(self) -> int:
        """Number of pairs of a node and one of its users."""
        return sum(map(len, self._users.values()))

    def topological(self) -> list[Node]:
        """Every node after its inputs; ties by id."""
        if self._order is None:
            self._order = self._sorted()
        return self._order

    def _sorted(self) -> list[Node]:
        nodes = self._nodes
        if all(source < id for id, node in nodes.items() for source in node.inputs):
            return list(nodes.values())  # the order of creation is one, and by id
        waiting = {id: len(set(node.inputs)) for id, node in nodes.items()}
        ready = [id for id, count in waiting.items() if count == 0]  # ascending, so a heap
        order: list[Node] = []
        while ready:
            id = heapq.heappop(ready)
            order.append(nodes[id])
            for user in self._users[id]:
                waiting[user] -= 1
                if waiting[user] == 0:
                    heapq.heappush(ready, user)
        if len(order) != len(nodes):
            raise ValueError("the graph has a cycle")
        return order

    def ancestors(self, roots: Iterable[int]) -> set[int]:
        """The roots and everything they depend on."""
        seen = set(roots)
        stack = list(seen)
        while stack:
            for source in self._nodes[stack.pop()].inputs:
                if source not in seen:
                    seen.add(source)
                    stack.append(source)
        return seen

    def frontier(self, roots: Iterable[int], stop: Container[int]) -> list[int]:
        """The first nodes of ``stop`` on every way up from the roots, in the order of creation."""
        found: set[int] = set()
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            id = stack.pop()
            if id in seen:
                continue
            seen.add(id)
            if id in stop:
                found.add(id)
            else:
                stack.extend(self._nodes[id].inputs)
        return sorted(found)

    def depth_first(self, roots: Iterable[int], known: Iterable[int] = ()) -> list[Node]:
        """What the roots need and is not ``known``, every node after its operands, each root's own
        before the next one's."""
        order: list[Node] = []
        seen = set(known)
        for root in roots:
            stack = [root]
            while stack:
                id = stack.pop()
                if id < 0:  # all operands of node ~id are in order
                    order.append(self._nodes[~id])
                elif id not in seen:
                    seen.add(id)
                    stack.append(~id)
                    stack.extend(reversed(self._nodes[id].inputs))
        return order

    # -- writing

    def add(
        self,
        op: Operator,
        inputs: tuple[int, ...],
        type: AnyType,
        origin: Origin,
        name: str = "",
    ) -> int:
        id = self._next
        self._next += 1
        self._order = None
        self._nodes[id] = Node(id, op, inputs, type, origin, name)
        self._users[id] = {}
        self._read(id, inputs)
        return id

    def _read(self, id: int, inputs: tuple[int, ...]) -> None:
        for source in inputs:
            users = self._users[source]
            users[id] = users.get(id, 0) + 1

    def set_inputs(self, id: int, inputs: tuple[int, ...]) -> None:
        node = self._nodes[id]
        node.verified, self._order = False, None
        for source in node.inputs:
            self._users[source].pop(id, None)
        node.inputs = inputs
        self._read(id, inputs)

    def set_op(self, id: int, op: Operator) -> None:
        node = self._nodes[id]
        node.op, node.verified = op, False

    def replace_uses(self, old: int, new: int, *, keep: Iterable[int] = ()) -> None:
        """Let every user of ``old`` read ``new`` instead, except the users in ``keep``."""
        kept = {new, *keep}
        for user in self.users(old):
            if user not in kept:
                inputs = self._nodes[user].inputs
                self.set_inputs(user, tuple(new if i == old else i for i in inputs))

    def remove(self, id: int) -> None:
        """Remove a node that nobody reads."""
        if self._users[id]:
            raise ValueError(f"node {id} is still read")
        self._forget(id)
        self._order = None

    def keep_only(self, ids: set[int]) -> None:
        """Remove every node that is not in ``ids``, a set closed under inputs."""
        dead = [id for id in self._nodes if id not in ids]
        if not dead:
            return
        if self._order is not None:
            self._order = [node for node in self._order if node.id in ids]
        for id in dead:
            self._forget(id)

    def _forget(self, id: int) -> None:
        for source in self._nodes.pop(id).inputs:
            if source in self._users:
                self._users[source].pop(id, None)
        del self._users[id]

    def copy(self) -> Graph:
        """An independent graph with the same ids. Operators, types and origins are shared."""
        other = Graph()
        other._nodes = {id: node.copy() for id, node in self._nodes.items()}
        other._users = {id: users.copy() for id, users in self._users.items()}
        other._next = self._next
        return other

    def absorb(
        self, other: Graph, operands: Mapping[int, int], rename: Any = None
    ) -> dict[int, int]:
        """Copy the nodes of ``other`` into this graph.

        ``operands`` maps nodes of ``other`` to nodes here that stand for them. ``rename`` gets each
        copied node and returns ``(op, origin, name)``; without it all three are kept. Returns where
        each node went.
        """
        where = dict(operands)
        for node in other.topological():
            if node.id in where:
                continue
            op, origin, name = (
                rename(node) if rename is not None else (node.op, node.origin, node.name)
            )
            inputs = tuple(where[i] for i in node.inputs)
            where[node.id] = self.add(op, inputs, node.type, origin, name)
        return where


@dataclass(frozen=True)
class Operand(Operator):
    """A formal operand of a body: the caller supplies its value."""

    name = "operand"
    arity = 0
    flops = 0
    index: int
    label: str

    def infer(self, *types: Type) -> AnyType:
        raise TypeError("an operand's type is given, not inferred")

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.symbol(self.label)


@dataclass(eq=False)
class Body:
    """The expansion of a definition for given attributes and operand types.

    ``operands`` are Operand nodes in the order of the call's inputs, ``results`` the nodes that it
    returns. Bodies are shared between calls and never changed after they are made: a pass makes
    new ones. ``title`` is how a person calls it: ``dense{64}``.

    ``derivative`` is the node of the local derivative where the definition states one: it
    may read the operands and ``own``, the Operand that stands for the definition's value.
    """

    title: str
    definition: str
    graph: Graph
    operands: tuple[int, ...]
    results: tuple[int, ...]
    derivative: Body | None = None
    prelude: bool = True

    @cached_property
    def type(self) -> AnyType:
        types = tuple(self.graph[id].tensor for id in self.results)
        return types[0] if len(types) == 1 else TupleType(types)


@dataclass(frozen=True, eq=True)
class Call(Operator):
    """A use of a definition: one node that knows its expansion.

    ``place`` is where in the model it stands (``block[1].h.dropout1``); the draws inside are keyed
    by it. Two calls are equal when body and place are; a body without draws has no place.
    """

    name = "call"
    body: Body
    place: str = ""

    def infer(self, *types: Type) -> AnyType:
        return self.body.type

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call(self.body.title, *args)
