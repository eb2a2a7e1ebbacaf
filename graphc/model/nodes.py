"""Questions about nodes of a graph: is one element-wise, does it draw, is it a known number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphc.ir import Call, Node, Type, Value
from graphc.ops import evaluate as evaluate_graph

__all__ = ["draws", "is_elementwise", "known_elements", "known_number"]


def is_elementwise(node: Node) -> bool:
    """Whether each element of a node depends on the same element of its operands only."""
    spread = node.op.name == "broadcast" and node.op.arity == 1
    return node.op.elementwise or node.op.arity == 0 or spread


def draws(node: Node) -> bool:
    """Whether a node draws random numbers, itself or, as a call, in its body."""
    if isinstance(node.op, Call):
        return any(map(draws, node.op.body.graph))
    return node.op.name.startswith("draw_")


def known_elements(value: Value) -> Iterator[float]:
    """The numbers that a constant holds, also behind a sign or repeated; none for a tensor."""
    graph, sign, pending = value.builder.graph, 1.0, [value.id]
    while pending:
        node = graph[pending.pop()]
        if node.op.name == "constant":
            yield from (sign * number for number in _flat(getattr(node.op, "value", ())))
        elif node.op.name in _SAME_ELEMENTS:
            sign = -sign if node.op.name == "negative" else sign
            pending.extend(node.inputs)


_SAME_ELEMENTS = frozenset({"cast", "negative", "broadcast", "reshape"})


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield float(value)


def known_number(value: Value) -> float | int | bool | None:
    """The number that a scalar is, where it depends on constants only."""
    graph = value.builder.graph
    node = graph[value.id]
    if not isinstance(node.type, Type) or node.type.shape:
        return None
    needed = [graph[id] for id in graph.ancestors([value.id])]
    if any(n.op.arity == 0 and n.op.name != "constant" for n in needed):
        return None
    if any(n.op.name == "if_training" for n in needed):
        return None
    if any(draws(n) for n in needed):
        return None
    (result,) = evaluate_graph(graph, [value.id])
    number = result.item() if hasattr(result, "item") else result
    return number if isinstance(number, int | float) else None
