"""The context that expressions are elaborated in.

A :class:`Context` lives for one compilation: diagnostics, definitions, memory of expansions. A
:class:`Frame` lives for one graph: the model's own, or the body of one use of a definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

from graphc.diagnostics import Diagnostics, Label, Span
from graphc.ir import Body, Builder, Call, Operand, Origin, Type, TypeRuleError, Value
from graphc.model.meanings import Definition, Meaning, RepeatRounds, Scope

__all__ = ["Context", "Expansion", "Frame", "Home", "Lifted", "nearest"]

FrameKind = Literal["model", "def", "layer", "optimizer", "init", "data"]

T = TypeVar("T")

MAX_DEPTH = 64
"""Definitions inside each other: what walks over their bodies recurses."""
MAX_NODES = 500_000
MAX_ELEMENTS = 2**40
"""Of one tensor: eight terabytes."""
MAX_ROUNDS = 10_000


@dataclass(eq=False)
class Home:
    """A file's view: its own definitions, those it uses, its hypers."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    """Hypers and other file-level attributes that its definitions may read."""
    outer: Home | None = None
    """The prelude, for a user's file."""
    used: set[str] = field(default_factory=set)

    def find(self, name: str) -> Definition | None:
        if name in self.definitions:
            self.used.add(name)
            return self.definitions[name]
        return self.outer.find(name) if self.outer else None

    def known(self) -> list[str]:
        return [*self.definitions, *(self.outer.known() if self.outer else [])]


@dataclass(frozen=True, eq=False)
class Lifted:
    """A parameter or state that a layer declares, as seen from its body.

    ``name`` is relative to the use of the layer; ``init`` makes the initial value.
    """

    kind: Literal["param", "state"]
    name: str
    type: Type
    init: Body
    random: bool
    span: Span


@dataclass(frozen=True, eq=False)
class Expansion:
    """The body of a definition for given attributes and operand types, with what it declares.

    The body's operands are the tensors, then the lifted ones in order; its results are the
    ``returns`` values, then the next values of the states named in ``updates``.
    """

    body: Body
    lifted: tuple[Lifted, ...]
    returns: int
    updates: tuple[str, ...]
    weight: int
    """Nodes of the body once all calls in it are written out."""


@dataclass(eq=False)
class Context:
    """What all frames of a compilation share."""

    diagnostics: Diagnostics
    broken: frozenset[str] = frozenset()
    """Words of statements that could not be read; unknown ones are not reported again."""
    expansions: dict[Any, Expansion | None] = field(default_factory=dict)
    symbols: set[str] = field(default_factory=set)
    rounds: int = 0
    model: Scope = field(default_factory=Scope)
    """Names of the model itself; its definitions do not see them."""
    below: dict[str, Span | None] = field(default_factory=dict)
    """All names that the model binds, for the advice that one is bound further below."""
    failures: int = 0
    """Errors found, also those that repeat one that is told."""
    told: set[tuple[str, str, Span]] = field(default_factory=set)
    """Errors inside the prelude, by what they say at the user's own line: each is told once."""


@dataclass(eq=False)
class Declared:
    """A parameter or state of a frame: the value that reads it."""

    lifted: Lifted
    value: Value


