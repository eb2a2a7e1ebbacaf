"""What a derivation is made of, for whoever prints or draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphc.diagnostics import Span
from graphc.rendering.local import Formulas

__all__ = ["Contribution", "Derivation", "Path", "Step"]

Array = Any


@dataclass(frozen=True)
class Contribution:
    """What one use of a value adds to ∂objective/∂value.

    ``through`` is the value that uses it. Where the contribution is a product with the gradient of
    ``through``, ``local`` is the other factor, the local derivative. Numbers are None where not all
    that they depend on has a value.
    """

    through: str
    formula: Formulas
    upstream: Formulas
    local: Formulas | None
    value: Array | None
    upstream_value: Array | None
    local_value: Array | None


@dataclass(frozen=True)
class Step:
    """A value on the way, or one that formulas on the way speak of.

    ``kind`` is ``input``, ``parameter``, ``state`` or ``value``; ``expansion`` is the formula of
    the definition that the value is a use of.
    """

    name: str
    kind: str
    type: str
    formula: Formulas | None
    expansion: Formulas | None
    value: Array | None
    span: Span | None
    gradient_name: Formulas
    gradient: Array | None = None
    contributions: tuple[Contribution, ...] = ()
    contribution_count: int = 0
    """All of them; ``contributions`` may leave out some in the middle."""


@dataclass(frozen=True)
class Path:
    """One way from NAME to the objective; ``value`` is its share, where it can be told alone."""

    names: tuple[str, ...]
    value: Array | None


@dataclass(frozen=True)
class Derivation:
    """∂objective/∂``name``. ``given`` are values off the path, ``steps`` those on it, forward.

    ``paths`` holds some of ``path_count``; of ``step_count`` steps those in the middle may be left
    out. No steps: the objective does not depend on the value, for the reason in ``nothing``.
    """

    model: str
    name: str
    objective: str
    given: tuple[Step, ...]
    steps: tuple[Step, ...]
    step_count: int
    paths: tuple[Path, ...]
    path_count: int
    nothing: str = ""
    setting: str = ""
    """What the reader must know of the graph: a sentence, or nothing."""
    lengths: Mapping[str, int] = field(default_factory=dict)
    """Symbolic dimensions at the example values."""

    @property
    def result(self) -> Step | None:
        """The step of NAME itself, with its gradient."""
        return self.steps[0] if self.steps else None
