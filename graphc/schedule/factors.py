"""Factors that are single numbers, gathered: ``a·(x / b)`` is ``(a / b)·x``.

An update runs over all parameters, so a pass saved over them counts; what is computed from single
numbers costs nothing.
"""

from __future__ import annotations

from graphc.ir import Graph, Origin
from graphc.ops.arithmetic import Divide, Multiply
from graphc.schedule.order import How, classify, ordered

__all__ = ["gather_factors"]

NUMBERS = ("literal", "static", "scalar")


def gather_factors(graph: Graph, results: tuple[int, ...]) -> None:
    """Rewrite in place every product or quotient of a number and another such value."""
    how = classify(ordered(graph, results), static_arrays=False)
    for node in ordered(graph, results):
        outer = _scaled(graph, how, node.id)
        if outer is None:
            continue
        inner = _scaled(graph, how, outer[1])
        if inner is None or graph.user_count(outer[1]) > 1 or outer[1] in results:
            continue
        (factor, _, divides), (other, x, divides_too) = outer, inner
        combined = Multiply() if divides == divides_too else Divide()
        numbers = (other, factor) if divides and not divides_too else (factor, other)
        type = graph[factor].tensor
        number = graph.add(combined, numbers, type, Origin(node.origin.span, made_by="schedule"))
        how[number] = "scalar"
        by_division = divides and divides_too
        graph.set_op(node.id, Divide() if by_division else Multiply())
        graph.set_inputs(node.id, (x, number) if by_division else (number, x))


def _scaled(graph: Graph, how: dict[int, How], id: int) -> tuple[int, int, bool] | None:
    """``(number, x, whether it divides)`` of a value that is x times or over a number."""
    node = graph[id]
    if not isinstance(node.op, Multiply | Divide) or node.tensor.kind != "real":
        return None
    a, b = node.inputs
    if any(graph[i].tensor.kind != "real" for i in (a, b)) or not node.tensor.shape:
        return None
    if how[b] in NUMBERS and how[a] not in NUMBERS:
        return b, a, isinstance(node.op, Divide)
    if how[a] in NUMBERS and how[b] not in NUMBERS and isinstance(node.op, Multiply):
        return a, b, False
    return None
