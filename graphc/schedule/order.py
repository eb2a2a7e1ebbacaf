"""The order in which nodes are computed, and what kind of work each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from graphc.ir import Graph, Node, Operand, Type
from graphc.ops.indexing import Index
from graphc.ops.leaves import Clock, Constant, Dimension, Leaf
from graphc.ops.random import Draw

__all__ = ["How", "backward_part", "classify", "is_backward", "ordered"]

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
    """What the roots need, every node after its operands and close to its first use.

    Roots of the forward pass come first. Those that differentiation made follow in reverse, from
    the last layer to the first: so an adjoint is used up before the next one is made.
    """
    wanted = list(dict.fromkeys(roots))
    forward = [id for id in wanted if not is_backward(graph[id])]
    backward = [id for id in wanted if is_backward(graph[id])]
    return graph.depth_first([*forward, *reversed(backward)])


def backward_part(graph: Graph, roots: Iterable[int]) -> set[int]:
    """The nodes that only roots made by differentiation need."""
    wanted = list(roots)
    forward = ordered(graph, (id for id in wanted if not is_backward(graph[id])))
    return {node.id for node in ordered(graph, wanted)} - {node.id for node in forward}


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
