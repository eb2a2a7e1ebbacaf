"""What a pass is: a small frozen dataclass with a name, options as fields, and ``apply``."""

from __future__ import annotations

from typing import ClassVar, Protocol

from graphc.model.program import Program

__all__ = ["Pass"]


class Pass(Protocol):
    """Takes ownership of a program, rewrites it in place and returns it."""

    name: ClassVar[str]

    def apply(self, program: Program) -> Program: ...
