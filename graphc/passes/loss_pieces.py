"""Losses whose exact second derivatives the rules of one operator after the other do not give.

The rules drop what two operands of an operator have to do with each other. Where every element of
an operand goes one way to each term of the loss, as in squared errors or the cross-entropy of
softmax, nothing is dropped. Other losses stay whole, as calls.
"""

from __future__ import annotations

from graphc.ir import (
    Body,
    Builder,
    Call,
    Graph,
    Node,
    Size,
    Value,
    flatten,
    inline_calls,
    is_real,
    product,
    symbol,
)
from graphc.model.prelude import loss_names
from graphc.model.program import Program
from graphc.ops.arithmetic import Add, Divide, Multiply, Negative, Subtract
from graphc.ops.indexing import Index
from graphc.ops.labels import Pick
from graphc.ops.leaves import Tangent
from graphc.ops.logic import Cast, StopGradient, Where
from graphc.ops.reductions import Sum
from graphc.ops.shapes import Reshape, Transpose
from graphc.passes.cleanup import CommonSubexpressions
from graphc.passes.differentiate import gradients
from graphc.passes.pointwise import Pieces, is_pointwise
from graphc.passes.vectorize import over_tangents

__all__ = ["is_whole_loss", "loss_derivatives", "opened"]

ONE_WAY = (Sum, Reshape, Transpose, Index, Pick)
"""Linear operators that take each element to one element of the result at most."""
SUMS = (*ONE_WAY, Add, Subtract, Negative, Cast)
"""Linear in all their operands together."""


def opened(program: Program) -> Program:
    """The program with every call inlined but element-wise functions and the losses that stay
    whole. What is written twice is one value."""
    program.roots = inline_calls(
        program.graph,
        program.roots,
        when=lambda node, _: not is_whole_loss(node) and not is_pointwise(program.graph, node),
    )
    return CommonSubexpressions().apply(program)


def is_whole_loss(node: Node) -> bool:
    """Whether a node is a call of a loss of the prelude that has to stay whole."""
    if not isinstance(node.op, Call):
        return False
    body = node.op.body
    is_loss = body.prelude and body.definition in loss_names()
    return is_loss and not _goes_one_way(body)


def _goes_one_way(body: Body) -> bool:
    graph = body.graph.copy()
    roots = {("result", str(i)): id for i, id in enumerate(body.results)}
    results = inline_calls(graph, roots, when=lambda node, _: not is_pointwise(graph, node))
    reals = [id for id in body.operands if is_real(graph[id].type)]
    return all(_Ways(graph, id).are_single(end) for id in reals for end in results.values())


class _Ways:
    """The ways that the elements of ``operand`` go."""

    def __init__(self, graph: Graph, operand: int) -> None:
        self.graph = graph
        self.operand = operand
        self.reached = {operand}
        for node in graph.topological():
            stops = isinstance(node.op, StopGradient) or not is_real(node.type)
            if not stops and self.reached.intersection(node.inputs):
                self.reached.add(node.id)
        self.pieces = Pieces(graph, self.reached)

    def are_single(self, id: int) -> bool:
        """Whether a node is a sum of terms to each of which elements go one way."""
        if id == self.operand or id not in self.reached:
            return True
        node = self.graph[id]
        terms = [source for source in node.inputs if source in self.reached]
        return all(map(self.are_single, terms)) if _is_linear(node, terms) else self.is_single(id)

    def is_single(self, id: int) -> bool:
        """Whether each element of a node is reached by elements of its own, in one way."""
        while id != self.operand:
            node = self.graph[id]
            if self.pieces.pointwise(id):
                sources = self.pieces.sources(id)
                if self.graph[sources[0]].tensor.shape != node.tensor.shape:
                    return False
            elif isinstance(node.op, ONE_WAY):
                sources = list(node.inputs[:1])
            else:
                return False
            if len(sources) > 1:
                return False
            id = sources[0]
        return True


def _is_linear(node: Node, operands: list[int]) -> bool:
    """Whether a node is linear in those of its operands, all together."""
    if isinstance(node.op, (*SUMS, Where)):
        return True
    if isinstance(node.op, Divide):
        return node.inputs[1] not in operands
    return isinstance(node.op, Multiply) and len(operands) == 1


def loss_derivatives(
    builder: Builder, node: Node, slot: int, batch: str | None
) -> tuple[Value, Value | None] | None:
    """∂E/∂z and the diagonal of ∂²E/∂z² of a whole loss E by its operand ``slot``.

    Examples, which the first axis counts where it has the size ``batch``, do not depend on each
    other. Within an example the diagonal comes from products of the Hessian with a one in each
    place. None where E does not depend on the operand, or in place of a diagonal of zeros.
    """
    assert isinstance(node.op, Call)
    body = flatten(node.op.body)
    inner = Builder(body.graph.copy(), builder.origin)
    z = body.operands[slot]
    shape = inner.graph[z].tensor.shape
    tangent = inner.place(Tangent("place"), (), inner.graph[z].tensor)
    first = gradients(inner, inner.value(body.results[0]), [z]).get(z)
    if first is None:
        return None
    second = gradients(inner, _total(first * tangent), [z]).get(z)
    results = [value for value in (first, second) if value is not None]
    kept = inner.graph.ancestors([*(v.id for v in results), *body.operands, tangent.id])
    inner.graph.keep_only(kept)
    places = shape[1:] if batch is not None and shape[:1] == (symbol(batch),) else shape
    ones = _one_in_each(builder, shape, places)
    many, where = over_tangents(inner.graph, product(places))
    given = {where[o]: id for o, id in zip(body.operands, node.inputs, strict=True)}
    moved = builder.graph.absorb(many, given | {where[tangent.id]: ones.id})
    slope, *products = (builder.value(moved[where[value.id]]) for value in results)
    return slope, (products[0] * ones).apply("sum", axis=(0,)) if products else None


def _total(value: Value) -> Value:
    """The sum of all elements."""
    return value.apply("sum", axis=tuple(range(len(value.shape)))) if value.shape else value


def _one_in_each(builder: Builder, shape: tuple[Size, ...], places: tuple[Size, ...]) -> Value:
    """Arrays of ``shape``, one behind the other along a new first axis, that hold a 1 in each of
    the ``places``, the last axes; the axes before these repeat it."""
    size = product(places)
    positions = builder.op("positions", size=size)
    column = positions.apply("reshape", shape=(size, 1))
    ones = column.apply("equal", positions).apply("cast", kind="real")
    ahead = (1,) * (len(shape) - len(places))
    return ones.apply("reshape", shape=(size, *ahead, *places)).apply(
        "broadcast", shape=(size, *shape)
    )
