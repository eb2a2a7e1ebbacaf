"""Instructions of NumPy for patterns of nodes: the graph of a step before it is planned.

Only what needs fewer calls or less memory, and only by operators that there are anyway.
"""

from __future__ import annotations

from graphc.ir import Builder, Graph, Group, Node
from graphc.ops.arithmetic import Multiply
from graphc.ops.reductions import Sum

__all__ = ["select"]


def select(graph: Graph, groups: dict[int, Group]) -> None:
    """Rewrite the graph in place; new nodes are in the group of what they replace."""
    for node in graph.topological():
        if isinstance(node.op, Sum):
            _sum_of_products(graph, groups, node)


def _sum_of_products(graph: Graph, groups: dict[int, Group], node: Node) -> None:
    """Σ x·y over all elements is the inner product of flat arrays: one call, and no array."""
    inner = graph[node.inputs[0]]
    whole = node.tensor.shape == () and node.tensor.kind == "real"
    if not whole or not isinstance(inner.op, Multiply) or graph.user_count(inner.id) > 1:
        return
    factors = [graph[id] for id in inner.inputs]
    if any(factor.type != inner.type or factor.op.view for factor in factors):
        return  # broadcasts; and a reshape of what lies out of order is a copy
    start = graph.next_id
    builder = Builder(graph, node.origin)
    x, y = (builder.value(f.id).apply("reshape", shape=(inner.tensor.size,)) for f in factors)
    total = x @ y
    graph[total.id].name = node.name
    graph.replace_uses(node.id, total.id)
    graph.remove(node.id)
    graph.remove(inner.id)
    if node.id in groups:
        groups.update(dict.fromkeys(range(start, graph.next_id), groups[node.id]))
