"""Second derivatives by the outputs of linear maps, from which whole blocks of a Hessian are made.

A weight that takes part in ``z = x @ W`` alone, z and x a row an example, meets the objective
through z. So ∂²E/∂W∂W' is made of x, of ∂E/∂z' and of how the later layer's x' and ∂E/∂z' move with
z: as many tangents as z has columns do what one for every element of W would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphc.ir import Builder, Node, Origin, Type, TypeRuleError, Value, symbol
from graphc.model.program import Program
from graphc.ops.arithmetic import Add
from graphc.ops.leaves import Direction
from graphc.ops.matmul import Matmul
from graphc.passes.differentiate import Gradients
from graphc.passes.layer_maps import layer_maps, meeting_data
from graphc.passes.loss_pieces import opened
from graphc.passes.products import backward_from, inner_sum, pushed_forward

__all__ = ["LayerGradients", "LayerHessianProducts", "PenaltyAlone", "example_maps"]


@dataclass(frozen=True)
class LayerGradients:
    """Add a ``product`` root for every weight of :func:`example_maps`, the layers of the network in
    order: ∂E/∂z, [n, fan out]."""

    name: ClassVar[str] = "layer_gradients"

    def apply(self, program: Program) -> Program:
        program = opened(program)
        builder = Builder(program.graph, Origin(made_by=self.name))
        maps = _expected(program)
        first = _slopes(Gradients(), program, builder, maps)
        program.roots = {
            ("product", name): (first.get(node.id) or builder.zeros(node.tensor)).id
            for name, node in maps.items()
        }
        return program


@dataclass(frozen=True)
class LayerHessianProducts:
    """Add roots that say how gradients and inputs of layers move where each example's z does.

    A tangent is a direction of z of one layer, [fan out], the same for all examples. Roots
    ``product`` are, by weight in the order of the network, the derivative of ∂E/∂z along it,
    [n, fan out], and as ``W:input`` that of x, [n, fan in], left out where it is 0 for all
    tangents. TypeRuleError where there is no such weight.
    """

    name: ClassVar[str] = "layer_hessian_products"

    def apply(self, program: Program) -> Program:
        program = opened(program)
        builder = Builder(program.graph, Origin(made_by=self.name))
        maps = _expected(program)
        outputs = {name: node.id for name, node in maps.items()}
        tangents = {
            name: builder.place(Direction(name), (), Type("real", node.tensor.shape[1:]), "")
            for name, node in maps.items()
        }
        walk = Gradients()
        first = _slopes(walk, program, builder, maps)
        slope = inner_sum(
            builder, [(first.get(id), tangents[name]) for name, id in outputs.items()]
        )
        second = backward_from(walk, builder, slope, outputs.values())
        given = {name: _input(node) for name, node in maps.items()}
        inputs = list(dict.fromkeys(id for id in given.values() if id is not None))
        moved = pushed_forward(walk, builder, inputs, outputs, tangents)
        program.roots = {}
        for name, node in maps.items():
            value = second.get(node.id) or builder.zeros(node.tensor)
            program.roots["product", name] = value.id
            push = None if (id := given[name]) is None else moved.get(id)
            if push is not None:
                program.roots["product", f"{name}:input"] = push.id
        return program


@dataclass(frozen=True)
class PenaltyAlone:
    """The objective without its losses: the penalties of ``regularize``."""

    name: ClassVar[str] = "penalty_alone"

    def apply(self, program: Program) -> Program:
        if ("penalty", "") not in program.roots:
            raise TypeRuleError("E233", f"{program.spec.name} has no penalty")
        program.roots = {("objective", ""): program.roots["penalty", ""]}
        return program


def example_maps(program: Program) -> dict[str, Node]:
    """What gives z by weight, in the order in which the network computes them: what a z depends on
    comes before it.

    Those of :func:`layer_maps` whose z is a matrix with a row an example, and biases: ``z = y + b``
    where b takes part in that alone is a map of the input 1.
    """
    found = layer_maps(program) | _biases(program)
    batch = None if program.spec.batch is None else symbol(program.spec.batch)
    fitting = {
        node.id: (name, node)
        for name, node in found.items()
        if node.tensor.rank == 2 and node.tensor.shape[0] == batch
    }
    order = [node.id for node in program.graph.topological() if node.id in fitting]
    return dict(fitting[id] for id in order)


def _biases(program: Program) -> dict[str, Node]:
    """Sums by the name of each learned vector that is added to the rows of a matrix, and used in no
    other way. A use that never meets the data, as in a penalty, does not count."""
    graph, uses, found = program.graph, meeting_data(program), {}
    for name, id in program.learned_nodes.items():
        users = [user for user in graph.users(id) if user in uses]
        node = graph[users[0]] if len(users) == 1 else None
        if node is None or not isinstance(node.op, Add) or graph.slots(id, node.id) != 1:
            continue
        (other,) = (graph[i] for i in node.inputs if i != id)
        if graph[id].tensor.rank == 1 and other.type == node.type and node.tensor.rank == 2:
            found[name] = node
    return found


def _input(node: Node) -> int | None:
    """What a map multiplies by its weight, None for a bias."""
    return node.inputs[0] if isinstance(node.op, Matmul) else None


def _expected(program: Program) -> dict[str, Node]:
    maps = example_maps(program)
    if not maps:
        raise TypeRuleError(
            "E232",
            f"{program.spec.name} has no weight that is used once, as the matrix of a linear map "
            "with a row an example",
        )
    return maps


def _slopes(
    walk: Gradients, program: Program, builder: Builder, maps: dict[str, Node]
) -> dict[int, Value]:
    """∂E/∂z by node."""
    seed = {program.roots["objective", ""]: builder.constant(1.0)}
    return walk.backward(builder, seed, [node.id for node in maps.values()])
