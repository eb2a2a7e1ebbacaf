"""The order in which nodes are computed, and what kind of work each of them is."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from graphc.ir import Graph, Node, Operand, Type
from graphc.ops.leaves import Clock, Constant, Dimension, Leaf
from graphc.ops.random import Draw
from graphc.ops.shapes import Index

__all__ = ["How", "classify", "is_backward", "ordered"]

How = Literal["leaf", "literal", "static", "scalar", "view", "compute"]
"""What a node is at run time.

``leaf``     comes from outside.
``literal``  a number in the source, or a symbolic dimension.
``static``   depends on no leaf and no draw: computed once the dimensions are known.
``scalar``   a single number that depends on clocks and static numbers only: computed in f64.
``view``     the memory of its first operand under another shape.
``compute``  everything else: written to memory of its own.
"""


def is_backward(node: Node) -> bool:
    """Whether differentiation made the node."""
    return bool(node.origin.adjoint_of) or node.origin.made_by == "differentiate"


def ordered(graph: Graph, roots: Iterable[int]) -> list[Node]:
    """What the roots need, every node after its operands; forward before backward, then by id."""
    needed = _needed(graph, roots)
    users: dict[int, list[int]] = {id: [] for id in needed}
    waiting: dict[int, int] = {}
    for id in needed:
        operands = set(graph[id].inputs)
        waiting[id] = len(operands)
        for operand in operands:
            users[operand].append(id)
    ready = [(is_backward(graph[id]), id) for id, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[Node] = []
    while ready:
        _, id = heapq.heappop(ready)
        order.append(graph[id])
        for user in users[id]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, (is_backward(graph[user]), user))
    return order


def _needed(graph: Graph, roots: Iterable[int]) -> set[int]:
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        id = stack.pop()
        if id not in seen:
            seen.add(id)
            stack.extend(graph[id].inputs)
    return seen


def classify(order: Sequence[Node], *, static_arrays: bool = True) -> dict[int, How]:
    """What each node is. Without ``static_arrays`` only single numbers are ``static``."""
    how: dict[int, How] = {}
    for node in order:
        how[node.id] = _classify(node, how, static_arrays)
    return how


def _classify(node: Node, how: Mapping[int, How], static_arrays: bool) -> How:
    op = node.op
    if isinstance(op, Clock):
        return "scalar"
    single = node.tensor.shape == ()
    if isinstance(op, Dimension) or (single and isinstance(op, Constant)):
        return "literal"
    if isinstance(op, Leaf | Operand):
        return "leaf"
    given = {how[i] for i in node.inputs}
    if not isinstance(op, Draw):
        if given <= {"literal", "static"} and (single or static_arrays):
            return "static"
        if single and given <= {"literal", "static", "scalar"}:
            return "scalar"
    if op.view and not _is_element(op, node.tensor):
        return "view"
    return "compute"


def _is_element(op: object, type: Type) -> bool:
    """One element of an array: NumPy gives a copy, not a view."""
    return isinstance(op, Index) and type.shape == ()
