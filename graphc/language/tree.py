"""The syntax tree: what a text says, before anything is known about names, types or shapes.

Every node is a frozen dataclass with the span it was read from. Expressions do not yet tell
attributes from tensors, nor values from definitions: that is the model checker's work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphc.diagnostics import Source, Span

# ---------------------------------------------------------------------------- expressions


@dataclass(frozen=True, eq=False)
class Expr:
    """What can stand where a value is wanted."""

    span: Span


@dataclass(frozen=True, eq=False)
class Number(Expr):
    """``3``, ``1e-3``, ``80%`` (0.8), ``200 MB`` (bytes, ``unit`` set). ``value`` is an int when
    written without point, exponent or percent sign."""

    value: int | float
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Text(Expr):
    """``"images"``: ``value`` has no quotes, and characters in place of escapes."""

    value: str


@dataclass(frozen=True, eq=False)
class Bool(Expr):
    """``true``, ``false``."""

    value: bool


@dataclass(frozen=True, eq=False)
class ListExpr(Expr):
    """``[a, b]``."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Name(Expr):
    """A name, ``m'`` when ``primed``."""

    name: str
    primed: bool = False


@dataclass(frozen=True, eq=False)
class Unary(Expr):
    """``-x``, ``not x``."""

    op: Literal["-", "not"]
    operand: Expr


@dataclass(frozen=True, eq=False)
class Binary(Expr):
    """``op_span`` is the operator itself, where a type error puts its caret."""

    op: Literal["+", "-", "*", "/", "//", "@", "^", "and", "or", "==", "!=", "<", "<=", ">", ">="]
    left: Expr
    right: Expr
    op_span: Span


@dataclass(frozen=True, eq=False)
class Conditional(Expr):
    """``then if condition else other``."""

    then: Expr
    condition: Expr
    other: Expr


@dataclass(frozen=True, eq=False)
class Argument:
    """One positional (``name`` is None) or named argument."""

    span: Span
    value: Expr
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Apply(Expr):
    """A use of a definition or bound layer: ``relu(x)``, ``dense{64}``, ``dense{64}(x)``.

    ``attributes`` is None without a brace, ``arguments`` None without parentheses; at least one is
    there. ``callee`` is where the name stands.
    """

    name: str
    callee: Span
    attributes: tuple[Argument, ...] | None
    arguments: tuple[Argument, ...] | None


@dataclass(frozen=True, eq=False)
class Pipe(Expr):
    """``left |> right``; ``right`` is a Name, an Apply or a Member (a bound layer)."""

    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False)
class Slice:
    """``start:stop:step`` in an index, each part optional. A lone ``:`` has three Nones."""

    span: Span
    start: Expr | None = None
    stop: Expr | None = None
    step: Expr | None = None


@dataclass(frozen=True, eq=False)
class Ellipsis_:
    """``...`` in an index."""

    span: Span


@dataclass(frozen=True, eq=False)
class Index(Expr):
    """``x[0]``, ``x[:, 1:3]``, ``x[..., -1]``; also ``block[2]`` of a repeat."""

    base: Expr
    items: tuple[Expr | Slice | Ellipsis_, ...]


@dataclass(frozen=True, eq=False)
class Member(Expr):
    """``block[2].h``, ``h.W``, ``enc.dense1.b``."""

    base: Expr
    name: str


# ------------------------------------------------------------------------------- types


@dataclass(frozen=True, eq=False)
class TypeExpr:
    """``real[n, 64]``, ``label{10}[n]``. ``dims`` is None when no bracket is written (a scalar)."""

    span: Span
    kind: Literal["real", "int", "bool", "label"]
    classes: Expr | None
    dims: tuple[Expr, ...] | None


# -------------------------------------------------------------------------- statements


@dataclass(frozen=True, eq=False)
class Statement:
    """What can stand on a line of its own."""

    span: Span


@dataclass(frozen=True, eq=False)
class Ident:
    """A name at the place where it is bound; ``primed`` for ``m'``."""

    span: Span
    name: str
    primed: bool = False


@dataclass(frozen=True, eq=False)
class ModelStatement(Statement):
    """``model digits``."""

    name: Ident


