"""The verifier: what must hold of every graph, checked after every pass.

It finds errors of the compiler, not of the user: what it raises is a bug report.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphc.ir.graph import Body, Call, Graph, Node, Operand
from graphc.ir.group import Group
from graphc.ir.operator import TypeRuleError
from graphc.ir.types import AnyType, Type

__all__ = ["VerificationError", "verify"]


class VerificationError(Exception):
    """A graph is malformed: a bug in the pass that ran last."""


def verify(graph: Graph, roots: Iterable[int] = (), checked: set[int] | None = None) -> None:
    """Inputs exist, users mirror inputs, types are what the type rules give, no cycle.

    What has not changed since it was verified is not looked at again. Bodies of calls are verified
    too, each once; ``checked`` remembers which by id.
    """
    checked = set() if checked is None else checked
    for root in roots:
        if root not in graph:
            raise VerificationError(f"root {root} is not in the graph")
    if len(_order(graph)) != len(graph):
        raise VerificationError("the order does not hold every node")
    changed = [node for node in graph if not node.verified]
    for node in changed:
        for source in node.inputs:
            if source not in graph:
                raise VerificationError(f"node {node.id} reads {source}, which does not exist")
            if graph.slots(source, node.id) != node.inputs.count(source):
                raise VerificationError(f"node {node.id} is no user of {source}, which it reads")
        _verify_type(graph, node)
        if isinstance(node.op, Call | Group):
            _verify_call(graph, node, node.op.body, checked)
        node.verified = True
    if changed and graph.pair_count != sum(len(set(node.inputs)) for node in graph):
        raise VerificationError("the graph names users that do not read the node")


def _order(graph: Graph) -> list[Node]:
    try:
        return graph.topological()
    except (ValueError, KeyError) as error:
        raise VerificationError(f"there is no order of the nodes: {error}") from None


def _verify_type(graph: Graph, node: Node) -> None:
    if isinstance(node.op, Call | Group | Operand) or node.op.arity == 0:
        return
    types: list[AnyType] = [graph[i].type for i in node.inputs]
    try:
        expected = node.op.infer(*types)  # type: ignore[arg-type]
    except TypeRuleError as error:
        raise VerificationError(f"node {node.id} ({node.op}): {error.message}") from None
    if expected != node.type:
        raise VerificationError(
            f"node {node.id} ({node.op}) is {node.type} but its type rule gives {expected}"
        )


def _verify_call(graph: Graph, node: Node, body: Body, checked: set[int]) -> None:
    if len(body.operands) != len(node.inputs):
        raise VerificationError(
            f"node {node.id} gives {len(node.inputs)} operands to {body.title}, "
            f"which takes {len(body.operands)}"
        )
    for slot, (source, operand) in enumerate(zip(node.inputs, body.operands, strict=True)):
        given, taken = graph[source].type, body.graph[operand].type
        if isinstance(given, Type) and isinstance(taken, Type) and given != taken:
            raise VerificationError(
                f"node {node.id}: operand {slot} of {body.title} is {taken}, given {given}"
            )
    if node.type != body.type:
        raise VerificationError(f"node {node.id} is {node.type}, {body.title} gives {body.type}")
    if id(body) not in checked:
        checked.add(id(body))
        verify(body.graph, body.results, checked)
        if body.derivative is not None:
            verify(body.derivative.graph, body.derivative.results, checked)
