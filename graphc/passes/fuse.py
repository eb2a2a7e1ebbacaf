"""Fusion: what works on the same elements or rows becomes one group.

A group has a domain, the largest shape in it, and works row by row: its members are element-wise,
draws, sums and maxima along the last axis, labels picked from rows; it may end in totals, single
numbers. Nothing that has to wait for all rows is followed by something that works on rows again.

Stages keep the graph free of cycles. A node that cannot join the groups that it reads begins a
stage behind them; so what leaves a group never comes back to it. Forward and backward pass do
not share a group.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from graphc.ir import Graph, Group, Node, Size, group_nodes, in_order
from graphc.model.program import Program, RootKey
from graphc.ops.leaves import Clock, Constant, Dimension, Item, Leaf
from graphc.ops.random import Bernoulli, Draw, Normal, Uniform
from graphc.ops.reductions import Reduction
from graphc.ops.shapes import Broadcast, Reshape
from graphc.passes.cleanup import DeadCode
from graphc.passes.titles import group_kind, group_title, named_lines

__all__ = ["Fuse", "common_domain", "domain_of"]

Shape = tuple[Size, ...]


@dataclass(frozen=True)
class Fuse:
    """Replace sets of nodes by groups. A group has at least two members that compute something."""

    name: ClassVar[str] = "fuse"

    def apply(self, program: Program) -> Program:
        graph, roots = program.graph, program.roots
        wanted = graph.ancestors(roots.values())
        order = [node for node in graph.topological() if node.id in wanted]
        kept = set(roots.values())
        moved: dict[int, int] = {}
        names, lines = _root_names(roots), named_lines(order)
        backward = _backward(graph, roots)
        for members in _Grouping(graph, order, backward).groups():
            ends = [names[node.id] for node in members if node.id in names]
            kind = group_kind(members)
            title = group_title(members, ends, lines, backward=members[0].id in backward)
            ids = [*_own_numbers(graph, members), *(node.id for node in members)]
            moved.update(group_nodes(graph, ids, kind, title, kept))
        program.roots = {key: moved.get(id, id) for key, id in roots.items()}
        return DeadCode().apply(program)


@dataclass(eq=False)
class _Set:
    """Nodes of one stage that become a group."""

    stage: int
    backward: bool
    domain: Shape
    members: list[int] = field(default_factory=list)
    shapes: set[Shape] = field(default_factory=set)


class _Grouping:
    """Gives every node a stage, and those that may be fused a set."""

    def __init__(self, graph: Graph, order: Sequence[Node], backward: Container[int]) -> None:
        self.graph, self.order, self.backward = graph, order, backward
        self.stage: dict[int, int] = {}
        self.set_of: dict[int, _Set] = {}
        self.given = _given(order)
        for node in order:
            self._place(node)
        for node in reversed(order):
            self._sink(node)

    def groups(self) -> list[list[Node]]:
        """Members of each group, in topological order."""
        found = dict.fromkeys(self.set_of[node.id] for node in self.order if node.id in self.set_of)
        groups = []
        for one in found:
            nodes = in_order(self.graph, sorted(one.members))
            if sum(not node.op.view for node in nodes) > 1:
                groups.append(nodes)
        return groups

    def _place(self, node: Node) -> None:
        if node.id in self.given:
            return
        sources = [id for id in node.inputs if id not in self.given]
        last = max((self.stage[id] for id in sources), default=0)
        if not self._may_fuse(node):
            self.stage[node.id] = last + 1
            return
        near = [id for id in sources if self.stage[id] == last and id in self.set_of]
        chosen = self._joined(node, near)
        if chosen is None:
            stage = last + 1 if near else last
            chosen = _Set(stage, node.id in self.backward, domain_of(self.graph, node))
        self._add(chosen, node)

    def _joined(self, node: Node, near: Sequence[int]) -> _Set | None:
        """The set that a node joins, those that it reads made one; None if they do not fit."""
        sets = list(dict.fromkeys(self.set_of[id] for id in near))
        if not sets or any(s.backward != (node.id in self.backward) for s in sets):
            return None
        if not node.tensor.shape and len(sets) > 1:
            return None  # sums of totals: each total is a group of its own
        if not all(self._aligned(id, node) for id in near):
            return None
        shapes = self._shapes(node).union(*(s.shapes for s in sets))
        domain = common_domain([domain_of(self.graph, node), *(s.domain for s in sets)], shapes)
        if domain is None:
            return None
        first, *others = sets
        for other in others:
            first.members += other.members
            for id in other.members:
                self.set_of[id] = first
        first.domain, first.shapes = domain, shapes
        return first

    def _aligned(self, source: int, user: Node) -> bool:
        """Whether a row of the user reads the same row of the source: NumPy aligns last axes."""
        op = user.op
        if isinstance(op, Reduction | Reshape) or op.rowwise:
            return True
        return self.graph[source].tensor.rank == user.tensor.rank

    def _add(self, chosen: _Set, node: Node) -> None:
        chosen.members.append(node.id)
        chosen.shapes |= self._shapes(node)
        self.stage[node.id], self.set_of[node.id] = chosen.stage, chosen

    def _sink(self, node: Node) -> None:
        """Move an element-wise node, or one made from nothing, down to the one set that reads it
        first, if it fits there: a mask is made where it is used."""
        own = self.set_of.get(node.id)
        if own is None or not (self._from_outside(node) or node.op.elementwise):
            return
        users = [id for id in self.graph.users(node.id) if id in self.stage]
        if not users or not node.tensor.shape:
            return
        first = min(self.stage[id] for id in users)
        readers = [id for id in users if self.stage[id] == first]
        targets = {self.set_of.get(id) for id in readers}
        target = targets.pop()
        if target is None or targets or target is own or target.backward != own.backward:
            return
        if not all(self._aligned(node.id, self.graph[id]) for id in readers):
            return
        if common_domain([target.domain], self._shapes(node)) is not None:
            own.members.remove(node.id)
            self._add(target, node)

    def _from_outside(self, node: Node) -> bool:
        """Whether a node reads nothing that a step computes, such as a draw."""
        return self.given.issuperset(node.inputs)

    def _shapes(self, node: Node) -> set[Shape]:
        """What a node writes, and the rows that it goes through."""
        return {node.tensor.shape, domain_of(self.graph, node)}

    def _may_fuse(self, node: Node) -> bool:
        op = node.op
        if isinstance(op, Reduction):
            rank = self.graph[node.inputs[0]].tensor.rank
            return op.axis == (rank - 1,) or (len(op.axis) == rank and not op.keep)
        if isinstance(op, Reshape):
            before, after = self.graph[node.inputs[0]].tensor.shape, node.tensor.shape
            return before == (*after, 1) or after == (*before, 1)
        by_element = isinstance(op, Uniform | Normal | Bernoulli | Broadcast)
        return op.elementwise or op.rowwise or by_element


def _root_names(roots: Mapping[RootKey, int]) -> dict[int, str]:
    """What each root is called."""
    return {id: name or role for (role, name), id in roots.items()}


def _own_numbers(graph: Graph, members: Sequence[Node]) -> list[int]:
    """Constants of the members' own, which they read from now on: a number belongs to the group
    that uses it, not to what it is given."""
    copies: dict[int, int] = {}
    for node in members:
        for id in node.inputs:
            source = graph[id]
            if isinstance(source.op, Constant) and not source.tensor.shape and id not in copies:
                copies[id] = graph.add(source.op, (), source.type, source.origin, source.name)
        if not copies.keys().isdisjoint(node.inputs):
            graph.set_inputs(node.id, tuple(copies.get(id, id) for id in node.inputs))
    return list(copies.values())


def _backward(graph: Graph, roots: Mapping[RootKey, int]) -> set[int]:
    """What differentiation made, less what the forward pass needs."""
    made = {node.id for node in graph if node.origin.made_by == "differentiate"}
    derived = ("gradient", "product", "update")
    return made - graph.ancestors(id for (role, _), id in roots.items() if role not in derived)


def _given(order: Sequence[Node]) -> set[int]:
    """Nodes that no step computes as arrays: leaves, numbers of the run, what never changes."""
    fixed: set[int] = set()
    numbers: set[int] = set()
    leaves: set[int] = set()
    for node in order:
        op = node.op
        if isinstance(op, Constant | Dimension):
            fixed.add(node.id)
        elif isinstance(op, Clock):
            numbers.add(node.id)
        elif isinstance(op, Leaf):
            leaves.add(node.id)
        elif isinstance(op, Draw | Group | Item):
            continue
        elif fixed.issuperset(node.inputs):
            fixed.add(node.id)
        elif node.tensor.shape == () and all(i in fixed or i in numbers for i in node.inputs):
            numbers.add(node.id)
    return fixed | numbers | leaves


def domain_of(graph: Graph, node: Node) -> Shape:
    """The largest shape that a member of a group works on."""
    if isinstance(node.op, Reduction) or node.op.rowwise:
        shapes = [graph[node.inputs[0]].tensor.shape, node.tensor.shape]
        return max(shapes, key=len)
    return node.tensor.shape


def common_domain(domains: Sequence[Shape], shapes: set[Shape]) -> Shape | None:
    """The first of the domains, the largest before, in which all the shapes are rows or totals."""
    for domain in sorted(set(domains), key=lambda d: (len(d), d[-1:] != (1,)), reverse=True):
        rows = (domain, (*domain[:-1], 1), domain[:-1], ()) if domain else ((),)
        if shapes.issubset(rows):
            return domain
    return None