@dataclass(frozen=True, eq=False)
class Use(Statement):
    """``use "layers.gc"``."""

    path: Text


@dataclass(frozen=True, eq=False)
class Hyper(Statement):
    """``hyper rate = 3e-3 "peak learning rate"``; ``doc`` is the text behind the value."""

    name: Ident
    value: Expr
    doc: str = ""


@dataclass(frozen=True, eq=False)
class Data(Statement):
    """``input`` or ``target``, with its type and example value."""

    role: Literal["input", "target"]
    name: Ident
    type: TypeExpr
    example: Expr | None


@dataclass(frozen=True, eq=False)
class Param(Statement):
    """``param W: real[2, 3] = expr`` (``random`` False) or ``~ initialiser`` (``random`` True)."""

    name: Ident
    type: TypeExpr
    value: Expr
    random: bool


@dataclass(frozen=True, eq=False)
class State(Statement):
    """``state m: real[3] = expr``; in an optimizer the type may be left out."""

    name: Ident
    type: TypeExpr | None
    value: Expr


@dataclass(frozen=True, eq=False)
class Assign(Statement):
    """``z = expr``; ``h, c = f(x)``; ``m' = expr``."""

    targets: tuple[Ident, ...]
    value: Expr


@dataclass(frozen=True, eq=False)
class Report(Statement):
    """``loss ce = expr``, ``metric …`` or ``output …``."""

    role: Literal["loss", "metric", "output"]
    name: Ident
    value: Expr


@dataclass(frozen=True, eq=False)
class Minimize(Statement):
    """``minimize fit + decay``."""

    value: Expr


@dataclass(frozen=True, eq=False)
class Return(Statement):
    """``return h, c``."""

    values: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class AttributeDecl:
    """An attribute in a definition's head, with its default value if it has one."""

    name: Ident
    default: Expr | None


@dataclass(frozen=True, eq=False)
class Definition(Statement):
    """``def``, ``layer`` or ``optimizer``.

    ``def f(x) = expr`` has ``body`` equal to one Return. ``doc`` is the comment block that stands
    directly above the definition, without its ``#`` signs, lines joined by line breaks.
    """

    kind: Literal["def", "layer", "optimizer"]
    name: Ident
    attributes: tuple[AttributeDecl, ...]
    parameters: tuple[Ident, ...]
    body: tuple[Statement, ...]
    derivative: Expr | None = None
    doc: str = ""


@dataclass(frozen=True, eq=False)
class Repeat(Statement):
    """``repeat index in first..last { … }``, both ends included."""

    index: Ident
    first: Expr
    last: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True, eq=False)
class If(Statement):
    """``else if`` is an If as the only statement of ``otherwise``."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


# ---------------------------------------------------------------------------- sections


@dataclass(frozen=True, eq=False)
class Selector:
    """``weights``, ``h.*``, ``block[1].h.W``: ``pattern`` is the text without white space."""

    span: Span
    pattern: str


@dataclass(frozen=True, eq=False)
class Placed(Expr):
    """``dropout{0.2} after relu``, ``l2{1e-4} on weights``, ``sgd{0.1} on head.*``: an expression
    with the place that it applies to. Appears in sections only."""

    value: Expr
    preposition: Literal["on", "after", "before"]
    selector: Selector


@dataclass(frozen=True, eq=False)
class Entry(Statement):
    """``key = value`` in a section."""

    name: Ident
    value: Expr


@dataclass(frozen=True, eq=False)
class Rule(Statement):
    """A line of a section that is not an entry: ``l2{1e-4} on weights`` is a Placed ``value``;
    ``frozen on enc.*`` is a Placed whose value is the Name ``frozen``."""

    value: Expr


@dataclass(frozen=True, eq=False)
class Section(Statement):
    """``train { … }``; ``kind_span`` is where its first word stands."""

    kind: Literal["data", "train", "regularize", "prune"]
    kind_span: Span
    entries: tuple[Entry | Rule, ...]


@dataclass(frozen=True, eq=False)
class File:
    """A whole text, statements in order."""

    source: Source
    statements: tuple[Statement, ...]
