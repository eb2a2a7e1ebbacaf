"""Expressions to meanings.

:func:`evaluate` gives what an expression means where it stands. Operators, indices, calls and
conditions have files of their own; here are names, choices, pipes and lists.
"""

from __future__ import annotations

from graphc.diagnostics import Span
from graphc.ir import Value
from graphc.language import format_expr, tree
from graphc.model import calls, indexing, operators, projections, values
from graphc.model.clocks import CLOCKS, clock
from graphc.model.constants import NAMED_CONSTANTS
from graphc.model.emission import emit, unify
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import (
    POISON,
    Binding,
    Const,
    Meaning,
    Poison,
    ProjectionConst,
    RunTime,
    Scope,
    Tensor,
    Unusable,
)

__all__ = ["evaluate", "read_binding"]


def evaluate(frame: Frame, scope: Scope, expr: tree.Expr) -> Meaning:
    """What ``expr`` means. Errors are reported; the meaning is then POISON."""
    match expr:
        case tree.Number():
            return Const(expr.value)
        case tree.Text():
            return _text(frame, expr)
        case tree.Bool():
            return Const(expr.value)
        case tree.Name():
            return _name(frame, scope, expr)
        case tree.Binary():
            return operators.binary(frame, scope, expr)
        case tree.Unary():
            return operators.unary(frame, scope, expr)
        case tree.Conditional():
            return _conditional(frame, scope, expr)
        case tree.Apply():
            return calls.apply(frame, scope, expr, [])
        case tree.Pipe():
            return _pipe(frame, scope, expr)
        case tree.ListExpr():
            return _list(frame, scope, expr)
        case tree.Index():
            return indexing.index(frame, scope, expr)
        case tree.Member():
            return indexing.member(frame, scope, expr)
        case tree.Placed():
            frame.error("E506", f"`{expr.preposition}` cannot stand here", expr.selector.span)
            return POISON
    raise AssertionError(type(expr))


# ------------------------------------------------------------------------------- names


def _text(frame: Frame, expr: tree.Text) -> Meaning:
    """A text; in an equation of the data section, the column of that name."""
    column = frame.column(expr.value, expr.span) if frame.column is not None else None
    return Const(expr.value) if column is None else column


def _name(frame: Frame, scope: Scope, expr: tree.Name) -> Meaning:
    name = expr.name + ("'" if expr.primed else "")
    binding = scope.find(name) or frame.home.scope.find(name)
    if binding is not None:
        return read_binding(frame, name, binding, expr.span)
    if expr.primed:
        frame.error("E301", f"`{name}` has no value yet", expr.span, help="assign it first")
        return POISON
    if name == "training":
        if frame.training is not None:
            return Const(frame.training)
        return ProjectionConst(Const(True), Const(False))
    if name in NAMED_CONSTANTS:
        return Const(NAMED_CONSTANTS[name])
    if name in CLOCKS and frame.column is None:
        return clock(frame, name, expr.span)
    if name in ("fan_in", "fan_out") and frame.fans is not None:
        return Const(frame.fans[name == "fan_out"])
    if frame.column is not None:
        column = frame.column(name, expr.span)
        if column is not None:
            return column
    definition = calls.find_definition(frame, scope, name)
    if definition is not None:
        return definition
    if name not in frame.context.broken:
        frame.error("E301", f"unknown name `{name}`", expr.span, help=_suggest(frame, scope, name))
    return POISON


def _suggest(frame: Frame, scope: Scope, name: str) -> str:
    if name in ("fan_in", "fan_out"):
        return "fan_in and fan_out are known to initialisers only"
    elsewhere = calls.advice_on_place(frame, name)
    known = [*scope.known(), *frame.home.scope.known(), *CLOCKS, *_below(frame)]
    return elsewhere or nearest(name, known) or nearest(name, calls.known_definitions(frame))


def _below(frame: Frame) -> list[str]:
    return list(frame.context.below) if frame.kind == "model" else []


