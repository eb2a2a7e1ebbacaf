"""What a group is called, for people: the values that it computes, the definitions behind them."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir import Node

__all__ = ["group_kind", "group_title"]

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


def group_title(members: Sequence[Node], ends: Sequence[str], *, backward: bool) -> str:
    """``h: dense, relu, dropout``; ``ends`` names the roots among the members."""
    names = (n.origin.adjoint_of if backward else n.name for n in members)
    subject = _listed([*filter(None, names), *ends])
    definitions = [*filter(None, map(_definition, members))]
    if not definitions and not subject:
        definitions = [node.op.name for node in members]
    title = ": ".join(part for part in (subject, _listed(definitions)) if part)
    return f"gradient of {title}" if backward else title


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
