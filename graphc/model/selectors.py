"""Selectors: which parameters `on weights` or `on h.*` names, which values `after relu` names.

The short names of parameters are here too: ``h.W`` for ``h.dense1.W``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from graphc.ir import Body, Call, Graph, Node, Type

__all__ = [
    "calls_of",
    "definitions_in",
    "find_parameter",
    "match_parameters",
    "operand_types",
    "short_names",
]


def match_parameters(pattern: str, types: Mapping[str, Type]) -> list[str]:
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
    if pattern in types:
        return [pattern]
    below = [name for name in types if name.startswith(pattern + ".")]
    alias = None if below else find_parameter(pattern, list(types))
    return [alias] if alias else below


def find_parameter(path: str, names: Sequence[str]) -> str | None:
    """The parameter that a text names: in full, or as ``h.W`` for the only W below h."""
    return path if path in names else short_names(names).get(path)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """``h.W`` for ``h.dense1.W`` while it is the only W below h."""
    full = set(names)
    short: dict[str, list[str]] = {}
    for name in names:
        parts = name.split(".")
        for depth in range(1, len(parts) - 1):
            short.setdefault(".".join((*parts[:depth], parts[-1])), []).append(name)
    return {
        alias: found[0] for alias, found in short.items() if len(found) == 1 and alias not in full
    }


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
    for _, node, body in _calls_below(graph):
        types = found.setdefault(body.definition, set())
        if isinstance(node.type, Type):
            types.add(node.type)
    return found


def operand_types(graph: Graph, definition: str) -> set[Type]:
    """Types of the first operand of every call of a definition, bodies included."""
    return {
        within[node.inputs[0]].tensor
        for within, node, body in _calls_below(graph)
        if body.definition == definition and node.inputs
    }


def _calls_below(graph: Graph) -> Iterator[tuple[Graph, Node, Body]]:
    """Every call in a graph and in the bodies below it: the graph it is in, its node, its body."""
    seen: set[int] = set()
    stack = [graph]
    while stack:
        within = stack.pop()
        for node in within:
            if not isinstance(node.op, Call):
                continue
            body: Body = node.op.body
            yield within, node, body
            if id(body) not in seen:
                seen.add(id(body))
                stack.append(body.graph)
