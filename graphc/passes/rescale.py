"""States of optimizers in units that save a pass over the arrays.

A running mean, ``m' = a * m + b * e`` with constants a and b, takes three passes. Kept as ``m / b``
it is ``a * m + e``, two passes, and b joins the numbers that meet in the rest of the rule.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.ir import Body, Builder, Graph, Node
from graphc.model.program import OptimizerGroup
from graphc.ops.arithmetic import Add, Multiply
from graphc.ops.leaves import Constant

__all__ = ["rescaled"]


def rescaled(group: OptimizerGroup) -> OptimizerGroup:
    """The rule with every running mean in its own unit; ``states`` tell the units."""
    body = replace(group.body, graph=group.body.graph.copy())
    results, states = list(body.results), list(group.states)
    for index, state in enumerate(group.states):
        found = _running_mean(body, body.operands[index + 2], results[index + 1])
        if found is None:
            continue
        (_, scaled, factor, rest), unit = found
        graph, old = body.graph, body.results[index + 1]
        builder = Builder(graph, graph[old].origin)
        new = builder.value(scaled) + builder.value(rest)
        value = new * builder.value(factor)
        graph[new.id].name = graph[old].name
        graph.replace_uses(old, value.id, keep=[new.id, value.id])
        results = [value.id if id == old else id for id in results]
        results[index + 1] = new.id
        states[index] = replace(state, initial=state.initial / unit, unit=state.unit * unit)
    return replace(group, body=replace(body, results=tuple(results)), states=tuple(states))


def _running_mean(
    body: Body, state: int, result: int
) -> tuple[tuple[int, int, int, int], float] | None:
    """Of ``a·s + b·e``: the sum, a·s, b, e, and the number b. None for anything else."""
    graph = body.graph
    total = graph[result]
    if not isinstance(total.op, Add) or graph.user_count(state) != 1:
        return None
    for kept, added in (total.inputs, total.inputs[::-1]):
        if kept == added or _constant_factor(graph, graph[kept], of=state) is None:
            continue
        found = _constant_factor(graph, graph[added])
        if found is not None and graph[found[1]].type == total.type:
            factor, rest = found
            number = graph[factor].op.value  # type: ignore[attr-defined]
            if number != 0 and rest != state:
                return (result, kept, factor, rest), float(number)
    return None


def _constant_factor(graph: Graph, node: Node, of: int | None = None) -> tuple[int, int] | None:
    """Factor and the rest of a product with a constant number; ``of``: the rest it must have."""
    if not isinstance(node.op, Multiply):
        return None
    for factor, rest in (node.inputs, node.inputs[::-1]):
        number = graph[factor]
        if isinstance(number.op, Constant) and not number.tensor.shape and of in (None, rest):
            return factor, rest
    return None
