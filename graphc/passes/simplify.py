"""Algebraic simplification: rules that make a graph smaller without changing what it means.

A rule looks at one node and gives the value that replaces it, or None. Rules are tried on every
node in topological order, and again on what they made, until none applies. Products with a
constant 0 stay: 0·∞ is not 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from graphc.ir import OPERATORS, Builder, Graph, Node, Size, Type, Value, broadcast_shapes, follow
from graphc.model.program import Program
from graphc.ops.leaves import Dimension
from graphc.ops.reductions import Reduction
from graphc.ops.shapes import Broadcast, Reshape, Transpose
from graphc.passes.arrangement import (
    apart_windows,
    apart_windows_adjoint,
    joined_alone,
    no_padding,
    reduced_transpose,
    whole_index,
)
from graphc.passes.choices import joined_choices, product_of_choice
from graphc.passes.cleanup import DeadCode, folded
from graphc.passes.contractions import einsum_of_many, einsum_of_one, einsum_of_two
from graphc.passes.scaling import (
    common_factor,
    number_of,
    quotient_by_scaled_sum,
    root_of_scaled,
    scalar_chain,
    scaled_mask,
)

__all__ = ["RULES", "Simplify"]

Rule = Callable[[Builder, Node], Value | None]


@dataclass(frozen=True)
class Simplify:
    """Apply every rule until none fires."""

    name: ClassVar[str] = "simplify"

    def apply(self, program: Program) -> Program:
        graph = program.graph
        moved: dict[int, int] = {}
        pending = [node.id for node in reversed(graph.topological())]
        while pending:
            id = pending.pop()
            if id not in graph or id in moved:
                continue
            start = graph.next_id
            new = _simplified(graph, graph[id])
            if new is None or new == id:
                continue
            _inherit(graph, id, new, start)
            users = graph.users(id)
            graph.replace_uses(id, new)
            moved[id] = new
            pending.extend(reversed([*range(start, graph.next_id), *users]))
        program.roots = {key: follow(moved, id) for key, id in program.roots.items()}
        return DeadCode().apply(program)


def _simplified(graph: Graph, node: Node) -> int | None:
    rules = RULES.get(node.op.name)
    if rules is None:  # then it cannot be folded either: late_broadcast is tried on what can be
        return None
    builder = Builder(graph, node.origin)
    number = folded(graph, node)
    if number is not None:
        return builder.constant(number).id
    for rule in rules:
        value = rule(builder, node)
        if value is not None:
            assert value.type == node.type, f"{rule.__name__} changes {node.type} to {value.type}"
            return value.id
    return None


def _inherit(graph: Graph, old: int, new: int, start: int) -> None:
    if graph[old].name and not graph[new].name and new >= start:
        graph[new].name = graph[old].name


# ------------------------------------------------------------------------------ rules


def _as(builder: Builder, id: int, type: Type) -> Value | None:
    """The node if it has exactly that type."""
    return builder.value(id) if builder.graph[id].type == type else None


def neutral_add(builder: Builder, node: Node) -> Value | None:
    """x + 0, 0 + x."""
    x, y = node.inputs
    if number_of(builder, y) == 0:
        return _as(builder, x, node.tensor)
    return _as(builder, y, node.tensor) if number_of(builder, x) == 0 else None


def neutral_subtract(builder: Builder, node: Node) -> Value | None:
    """x − 0; 0 − x."""
    x, y = node.inputs
    if number_of(builder, y) == 0:
        return _as(builder, x, node.tensor)
    if number_of(builder, x) == 0 and builder.graph[y].type == node.type:
        return -builder.value(y)
    return None


def neutral_multiply(builder: Builder, node: Node) -> Value | None:
    """x·1, 1·x, x·(−1)."""
    x, y = node.inputs
    for a, b in ((x, y), (y, x)):
        number = number_of(builder, b)
        if number == 1:
            return _as(builder, a, node.tensor)
        if number == -1 and builder.graph[a].type == node.type:
            return -builder.value(a)
    return None


def neutral_divide(builder: Builder, node: Node) -> Value | None:
    """x / 1."""
    x, y = node.inputs
    return _as(builder, x, node.tensor) if number_of(builder, y) == 1 else None


def double_negative(builder: Builder, node: Node) -> Value | None:
    """−(−x)."""
    inner = builder.graph[node.inputs[0]]
    return builder.value(inner.inputs[0]) if inner.op.name == "negative" else None


def negative_operand(builder: Builder, node: Node) -> Value | None:
    """x + (−y) = x − y; x − (−y) = x + y; the same for a number below 0."""
    x, y = (builder.value(i) for i in node.inputs)
    opposite = _opposite(builder, y)
    if opposite is not None:
        return x - opposite if node.op.name == "add" else x + opposite
    opposite = _opposite(builder, x) if node.op.name == "add" else None
    return y - opposite if opposite is not None else None


def _opposite(builder: Builder, value: Value) -> Value | None:
    """y where the value is −y, or a number below 0; None otherwise."""
    node = builder.graph[value.id]
    if node.op.name == "negative":
        return builder.value(node.inputs[0])
    number = number_of(builder, value.id)
    return builder.constant(-number) if number is not None and number < 0 else None


def negative_factor(builder: Builder, node: Node) -> Value | None:
    """A sign is taken out of a product with a constant, or of a quotient of one."""
    x, y = node.inputs
    graph = builder.graph
    for a, b in ((x, y), (y, x)) if node.op.name == "multiply" else ((x, y),):
        number = number_of(builder, b)
        if graph[a].op.name == "negative" and number is not None:
            inner = builder.value(graph[a].inputs[0])
            return inner * -number if node.op.name == "multiply" else inner / -number
    return None


def known_power(builder: Builder, node: Node) -> Value | None:
    """x^2 = x·x, x^1 = x, x^½ = √x, x^−1 = 1/x."""
    x, exponent = builder.value(node.inputs[0]), number_of(builder, node.inputs[1])
    if x.type != node.type:
        return None
    if exponent == 1:
        return x
    if exponent == 2:
        return x * x
    if exponent == 0.5:
        return x.apply("sqrt")
    return 1.0 / x if exponent == -1 else None


def nothing_stopped(builder: Builder, node: Node) -> Value | None:
    """After differentiation ``stop_gradient`` is the value itself."""
    return builder.value(node.inputs[0])


def same_kind(builder: Builder, node: Node) -> Value | None:
    """A cast to the kind that a value has."""
    return _as(builder, node.inputs[0], node.tensor)


def nested_reshape(builder: Builder, node: Node) -> Value | None:
    """A reshape of a reshape, to the same shape, or of one number repeated."""
    inner = builder.graph[node.inputs[0]]
    if inner.type == node.type:
        return builder.value(inner.id)
    if isinstance(inner.op, Reshape):
        return builder.value(inner.inputs[0]).apply("reshape", shape=node.tensor.shape)
    if isinstance(inner.op, Broadcast) and builder.graph[inner.inputs[0]].tensor.shape == ():
        return builder.value(inner.inputs[0]).apply("broadcast", shape=node.tensor.shape)
    if isinstance(inner.op, Reduction) and inner.op.keep:
        reduction = replace(inner.op, keep=False)  # type: ignore[type-var]
        source = builder.value(inner.inputs[0])
        if reduction.infer(source.type) == node.type:
            return builder.emit(reduction, source)
    return None


def nested_transpose(builder: Builder, node: Node) -> Value | None:
    """A transpose of a transpose, or one that moves nothing."""
    assert isinstance(node.op, Transpose)
    inner = builder.graph[node.inputs[0]]
    if node.op.axes == tuple(range(len(node.op.axes))):
        return builder.value(inner.id)
    if isinstance(inner.op, Transpose):
        axes = tuple(inner.op.axes[a] for a in node.op.axes)
        return builder.value(inner.inputs[0]).apply("transpose", axes=axes)
    return None


def nested_broadcast(builder: Builder, node: Node) -> Value | None:
    """A broadcast of a broadcast, or to the shape that a value has."""
    inner = builder.graph[node.inputs[0]]
    if inner.type == node.type:
        return builder.value(inner.id)
    if _spreads(builder, inner):
        return builder.value(inner.inputs[0]).apply("broadcast", shape=node.tensor.shape)
    return None


def _spreads(builder: Builder, node: Node) -> bool:
    """Whether a node repeats a value, or gives a scalar axes of length 1."""
    if isinstance(node.op, Broadcast):
        return True
    return isinstance(node.op, Reshape) and builder.graph[node.inputs[0]].tensor.shape == ()


def _unspread(builder: Builder, id: int) -> Value:
    """A value without the broadcast that made it."""
    node = builder.graph[id]
    return builder.value(node.inputs[0] if _spreads(builder, node) else id)


def late_broadcast(builder: Builder, node: Node) -> Value | None:
    """Element-wise operators broadcast by themselves; what is repeated is computed once."""
    graph = builder.graph
    for id in node.inputs:
        if _spreads(builder, graph[id]):
            break
    else:
        return None
    small = [_unspread(builder, i) for i in node.inputs]
    shape = broadcast_shapes(*(value.shape for value in small))
    if shape is None:
        return None
    value = builder.emit(node.op, *small)
    return (
        value if shape == node.tensor.shape else value.apply("broadcast", shape=node.tensor.shape)
    )


def sum_of_repeated(builder: Builder, node: Node) -> Value | None:
    """A sum over axes along which one value is repeated is a product."""
    inner = builder.graph[node.inputs[0]]
    if not isinstance(inner.op, Broadcast) or node.tensor.kind != "real":
        return None
    source = builder.value(inner.inputs[0])
    axes = node.op.axis  # type: ignore[attr-defined]
    full = inner.tensor.shape
    padded: tuple[Size, ...] = (1,) * (len(full) - len(source.shape)) + source.shape
    repeated = [axis for axis in axes if padded[axis] == 1 and full[axis] != 1]
    if len(repeated) != len(axes) or source.type.kind != "real":
        return None
    factor = _size(builder, [full[axis] for axis in axes])
    value = source * factor
    if node.tensor.shape == value.shape:
        return value
    kept = tuple(size for axis, size in enumerate(padded) if axis not in axes)
    if not node.op.keep:  # type: ignore[attr-defined]
        value = value.apply("reshape", shape=kept) if value.shape != kept else value
    if value.shape != node.tensor.shape:
        value = value.apply("broadcast", shape=node.tensor.shape)
    return value


def _size(builder: Builder, sizes: list[Size]) -> Value | float:
    total: Size = 1
    for size in sizes:
        total = total * size
    if isinstance(total, int):
        return float(total)
    return builder.place(Dimension(total), (), Type("real"))


NEUTRAL: dict[str, tuple[Rule, ...]] = {
    "add": (neutral_add, negative_operand, common_factor, joined_choices),
    "subtract": (neutral_subtract, negative_operand),
    "multiply": (
        neutral_multiply,
        negative_factor,
        scalar_chain,
        scaled_mask,
        product_of_choice,
    ),
    "divide": (
        neutral_divide,
        negative_factor,
        scalar_chain,
        scaled_mask,
        quotient_by_scaled_sum,
    ),
    "sqrt": (root_of_scaled,),
    "negative": (double_negative,),
    "power": (known_power,),
    "stop_gradient": (nothing_stopped,),
    "cast": (same_kind,),
    "reshape": (nested_reshape,),
    "transpose": (nested_transpose,),
    "broadcast": (nested_broadcast,),
    "sum": (sum_of_repeated,),
    "concat": (joined_alone,),
    "pad": (no_padding,),
    "index": (whole_index,),
    "windows": (apart_windows,),
    "windows_adjoint": (apart_windows_adjoint,),
    "einsum": (einsum_of_one, einsum_of_two, einsum_of_many),
}


def _with_rules_of_families() -> dict[str, tuple[Rule, ...]]:
    rules = dict(NEUTRAL)
    for name, operator in OPERATORS.items():
        if operator.elementwise:
            rules[name] = (*rules.get(name, ()), late_broadcast)
        if issubclass(operator, Reduction):
            rules[name] = (*rules.get(name, ()), reduced_transpose)
    return rules


RULES: dict[str, tuple[Rule, ...]] = _with_rules_of_families()
"""Rules by the operator that they look at, in the order in which they are tried."""
