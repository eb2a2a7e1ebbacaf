"""What a group is called, for people: the values that it computes, the definitions behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphc.ir import Node

__all__ = ["group_kind", "group_title", "named_lines"]

LONGEST = 60
"""Characters of a title, about."""


def group_kind(members: Sequence[Node]) -> str:
    """``map`` where every member has the same shape, ``rows`` where some are rows of others,
    ``total`` where all ends in single numbers, ``numbers`` where there are no others."""
    shapes = {node.tensor.shape for node in members}
    if shapes == {()}:
        return "numbers"
    if () in shapes:
        return "total"
    return "map" if len(shapes) == 1 else "rows"


Lines = Mapping[tuple[str, int], str]
"""The value that each line of the model names, by file and line."""


def group_title(
    members: Sequence[Node], ends: Sequence[str], lines: Lines, *, backward: bool
) -> str:
    """``h: dense, relu, dropout``; ``ends`` names the roots among the members. A gradient's
    group that has no name is called after the line that it is the derivative of."""
    names = [n.origin.adjoint_of if backward else n.name for n in members]
    subjects = [*filter(None, names), *ends]
    if backward and not subjects:
        places = [(n.origin.span.source.name, n.origin.span.line) for n in members if n.origin.span]
        subjects = [lines[place] for place in places if place in lines]
    definitions = [*filter(None, map(_definition, members))]
    if not definitions and not subjects:
        definitions = [node.op.name for node in members]
    title = ": ".join(part for part in (_listed(subjects), _listed(definitions)) if part)
    return f"gradient of {title}" if backward else title


def named_lines(nodes: Iterable[Node]) -> dict[tuple[str, int], str]:
    """The last value that each line names, the backward pass aside."""
    return {
        (node.origin.span.source.name, node.origin.span.line): node.name
        for node in nodes
        if node.name and node.inputs and node.origin.span and not node.origin.adjoint_of
    }


def _definition(node: Node) -> str:
    """The outermost definition that a node was expanded from, without the signs of a derivative."""
    return node.origin.chain[0].strip("∂′") if node.origin.chain else ""


def _listed(names: Sequence[str]) -> str:
    """Names, each once, with commas between; the last ones are left out where that gets long."""
    kept: list[str] = []
    for name in dict.fromkeys(names):
        if kept and len(", ".join([*kept, name])) > LONGEST:
            return ", ".join([*kept, "…"])
        kept.append(name)
    return ", ".join(kept)
