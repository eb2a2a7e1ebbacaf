"""What the entries of a row are called: of columns put side by side, and of labels as ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.ir import Graph, Node

__all__ = ["entry_names"]


def entry_names(
    graph: Graph, id: int, classes: Mapping[str, Sequence[str]] | None = None
) -> list[str] | None:
    """Names for the last axis of a node, None where nothing tells its entries apart.

    Known are values joined along that axis, labels as rows with a one (``kind=oak``, with the
    ``classes`` by the label's name, else numbers), comparisons (``a=3``), and what is computed
    from any of these element by element.
    """
    node = graph[id]
    if node.op.name == "concat" and getattr(node.op, "axis", None) == node.tensor.rank - 1:
        return [name for part in node.inputs for name in _part(graph, part, classes or {})]
    if node.op.name == "one_hot":
        return _one_hot(graph, node, classes or {})
    if not node.op.elementwise:
        return None
    width = _width(node)
    for operand in node.inputs:
        if graph[operand].tensor.rank and _width(graph[operand]) == width:
            found = entry_names(graph, operand, classes)
            if found is not None:
                return found
    return None


def _part(graph: Graph, id: int, classes: Mapping[str, Sequence[str]]) -> list[str]:
    """One of the values that are joined."""
    node = graph[id]
    while node.op.name in ("reshape", "cast", "broadcast") and node.inputs:
        node = graph[node.inputs[0]]
    found = entry_names(graph, node.id, classes)
    if found is not None and len(found) == _width(graph[id]):
        return found
    compared = _compared(graph, node)
    if compared:
        return [compared]
    base, width = _base(graph, node.id), _width(graph[id])
    return [base] if width == 1 else [f"{base}{i + 1}" for i in range(width)]


def _one_hot(graph: Graph, node: Node, classes: Mapping[str, Sequence[str]]) -> list[str]:
    """The label's values where it is read as it is, else places from 1 on."""
    label, width = graph[node.inputs[0]], _width(node)
    base = _base(graph, label.id)
    if label.inputs:
        return [f"{base}.{i + 1}" for i in range(width)]
    return [f"{base}={value}" for value in classes.get(label.name, range(width))]


def _compared(graph: Graph, node: Node) -> str:
    """``a=3`` for a value compared with a number."""
    if node.op.name != "equal":
        return ""
    for left, right in (node.inputs, node.inputs[::-1]):
        while graph[right].op.name == "cast":
            right = graph[right].inputs[0]
        value = getattr(graph[right].op, "value", None)
        if graph[right].op.name == "constant" and isinstance(value, int | float):
            return f"{_base(graph, left)}={value:g}"
    return ""


def _base(graph: Graph, id: int) -> str:
    """The node's own name, or that of the one thing that is read for it."""
    if graph[id].name:
        return graph[id].name
    leaves = [graph[i] for i in sorted(graph.ancestors([id])) if graph[i].op.name in _READ]
    return leaves[0].name if len(leaves) == 1 else "x"


_READ = ("input", "column")


def _width(node: Node) -> int:
    last = node.tensor.shape[-1] if node.tensor.rank > 1 else 1
    return last if isinstance(last, int) else 1