def read_binding(frame: Frame, name: str, binding: Binding, span: Span) -> Meaning:
    """What a name is bound to; it counts as used."""
    binding.used = True
    meaning = binding.meaning
    if isinstance(meaning, Unusable):
        frame.error("E307", f"`{name}` cannot be used here: {meaning.reason}", span)
        return POISON
    return meaning


# ------------------------------------------------------------- conditionals, pipes, lists


def _conditional(frame: Frame, scope: Scope, expr: tree.Conditional) -> Meaning:
    condition = evaluate(frame, scope, expr.condition)
    decided = projections.decide(frame, condition, expr.condition.span)
    if decided is None:
        return POISON
    if isinstance(decided, bool):
        return evaluate(frame, scope, expr.then if decided else expr.other)

    def branch(training: bool) -> Meaning:
        chosen = decided.training if training else decided.evaluation
        return evaluate(frame, scope, expr.then if chosen.value else expr.other)

    training, evaluation, missing = frame.both_projections(branch)
    frame.missing_in_evaluation(missing, expr.span)
    return projections.merge_projections(frame, training, evaluation, expr.span)


def _pipe(frame: Frame, scope: Scope, expr: tree.Pipe) -> Meaning:
    chain = [expr]
    while isinstance(chain[-1].left, tree.Pipe):
        chain.append(chain[-1].left)
    first = chain[-1].left
    meaning = evaluate(frame, scope, first)
    span = first.span
    for link in reversed(chain):
        if isinstance(meaning, Poison):
            return POISON
        meaning = _pipe_into(frame, scope, link.right, meaning, span)
        span = link.right.span
    return meaning


def _pipe_into(frame: Frame, scope: Scope, right: tree.Expr, left: Meaning, span: Span) -> Meaning:
    if isinstance(right, tree.Apply):
        return calls.apply(frame, scope, right, [(left, span)])
    if isinstance(right, tree.Name) and not right.primed:
        use = tree.Apply(right.span, right.name, right.span, None, ())
        return calls.apply(frame, scope, use, [(left, span)])
    if isinstance(right, tree.Member | tree.Index):
        callee = evaluate(frame, scope, right)
        return calls.apply_meaning(frame, callee, format_expr(right), right.span, [(left, span)])
    return POISON  # The parser has said that nothing else can be called.


def _list(frame: Frame, scope: Scope, expr: tree.ListExpr) -> Meaning:
    items = [evaluate(frame, scope, item) for item in expr.items]
    if any(isinstance(item, Poison) for item in items):
        return POISON
    if any(isinstance(item, Tensor | RunTime) for item in items):
        return _stack(frame, expr, items)
    found = []
    for item, part in zip(items, expr.items, strict=True):
        if not isinstance(item, Const):
            frame.error("E213", "a list holds numbers, texts or tensors", part.span)
            return POISON
        found.append(item.value)
    return Const(tuple(found))


def _stack(frame: Frame, expr: tree.ListExpr, items: list[Meaning]) -> Meaning:
    """Tensors of one shape, side by side along a new last axis; a number stands for any shape."""
    parts: list[Value] = []
    for item, part in zip(items, expr.items, strict=True):
        value = values.as_tensor(frame, item, part.span)
        if value is None:
            return POISON
        parts.append(value)
    shape = next((value.shape for value in parts if value.shape), ())
    for value, part in zip(parts, expr.items, strict=True):
        if value.shape not in ((), shape):
            shapes = " and ".join(f"[{', '.join(map(str, s))}]" for s in (shape, value.shape))
            frame.error("E201", f"the tensors of a list have one shape, not {shapes}", part.span)
            return POISON
    layers = []
    with frame.at(expr.span):
        for value in unify("add", parts):
            if value.shape == ():
                value = value.apply("broadcast", shape=shape)
            layers.append(value.apply("reshape", shape=(*value.shape, 1)))
    spans = [(value, part.span) for value, part in zip(layers, expr.items, strict=True)]
    return emit(frame, "concat", layers, expr.span, spans, axis=len(shape))
