"""Warnings of what a model binds, defines or declares without need."""

from __future__ import annotations

from typing import Any

from graphc.diagnostics import Diagnostics
from graphc.language import tree
from graphc.model.frame import Frame, Home
from graphc.model.meanings import BoundLayer, Definition, Poison, Scope
from graphc.model.names import bound, declared
from graphc.model.syntax import parts

__all__ = ["warn_of_unreached", "warn_of_unused"]


def warn_of_unused(diagnostics: Diagnostics, scope: Scope, home: Home) -> None:
    """Warn of values and definitions of a model's own file that nothing reads."""
    for name, binding in [*scope.names.items(), *home.scope.names.items()]:
        skip = binding.role in ("dimension", "repeat", "param", "state", "next", "target")
        if binding.used or skip or binding.span is None or isinstance(binding.meaning, Poison):
            continue
        what = "layer" if isinstance(binding.meaning, BoundLayer) else binding.role
        diagnostics.warning("W102", f"{what} `{name}` is never used", binding.span)
    for name, definition in home.definitions.items():
        if name not in home.used:
            kind, span = definition.tree.kind, definition.tree.name.span
            diagnostics.warning("W103", f"{kind} `{name}` is never used", span)
        if definition.home is home:
            _inside(diagnostics, definition)


def _inside(diagnostics: Diagnostics, definition: Definition) -> None:
    """Warn of attributes, operands and values of a definition that it never reads."""
    item = definition.tree
    read = {_name_of(part) for part in parts((item.attributes, item.body, item.derivative))}
    names = {**declared(item), **bound(item.body)}
    assignments = (part for part in parts(item.body) if isinstance(part, tree.Assign))
    primed = {t.name for assign in assignments for t in assign.targets if t.primed}
    for name, span in names.items():
        if span is not None and name not in read | primed:
            diagnostics.warning(
                "W102", f"`{name}` is never used in {item.kind} `{item.name.name}`", span
            )


def _name_of(part: Any) -> str:
    return part.name if isinstance(part, tree.Name | tree.Apply) else ""


def warn_of_unreached(frame: Frame, objective: int | None) -> None:
    """Warn of parameters that the objective does not depend on."""
    if objective is None:
        return
    reached = frame.builder.graph.ancestors([objective])
    for name, item in frame.declared.items():
        if item.lifted.kind == "param" and item.value.id not in reached:
            frame.diagnostics.warning(
                "W104",
                f"the objective does not depend on parameter `{name}`",
                item.lifted.span,
            )
