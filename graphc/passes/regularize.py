"""Regularisation: calls spliced in where selectors say so, penalties added to the objective.

The model checker resolved the selectors and expanded the definitions; here they are only put in
place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from graphc.ir import Body, Builder, Call, Graph, Origin, Type, Value
from graphc.model.program import Program, Splice
from graphc.model.selectors import calls_of

__all__ = ["Regularize"]


@dataclass(frozen=True)
class Regularize:
    """Insert the splices; add the penalties too unless ``penalties`` is false."""

    name: ClassVar[str] = "regularize"
    penalties: bool = True

    def apply(self, program: Program) -> Program:
        for number, splice in enumerate(program.spec.splices, start=1):
            _Splicer(splice, number).run(program.graph)
        if self.penalties and program.spec.penalties and ("objective", "") in program.roots:
            self._penalize(program)
        return program

    def _penalize(self, program: Program) -> None:
        parameters = program.parameter_nodes
        builder = Builder(program.graph)
        total: Value | None = None
        for penalty in program.spec.penalties:
            builder.origin = Origin(penalty.span, made_by=self.name)
            for name, body in penalty.bodies.items():
                term = builder.place(Call(body), (parameters[name],), Type("real"), "")
                total = term if total is None else total + term
        assert total is not None
        objective = builder.value(program.roots["objective", ""]) + total
        program.roots["objective", ""] = objective.id
        program.roots["penalty", ""] = total.id


class _Splicer:
    """Puts one splice in place, in the top graph and, for a definition, in every body."""

    def __init__(self, splice: Splice, number: int) -> None:
        self.splice = splice
        self.number = number
        self.memo: dict[int, Body] = {}

    def run(self, graph: Graph) -> None:
        nodes = self.splice.nodes or tuple(calls_of(graph, self.splice.match))
        if self.splice.match:
            self._bodies(graph)
        for id in nodes:
            self._insert(graph, id)

    def _bodies(self, graph: Graph) -> None:
        for node in graph:
            if isinstance(node.op, Call):
                body = self._body(node.op.body)
                if body is not node.op.body:
                    graph.set_op(node.id, Call(body, node.op.place))

    def _body(self, body: Body) -> Body:
        if id(body) not in self.memo:
            self.memo[id(body)] = self._spliced(body)
        return self.memo[id(body)]

    def _spliced(self, body: Body) -> Body:
        graph = body.graph.copy()
        before = graph.next_id
        self._bodies(graph)
        inner = any(
            isinstance(node.op, Call) and node.op is not body.graph[node.id].op for node in graph
        )
        moved: dict[int, int] = {}
        for id in calls_of(graph, self.splice.match):
            if id < before:
                moved[id] = self._insert(graph, id)
        if not moved and not inner:
            return body
        after = self.splice.position == "after"
        results = tuple(moved.get(r, r) if after else r for r in body.results)
        derivative = None if moved else body.derivative
        return replace(body, graph=graph, results=results, derivative=derivative)

    def _insert(self, graph: Graph, id: int) -> int:
        """Insert the call after the node, or between it and its first operand."""
        node = graph[id]
        origin = Origin(self.splice.span, made_by="regularize")
        source = id if self.splice.position == "after" else node.inputs[0]
        type = graph[source].tensor
        call = Call(self.splice.bodies[type], self._place(graph, id))
        users = graph.users(source)
        new = graph.add(call, (source,), type, origin)
        for user in users if self.splice.position == "after" else [id]:
            inputs = graph[user].inputs
            if self.splice.position == "after":
                graph.set_inputs(user, tuple(new if i == source else i for i in inputs))
            else:
                graph.set_inputs(user, (new, *inputs[1:]))
        return new

    def _place(self, graph: Graph, id: int) -> str:
        """Named by the call or the value that it stands at, so that edits elsewhere keep draws."""
        node = graph[id]
        at = node.op.place if isinstance(node.op, Call) else node.name or f"value{id}"
        return f"{at}.rule{self.number}"
