"""Products of curvature matrices with tangents, for all learned parameters at once.

A tangent is a direction in parameter space: one ``tangent`` leaf a parameter. Both products come
from differentiating twice; nothing here has a derivative rule of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphc.ir import (
    Body,
    Builder,
    Call,
    Graph,
    Operand,
    Origin,
    TypeRuleError,
    Value,
    inline_calls,
)
from graphc.model.prelude import loss_names
from graphc.model.program import Program
from graphc.ops.leaves import Leaf, Tangent
from graphc.passes.differentiate import Gradients, add_roots

__all__ = [
    "GaussNewtonProducts",
    "HessianProducts",
    "backward_from",
    "inner_sum",
    "pushed_forward",
]


@dataclass(frozen=True)
class HessianProducts:
    """Add a ``product`` root for every learned parameter: ∂²E/∂θ² · v (Pearlmutter, 1994)."""

    name: ClassVar[str] = "hessian_products"

    def apply(self, program: Program) -> Program:
        builder = Builder(program.graph, Origin(made_by=self.name))
        learned = program.learned_nodes
        tangents = _tangents(program, builder)
        objective = program.roots["objective", ""]
        walk = Gradients()
        first = walk.backward(builder, {objective: builder.constant(1.0)}, learned.values())
        slope = inner_sum(
            builder, [(first.get(id), tangents[name]) for name, id in learned.items()]
        )
        second = backward_from(walk, builder, slope, learned.values())
        return _with_products(program, builder, second)


@dataclass(frozen=True)
class GaussNewtonProducts:
    """Add a ``product`` root for every learned parameter: the Hessian of the objective with the
    network before the cut replaced by its linearisation (Schraudolph, 2002).

    With E(θ, z) the objective as a function of the cut values z = f(θ) and, where a penalty reads
    them, of the parameters, and J = ∂f/∂θ, the matrix is ``(I Jᵀ) ∇²E (I; J)``: where the
    parameters enter through z alone, Jᵀ·∂²E/∂z²·J.

    ``cut`` names values of the model; empty means the first argument of every loss of the prelude.
    TypeRuleError where there is no such value.
    """

    name: ClassVar[str] = "gauss_newton_products"
    cut: tuple[str, ...] = ()

    def apply(self, program: Program) -> Program:
        cuts = self._cuts(program)
        builder = Builder(program.graph, Origin(made_by=self.name))
        learned = program.learned_nodes
        tangents = _tangents(program, builder)
        walk = Gradients()
        pushed = pushed_forward(walk, builder, cuts, learned, tangents)
        loss, inputs = _loss_body(program.graph, program.roots["objective", ""], cuts)
        directions = {id: tangents[name] for name, id in learned.items()} | pushed
        seeds = _loss_products(builder, loss, inputs, directions)
        pulled = walk.backward(builder, seeds, learned.values())
        return _with_products(program, builder, pulled)

    def _cuts(self, program: Program) -> list[int]:
        """Nodes of the cut values that the objective depends on."""
        if self.cut:
            return [self._named(program, name) for name in self.cut]
        losses = loss_names()
        _open_calls_around(program, losses)
        needed = program.graph.ancestors([program.roots["objective", ""]])
        cuts = [
            node.inputs[0]
            for node in program.graph.topological()
            if node.id in needed and isinstance(node.op, Call) and _is_loss(node.op.body, losses)
        ]
        if not cuts:
            raise TypeRuleError(
                "E231",
                f"the objective of {program.spec.name} has no loss of the prelude, "
                "whose first argument would be the cut",
                help="name the output of the network: --cut NAME",
            )
        return list(dict.fromkeys(cuts))

    def _named(self, program: Program, name: str) -> int:
        """The last value of that name on the way to the objective."""
        needed = program.graph.ancestors([program.roots["objective", ""]])
        found = [n.id for n in program.graph.topological() if n.name == name and n.id in needed]
        if not found:
            raise TypeRuleError(
                "E231",
                f"the objective of {program.spec.name} depends on no value `{name}`",
                help="cut at a value that the model file names",
            )
        cut = found[-1]
        learned = set(program.learned_nodes.values())
        if cut in learned or not learned & program.graph.ancestors([cut]):
            raise TypeRuleError(
                "E231",
                f"`{name}` is no output of a network: "
                + ("it is a parameter" if cut in learned else "it depends on no parameter"),
                help="cut at a value between the parameters and the loss",
            )
        return cut


def _open_calls_around(program: Program, losses: frozenset[str]) -> None:
    """Inline the calls that have a loss of the prelude inside, so that it is seen."""
    memo: dict[int, bool] = {}

    def holds(body: Body) -> bool:
        if id(body) not in memo:
            inner = [n.op.body for n in body.graph if isinstance(n.op, Call)]
            memo[id(body)] = any(_is_loss(b, losses) or holds(b) for b in inner)
        return memo[id(body)]

    program.roots = inline_calls(
        program.graph,
        program.roots,
        when=lambda _, call: not _is_loss(call.body, losses) and holds(call.body),
    )


def _is_loss(body: Body, losses: frozenset[str]) -> bool:
    return body.prelude and body.definition in losses


def _tangents(program: Program, builder: Builder) -> dict[str, Value]:
    types = {name: program.spec.parameters[name].type for name in program.spec.learned}
    return {name: builder.place(Tangent(name), (), type, "") for name, type in types.items()}


def _with_products(program: Program, builder: Builder, found: Mapping[int, Value]) -> Program:
    """Roots ``product``; zero for a parameter that the product does not reach."""
    program.roots = {}
    add_roots(program, builder, "product", found)
    return program


def inner_sum(builder: Builder, pairs: Iterable[tuple[Value | None, Value | None]]) -> Value | None:
    """Σ ⟨a, b⟩ over the pairs that are both there."""
    total: Value | None = None
    for a, b in pairs:
        if a is None or b is None:
            continue
        term = a * b
        if term.shape:
            term = term.apply("sum", axis=tuple(range(len(term.shape))))
        total = term if total is None else total + term
    return total


def backward_from(
    walk: Gradients, builder: Builder, scalar: Value | None, wanted: Iterable[int]
) -> dict[int, Value]:
    """The derivative of a scalar by each wanted node; empty where there is no scalar."""
    if scalar is None:
        return {}
    return walk.backward(builder, {scalar.id: builder.constant(1.0)}, wanted)


def pushed_forward(
    walk: Gradients,
    builder: Builder,
    cuts: list[int],
    learned: Mapping[str, int],
    tangents: Mapping[str, Value],
) -> dict[int, Value]:
    """J·v at each cut. Jᵀ·u is linear in u, so its derivative by u along v is J·v."""
    graph = builder.graph
    dummies = {
        id: builder.place(Tangent(f"cut {id}"), (), graph[id].tensor, "")
        for id in cuts
        if graph[id].tensor.kind == "real"
    }
    transposed = walk.backward(builder, dict(dummies), learned.values())
    slope = inner_sum(builder, [(transposed.get(id), tangents[n]) for n, id in learned.items()])
    found = backward_from(walk, builder, slope, [value.id for value in dummies.values()])
    return {id: found[value.id] for id, value in dummies.items() if value.id in found}


def _loss_body(graph: Graph, objective: int, cuts: list[int]) -> tuple[Body, list[int]]:
    """The way from the cuts to the objective as a body, and the nodes that are its operands:
    cuts and everything that comes from outside."""
    inside = Graph()
    where: dict[int, int] = {}
    inputs: list[int] = []
    for node in (*map(graph.__getitem__, cuts), *graph.depth_first([objective], known=cuts)):
        if node.id in cuts or isinstance(node.op, Leaf):
            operand = Operand(len(inputs), node.name or f"z{len(inputs)}")
            where[node.id] = inside.add(operand, (), node.type, node.origin, node.name)
            inputs.append(node.id)
        else:
            sources = tuple(where[id] for id in node.inputs)
            where[node.id] = inside.add(node.op, sources, node.type, node.origin, node.name)
    operands = tuple(where[id] for id in inputs)
    return Body("objective", "objective", inside, operands, (where[objective],)), inputs


def _loss_products(
    builder: Builder, loss: Body, inputs: list[int], directions: Mapping[int, Value]
) -> dict[int, Value]:
    """∇²E·d by the nodes among ``inputs`` that have a direction."""
    graph = loss.graph.copy()
    inner = Builder(graph, builder.origin)
    operands = list(loss.operands)
    along: dict[int, Value] = {}
    for id, operand in zip(inputs, loss.operands, strict=True):
        if id in directions:
            value = inner.place(Operand(len(operands), f"t{id}"), (), graph[operand].tensor)
            along[operand] = value
            operands.append(value.id)
    walk = Gradients()
    first = walk.backward(inner, {loss.results[0]: inner.constant(1.0)}, along)
    slope = inner_sum(inner, [(first.get(id), direction) for id, direction in along.items()])
    second = backward_from(walk, inner, slope, along)
    if not second:
        return {}
    graph.keep_only(graph.ancestors([*(v.id for v in second.values()), *operands]))
    body = Body(
        "∇²objective", "∇²objective", graph, tuple(operands), tuple(v.id for v in second.values())
    )
    given = (*inputs, *(directions[id].id for id in inputs if id in directions))
    result = builder.place(Call(body), given, body.type)
    node_of = dict(zip(loss.operands, inputs, strict=True))
    return {
        node_of[operand]: value
        for operand, value in zip(second, builder.items(result), strict=True)
    }
