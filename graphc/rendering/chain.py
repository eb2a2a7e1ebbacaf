"""A network as layers: matrices of weights, each fed by the one before it, element by element.

That is what a drawing of units and connections needs, and what multilayer perceptrons are.
Skips, convolutions, attention and recurrence are no such chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphc.ir import Graph, Node

__all__ = ["Chain", "Layer", "find_chain"]


@dataclass(frozen=True)
class Layer:
    """Units ``x·W + b``: names of the parameters ``W [inputs, units]`` and ``b [units]``, empty
    where there is none."""

    weight: str
    bias: str
    inputs: int
    units: int


@dataclass(frozen=True)
class Chain:
    """The layers from the value ``source`` on, a node that no parameter has a part in."""

    source: int
    layers: tuple[Layer, ...]


def find_chain(graph: Graph, roots: Iterable[int], parameters: Iterable[str]) -> Chain | None:
    """The layers of a graph without calls, as far as its roots need it.

    None unless every one of the ``parameters`` is the matrix or the bias of exactly one layer,
    the first layer reads what inputs alone make, and each other one what the layer before it
    gives, through element-wise functions of that alone.
    """
    needed = graph.ancestors(roots)
    products = [node for node in graph.topological() if node.id in needed and _weighs(graph, node)]
    layers: list[Layer] = []
    below = None
    for node in products:
        if below is not None and _sources(graph, node.inputs[0]) != {below}:
            return None
        below = node.id
        layers.append(_layer(graph, node, needed))
    used = [name for layer in layers for name in (layer.weight, layer.bias) if name]
    if not layers or len(used) != len(set(used)) or not set(parameters) <= set(used):
        return None
    source = products[0].inputs[0]
    learned = any(graph[id].op.name == "parameter" for id in graph.ancestors([source]))
    return None if learned else Chain(source, tuple(layers))


def _weighs(graph: Graph, node: Node) -> bool:
    """Whether a node multiplies by a matrix that is learned."""
    if node.op.name != "matmul":
        return False
    right = graph[node.inputs[1]]
    return right.op.name == "parameter" and right.tensor.rank == 2


def _layer(graph: Graph, product: Node, needed: set[int]) -> Layer:
    weight = graph[product.inputs[1]]
    inputs, units = weight.tensor.shape
    assert isinstance(inputs, int)
    assert isinstance(units, int)
    users = [graph[id] for id in graph.users(product.id) if id in needed]
    alone = len(users) == 1 and _without_bias(graph, users[0]) == product.id
    bias = next((graph[id].name for id in users[0].inputs if id != product.id), "") if alone else ""
    return Layer(weight.name, bias, inputs, units)


def _sources(graph: Graph, id: int) -> set[int]:
    """The nodes that a value is an element-wise function of, constants aside."""
    found: set[int] = set()
    seen: set[int] = set()
    stack = [id]
    while stack:
        node = graph[stack.pop()]
        if node.id in seen:
            continue
        seen.add(node.id)
        if node.op.name == "constant":
            continue
        if (base := _without_bias(graph, node)) is not None:
            stack.append(base)
        elif node.inputs and node.op.elementwise:
            stack.extend(node.inputs)
        else:
            found.add(node.id)
    return found


def _without_bias(graph: Graph, node: Node) -> int | None:
    """The product to which a node adds a learned number for each unit."""
    if node.op.name != "add":
        return None
    for product, bias in (node.inputs, node.inputs[::-1]):
        adds = graph[bias].op.name == "parameter" and _weighs(graph, graph[product])
        if adds and graph[bias].tensor.shape == graph[product].tensor.shape[-1:]:
            return product
    return None
