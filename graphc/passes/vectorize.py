"""Vectorization: a graph for one set of values becomes a graph for many at once.

Over the examples of a batch: the graph is taken at a batch of one, every input gets its example,
and each root gets a leading axis that counts examples. A draw gives each example the part that it
has in the whole batch, so the mean over examples is what the batch as a whole gives.

Over tangents: every tangent gets a leading axis, and so does what depends on one.

The rules are the operators' own (``Operator.vectorize``); calls are inlined before.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from graphc.ir import (
    Builder,
    Dim,
    Graph,
    Node,
    Operator,
    Size,
    Type,
    TypeRuleError,
    Value,
    symbol,
)
from graphc.model.program import Program
from graphc.ops.leaves import Dimension, Leaf, Tangent
from graphc.ops.random import Draw

__all__ = ["TANGENTS", "Vectorize", "over_tangents"]

TANGENTS = "k′"
"""The symbolic dimension that counts tangents; no name of a model file has a prime."""


@dataclass(frozen=True)
class Vectorize:
    """Give every root a leading axis: one entry an example, or one a tangent.

    TypeRuleError for a graph that does not take one example at a time, or an operator that has no
    rule.
    """

    name: ClassVar[str] = "vectorize"
    over: Literal["examples", "tangents"]

    def apply(self, program: Program) -> Program:
        batch = program.spec.batch if self.over == "examples" else TANGENTS
        if batch is None:
            raise TypeRuleError("E230", f"{program.spec.name} has no batch of examples")
        one: dict[str, Size] = {batch: 1} if self.over == "examples" else {}
        walk = _Walk(symbol(batch), one)
        walk.run(program.graph)
        roots = {key: walk.mapped_value(id).id for key, id in program.roots.items()}
        return Program(program.spec, walk.builder.graph, roots)


def over_tangents(graph: Graph, size: Size) -> tuple[Graph, dict[int, int]]:
    """A graph for ``size`` tangents at once, and where each node went. A node that depends on no
    tangent has no new axis. TypeRuleError for an operator that has no rule."""
    walk = _Walk(size, {})
    walk.run(graph)
    return walk.builder.graph, {id: value.id for id, value in walk.value.items()}


class _Walk:
    """One way through a graph: for each node its value in the new graph, and whether it has the
    new axis."""

    def __init__(self, size: Size, one: dict[str, Size]) -> None:
        self.size = size
        self.one = one
        self.builder = Builder(Graph())
        self.value: dict[int, Value] = {}
        self.mapped: set[int] = set()

    def run(self, graph: Graph) -> None:
        for node in graph.topological():
            with self.builder.at(node.origin):
                value = self._vectorized(node)
            self.value[node.id] = value
            if node.name and not self.builder.graph[value.id].name:
                self.builder.graph[value.id].name = node.name

    def mapped_value(self, id: int) -> Value:
        """A root with the new axis, also where it is the same for every entry."""
        value = self.value[id]
        return value if id in self.mapped else self.builder.repeated(value, self.size)

    def _vectorized(self, node: Node) -> Value:
        if isinstance(node.op, Tangent):
            return self._with_axis(node, node.tensor.with_shape((self.size, *node.tensor.shape)))
        if not node.inputs or isinstance(node.op, Draw):
            return self._source(node)
        xs = tuple(self.value[id] for id in node.inputs)
        mapped = tuple(id in self.mapped for id in node.inputs)
        op: Operator = _bound(node.op, self.one)
        if not any(mapped):
            return self.builder.emit(op, *xs)
        value = op.vectorize(self.size, xs, mapped)
        self.mapped.add(node.id)
        return self._of_type(value, node)

    def _source(self, node: Node) -> Value:
        """What comes from outside or is drawn: an axis of examples becomes the new axis."""
        shape = node.tensor.shape
        if self.one and isinstance(node.op, Dimension):
            return self._dimension(node.op.size)
        if not self.one or self.size not in shape:
            if self.one and _depends(shape, self.one):
                raise self._not_leading(node)
            return self._copied(node, _bound(node.op, self.one))
        if shape[0] != self.size or _depends(shape[1:], self.one):
            raise self._not_leading(node)
        value = self._copied(node, node.op)
        self.mapped.add(node.id)
        return value.apply("reshape", shape=(self.size, 1, *shape[1:]))

    def _copied(self, node: Node, op: Operator) -> Value:
        inputs = tuple(self.value[id].id for id in node.inputs)
        return self.builder.place(op, inputs, node.tensor)

    def _with_axis(self, node: Node, type: Type) -> Value:
        self.mapped.add(node.id)
        return self.builder.place(node.op, (), type)

    def _dimension(self, size: Size) -> Value:
        bound = size if isinstance(size, int) else size.bind(self.one)
        if isinstance(bound, int):
            return self.builder.constant(float(bound))
        return self.builder.place(Dimension(bound), (), Type("real"))

    def _of_type(self, value: Value, node: Node) -> Value:
        """The value checked against the type that the node had, its kind included."""
        expected = (self.size, *_bound(node.tensor.shape, self.one))
        if value.shape != expected:
            raise TypeRuleError(
                "E230", f"`{node.op.name}` gives {value.type} for many, not {expected}"
            )
        if value.type.kind != node.tensor.kind and node.tensor.kind != "label":
            return value.apply("cast", kind=node.tensor.kind)
        return value

    def _not_leading(self, node: Node) -> TypeRuleError:
        what = node.name or f"`{node.op.name}`"
        return TypeRuleError(
            "E230",
            f"{what} of type {node.tensor} has no value for one example: "
            f"{self.size} is not its first dimension, or not that alone",
        )


def _depends(shape: tuple[Size, ...], symbols: dict[str, Size]) -> bool:
    return any(not isinstance(size, int) and size.symbols & symbols.keys() for size in shape)


def _bound(thing: Any, values: dict[str, Size]) -> Any:
    """An operator or a shape with symbolic dimensions replaced."""
    if not values:
        return thing
    if isinstance(thing, Dim):
        return thing.bind(values)
    if isinstance(thing, tuple):
        return tuple(_bound(part, values) for part in thing)
    if isinstance(thing, Operator) and not isinstance(thing, Leaf):
        fields = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}  # type: ignore[arg-type]
        bound = {name: _bound(value, values) for name, value in fields.items()}
        return type(thing)(**bound) if bound != fields else thing
    return thing
