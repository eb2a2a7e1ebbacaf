"""What an expression can mean: a constant, a tensor, a definition, and a few rarer things.

Attributes and tensors share one syntax; which of the two an expression is comes out of its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphc.diagnostics import Source, Span
from graphc.ir import Value
from graphc.language import format_expr, tree
from graphc.language.tree import Definition as DefinitionTree

if TYPE_CHECKING:
    from graphc.model.frame import Frame, Home

__all__ = [
    "ALL",
    "NONE",
    "POISON",
    "Binding",
    "BoundLayer",
    "Const",
    "Definition",
    "DefinitionUse",
    "Meaning",
    "Poison",
    "ProjectionConst",
    "RepeatRounds",
    "RunTime",
    "Scope",
    "Several",
    "Tensor",
    "Unusable",
]


class Meaning:
    """Base of all meanings."""


class _All:
    def __repr__(self) -> str:
        return "all"


ALL = _All()
"""The value of the name ``all``: every axis, the whole training part."""


class _None:
    def __repr__(self) -> str:
        return "none"


NONE = _None()
"""The value of the name ``none``: an attribute that is left out."""


@dataclass(frozen=True)
class Const(Meaning):
    """Known when the model is compiled: a number, truth value, text, tuple (from a list), ALL,
    NONE, or a dimension (an int or an ``ir.Dim``)."""

    value: Any


@dataclass(frozen=True)
class ProjectionConst(Meaning):
    """A constant that is one thing in training and another in evaluation."""

    training: Const
    evaluation: Const


@dataclass(frozen=True)
class Tensor(Meaning):
    """A value of the graph under construction."""

    value: Value


@dataclass(frozen=True)
class Several(Meaning):
    """What a definition with several results gives."""

    items: tuple[Meaning, ...]


@dataclass(frozen=True, eq=False)
class RunTime(Meaning):
    """An attribute that reads a run-time scalar: an expression, evaluated anew in the graph that
    uses it."""

    expr: tree.Expr
    scope: Scope
    home: Home


@dataclass(frozen=True, eq=False)
class Definition:
    """A ``def``, ``layer`` or ``optimizer``, where it is written and the file whose names it
    sees."""

    name: str
    source: Source
    home: Home
    read: Callable[[], DefinitionTree]

    @cached_property
    def tree(self) -> DefinitionTree:
        """What it says, read when it is first asked for."""
        return self.read()

    @classmethod
    def of(cls, tree: DefinitionTree, home: Home) -> Definition:
        """A definition that has been read."""
        return cls(tree.name.name, tree.span.source, home, lambda: tree)


@dataclass(frozen=True)
class DefinitionUse(Meaning):
    """A definition, or the name of a primitive, with attributes bound: ``normal{0, 0.01}``."""

    definition: Definition | str
    attributes: tuple[tuple[str, Meaning], ...] = ()
    positional: tuple[Meaning, ...] = ()

    @property
    def name(self) -> str:
        return self.definition if isinstance(self.definition, str) else self.definition.name

    @property
    def title(self) -> str:
        """``dense{64}``: the use as a person calls it."""
        parts = [_text(m) for m in self.positional]
        parts += [f"{name} = {_text(m)}" for name, m in self.attributes]
        text = ", ".join(parts)
        if not text or len(text) > 60:
            return self.name
        return f"{self.name}{{{text}}}"


def _text(meaning: Meaning) -> str:
    if isinstance(meaning, Const):
        value = meaning.value
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(value) if isinstance(value, str) else str(value)
    if isinstance(meaning, DefinitionUse):
        return meaning.title
    if isinstance(meaning, RunTime):
        return format_expr(meaning.expr)
    return "…"


@dataclass(eq=False)
class BoundLayer(Meaning):
    """A layer bound to a name, ``enc = dense{64}``: its parameters exist from the first call on."""

    use: DefinitionUse
    frame: Frame
    prefix: str
    lifted: dict[str, Value] | None = None
    """Parameters and states by their name inside the layer."""
    first: Span | None = None


@dataclass(eq=False)
class RepeatRounds(Meaning):
    """The rounds of a ``repeat``, by index: ``block[2].h``."""

    rounds: dict[int, Scope] = field(default_factory=dict)


@dataclass(frozen=True)
class Unusable(Meaning):
    """A name that only one branch of an ``if`` binds."""

    reason: str


class Poison(Meaning):
    """The meaning of an expression that was wrong; its error was reported."""


POISON = Poison()


@dataclass(eq=False)
class Binding:
    """A name in a scope. ``role`` says what bound it (``input``, ``hyper``, ``value``, …)."""

    meaning: Meaning
    span: Span | None
    role: str = "value"
    used: bool = False


class Scope:
    """Names of values, with an enclosing scope."""

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.names: dict[str, Binding] = {}

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def owner(self, name: str) -> Scope | None:
        """The scope that binds ``name``, innermost first."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope

    def bind(self, name: str, meaning: Meaning, span: Span | None, role: str = "value") -> None:
        self.names[name] = Binding(meaning, span, role)

    def known(self) -> list[str]:
        """All names that can be seen from here."""
        names: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            names.extend(scope.names)
            scope = scope.parent
        return names
