"""Names in code that was not elaborated: unused definitions, branches that are not taken.

Elaboration sees only what a model needs. Here every name of a file is looked up by the text alone,
so that a misspelt one is found wherever it stands. Types are left to elaboration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphc.diagnostics import Diagnostics, Span
from graphc.language import tree
from graphc.model.builtins import BUILTINS
from graphc.model.expressions import CLOCKS, NAMED_CONSTANTS
from graphc.model.frame import Home, nearest
from graphc.model.meanings import Definition

__all__ = ["bound_names", "check_definition", "check_statements", "unused_in_definition"]

NODES = (
    tree.Expr, tree.Argument, tree.Slice, tree.TypeExpr, tree.Statement, tree.AttributeDecl
)  # fmt: skip
EVERYWHERE = frozenset({"training", "fan_in", "fan_out", *CLOCKS, *NAMED_CONSTANTS})


def check_definition(
    diagnostics: Diagnostics, definition: Definition, broken: frozenset[str]
) -> None:
    """Report names in a definition that nothing binds."""
    item = definition.tree
    known = {*_declared(item), item.name.name, *_bound(item.body), *broken}
    if item.kind == "optimizer":
        known.add("t")
    defaults = [decl.default for decl in item.attributes]
    _check(diagnostics, definition.home, known, (defaults, item.body, item.derivative))


def check_statements(
    diagnostics: Diagnostics,
    home: Home,
    body: Sequence[tree.Statement],
    known: set[str],
) -> None:
    """Report names in the model's own statements that nothing binds; sections have other rules."""
    own = [s for s in body if not isinstance(s, tree.Definition | tree.Section | tree.Data)]
    _check(diagnostics, home, {*known, *_bound(own)}, own)


def unused_in_definition(diagnostics: Diagnostics, definition: Definition) -> None:
    """Warn of attributes, operands and values of a definition that it never reads."""
    item = definition.tree
    read = {_name_of(part) for part in _parts((item.attributes, item.body, item.derivative))}
    names = {**_declared(item), **_bound(item.body)}
    primed = {t.name for s in _assignments(item.body) for t in s.targets if t.primed}
    for name, span in names.items():
        if span is not None and name not in read | primed:
            diagnostics.warning(
                "W102", f"`{name}` is never used in {item.kind} `{item.name.name}`", span
            )


def _declared(item: tree.Definition) -> dict[str, Span | None]:
    idents = [*(decl.name for decl in item.attributes), *item.parameters]
    return {ident.name: ident.span for ident in idents}


def _check(diagnostics: Diagnostics, home: Home, known: set[str], parts: Any) -> None:
    values = known | EVERYWHERE | set(home.scope.names)
    definitions = {*home.known(), *BUILTINS}
    told = {item.span for item in diagnostics.errors}
    for part in _parts(parts):
        if isinstance(part, tree.Name) and part.name not in values | definitions:
            code, what, span, near = "E301", "name", part.span, values | definitions
        elif isinstance(part, tree.Apply) and part.name not in values | definitions:
            code, what, span, near = "E302", "definition", part.callee, definitions
        else:
            continue
        if span not in told:
            name = part.name
            diagnostics.error(code, f"unknown {what} `{name}`", span, help=nearest(name, near))


def bound_names(body: Sequence[tree.Statement]) -> dict[str, Span | None]:
    """Names that the model's own statements bind, with the place."""
    own = [s for s in body if not isinstance(s, tree.Definition | tree.Section)]
    data = {s.name.name: s.name.span for s in own if isinstance(s, tree.Data)}
    return {**_bound(own), **data}


def _bound(body: Any) -> dict[str, Span | None]:
    """Names that statements bind, wherever; the index of a repeat without a place."""
    names: dict[str, Span | None] = {}
    for part in _parts(body):
        if isinstance(part, tree.Assign):
            names.update((target.name, target.span) for target in part.targets)
        elif isinstance(part, tree.Param | tree.State | tree.Report | tree.Hyper):
            names[part.name.name] = part.name.span
        elif isinstance(part, tree.Repeat):
            names[part.index.name] = None
    return names


def _assignments(body: Any) -> Iterator[tree.Assign]:
    return (part for part in _parts(body) if isinstance(part, tree.Assign))


def _name_of(part: Any) -> str:
    return part.name if isinstance(part, tree.Name | tree.Apply) else ""


def _parts(root: Any) -> Iterator[Any]:
    """Every node of the syntax tree below ``root``, in the order of the text."""
    stack = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, list | tuple):
            stack.extend(reversed(item))
        elif isinstance(item, NODES):
            yield item
            stack.extend(reversed(list(vars(item).values())))
