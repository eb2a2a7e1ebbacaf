"""From nodes to terms: each operator by what it means for a formula.

Adjoints of definitions are read through; a definition itself stays folded under its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from graphc.ir import OPERATORS, Call, Graph, Node, Operator, TupleType, Type
from graphc.model.nodes import draws
from graphc.ops.leaves import Constant, Dimension, Item, Length
from graphc.ops.shapes import Broadcast
from graphc.rendering.formulas import Leaf
from graphc.rendering.kinds import Apply, Number, Use
from graphc.rendering.terms import Terms

__all__ = ["Known", "is_adjoint", "read"]

Known = dict[int, "int | tuple[int, ...]"]
"""Terms of nodes; a tuple of them for a call that returns several values."""


def read(terms: Terms, graph: Graph, roots: Iterable[int], known: Known) -> list[int]:
    """Terms of the nodes ``roots``; ``known`` has what is read no further and takes the rest in."""
    wanted = list(roots)
    for node in graph.depth_first(wanted, known):
        known[node.id] = _node(terms, graph, node, known)
    return [_single(known, id) for id in wanted]


def is_adjoint(call: Call) -> bool:
    """Whether a call is a derivative that the backward walk made."""
    return call.body.definition.startswith("∂") or call.body.definition.endswith("′")


def _single(known: Known, id: int) -> int:
    term = known[id]
    assert isinstance(term, int), "a tuple is read item by item"
    return term


def _node(terms: Terms, graph: Graph, node: Node, known: Known) -> int | tuple[int, ...]:
    op = node.op
    if isinstance(op, Item):
        source = known[node.inputs[0]]
        if isinstance(source, tuple):
            return source[op.index]
        return terms.apply(op, [source], node.tensor.shape)
    if isinstance(op, Call):
        return _call(terms, graph, node, op, known)
    if isinstance(op, Constant) and not isinstance(op.value, tuple):
        return terms.number(op.value)
    if isinstance(op, Dimension | Length):
        return terms.size(op.size)
    if not node.inputs and hasattr(op, "label"):
        return terms.leaf(Leaf(node.name or op.label), node.tensor.shape)
    args = [_single(known, i) for i in node.inputs]
    rule = RULES.get(op.name)
    if rule is not None:
        return rule(terms, args, node)
    if op.elementwise:
        return _plain(terms, args, node)
    return terms.apply(op, _whole(terms, graph, node, args), node.tensor.shape)


def _call(
    terms: Terms, graph: Graph, node: Node, call: Call, known: Known
) -> int | tuple[int, ...]:
    args = [_single(known, i) for i in node.inputs]
    if is_adjoint(call):
        inner: Known = dict(zip(call.body.operands, args, strict=True))
        results = tuple(read(terms, call.body.graph, call.body.results, inner))
        return results if isinstance(node.type, TupleType) else results[0]
    shape = node.type.shape if isinstance(node.type, Type) else ()
    place = call.place if draws(node) else ""
    return terms.apply(Use(call.body.title, place), _whole(terms, graph, node, args), shape)


def _whole(terms: Terms, graph: Graph, node: Node, args: list[int]) -> list[int]:
    """Operands in their full shape, for operators that do not broadcast."""
    result = []
    for source, id in zip(node.inputs, args, strict=True):
        type = graph[source].type
        if isinstance(type, Type) and terms.shapes[id] != type.shape:
            id = terms.apply(Broadcast(type.shape), [id], type.shape)
        result.append(id)
    return result


def _plain(terms: Terms, args: list[int], node: Node) -> int:
    return terms.apply(node.op, args, terms.broadcast(args))


Rule = Callable[[Terms, list[int], Node], int]


def _power(terms: Terms, args: list[int], node: Node) -> int:
    exponent = terms[args[1]]
    if isinstance(exponent, Number):
        return terms.product([(args[0], exponent.value)])
    return _plain(terms, args, node)


def _where(terms: Terms, args: list[int], node: Node) -> int:
    """A choice with 0 is a product with a truth value."""
    condition, a, b = args
    zero, one = Number(0.0), Number(1.0)
    if isinstance(terms[a], Number) and _guards(terms, condition, b):
        return b
    if (terms[a], terms[b]) == (one, zero):
        return condition
    if terms[b] == zero:
        return terms.product([(a, 1), (condition, 1)])
    if terms[a] == zero:
        return terms.product([(b, 1), (terms.opposite(condition), 1)])
    return _plain(terms, args, node)


def _guards(terms: Terms, condition: int, value: int) -> bool:
    """Whether a condition singles out the point where a value is 0: a rule's guard at a kink."""
    term = terms[condition]
    if not isinstance(term, Apply) or not isinstance(term.op, Operator):
        return False
    if term.op.name == "and":
        return any(_guards(terms, part, value) for part in term.args)
    return term.op.name == "equal" and term.args == (value, terms.number(0.0))


def _compared(terms: Terms, args: list[int], node: Node) -> int:
    """A number stands on the right of a comparison."""
    if isinstance(terms[args[0]], Number):
        op = OPERATORS[MIRRORED[node.op.name]]()
        return terms.apply(op, args[::-1], terms.broadcast(args))
    return _plain(terms, args, node)


MIRRORED = {
    "less": "greater",
    "less_equal": "greater_equal",
    "greater": "less",
    "greater_equal": "less_equal",
    "equal": "equal",
    "not_equal": "not_equal",
}

RULES: dict[str, Rule] = {
    **dict.fromkeys(MIRRORED, _compared),
    "sqrt": lambda terms, args, node: terms.product([(args[0], 0.5)]),
    "add": lambda terms, args, node: terms.sum([(a, 1.0) for a in args]),
    "subtract": lambda terms, args, node: terms.sum([(args[0], 1.0), (args[1], -1.0)]),
    "negative": lambda terms, args, node: terms.product([(args[0], 1)], -1.0),
    "multiply": lambda terms, args, node: terms.product([(a, 1) for a in args]),
    "divide": lambda terms, args, node: terms.product([(args[0], 1), (args[1], -1)]),
    "power": _power,
    "where": _where,
    "cast": lambda terms, args, node: args[0],
    "stop_gradient": lambda terms, args, node: args[0],
    "broadcast": lambda terms, args, node: args[0],
}
"""Operators that a formula does not show as they are."""
