"""Walks over the syntax tree by its shape alone: all parts of a text, the names in it.

What they mean is left to elaboration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphc.language import tree

__all__ = ["names_in", "parts"]

NODES = (
    tree.Expr, tree.Argument, tree.Slice, tree.TypeExpr, tree.Statement, tree.AttributeDecl
)  # fmt: skip


def parts(root: Any) -> Iterator[Any]:
    """Every node of the syntax tree below ``root``, in the order of the text."""
    stack = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, list | tuple):
            stack.extend(reversed(item))
        elif isinstance(item, NODES):
            yield item
            stack.extend(reversed(list(vars(item).values())))


def names_in(expr: tree.Expr) -> set[str]:
    """Names that an expression reads; those of definitions that it calls are not among them."""
    return {item.name for item in parts(expr) if isinstance(item, tree.Name)}
