"""What a pass is: a small frozen dataclass with a name, options as fields, and ``apply``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Protocol

from graphc.ir import Body, Call, Graph
from graphc.model.program import Program

__all__ = ["Pass", "map_bodies"]


class Pass(Protocol):
    """Takes ownership of a program, rewrites it in place and returns it."""

    name: ClassVar[str]

    def apply(self, program: Program) -> Program: ...


def map_bodies(graph: Graph, change: Callable[[Graph], bool], memo: dict[int, Body] | None = None) -> bool:
    """Apply ``change`` to the body of every call, innermost first; equal bodies stay shared.

    ``change`` gets a copy it may rewrite and tells whether it did. Returns whether any call changed.
    """
    memo = {} if memo is None else memo
    changed = False
    for node in graph:
        if not isinstance(node.op, Call):
            continue
        body = node.op.body
        if id(body) not in memo:
            memo[id(body)] = _changed(body, change, memo)
        if memo[id(body)] is not body:
            graph.set_op(node.id, replace(node.op, body=memo[id(body)]))
            changed = True
    return changed


def _changed(body: Body, change: Callable[[Graph], bool], memo: dict[int, Body]) -> Body:
    graph = body.graph.copy()
    inner = map_bodies(graph, change, memo)
    own = change(graph)
    if not inner and not own:
        return body
    return Body(
        title=body.title,
        definition=body.definition,
        graph=graph,
        operands=body.operands,
        results=body.results,
        derivative=body.derivative,
        prelude=body.prelude,
    )