@dataclass(eq=False)
class Frame:
    """One graph under construction and the names that its statements get."""

    context: Context
    home: Home
    builder: Builder
    kind: FrameKind
    prefix: tuple[str, ...] = ()
    counters: dict[tuple[tuple[str, ...], str], int] = field(default_factory=dict)
    declared: dict[str, Declared] = field(default_factory=dict)
    updates: dict[str, tuple[Value, Span]] = field(default_factory=dict)
    """Next values of states, by the state's name."""
    bindings: dict[str, list[int]] = field(default_factory=dict)
    """Nodes that each name was bound to, for selectors: `after h` means every binding of h."""
    replay: bool = False
    """Whether declarations must repeat those made before (the second branch of a training `if`)."""
    replayed: set[str] = field(default_factory=set)
    """Declarations that were repeated so."""
    training: bool | None = None
    """True or False inside a branch of a training `if`, else None."""
    callers: tuple[tuple[str, Span | None], ...] = ()
    """Definitions being expanded, outermost first, with where each was used."""
    active: frozenset[tuple[str, int]] = frozenset()
    """Definitions being expanded, by name and identity: using one of them again is recursion."""
    repeats: dict[str, RepeatRounds] = field(default_factory=dict)
    rebinds: list[set[str]] = field(default_factory=list)
    """For each enclosing repeat, the names that its body binds."""
    ambient: Type | None = None
    """In an initialiser, the type that it makes."""
    fans: tuple[int, int] | None = None
    make_leaf: Callable[[Lifted], Value] | None = None
    """How a declaration becomes a value; None where none is allowed."""
    weight: int = 0
    """Nodes in the bodies of this graph's calls."""
    clocks: bool = False
    """Whether run-time scalars may be read (in `minimize` and in optimizers)."""
    in_data: bool = False
    """Whether this is the data section, or a definition used there: `fitted` is known."""
    column: Callable[[str, Span], Meaning | None] | None = None
    """How an unknown name of the data section becomes a column."""

    @property
    def diagnostics(self) -> Diagnostics:
        return self.context.diagnostics

    @property
    def rebindable(self) -> set[str]:
        """Names from outside that the repeats around bind anew."""
        return set().union(*self.rebinds)

    # -- names by the text

    def path(self, *parts: str) -> str:
        return ".".join((*self.prefix, *parts))

    def number(self, name: str) -> str:
        """``dense1``, ``dense2`` … for uses of ``dense`` in one statement; the whole path."""
        key = (self.prefix, name)
        self.counters[key] = self.counters.get(key, 0) + 1
        return self.path(f"{name}{self.counters[key]}")

    # -- building

    def at(self, span: Span | None) -> Any:
        return self.builder.at(Origin(span))

    def operand(self, index: int, label: str, type: Type, span: Span | None) -> Value:
        with self.at(span):
            return self.builder.place(Operand(index, label), (), type, label)

    def declare(self, lifted: Lifted) -> Value | None:
        """Make the parameter or state known; returns the value that reads it."""
        before = self.declared.get(lifted.name)
        if before is not None and not self.replay:
            self.error(
                "E305",
                f"`{lifted.name}` is declared twice",
                lifted.span,
                labels=(Label(before.lifted.span, "first declared here"),),
            )
            return before.value
        if before is not None:
            return self._replayed(before, lifted)
        if self.replay:
            self.error(
                "E306",
                f"`{lifted.name}` is declared in one projection only",
                lifted.span,
                help="training and evaluation must declare the same parameters and states",
            )
        if self.make_leaf is None:
            what = "parameters" if lifted.kind == "param" else "states"
            self.error(
                "E304",
                f"`{lifted.name}`: {what} can be declared in a model or a layer only",
                lifted.span,
                help="write `layer` instead of `def`" if self.kind == "def" else "",
            )
            return None
        value = self.make_leaf(lifted)
        self.declared[lifted.name] = Declared(lifted, value)
        return value

    def set_update(self, name: str, value: Value, span: Span, help: str = "") -> bool:
        """Record the next value of a state: it has one a step, and none outside training. False
        after an error."""
        if self.training is False:
            return True
        if name in self.updates:
            self.error(
                "E319",
                f"state `{name}` would be updated twice in a step",
                span,
                labels=(Label(self.updates[name][1], "first updated here"),),
                help=help,
            )
            return False
        self.updates[name] = (value, span)
        return True

    def both_projections(self, elaborate: Callable[[bool], T]) -> tuple[T, T, list[str]]:
        """What ``elaborate`` gives in training and in evaluation, where the same declarations must
        come again; the names of those that do not."""
        counters, known = dict(self.counters), set(self.declared)
        self.training = True
        training = elaborate(True)
        made = set(self.declared) - known
        self.training, self.counters, self.replay = False, counters, True
        evaluation = elaborate(False)
        self.training, self.replay = None, False
        return training, evaluation, sorted(made - self.replayed)

    def missing_in_evaluation(self, names: Sequence[str], span: Span) -> None:
        for name in names:
            self.error(
                "E306",
                f"`{name}` is declared in training only",
                span,
                help="training and evaluation must declare the same parameters and states",
            )

    def _replayed(self, before: Declared, lifted: Lifted) -> Value:
        self.replayed.add(lifted.name)
        if before.lifted.type != lifted.type:
            self.error(
                "E306",
                f"`{lifted.name}` is {before.lifted.type} in training "
                f"but {lifted.type} in evaluation",
                lifted.span,
                labels=(Label(before.lifted.span, "declared here for training"),),
            )
        return before.value

    def may_hold(self, weight: int, span: Span) -> bool:
        """Whether a graph may have so many nodes; an error where not."""
        if weight <= MAX_NODES:
            return True
        self.error("E318", f"the model is too large: over {MAX_NODES:,} operations", span)
        return False

    # -- errors

    def error(
        self,
        code: str,
        title: str,
        span: Span | None,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        help: str = "",
    ) -> None:
        """Report at the innermost place in the user's text; one in the prelude is a note."""
        self.context.failures += 1
        notes: list[str] = []
        if span is not None and span.source.prelude:
            notes.append(f"in {span.source.name}:{span.line}: `{_one_line(span.text)}`")
            span = self.user_span() or span
            labels = tuple(item for item in labels if not item.span.source.prelude)
            if (code, title, span) in self.context.told:
                return
            self.context.told.add((code, title, span))
        labels = (*labels, *self._uses(span))
        self.diagnostics.error(
            code, title, span, label=label, labels=labels, notes=tuple(notes), help=help
        )

    def _uses(self, span: Span | None) -> list[Label]:
        """Where the user's text asked for what is being expanded, innermost first."""
        labels: list[Label] = []
        shown = {(span.source, span.start)} if span else set()
        for name, at in reversed(self.callers):
            if at is None or at.source.prelude or (at.source, at.start) in shown:
                continue
            shown.add((at.source, at.start))
            labels.append(Label(at, f"`{name}` is used here"))
        return labels if len(labels) <= 4 else [*labels[:3], labels[-1]]

    def user_span(self) -> Span | None:
        """Where the user's own text asked for what is being expanded."""
        for _, span in reversed(self.callers):
            if span is not None and not span.source.prelude:
                return span
        return None

    def type_error(
        self,
        error: TypeRuleError,
        span: Span,
        operands: Sequence[tuple[Value, Span | None]],
        advice: str = "",
    ) -> None:
        """Report a type rule's failure, with a label at each operand that is to blame."""
        blame = error.blame or range(len(operands))
        labels = tuple(
            Label(at, f"{value.any_type}{provenance(value, at)}")
            for value, at in (operands[i] for i in blame if i < len(operands))
            if at is not None
        )
        self.error(error.code, error.message, span, labels=labels, help=error.help or advice)


