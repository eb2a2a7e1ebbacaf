"""The inverse of a target's preprocessing, so that predictions come back in original units.

The equation of a target is inverted when it is a chain of invertible operators from one column;
constants of the data on the way are read from the state.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.ir import Builder, Graph, Node, Origin, Value
from graphc.model.program import ModelSpec, Program
from graphc.ops.leaves import Column, Fitted, Input, StateRead

__all__ = ["restore_program"]


def restore_program(spec: ModelSpec) -> Program:
    """A program with a ``restored`` root for every output that has units to go back to."""
    graph, roots = Graph(), dict[tuple[str, str], int]()
    for name, output in spec.outputs.items():
        if output.target is None or spec.inputs[output.target].type.kind != "real":
            continue
        source = spec.prepare.roots.get(("batch", output.target))
        if source is None or isinstance(spec.prepare.graph[source].op, Column):
            continue
        builder = Builder(graph, Origin(made_by="invert"))
        type = spec.inputs[output.target].type
        value = builder.place(Input(name), (), type, name)
        restored = _inverse(builder, spec.prepare.graph, source, value)
        if restored is not None:
            roots["restored", name] = restored.id
    return Program(spec, graph, roots)


Inverse = Callable[[Value, Value | None, int], Value]

INVERSES: dict[str, Inverse] = {
    "add": lambda y, c, slot: y - _given(c),
    "subtract": lambda y, c, slot: y + _given(c) if slot == 0 else _given(c) - y,
    "multiply": lambda y, c, slot: y / _given(c),
    "divide": lambda y, c, slot: y * _given(c) if slot == 0 else _given(c) / y,
    "negative": lambda y, c, slot: -y,
    "exp": lambda y, c, slot: y.apply("log"),
    "log": lambda y, c, slot: y.apply("exp"),
    "expm1": lambda y, c, slot: y.apply("log1p"),
    "log1p": lambda y, c, slot: y.apply("expm1"),
    "sqrt": lambda y, c, slot: y * y,
    "cast": lambda y, c, slot: y,
}
"""The operand in ``slot`` from the result y and the other operand c."""


def _given(value: Value | None) -> Value:
    assert value is not None
    return value


def _inverse(builder: Builder, graph: Graph, id: int, value: Value) -> Value | None:
    """The column that gives ``value`` at node ``id``; None where the chain cannot be inverted."""
    node = graph[id]
    while not isinstance(node.op, Column):
        slots = [i for i, source in enumerate(node.inputs) if _varies(graph, source)]
        if len(slots) != 1 or node.op.name not in INVERSES:
            return None
        other = None
        if len(node.inputs) == 2:
            other = _copied(builder, graph, node.inputs[1 - slots[0]])
        value = INVERSES[node.op.name](value, other, slots[0])
        node = graph[node.inputs[slots[0]]]
    return value


def _varies(graph: Graph, id: int) -> bool:
    """Whether a value differs from example to example: it depends on a column unfitted."""
    stack = [id]
    while stack:
        node = graph[stack.pop()]
        if isinstance(node.op, Column):
            return True
        if not isinstance(node.op, Fitted):
            stack.extend(node.inputs)
    return False


def _copied(builder: Builder, graph: Graph, id: int) -> Value:
    node: Node = graph[id]
    if isinstance(node.op, Fitted):
        label = f"data.{node.op.place}"
        return builder.place(StateRead(label), (), node.type, label)
    inputs = [_copied(builder, graph, source) for source in node.inputs]
    return builder.place(node.op, tuple(value.id for value in inputs), node.type, node.name)
