"""What each member of a group works on in a kernel: elements, rows, single numbers, and when.

A kernel of kind *elements* goes through the elements of the domain, each thread by itself. One of
kind *rows* gives each row to a block of threads, which combine what reductions along the row need;
a reduction ends a phase, and what depends on it is of the next one. Either may have *totals*, which
wait for all blocks; single numbers made of totals come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from graphc.ir import Graph, Node, NoKernel, Size, Type, product
from graphc.ops.reductions import Reduction
from graphc.passes.fuse import common_domain, domain_of

__all__ = ["Layout", "Level", "lay_out"]

Shape = tuple[Size, ...]

Level = Literal["number", "row", "element", "total", "last"]
"""``number``: single and made of nothing that the kernel goes through. ``row``, ``element``: one
of each. ``total``: combined from all of them. ``last``: single, made of totals."""


@dataclass
class Layout:
    """``level`` and ``phase`` of each member by id; ``combined`` are the reductions along a row."""

    domain: Shape
    graph: Graph
    level: dict[int, Level] = field(default_factory=dict)
    phase: dict[int, int] = field(default_factory=dict)
    combined: set[int] = field(default_factory=set)

    @property
    def kind(self) -> Literal["elements", "rows"]:
        return "rows" if self.combined else "elements"

    @property
    def rows(self) -> Size:
        return product(self.domain[:-1])

    @property
    def columns(self) -> Size:
        return self.domain[-1] if self.domain else 1

    @property
    def elements(self) -> Size:
        return product(self.domain)

    @property
    def totals(self) -> list[int]:
        return [id for id, level in self.level.items() if level == "total"]

    def level_of_shape(self, shape: Shape) -> Level:
        """Where the elements of an array lie that is gone through in order. Last axes of length 1
        make no difference."""
        if self.elements == 1 or _essential(shape) == _essential(self.domain):
            return "element"
        return "row" if _essential(shape) == _essential(self.domain[:-1]) else "number"


def lay_out(graph: Graph, members: Sequence[Node], domain: Shape | None = None) -> Layout:
    """The layout of a group, its members in order. NoKernel where they have no common domain, or
    where something that is not single waits for a total."""
    layout = Layout(_essential(_domain(graph, members) if domain is None else domain), graph)
    one_row = len(layout.domain) == 1 and _row_is_read(layout, members)
    for node in members:
        _place(layout, node, one_row)
    return layout


def _domain(graph: Graph, members: Sequence[Node]) -> Shape:
    domains = [domain_of(graph, node) for node in members]
    shapes = {*domains, *(node.tensor.shape for node in members)}
    found = common_domain(domains, shapes)
    if found is None:
        raise NoKernel(f"shapes {', '.join(sorted(str(Type('real', s)) for s in shapes))}")
    return found


def _essential(shape: Shape) -> Shape:
    """A shape without last axes of length 1."""
    while shape[-1:] == (1,):
        shape = shape[:-1]
    return shape


def _row_is_read(layout: Layout, members: Sequence[Node]) -> bool:
    """Whether something as long as the only row depends on what a reduction makes of it."""
    behind: set[int] = set()
    for node in members:
        if not behind.isdisjoint(node.inputs):
            if layout.level_of_shape(node.tensor.shape) == "element":
                return True
            behind.add(node.id)
        elif _combines(layout, node):
            behind.add(node.id)
    return False


def _combines(layout: Layout, node: Node) -> bool:
    """Whether a member combines elements of the domain."""
    if not node.op.reduces or _is_identity(layout, node):
        return False
    return layout.level_of_shape(_operand(layout.graph, node).shape) == "element"


def _operand(graph: Graph, node: Node) -> Type:
    return graph[node.inputs[0]].tensor


def _place(layout: Layout, node: Node, one_row: bool) -> None:
    level, id = layout.level, node.id
    before = [i for i in node.inputs if i in level]
    layout.phase[id] = max((layout.phase[i] for i in before), default=0)
    if any(level[i] in ("total", "last") for i in before):
        if node.tensor.size != 1:
            raise NoKernel(f"{node.op.name} of {node.type} behind a total")
        level[id] = "last"
    elif node.op.reduces and not _is_identity(layout, node):
        along_row = bool(node.tensor.shape) if len(layout.domain) > 1 else one_row
        if along_row and _combines(layout, node):
            level[id] = "row"
            layout.combined.add(id)
            layout.phase[id] += 1
        else:
            level[id] = "total"
    else:
        level[id] = layout.level_of_shape(node.tensor.shape)
        if level[id] == "row" and len(layout.domain) == 1 and not one_row:
            level[id] = "number"


def _is_identity(layout: Layout, node: Node) -> bool:
    """Whether a reduction goes over one element."""
    shape = _operand(layout.graph, node).shape
    if isinstance(node.op, Reduction):
        return product(shape[axis] for axis in node.op.axis) == 1
    return shape[-1] == 1
