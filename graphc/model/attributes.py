"""Attributes of a use of a definition: matched with their names, bound with defaults filled in."""

from __future__ import annotations

from graphc.diagnostics import Span
from graphc.ir import Builder, Graph
from graphc.model import values
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import Definition, DefinitionUse, Meaning, Scope

__all__ = ["bind_attributes", "match_attributes"]


def bind_attributes(
    frame: Frame, use: DefinitionUse, definition: Definition, span: Span
) -> Scope | None:
    """A scope with the definition's attributes bound, defaults filled in."""
    declared = definition.tree.attributes
    names = [decl.name.name for decl in declared]
    given = match_attributes(frame, use, names, span)
    if given is None:
        return None
    scope = Scope()
    inner = Frame(frame.context, definition.home, Builder(Graph()), "def", callers=frame.callers)
    inner.ambient, inner.fans = frame.ambient, frame.fans
    missing = []
    for decl in declared:
        name = decl.name.name
        if name in given:
            meaning = given[name]
        elif decl.default is not None:
            meaning = values.attribute(inner, scope, decl.default)
        else:
            missing.append(name)
            continue
        scope.bind(name, meaning, decl.name.span, "attribute")
    if missing:
        which = ", ".join(f"`{name}`" for name in missing)
        frame.error("E325", f"`{use.name}` needs the attribute {which}", span)
        return None
    return scope


def match_attributes(
    frame: Frame, use: DefinitionUse, names: list[str], span: Span
) -> dict[str, Meaning] | None:
    """Given attributes by name, without defaults; None after an error."""
    if len(use.positional) > len(names):
        count = f"{len(names)} attribute{'s' * (len(names) != 1)}"
        takes = f"{count} ({', '.join(names)})" if names else "no attributes"
        frame.error("E326", f"`{use.name}` has {takes}, but {len(use.positional)} are given", span)
        return None
    given = dict(zip(names, use.positional, strict=False))
    for name, meaning in use.attributes:
        if name not in names:
            frame.error(
                "E327", f"`{use.name}` has no attribute `{name}`", span, help=nearest(name, names)
            )
            return None
        if name in given:
            frame.error("E322", f"attribute `{name}` of `{use.name}` is given twice", span)
            return None
        given[name] = meaning
    return given
