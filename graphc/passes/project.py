"""Projection: one program to training, or to evaluation and prediction.

What `training` decides is settled here. In evaluation no state has a next value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from graphc.ir import Body, Call, Graph, follow
from graphc.model.program import Program
from graphc.ops.leaves import IfTraining

__all__ = ["Project", "has_choice"]


@dataclass(frozen=True)
class Project:
    """Choose the branch of every ``if_training`` node, in calls too."""

    name: ClassVar[str] = "project"
    training: bool

    def apply(self, program: Program) -> Program:
        memo: dict[int, Body] = {}
        program.roots = self._graph(program.graph, program.roots, memo)
        if not self.training:
            program.roots = {k: v for k, v in program.roots.items() if k[0] != "next"}
        program.graph.keep_only(program.graph.ancestors(program.roots.values()))
        return program

    def _graph(
        self, graph: Graph, roots: dict[tuple[str, str], int], memo: dict[int, Body]
    ) -> dict[tuple[str, str], int]:
        chosen: dict[int, int] = {}
        for node in graph.topological():
            if isinstance(node.op, Call):
                body = self._body(node.op.body, memo)
                if body is not node.op.body:
                    graph.set_op(node.id, Call(body, node.op.place))
            elif isinstance(node.op, IfTraining):
                source = node.inputs[0 if self.training else 1]
                graph.replace_uses(node.id, source)
                chosen[node.id] = source
                if node.name and not graph[source].name and graph[source].inputs:
                    graph[source].name = node.name
        return {key: follow(chosen, id) for key, id in roots.items()}

    def _body(self, body: Body, memo: dict[int, Body]) -> Body:
        """The body with its branches chosen; the same object where nothing changed."""
        if id(body) not in memo:
            memo[id(body)] = self._projected(body, memo)
        return memo[id(body)]

    def _projected(self, body: Body, memo: dict[int, Body]) -> Body:
        if not has_choice(body.graph):
            return body
        graph = body.graph.copy()
        named = {("result", str(i)): id for i, id in enumerate(body.results)}
        results = tuple(self._graph(graph, named, memo).values())
        graph.keep_only(graph.ancestors([*results, *body.operands]))
        derivative = self._body(body.derivative, memo) if body.derivative else None
        return replace(body, graph=graph, results=results, derivative=derivative)


def has_choice(graph: Graph, seen: set[int] | None = None) -> bool:
    """Whether a graph, or a body below it, is one thing in training and another in evaluation."""
    seen = set() if seen is None else seen
    for node in graph:
        if isinstance(node.op, IfTraining):
            return True
        if isinstance(node.op, Call) and id(node.op.body) not in seen:
            seen.add(id(node.op.body))
            if has_choice(node.op.body.graph, seen):
                return True
    return False
