"""Element-wise functions, each seen as one piece however many operators it is made of.

A piece is ``y = f(x₁, x₂, …)``, element by element: its first and second derivatives by an operand
are exact also where that operand enters it in several ways, as x enters ``x * sigmoid(x)``.
"""

from __future__ import annotations

from collections.abc import Container

from graphc.ir import Body, Builder, Call, Graph, Node, Operand, Size, Value, is_real
from graphc.ops.leaves import Constant
from graphc.passes.differentiate import Gradients

__all__ = ["Pieces", "is_pointwise"]


def is_pointwise(graph: Graph, node: Node) -> bool:
    """Whether a node is element-wise: an operator, or a call whose body is, of operands that have
    the result's shape."""
    if not isinstance(node.op, Call):
        return node.op.elementwise
    types = (graph[id].type for id in node.inputs)
    same = all(type == node.type for type in types if is_real(type))
    return same and is_real(node.type) and _pointwise_body(node.op.body)


def _pointwise_body(body: Body) -> bool:
    return all(
        _pointwise_body(node.op.body)
        if isinstance(node.op, Call)
        else node.op.elementwise or isinstance(node.op, Operand | Constant)
        for node in body.graph
    )


class Pieces:
    """The pieces of a graph along ``path``, the nodes on the ways that derivatives go.

    A piece ends where what is not element-wise, has another shape or belongs to several pieces
    reads it, so every node is in one piece. It begins at its sources: the ends of other pieces,
    and whatever is not element-wise.
    """

    def __init__(self, graph: Graph, path: Container[int]) -> None:
        self.graph = graph
        self.path = path
        self._end_of: dict[int, int] = {}
        """The end of the piece that a node is in; of what is in none, the node itself."""
        self._functions: set[int] = set()
        for node in reversed(graph.topological()):
            if node.id in path:
                if is_pointwise(graph, node):
                    self._functions.add(node.id)
                self._end_of[node.id] = self._end(node)

    def _end(self, node: Node) -> int:
        if node.id not in self._functions:
            return node.id
        users = [user for user in self.graph.users(node.id) if user in self.path]
        ends = {self._end_of[user] for user in users}
        joins = len(ends) == 1 and all(
            user in self._functions and self.graph[user].tensor.shape == node.tensor.shape
            for user in users
        )
        return ends.pop() if joins else node.id

    def pointwise(self, id: int) -> bool:
        return id in self._functions

    def is_end(self, id: int) -> bool:
        """Whether a node is the end of a piece, or in none."""
        return self._end_of[id] == id

    def members(self, end: int) -> list[Node]:
        """The nodes of the piece that ends at an element-wise node, in topological order."""
        found, around, stack = {end}, set[int](), [end]
        while stack:
            for id in self.graph[stack.pop()].inputs:
                if id not in self.path or self._end_of[id] != self._end_of[end]:
                    around.add(id)
                elif id not in found:
                    found.add(id)
                    stack.append(id)
        return self.graph.depth_first([end], known=around)

    def sources(self, end: int) -> list[int]:
        """The operands of that piece which are on the path, each once."""
        members = self.members(end)
        inside = {node.id for node in members}
        read = dict.fromkeys(id for node in members for id in node.inputs)
        return [id for id in read if id in self.path and id not in inside]

    def derivatives(self, builder: Builder, end: int) -> dict[int, tuple[Value, Value | None]]:
        """∂y/∂x and ∂²y/∂x², element by element in the shape of y, by each source x that y depends
        on differentiably; None for a second derivative that is 0."""
        shape = self.graph[end].tensor.shape
        inner, places = self._alone(builder, end)
        ones = inner.op("broadcast", inner.constant(1.0), shape=shape)
        operands = {places[id]: id for id in self.sources(end)}
        walk = Gradients()
        first = walk.backward(inner, {places[end]: ones}, operands)
        second = {
            id: walk.backward(inner, {slope.id: ones}, [id]).get(id) for id, slope in first.items()
        }
        given = {place: id for id, place in places.items() if _is_operand(inner.graph, place)}
        moved = builder.graph.absorb(
            inner.graph,
            {
                place: _in_shape(builder.value(id), shape).id if place in operands else id
                for place, id in given.items()
            },
        )

        def outside(value: Value | None) -> Value | None:
            return None if value is None else builder.value(moved[value.id])

        return {
            operands[id]: (builder.value(moved[slope.id]), outside(second[id]))
            for id, slope in first.items()
        }

    def _alone(self, builder: Builder, end: int) -> tuple[Builder, dict[int, int]]:
        """The piece in a graph of its own, and where each node and operand went. A source has the
        shape of the result there, so that elements do not meet."""
        inner = Builder(Graph(), builder.origin)
        shape = self.graph[end].tensor.shape
        places: dict[int, int] = {}
        sources = set(self.sources(end))
        for node in self.members(end):
            for id in node.inputs:
                if id not in places:
                    places[id] = self._operand(inner, id, shape if id in sources else None)
            with inner.at(node.origin):
                inputs = tuple(places[id] for id in node.inputs)
                places[node.id] = inner.place(node.op, inputs, node.type, node.name).id
        return inner, places

    def _operand(self, inner: Builder, id: int, shape: tuple[Size, ...] | None) -> int:
        """A constant as it is, anything else as an operand."""
        node = self.graph[id]
        if isinstance(node.op, Constant):
            return inner.place(node.op, (), node.type, node.name).id
        type = node.tensor if shape is None else node.tensor.with_shape(shape)
        operand = Operand(len(inner.graph), node.name)
        return inner.place(operand, (), type, node.name).id


def _is_operand(graph: Graph, id: int) -> bool:
    return isinstance(graph[id].op, Operand)


def _in_shape(value: Value, shape: tuple[Size, ...]) -> Value:
    return value if value.shape == shape else value.apply("broadcast", shape=shape)
