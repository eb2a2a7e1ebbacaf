"""Rules of ``simplify`` for numbers that meet before they touch an array."""

from __future__ import annotations

import math

from graphc.ir import Builder, Node, Type, Value
from graphc.ops.leaves import Constant

__all__ = [
    "common_factor",
    "number_of",
    "quotient_by_scaled_sum",
    "root_of_scaled",
    "scalar_chain",
    "scaled_mask",
]


def number_of(builder: Builder, id: int) -> float | None:
    """The number that a node is, None where it is no constant."""
    op = builder.graph[id].op
    if isinstance(op, Constant) and isinstance(op.value, int | float):
        return float(op.value)
    return None


def scalar_chain(builder: Builder, node: Node) -> Value | None:
    """(a·s)·t = a·(s·t), (a/s)·t = a·(t/s), …: scalar factors meet before they touch an array."""
    graph = builder.graph
    outer = _scaled(builder, node)
    if outer is None:
        return None
    array, factor, divides = outer
    inner_node = graph[array]
    if graph.user_count(array) != 1:
        return None
    inner = _scaled(builder, inner_node)
    if inner is None:
        return None
    base, first, first_divides = inner
    s, t, x = builder.value(first), builder.value(factor), builder.value(base)
    if divides == first_divides:
        return x / (s * t) if divides else x * (s * t)
    return x * (s / t) if divides else x * (t / s)


def _scaled(builder: Builder, node: Node) -> tuple[int, int, bool] | None:
    """An array times or over a scalar: (array, scalar, whether it divides)."""
    if node.op.name not in ("multiply", "divide"):
        return None
    if node.tensor.shape == () or node.tensor.kind != "real":
        return None
    x, y = node.inputs
    real_scalar = Type("real")
    if builder.graph[y].type == real_scalar and builder.graph[x].type == node.type:
        return x, y, node.op.name == "divide"
    if node.op.name == "multiply" and builder.graph[x].type == real_scalar:
        return (y, x, False) if builder.graph[y].type == node.type else None
    return None


def common_factor(builder: Builder, node: Node) -> Value | None:
    """c·x + c·y = c·(x + y), single numbers with one constant: the terms of a penalty."""
    graph = builder.graph
    if node.tensor.shape != ():
        return None
    terms = [graph[id] for id in node.inputs]
    if terms[0] is terms[1] or any(t.op.name != "multiply" or t.name for t in terms):
        return None
    if any(graph.user_count(term.id) != 1 for term in terms):
        return None
    for factor, x in (terms[0].inputs, terms[0].inputs[::-1]):
        for other, y in (terms[1].inputs, terms[1].inputs[::-1]):
            number = number_of(builder, factor)
            if number is not None and number == number_of(builder, other):
                return builder.value(factor) * (builder.value(x) + builder.value(y))
    return None


def scaled_mask(builder: Builder, node: Node) -> Value | None:
    """(x·m) / c and (x / c)·m are x·(m·(1/c)) for a truth value m: the forward and the backward
    pass of a dropout share m·(1/c)."""
    graph = builder.graph
    a, b = node.inputs
    pairs = ((a, b),) if node.op.name == "divide" else ((a, b), (b, a))
    for id, outer in pairs:
        inner = graph[id]
        if inner.op.name == node.op.name or graph.user_count(id) != 1 or len(inner.inputs) != 2:
            continue
        first, second = inner.inputs
        found = [(first, outer, second)] if inner.op.name == "divide" else []
        if inner.op.name == "multiply":
            found = [(first, second, outer), (second, first, outer)]
        for x, mask, scale in found:
            masks = graph[mask].tensor.kind == "bool" and graph[scale].type == Type("real")
            if masks and graph[x].type == node.type:
                return builder.value(x) * (builder.value(mask) * (1.0 / builder.value(scale)))
    return None


def root_of_scaled(builder: Builder, node: Node) -> Value | None:
    """√(c·x) = √x·√c for a number c above 0, which then meets the numbers around the root."""
    inner = builder.graph[node.inputs[0]]
    scaled = _scaled(builder, inner)
    if scaled is None or builder.graph.user_count(inner.id) != 1:
        return None
    x, factor, divides = scaled
    if divides:
        return None
    number = number_of(builder, factor)
    if number is None or number <= 0:
        return None
    return builder.value(x).apply("sqrt") * math.sqrt(number)


def quotient_by_scaled_sum(builder: Builder, node: Node) -> Value | None:
    """y / (c·x + s) = (y / c) / (x + s / c) for a constant c and a number s: c meets the numbers
    of y, and one pass over an array is saved."""
    graph = builder.graph
    y, total = graph[node.inputs[0]], graph[node.inputs[1]]
    if total.op.name != "add" or graph.user_count(total.id) != 1 or y.type != total.type:
        return None
    if _scaled(builder, y) is None or graph.user_count(y.id) != 1:
        return None
    for term, number in (total.inputs, total.inputs[::-1]):
        scaled = _scaled(builder, graph[term])
        if scaled is None or scaled[2] or graph[number].type != Type("real"):
            continue
        factor = number_of(builder, scaled[1])
        if factor and graph.user_count(term) == 1:
            below = builder.value(scaled[0]) + builder.value(number) / factor
            return (builder.value(y.id) / factor) / below
    return None
