"""Rules of ``simplify`` for ``where``: the derivative of a choice is two choices with zeros.

What is multiplied by the zero of a choice is not chosen, so its product is that zero too, also
where the factor is infinite.
"""

from __future__ import annotations

from graphc.ir import Builder, Node, Value, broadcast_shapes
from graphc.passes.scaling import number_of

__all__ = ["joined_choices", "product_of_choice"]


def product_of_choice(builder: Builder, node: Node) -> Value | None:
    """(x if c else 0)·y = (x·y if c else 0), and the same for (0 if c else x)."""
    graph = builder.graph
    for id, other in (node.inputs, node.inputs[::-1]):
        choice = graph[id]
        if choice.op.name != "where" or graph.user_count(id) != 1 or choice.type != node.type:
            continue
        condition, yes, no = (builder.value(i) for i in choice.inputs)
        y = builder.value(other)
        for x, zero in ((yes, no), (no, yes)):
            whole = broadcast_shapes(x.shape, y.shape) == node.tensor.shape
            if number_of(builder, zero.id) != 0 or not whole or x.type.kind != "real":
                continue
            pair = (x * y, zero) if x is yes else (zero, x * y)
            return condition.apply("where", *pair)
    return None


def joined_choices(builder: Builder, node: Node) -> Value | None:
    """(x if c else 0) + (0 if c else y) = (x if c else y)."""
    graph = builder.graph
    first, second = (graph[id] for id in node.inputs)
    if any(n.op.name != "where" or graph.user_count(n.id) != 1 for n in (first, second)):
        return None
    if first.inputs[0] != second.inputs[0] or first is second:
        return None
    for one, other in ((first, second), (second, first)):
        condition, yes, rest = one.inputs
        _, zero, no = other.inputs
        if number_of(builder, rest) == 0 and number_of(builder, zero) == 0:
            value = builder.value(condition).apply("where", builder.value(yes), builder.value(no))
            return value if value.type == node.type else None
    return None
