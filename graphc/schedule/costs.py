"""What a node costs at run time: floating-point operations and bytes moved.

Both are polynomials in the symbolic dimensions, known before anything runs. Conventions of counting
operations are at :meth:`graphc.ir.Operator.cost`. Bytes are those that a call cannot do without
(the compulsory traffic of Williams, Waterman and Patterson, Roofline, 2009): each element that it
needs of each operand is read once, each element of the result written once. What a target reads
again, keeps in its workspace or finds in a cache does not change them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from graphc.ir import Body, Graph, Group, Node, Size, Type
from graphc.ops.leaves import Item
from graphc.schedule.memory import Precision, item_bytes
from graphc.schedule.order import How, classify

__all__ = ["bytes_moved", "flops"]


def flops(node: Node, graph: Graph, how: How) -> Size:
    """Floating-point operations of one run. A group costs what its members cost; what is
    ``static`` is computed before the first run and costs nothing in it."""
    if how in ("leaf", "literal", "static") or isinstance(node.op, Item):
        return 0
    if isinstance(node.op, Group):
        return _over_members(node.op.body, flops)
    return node.op.cost(_operand_types(node, graph), node.tensor)


def bytes_moved(node: Node, graph: Graph, how: How, precision: Precision) -> Size:
    """Bytes that one run reads from operands and writes to the result: 0 for what is not computed
    into memory. A group moves what its members move, one after another.

    A broadcast operand counts with its own size; one that is a view with the elements seen through
    it, so windows that overlap count an element as often as they hold it.
    """
    if how != "compute" or isinstance(node.op, Item):
        return 0
    if isinstance(node.op, Group):
        return _over_members(node.op.body, partial(bytes_moved, precision=precision))
    types, result = _operand_types(node, graph), node.tensor
    read = zip(node.inputs, types, node.op.reads(types, result), strict=True)
    by_operand = {id: count * item_bytes(type.kind, precision) for id, type, count in read}
    return sum(by_operand.values(), start=result.size * item_bytes(result.kind, precision))


def _operand_types(node: Node, graph: Graph) -> tuple[Type, ...]:
    return tuple(graph[id].tensor for id in node.inputs)


def _over_members(body: Body, measure: Callable[[Node, Graph, How], Size]) -> Size:
    order = body.graph.topological()
    how = classify(order)
    total: Size = 0
    for node in order:
        total = total + measure(node, body.graph, how[node.id])
    return total
