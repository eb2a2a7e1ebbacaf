"""Inlining: after the last differentiation calls become what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphc.ir import inline_calls
from graphc.model.program import Program

__all__ = ["Inline"]


@dataclass(frozen=True)
class Inline:
    """Replace every call by its expansion."""

    name: ClassVar[str] = "inline"

    def apply(self, program: Program) -> Program:
        program.roots = inline_calls(program.graph, program.roots)
        return program
