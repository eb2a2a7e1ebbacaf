"""Reverse-mode differentiation, graph to graph.

The objective is seeded with one; nodes are visited in reverse topological order; contributions of
a fan-out are summed. Derivative rules build graph, so what comes out can be differentiated again.

A call stays a call: its adjoint is a call too, of a body that repeats the forward part and goes
backwards through it (common subexpressions merge the repetition once all is inlined). Where a
definition states its ``derivative``, that is used instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from graphc.ir import (
    Body,
    Builder,
    Call,
    Graph,
    Node,
    Operand,
    Origin,
    TupleType,
    Value,
    is_real,
)
from graphc.model.program import Program
from graphc.ops.leaves import Item
from graphc.passes.tiling import joined_tiles

__all__ = ["Contribution", "Differentiate", "Gradients", "add_roots", "between", "gradients"]


@dataclass(frozen=True)
class Differentiate:
    """Add a ``gradient`` root for every parameter that is trained."""

    name: ClassVar[str] = "differentiate"

    def apply(self, program: Program) -> Program:
        builder = Builder(program.graph, Origin(made_by=self.name))
        objective = builder.value(program.roots["objective", ""])
        found = gradients(builder, objective, program.learned_nodes.values())
        add_roots(program, builder, "gradient", found)
        return program


def add_roots(program: Program, builder: Builder, role: str, found: Mapping[int, Value]) -> None:
    """A root of that role for every learned parameter; zero where ``found`` has nothing for it."""
    nodes = program.learned_nodes
    for name in program.spec.learned:
        value = found.get(nodes.get(name, -1))
        if value is None:
            value = builder.zeros(program.spec.parameters[name].type)
        program.roots[role, name] = value.id


def gradients(builder: Builder, objective: Value, wanted: Iterable[int]) -> dict[int, Value]:
    """∂objective/∂node for each wanted node that the scalar ``objective`` depends on."""
    one = builder.constant(1.0)
    return Gradients().backward(builder, {objective.id: one}, wanted)


@dataclass(frozen=True)
class Contribution:
    """What one use of a value adds to its gradient.

    ``user`` reads item ``item`` of node ``source`` as its operand ``slot``; ``upstream`` are the
    gradients by the results of ``user``, by item; ``value`` is the contribution.
    """

    source: int
    item: int
    user: int
    slot: int
    upstream: tuple[tuple[int, int], ...]
    value: int


@dataclass
class Gradients:
    """A backward walk; remembers the adjoints of bodies, so equal calls share theirs."""

    adjoints: dict[tuple[int, tuple[int, ...], tuple[int, ...]], _Adjoint | None] = field(
        default_factory=dict
    )
    keep: list[Body] = field(default_factory=list)
    """Bodies whose identity is a key above: kept alive so that no identity is reused."""
    record: list[Contribution] | None = None
    """Where each contribution is noted, for who explains the walk."""

    def backward(
        self, builder: Builder, seeds: dict[int, Value], wanted: Iterable[int]
    ) -> dict[int, Value]:
        """Gradients of Σ seed·node by each wanted node that is reached."""
        graph = builder.graph
        targets = set(wanted)
        path = between(graph, seeds, targets)
        inside = {node.id for node in path}
        parts: dict[tuple[int, int], list[Value]] = {(id, 0): [v] for id, v in seeds.items()}
        found: dict[int, Value] = {}
        for node in reversed(path):
            with builder.at(_origin(node)):
                given = {i: _total(p) for i in _slots(node) if (p := parts.pop((node.id, i), None))}
                if not given:
                    continue
                if node.id in targets:
                    found[node.id] = given[0]
                for slot, key, value in self._contributions(builder, node, given, inside):
                    parts.setdefault(key, []).append(value)
                    self._note(key, node, slot, given, value)
        return found

    def _note(
        self,
        key: tuple[int, int],
        node: Node,
        slot: int,
        given: dict[int, Value],
        value: Value,
    ) -> None:
        if self.record is not None:
            upstream = tuple((item, d.id) for item, d in given.items())
            self.record.append(Contribution(*key, node.id, slot, upstream, value.id))

    def _contributions(
        self, builder: Builder, node: Node, given: dict[int, Value], inside: set[int]
    ) -> list[tuple[int, tuple[int, int], Value]]:
        """Gradients that a node passes to its operands: the slot, the operand and its item."""
        if isinstance(node.op, Item):
            return [(0, (node.inputs[0], node.op.index), given[0])]
        slots = tuple(i for i, source in enumerate(node.inputs) if source in inside)
        if isinstance(node.op, Call):
            return self._through_call(builder, node, node.op, given, slots)
        xs = tuple(builder.value(source) for source in node.inputs)
        result = []
        for i in slots:
            value = node.op.vjp(i, xs, builder.value(node.id), given[0])
            if value is not None:
                if node.op.elementwise:
                    value = builder.unbroadcast(value, xs[i].shape)
                result.append((i, (node.inputs[i], 0), value))
        return result

    # -- calls

    def _through_call(
        self,
        builder: Builder,
        node: Node,
        call: Call,
        given: dict[int, Value],
        slots: tuple[int, ...],
    ) -> list[tuple[int, tuple[int, int], Value]]:
        if call.body.derivative is not None:
            local = call.body.derivative
            operands = (node.inputs[0], node.id)
            factor = builder.place(Call(local, call.place), operands, local.type)
            return [(0, (node.inputs[0], 0), given[0] * factor)]
        adjoint = self._adjoint(call.body, slots, tuple(given))
        if adjoint is None:
            return []
        inputs = (*node.inputs, *(value.id for value in given.values()))
        result = builder.place(Call(adjoint.body, call.place), inputs, adjoint.body.type)
        values = builder.items(result)
        return [
            (i, (node.inputs[i], 0), value) for i, value in zip(adjoint.slots, values, strict=True)
        ]

    def _adjoint(
        self, body: Body, slots: tuple[int, ...], given: tuple[int, ...]
    ) -> _Adjoint | None:
        """The body that goes backwards through ``body``; None where no operand is reached."""
        key = (id(body), slots, given)
        if key not in self.adjoints:
            self.keep.append(body)
            self.adjoints[key] = self._make_adjoint(body, slots, given)
        return self.adjoints[key]

    def _make_adjoint(
        self, body: Body, slots: tuple[int, ...], given: tuple[int, ...]
    ) -> _Adjoint | None:
        graph = body.graph.copy()
        builder = Builder(graph, Origin(made_by="differentiate"))
        operands = list(body.operands)
        seeds: dict[int, Value] = {}
        for index in given:
            result = body.results[index]
            name = f"d_{graph[result].name or body.definition}"
            operand = Operand(len(operands), name)
            with builder.at(_origin(graph[result])):
                value = builder.place(operand, (), graph[result].tensor, name)
            operands.append(value.id)
            seeds[result] = seeds[result] + value if result in seeds else value
        outer, self.record = self.record, None
        found = self.backward(builder, seeds, [body.operands[i] for i in slots])
        self.record = outer
        reached = tuple(i for i in slots if body.operands[i] in found)
        if not reached:
            return None
        results = tuple(found[body.operands[i]].id for i in reached)
        graph.keep_only(graph.ancestors([*results, *operands]))
        return _Adjoint(
            Body(
                title=f"∂{body.title}",
                definition=f"∂{body.definition}",
                graph=graph,
                operands=tuple(operands),
                results=results,
                prelude=body.prelude,
            ),
            reached,
        )


@dataclass(frozen=True, eq=False)
class _Adjoint:
    """A body that goes backwards, and the operands whose gradients it gives."""

    body: Body
    slots: tuple[int, ...]


def between(graph: Graph, seeds: Iterable[int], targets: set[int]) -> list[Node]:
    """Nodes on a path from a target to a seed, in topological order.

    Only real values carry a gradient: a label, an int or a truth value ends the path.
    """
    needed = graph.ancestors(seeds)
    inside: set[int] = set()
    path = []
    for node in graph.topological():
        if node.id not in needed or not (isinstance(node.type, TupleType) or is_real(node.type)):
            continue
        if node.id in targets or any(source in inside for source in node.inputs):
            inside.add(node.id)
            path.append(node)
    return path


def _slots(node: Node) -> range:
    return range(len(node.type.items) if isinstance(node.type, TupleType) else 1)


def _origin(node: Node) -> Origin:
    """Where the adjoint of a node comes from.

    Who differentiates a gradient does so for products with tangents t, from ⟨∂E/∂θ, t⟩: there the
    adjoint of the adjoint of a value is the derivative of that value along t.
    """
    first, made_by = node.origin, "differentiate"
    if first.made_by == made_by:
        return Origin(first.span, first.chain, made_by, tangent_of=first.adjoint_of)
    return Origin(first.span, first.chain, made_by, node.name)


def _total(parts: list[Value]) -> Value:
    """The sum over a fan-out."""
    first, *rest = joined_tiles(parts)
    total = first
    for part in rest:
        total = total + part
    return total
