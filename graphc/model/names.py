"""Names in code that was not elaborated: unused definitions, branches that are not taken.

Elaboration sees only what a model needs. Here every name of a file is looked up by the text alone,
so that a misspelt one is found wherever it stands. Types are left to elaboration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc.diagnostics import Diagnostics, Span
from graphc.language import tree
from graphc.model.builtins import BUILTINS
from graphc.model.clocks import CLOCKS
from graphc.model.constants import NAMED_CONSTANTS
from graphc.model.frame import Home, nearest
from graphc.model.meanings import Definition
from graphc.model.syntax import parts

__all__ = ["bound", "bound_names", "check_definition", "check_statements", "declared"]

EVERYWHERE = frozenset({"training", "fan_in", "fan_out", *CLOCKS, *NAMED_CONSTANTS})


def check_definition(
    diagnostics: Diagnostics, definition: Definition, broken: frozenset[str]
) -> None:
    """Report names in a definition that nothing binds."""
    item = definition.tree
    known = {*declared(item), item.name.name, *bound(item.body), *broken}
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
    _check(diagnostics, home, {*known, *bound(own)}, own)


def declared(item: tree.Definition) -> dict[str, Span | None]:
    """Attributes and operands of a definition, with their places."""
    idents = [*(decl.name for decl in item.attributes), *item.parameters]
    return {ident.name: ident.span for ident in idents}


def _check(diagnostics: Diagnostics, home: Home, known: set[str], root: Any) -> None:
    values = known | EVERYWHERE | set(home.scope.names)
    definitions = {*home.known(), *BUILTINS}
    told = {item.span for item in diagnostics.errors}
    for part in parts(root):
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
    return {**bound(own), **data}


def bound(body: Any) -> dict[str, Span | None]:
    """Names that statements bind, wherever; the index of a repeat without a place."""
    names: dict[str, Span | None] = {}
    for part in parts(body):
        if isinstance(part, tree.Assign):
            names.update((target.name, target.span) for target in part.targets)
        elif isinstance(part, tree.Param | tree.State | tree.Report | tree.Hyper):
            names[part.name.name] = part.name.span
        elif isinstance(part, tree.Repeat):
            names[part.index.name] = None
    return names
