"""Selectors: which parameters `on weights` or `on h.*` names, which values `after relu` names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from graphc.ir import Body, Call, Graph, Type

__all__ = ["calls_of", "definitions_in", "match_parameters"]


def match_parameters(pattern: str, types: dict[str, Type]) -> list[str]:
    """Parameters that a pattern names, in the order of the model.

    ``weights`` have rank 2 or more, ``biases`` rank 1 or less, ``params`` are all. Otherwise the
    pattern is a name, a name that others stand below, or a name with ``*`` for any text.
    """
    if pattern == "params":
        return list(types)
    if pattern == "weights":
        return [name for name, type in types.items() if type.rank >= 2]
    if pattern == "biases":
        return [name for name, type in types.items() if type.rank <= 1]
    if "*" in pattern:
        regex = re.compile(".*".join(map(re.escape, pattern.split("*"))))
        return [name for name in types if regex.fullmatch(name)]
    exact = [name for name in types if name == pattern]
    return (
        exact
        or [name for name in types if name.startswith(pattern + ".")]
        or _alias(pattern, list(types))
    )


def _alias(pattern: str, names: Sequence[str]) -> list[str]:
    head, _, last = pattern.rpartition(".")
    below = [n for n in names if n.startswith(head + ".") and n.rsplit(".", 1)[-1] == last]
    return below if head and len(below) == 1 else []


def calls_of(graph: Graph, definition: str) -> list[int]:
    """Ids of the calls of a definition in one graph."""
    return [
        node.id
        for node in graph
        if isinstance(node.op, Call) and node.op.body.definition == definition
    ]


def definitions_in(graph: Graph) -> dict[str, set[Type]]:
    """Definitions that are called in a graph or in the bodies below it, with their result types."""
    found: dict[str, set[Type]] = {}
    seen: set[int] = set()
    stack: list[Graph] = [graph]
    while stack:
        for node in stack.pop():
            if not isinstance(node.op, Call):
                continue
            body: Body = node.op.body
            types = found.setdefault(body.definition, set())
            if isinstance(node.type, Type):
                types.add(node.type)
            if id(body) not in seen:
                seen.add(id(body))
                stack.append(body.graph)
    return found