def provenance(value: Value, seen: Span) -> str:
    """``, declared at line 7`` or ``, from dense{128} at line 8``: where the shape was decided;
    nothing where that is the line of ``seen``, which is shown anyway."""
    graph = value.builder.graph
    node = graph[value.id]
    while node.inputs and node.op.name in ("call", "item", "add", "multiply", "cast"):
        source = graph[node.inputs[0]]
        if source.type != node.type:
            break
        node = source
    span = node.origin.span
    if span is None:
        return ""
    if node.op.name in ("input", "parameter", "state"):
        return f", declared at line {span.line}"
    if isinstance(node.op, Call):
        return f", from {node.op.body.title} at line {span.line}"
    if node.op.name == "operand":
        return f", the operand {node.name}"
    here = span.source is seen.source and span.line == seen.line
    return "" if here else f", from line {span.line}"


def _one_line(text: str) -> str:
    first = text.strip().split("\n", 1)[0]
    return first if len(first) <= 60 else first[:57] + "…"


_MOST_COMPARED = 500
"""Names that a wrong one is compared with: more would take long in a file that is no model."""


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean `relu`?`` or nothing."""
    import difflib

    unique = sorted(set(islice(known, _MOST_COMPARED)))
    close = difflib.get_close_matches(name, unique, n=1, cutoff=0.6)
    if not close:
        close = [k for k in unique if k.lower() == name.lower()][:1]
    return f"did you mean `{close[0]}`?" if close else ""
