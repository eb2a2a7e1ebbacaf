"""Inlining: calls replaced by their expansions, in a graph or in a body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from graphc.ir.graph import Body, Call, Graph, Node, Origin
from graphc.ir.operator import OPERATORS, Operator

__all__ = ["flatten", "follow", "inline_call", "inline_calls", "join_place", "placed"]


def join_place(outer: str, inner: str) -> str:
    """The place of something at ``inner`` within a definition used at ``outer``."""
    return f"{outer}.{inner}" if outer and inner else outer or inner


@cache
def _has_place(name: str) -> bool:
    """Whether operators of that name have a place."""
    return "place" in OPERATORS[name].__annotations__


def relocate(op: Operator, place: str) -> Operator:
    """The operator with its place, if it has one, seen from outside a call at ``place``."""
    if place and _has_place(op.name):
        own: str = op.place  # type: ignore[attr-defined]
        if own:
            return replace(op, place=join_place(place, own))  # type: ignore[type-var]
    return op


def inline_call(graph: Graph, node: Node) -> list[int]:
    """Copy the expansion of the call ``node`` into ``graph``; returns the ids of its results."""
    assert isinstance(node.op, Call)
    body, place, outer = node.op.body, node.op.place, node.origin

    def rename(inner: Node) -> tuple[Operator, Origin, str]:
        origin = inner.origin.inside(outer, body.definition)
        return relocate(inner.op, place), origin, inner.name

    where = graph.absorb(body.graph, dict(zip(body.operands, node.inputs, strict=True)), rename)
    return [where[id] for id in body.results]


def inline_calls(
    graph: Graph,
    roots: dict[tuple[str, str], int],
    *,
    when: Callable[[Node, Call], bool] | None = None,
    opened: Callable[[Node, range], None] | None = None,
) -> dict[tuple[str, str], int]:
    """Replace every call (for which ``when`` holds) by its expansion, innermost included.

    ``opened`` is told each call and the ids of its expansion. Returns the roots, moved where a
    root was a call.
    """
    moved: dict[int, int] = {}
    pending = [node.id for node in graph.topological() if isinstance(node.op, Call)]
    while pending:
        id = pending.pop()
        if id not in graph:
            continue
        node = graph[id]
        assert isinstance(node.op, Call)
        if when is not None and not when(node, node.op):
            continue
        before = graph.next_id
        results = inline_call(graph, node)
        if opened is not None:
            opened(node, range(before, graph.next_id))
        _redirect(graph, moved, node, results)
        pending.extend(i for i in range(before, graph.next_id) if isinstance(graph[i].op, Call))
    return {key: follow(moved, id) for key, id in roots.items()}


def _redirect(graph: Graph, moved: dict[int, int], node: Node, results: list[int]) -> None:
    """Let what read the call read its results; remember where the call and its items went."""
    if len(results) == 1:
        graph.replace_uses(node.id, results[0])
        gone = {node.id: results[0]}
    else:
        gone = {}
        for user in graph.users(node.id):
            index = graph[user].op.index  # type: ignore[attr-defined]
            graph.replace_uses(user, results[index])
            gone[user] = results[index]
    for old, new in gone.items():
        if graph[old].name and not graph[new].name and graph[new].inputs:
            graph[new].name = graph[old].name
    moved.update(gone)
    for user in graph.users(node.id):
        graph.remove(user)
    graph.remove(node.id)


def follow(moved: Mapping[int, int], id: int) -> int:
    """Where a node went, after any number of moves."""
    while id in moved:
        id = moved[id]
    return id


def flatten(body: Body) -> Body:
    """The body without calls inside; the same object where there are none."""
    if not any(isinstance(node.op, Call) for node in body.graph):
        return body
    graph = body.graph.copy()
    roots = {("result", str(i)): id for i, id in enumerate(body.results)}
    moved = inline_calls(graph, roots)
    return replace(body, graph=graph, results=tuple(moved.values()))


def placed(body: Body, place: str) -> Body:
    """The flattened body with its draws keyed as if it stood at ``place``; it may be shared."""
    flat = flatten(body)
    moved = {node.id: relocate(node.op, place) for node in flat.graph}
    if all(moved[node.id] is node.op for node in flat.graph):
        return flat
    graph = flat.graph.copy()
    for id, op in moved.items():
        graph.set_op(id, op)
    return replace(flat, graph=graph)
