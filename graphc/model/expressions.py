"""Expressions to meanings.

:func:`evaluate` gives what an expression means where it stands; :func:`tensor` and the ``constant``
family turn a meaning into what a place needs, or report why it cannot be that.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from graphc.diagnostics import Span
from graphc.ir import OPERATORS, Dim, Type, TypeRuleError, Value, divide_exactly
from graphc.language import format_expr, tree
from graphc.model import calls
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import (
    ALL,
    POISON,
    Binding,
    BoundLayer,
    Const,
    DefinitionUse,
    Meaning,
    Poison,
    ProjectionConst,
    RepeatRounds,
    RunTime,
    Scope,
    Several,
    Tensor,
    Unusable,
)

__all__ = [
    "as_tensor",
    "attribute",
    "constant",
    "evaluate",
    "integer",
    "tensor",
]

CLOCKS = ("epoch", "step", "epochs", "steps")
CLOCK_HELP = (
    "epoch, step, epochs and steps belong in attributes of an optimizer, in rates of dropout and "
    "noise, and in minimize"
)
NAMED_CONSTANTS: dict[str, Any] = {"pi": math.pi, "all": ALL, "inf": math.inf}

ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "^": "power"}
COMPARISONS = {
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
LOGIC = {"and": "and", "or": "or"}


def evaluate(frame: Frame, scope: Scope, expr: tree.Expr) -> Meaning:
    """What ``expr`` means. Errors are reported; the meaning is then POISON."""
    match expr:
        case tree.Number():
            return Const(expr.value)
        case tree.Text():
            return Const(expr.value)
        case tree.Bool():
            return Const(expr.value)
        case tree.Name():
            return _name(frame, scope, expr)
        case tree.Binary():
            return _binary(frame, scope, expr)
        case tree.Unary():
            return _unary(frame, scope, expr)
        case tree.Conditional():
            return _conditional(frame, scope, expr)
        case tree.Apply():
            return calls.apply(frame, scope, expr, [])
        case tree.Pipe():
            return _pipe(frame, scope, expr)
        case tree.ListExpr():
            return _list(frame, scope, expr)
        case tree.Index():
            return _index(frame, scope, expr)
        case tree.Member():
            return _member(frame, scope, expr)
        case tree.Placed():
            frame.error("E506", f"`{expr.preposition}` cannot stand here", expr.selector.span)
            return POISON
    raise AssertionError(type(expr))


# ------------------------------------------------------------------------------- names


def _name(frame: Frame, scope: Scope, expr: tree.Name) -> Meaning:
    name = expr.name + ("'" if expr.primed else "")
    binding = scope.find(name) or frame.home.scope.find(name)
    if binding is not None:
        return _bound(frame, name, binding, expr.span)
    if expr.primed:
        frame.error("E301", f"`{name}` has no value yet", expr.span, help="assign it first")
        return POISON
    if name == "training":
        if frame.training is not None:
            return Const(frame.training)
        return ProjectionConst(Const(True), Const(False))
    if name in NAMED_CONSTANTS:
        return Const(NAMED_CONSTANTS[name])
    if name in CLOCKS:
        return _clock(frame, name, expr.span)
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
    values = [*scope.known(), *frame.home.scope.known(), *CLOCKS, *_below(frame)]
    return elsewhere or nearest(name, values) or nearest(name, calls.known_definitions(frame))


def _below(frame: Frame) -> list[str]:
    return list(frame.context.below) if frame.kind == "model" else []


def _bound(frame: Frame, name: str, binding: Binding, span: Span) -> Meaning:
    binding.used = True
    meaning = binding.meaning
    if isinstance(meaning, Unusable):
        frame.error("E307", f"`{name}` cannot be used here: {meaning.reason}", span)
        return POISON
    return meaning


def _clock(frame: Frame, name: str, span: Span) -> Meaning:
    if not frame.clocks:
        frame.error(
            "E308",
            f"the run-time scalar `{name}` cannot be used here",
            span,
            help=CLOCK_HELP,
        )
        return POISON
    with frame.at(span):
        op = OPERATORS["clock"](name)  # type: ignore[call-arg]
        return Tensor(frame.builder.place(op, (), Type("real"), name))


def mentions_clock(frame: Frame, scope: Scope, expr: tree.Expr) -> bool:
    """Whether an expression reads a run-time scalar, directly or through an attribute."""
    stack: list[Any] = [expr]
    while stack:
        item = stack.pop()
        if isinstance(item, tree.Name):
            binding = scope.find(item.name) or frame.home.scope.find(item.name)
            if binding is None and item.name in CLOCKS:
                return True
            if binding is not None and isinstance(binding.meaning, RunTime):
                return True
        elif isinstance(item, tuple | list):
            stack.extend(item)
        elif isinstance(item, tree.Expr | tree.Argument | tree.Slice):
            stack.extend(vars(item).values())
    return False


# --------------------------------------------------------------------------- operators


def _binary(frame: Frame, scope: Scope, expr: tree.Binary) -> Meaning:
    chain = [expr]
    while isinstance(chain[-1].left, tree.Binary):
        chain.append(chain[-1].left)
    left = evaluate(frame, scope, chain[-1].left)
    for link in reversed(chain):
        right = evaluate(frame, scope, link.right)
        left = _combine(frame, link, left, right)
    return left


def _combine(frame: Frame, expr: tree.Binary, left: Meaning, right: Meaning) -> Meaning:
    if isinstance(left, Poison) or isinstance(right, Poison):
        return POISON
    if isinstance(left, Const | ProjectionConst) and isinstance(right, Const | ProjectionConst):
        projected = isinstance(left, ProjectionConst) or isinstance(right, ProjectionConst)
        if projected:
            return _both(lambda a, b: _combine(frame, expr, a, b), left, right)
    if isinstance(left, Const) and isinstance(right, Const) and not _is_list(left, right):
        result = _fold(frame, expr, left.value, right.value)
        if result is not None:
            return result
    operands = [as_tensor(frame, left, expr.left.span), as_tensor(frame, right, expr.right.span)]
    if operands[0] is None or operands[1] is None:
        return POISON
    return _tensor_binary(frame, expr, operands[0], operands[1])


def _is_list(*sides: Const) -> bool:
    return any(isinstance(side.value, tuple) for side in sides)


def _both(
    combine: Callable[[Meaning, Meaning], Meaning], *sides: Const | ProjectionConst
) -> Meaning:
    """A constant expression whose parts differ between training and evaluation."""
    training = [s.training if isinstance(s, ProjectionConst) else s for s in sides]
    evaluation = [s.evaluation if isinstance(s, ProjectionConst) else s for s in sides]
    a, b = combine(*training), combine(*evaluation)
    if not isinstance(a, Const) or not isinstance(b, Const):
        return POISON
    return a if a == b else ProjectionConst(a, b)


PYTHON: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "^": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _fold(frame: Frame, expr: tree.Binary, left: Any, right: Any) -> Meaning | None:
    """Constant arithmetic. None where only a tensor can say it (``sum(l) / n``)."""
    op = expr.op
    if isinstance(left, Dim) or isinstance(right, Dim):
        return _fold_dims(frame, expr, left, right)
    if op in LOGIC:
        if isinstance(left, bool) and isinstance(right, bool):
            return Const(left and right if op == "and" else left or right)
        return _not_a(frame, expr, "truth values", left, right)
    if op in ("==", "!=") and _comparable(left, right):
        return Const((left == right) == (op == "=="))
    if not _is_number(left) or not _is_number(right):
        return _not_a(frame, expr, "numbers", left, right)
    if op == "@":
        frame.error("E203", "`@` multiplies matrices; for numbers write *", expr.op_span)
        return POISON
    if op == "//" and not (isinstance(left, int) and isinstance(right, int)):
        frame.error("E202", "`//` divides integers", expr.op_span, help="write / for real numbers")
        return POISON
    return _arithmetic(frame, expr, left, right)


def _arithmetic(frame: Frame, expr: tree.Binary, left: Any, right: Any) -> Meaning:
    if expr.op in ("/", "//") and right == 0:
        frame.error("E211", "division by zero", expr.op_span)
        return POISON
    if expr.op == "^" and abs(right) > 4096:
        left = float(left)
    try:
        if expr.op == "^" and isinstance(left, int) and isinstance(right, int) and right < 0:
            left = float(left)
        value = PYTHON[expr.op](left, right)
    except (OverflowError, ZeroDivisionError):
        frame.error("E211", "the result is too large or undefined", expr.op_span)
        return POISON
    if not _usable(value, left, right):
        frame.error("E211", "the result is too large or undefined", expr.op_span)
        return POISON
    return Const(value)


def _usable(value: Any, left: Any, right: Any) -> bool:
    """Whether a result is a number of the language: 64 bits, finite unless an operand is not."""
    if isinstance(value, int):
        return abs(value) < 2**63
    if isinstance(value, complex) or math.isnan(value):
        return False
    return math.isfinite(value) or math.isinf(left) or math.isinf(right)


def _fold_dims(frame: Frame, expr: tree.Binary, left: Any, right: Any) -> Meaning | None:
    whole = all(
        isinstance(side, int | Dim) and not isinstance(side, bool) for side in (left, right)
    )
    if whole and expr.op in ("+", "-", "*"):
        return Const(PYTHON[expr.op](left, right))
    if expr.op == "//":
        quotient = divide_exactly(left, right) if whole else None
        if quotient is None:
            frame.error("E212", f"{left} // {right} is not a dimension", expr.op_span)
            return POISON
        return Const(quotient)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _comparable(left: Any, right: Any) -> bool:
    """Whether two constants can be equal: two numbers, two truth values or two texts."""
    return (_is_number(left) and _is_number(right)) or type(left) is type(right)


def _not_a(frame: Frame, expr: tree.Binary, what: str, left: Any, right: Any) -> Meaning:
    found = " and ".join(_kind_of(value) for value in (left, right))
    frame.error("E202", f"`{expr.op}` combines {what}, but got {found}", expr.op_span)
    return POISON


def _kind_of(value: Any) -> str:
    if value is ALL:
        return "`all`"
    names = {bool: "a truth value", str: "a text", tuple: "a list", Dim: "a symbolic dimension"}
    return names.get(type(value), f"{value}" if _is_number(value) else "another thing")


def kind_of(meaning: Meaning) -> str:
    """What a meaning is, for a message that wants another."""
    if isinstance(meaning, Const):
        return _kind_of(meaning.value)
    if isinstance(meaning, DefinitionUse):
        return f"the definition `{meaning.name}`"
    if isinstance(meaning, RunTime):
        return "a run-time scalar"
    if isinstance(meaning, ProjectionConst):
        return "one thing in training and another in evaluation"
    return "a tensor" if isinstance(meaning, Tensor) else "something else"


def _tensor_binary(frame: Frame, expr: tree.Binary, left: Value, right: Value) -> Meaning:
    if expr.op == "//":
        frame.error(
            "E202",
            "`//` divides integers known when compiled",
            expr.op_span,
            help="use floor(a / b)",
        )
        return POISON
    name = {**ARITHMETIC, **COMPARISONS, **LOGIC, "@": "matmul"}[expr.op]
    spans = [(left, _operand_span(expr.left)), (right, expr.right.span)]
    advice = _matmul_advice(frame, expr, left, right) if expr.op == "@" else ""
    return emit(frame, name, [left, right], expr.op_span, spans, at=expr.span, advice=advice)


def _matmul_advice(frame: Frame, expr: tree.Binary, left: Value, right: Value) -> str:
    """What to do where the inner dimensions of ``@`` differ."""
    if len(left.shape) < 1 or len(right.shape) < 2:
        return ""
    have, want = left.shape[-1], right.shape[-2]
    advice = []
    declared = [item.value for item in frame.declared.values()]
    if isinstance(expr.right, tree.Name) and right in declared:
        fitting = right.type.with_shape((*right.shape[:-2], have, right.shape[-1]))
        advice.append(f"declare {expr.right.name} as {fitting}")
    made = left.builder.graph[left.id].inputs
    if isinstance(expr.left, tree.Name) and made and isinstance(want, int):
        advice.append(f"make {expr.left.name} {want} wide")
    if have == right.shape[-1] and not advice:
        advice.append(f"multiply by transpose({format_expr(expr.right)})")
    return ", or ".join(advice)


def _operand_span(expr: tree.Expr) -> Span:
    """Where a label of the left operand goes: the part next to the operator."""
    return expr.right.span if isinstance(expr, tree.Binary) else expr.span


def emit(
    frame: Frame,
    name: str,
    operands: list[Value],
    span: Span,
    spans: Sequence[tuple[Value, Span | None]] = (),
    at: Span | None = None,
    advice: str = "",
    **attributes: Any,
) -> Meaning:
    """Apply a primitive, converting ints to reals where NumPy would. ``advice`` is the help of an
    error that has none."""
    with frame.at(at or span):
        try:
            converted = unify(name, operands)
            if [value for value, _ in spans] == operands:
                spans = [(v, at) for v, (_, at) in zip(converted, spans, strict=True)]
            return Tensor(frame.builder.op(name, *converted, **attributes))
        except TypeRuleError as error:
            frame.type_error(error, span, spans or [(v, None) for v in operands], advice)
            return POISON


KEEPS_KINDS = frozenset({"take", "pick", "index", "reshape", "concat"})
TAKES_REAL = frozenset(
    {"exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "floor", "sign", "divide"}
) | {"matmul"}


def unify(name: str, operands: list[Value]) -> list[Value]:
    """Ints become reals beside reals, and where only reals are taken."""
    mixed = len({value.type.kind for value in operands} & {"int", "real"}) == 2
    if name in TAKES_REAL or (mixed and name not in KEEPS_KINDS):
        return [to_real(value) if value.type.kind == "int" else value for value in operands]
    return operands


def to_real(value: Value) -> Value:
    number = getattr(value.builder.graph[value.id].op, "value", None)
    if number is not None:
        return value.builder.constant(_floats(number))
    return value.apply("cast", kind="real")


def _floats(number: Any) -> Any:
    return tuple(map(_floats, number)) if isinstance(number, tuple) else float(number)


def _unary(frame: Frame, scope: Scope, expr: tree.Unary) -> Meaning:
    inner: tree.Expr = expr
    signs: list[tree.Unary] = []
    while isinstance(inner, tree.Unary):
        signs.append(inner)
        inner = inner.operand
    meaning = evaluate(frame, scope, inner)
    for sign in reversed(signs):
        meaning = _apply_unary(frame, sign, meaning)
    return meaning


def _apply_unary(frame: Frame, expr: tree.Unary, operand: Meaning) -> Meaning:
    if isinstance(operand, Poison):
        return POISON
    if isinstance(operand, ProjectionConst):
        return _both(lambda a, _: _apply_unary(frame, expr, a), operand, operand)
    if isinstance(operand, Const) and not isinstance(operand.value, tuple):
        return _unary_constant(frame, expr, operand.value)
    value = as_tensor(frame, operand, expr.operand.span)
    if value is None:
        return POISON
    name = "not" if expr.op == "not" else "negative"
    sign = Span(expr.span.source, expr.span.start, expr.span.start + len(expr.op))
    return emit(frame, name, [value], sign, [(value, expr.operand.span)], at=expr.span)


def _unary_constant(frame: Frame, expr: tree.Unary, value: Any) -> Meaning:
    if expr.op == "not" and isinstance(value, bool):
        return Const(not value)
    if expr.op == "-" and isinstance(value, int | float | Dim) and not isinstance(value, bool):
        return Const(-value)
    wanted = "a truth value" if expr.op == "not" else "a number"
    frame.error("E202", f"`{expr.op}` takes {wanted}, not {_kind_of(value)}", expr.span)
    return POISON


def _conditional(frame: Frame, scope: Scope, expr: tree.Conditional) -> Meaning:
    condition = evaluate(frame, scope, expr.condition)
    decided = decide(frame, condition, expr.condition.span)
    if decided is None:
        return POISON
    if isinstance(decided, bool):
        return evaluate(frame, scope, expr.then if decided else expr.other)

    def branch(training: bool) -> Meaning:
        chosen = decided.training if training else decided.evaluation
        return evaluate(frame, scope, expr.then if chosen.value else expr.other)

    training, evaluation, missing = frame.both_projections(branch)
    frame.missing_in_evaluation(missing, expr.span)
    return merge_projections(frame, training, evaluation, expr.span)


def merge_projections(frame: Frame, training: Meaning, evaluation: Meaning, span: Span) -> Meaning:
    """One meaning out of one for training and one for evaluation."""
    if isinstance(training, Poison) or isinstance(evaluation, Poison):
        return POISON
    if isinstance(training, Const) and isinstance(evaluation, Const):
        return training if training == evaluation else ProjectionConst(training, evaluation)
    if isinstance(training, Several) and isinstance(evaluation, Several):
        if len(training.items) != len(evaluation.items):
            frame.error("E223", "training and evaluation give different numbers of values", span)
            return POISON
        pairs = zip(training.items, evaluation.items, strict=True)
        return Several(tuple(merge_projections(frame, a, b, span) for a, b in pairs))
    if training is evaluation:
        return training
    a, b = as_tensor(frame, training, span), as_tensor(frame, evaluation, span)
    if a is None or b is None:
        return POISON
    if a == b:
        return training
    return emit(frame, "if_training", unify("if_training", [a, b]), span)


def decide(frame: Frame, condition: Meaning, span: Span) -> bool | ProjectionConst | None:
    """The outcome of a condition that is decided when compiled; None after reporting an error."""
    if isinstance(condition, Poison):
        return None
    if isinstance(condition, ProjectionConst) and isinstance(condition.training.value, bool):
        return condition
    if isinstance(condition, Const):
        if isinstance(condition.value, bool):
            return condition.value
        frame.error("E309", f"a condition is a truth value, not {_kind_of(condition.value)}", span)
        return None
    sources = _sources(condition.value) if isinstance(condition, Tensor) else set()
    for name, what in (("clock", "run-time scalar"), ("dimension", "symbolic dimension")):
        if name in sources:
            frame.error("E309", f"a {what} cannot decide an `if`", span)
            return None
    frame.error(
        "E309",
        "an `if` is decided when compiled, but this is a tensor",
        span,
        help="choose element by element with where(condition, a, b)",
    )
    return None


def _sources(value: Value) -> set[str]:
    graph = value.builder.graph
    return {graph[i].op.name for i in graph.ancestors([value.id])}


# --------------------------------------------------------------------- lists and pipes


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
    values = []
    for item, part in zip(items, expr.items, strict=True):
        if not isinstance(item, Const):
            frame.error("E213", "a list holds numbers, texts or tensors", part.span)
            return POISON
        values.append(item.value)
    return Const(tuple(values))


def _stack(frame: Frame, expr: tree.ListExpr, items: list[Meaning]) -> Meaning:
    """Tensors of one shape, side by side along a new last axis."""
    result: Value | None = None
    for item, part in zip(items, expr.items, strict=True):
        value = as_tensor(frame, item, part.span)
        if value is None:
            return POISON
        if result is not None and value.shape == () != result.shape[:-1]:
            value = value.apply("broadcast", shape=result.shape[:-1])
        meaning = emit(frame, "reshape", [value], part.span, shape=(*value.shape, 1))
        if not isinstance(meaning, Tensor):
            return POISON
        if result is None:
            result = meaning.value
            continue
        pair = unify("add", [result, meaning.value])
        axis = len(pair[0].shape) - 1
        joined = emit(frame, "concat", pair, part.span, [(v, part.span) for v in pair], axis=axis)
        if not isinstance(joined, Tensor):
            return POISON
        result = joined.value
    assert result is not None
    return Tensor(result)


# ------------------------------------------------------------------------- index, member


def _index(frame: Frame, scope: Scope, expr: tree.Index) -> Meaning:
    if isinstance(expr.base, tree.Name) and expr.base.name in frame.repeats:
        return _round(frame, scope, expr, frame.repeats[expr.base.name])
    base = evaluate(frame, scope, expr.base)
    if isinstance(base, Poison):
        return POISON
    if isinstance(base, RepeatRounds):
        return _round(frame, scope, expr, base)
    if isinstance(base, Const) and isinstance(base.value, tuple):
        item = _list_item(frame, scope, expr, base.value)
        if item is not None:
            return item
    value = as_tensor(frame, base, expr.base.span)
    if value is None:
        return POISON
    return _tensor_index(frame, scope, expr, value)


class _Round(Meaning):
    """One round of a repeat: only its members have a meaning."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope


def _round(frame: Frame, scope: Scope, expr: tree.Index, rounds: RepeatRounds) -> Meaning:
    index = None
    if len(expr.items) == 1 and isinstance(expr.items[0], tree.Expr):
        index = integer(frame, scope, expr.items[0], "the index of a repeat")
        if index is None:
            return POISON
    if index is None or index not in rounds.rounds:
        done = sorted(rounds.rounds)
        have = f"rounds {done[0]}..{done[-1]} are there" if done else "no round is finished yet"
        frame.error("E311", f"there is no round {format_expr(expr)}: {have}", expr.span)
        return POISON
    return _Round(rounds.rounds[index])


def _list_item(
    frame: Frame, scope: Scope, expr: tree.Index, items: tuple[Any, ...]
) -> Meaning | None:
    """An item of a list at a known position; None where the list is indexed as a tensor."""
    if len(expr.items) != 1 or not isinstance(expr.items[0], tree.Expr):
        return None
    meaning = evaluate(frame, scope, expr.items[0])
    if isinstance(meaning, Tensor):
        return None
    position = integer(frame, scope, expr.items[0], "the index of a list")
    if position is None:
        return POISON
    if not -len(items) <= position < len(items):
        title = f"index {position} is out of range for {len(items)} items"
        frame.error("E209", title, _brackets(expr))
        return POISON
    return Const(items[position])


def _brackets(expr: tree.Index) -> Span:
    return Span(expr.span.source, expr.base.span.end, expr.span.end)


def _tensor_index(frame: Frame, scope: Scope, expr: tree.Index, value: Value) -> Meaning:
    if len(expr.items) == 1 and isinstance(expr.items[0], tree.Expr):
        only = evaluate(frame, scope, expr.items[0])
        if isinstance(only, Poison):
            return POISON
        if isinstance(only, Tensor):
            spans = [(value, expr.base.span), (only.value, expr.items[0].span)]
            return emit(frame, "take", [value, only.value], _brackets(expr), spans, at=expr.span)
    items = _index_items(frame, scope, expr, value)
    if items is None:
        return POISON
    base = [(value, expr.base.span)]
    return emit(frame, "index", [value], _brackets(expr), base, at=expr.span, items=items)


def _index_items(
    frame: Frame, scope: Scope, expr: tree.Index, value: Value
) -> tuple[Any, ...] | None:
    full = (None, None, None)
    items: list[Any] = []
    rank = len(value.shape)
    given = sum(not isinstance(item, tree.Ellipsis_) for item in expr.items)
    for item in expr.items:
        if isinstance(item, tree.Ellipsis_):
            items.extend([full] * max(0, rank - given))
        elif isinstance(item, tree.Slice):
            bounds = [_bound_of(frame, scope, part) for part in (item.start, item.stop, item.step)]
            if POISON in bounds:
                return None
            items.append(tuple(bounds))
        else:
            position = integer(frame, scope, item, "an index")
            if position is None:
                return None
            items.append(position)
    if len(items) > rank:
        frame.error("E203", f"{len(items)} indices for {value.type}", _brackets(expr))
        return None
    return (*items, *[full] * (rank - len(items)))


def _bound_of(frame: Frame, scope: Scope, part: tree.Expr | None) -> Any:
    if part is None:
        return None
    meaning = evaluate(frame, scope, part)
    if isinstance(meaning, Const) and isinstance(meaning.value, int | Dim):
        return meaning.value
    if not isinstance(meaning, Poison):
        frame.error("E209", "a bound of a slice is an integer known when compiled", part.span)
    return POISON


def _member(frame: Frame, scope: Scope, expr: tree.Member) -> Meaning:
    if isinstance(expr.base, tree.Index):
        base = evaluate(frame, scope, expr.base)
        if isinstance(base, _Round):
            found = base.scope.names.get(expr.name)
            if found is None:
                known = list(base.scope.names)
                frame.error(
                    "E301",
                    f"`{format_expr(expr.base)}` binds no `{expr.name}`",
                    expr.span,
                    help=nearest(expr.name, known),
                )
                return POISON
            return _bound(frame, expr.name, found, expr.span)
        if isinstance(base, Poison):
            return POISON
    return _parameter_by_path(frame, scope, expr)


def _parameter_by_path(frame: Frame, scope: Scope, expr: tree.Member) -> Meaning:
    path = format_expr(expr)
    binding = scope.find(path.split(".")[0])
    if binding is not None:
        binding.used = True
    name = resolve_alias(path, list(frame.declared))
    if name is not None:
        return Tensor(frame.declared[name].value)
    if binding is not None and isinstance(binding.meaning, Poison):
        return POISON
    frame.error("E301", f"unknown name `{path}`", expr.span, help=nearest(path, frame.declared))
    return POISON


def resolve_alias(path: str, names: Sequence[str]) -> str | None:
    """The parameter that a text names: in full, or as ``h.W`` for the only W below h."""
    if path in names:
        return path
    head, _, last = path.rpartition(".")
    below = [n for n in names if n.startswith(head + ".") and n.rsplit(".", 1)[-1] == last]
    return below[0] if head and len(below) == 1 else None


# ------------------------------------------------------------------ meanings to values


def as_tensor(frame: Frame, meaning: Meaning, span: Span) -> Value | None:
    """A value of the frame's graph; None after reporting why there is none."""
    match meaning:
        case Tensor():
            if meaning.value.builder.graph is not frame.builder.graph:
                _foreign_tensor(frame, span)
                return None
            return meaning.value
        case Const():
            return _constant_tensor(frame, meaning.value, span)
        case ProjectionConst():
            merged = [as_tensor(frame, m, span) for m in (meaning.training, meaning.evaluation)]
            if merged[0] is None or merged[1] is None:
                return None
            both = unify("add", [merged[0], merged[1]])
            result = emit(frame, "if_training", both, span)
            return result.value if isinstance(result, Tensor) else None
        case RunTime():
            return _run_time_tensor(frame, meaning, span)
        case Poison():
            return None
        case DefinitionUse() | BoundLayer():
            name = meaning.name if isinstance(meaning, DefinitionUse) else meaning.use.name
            draws = frame.kind == "init"
            help_text = f"write ~ {name}" if draws else f"call it: {name}(x)"
            frame.error("E313", f"`{name}` is a definition, not a value", span, help=help_text)
        case Several():
            frame.error(
                "E314",
                f"{len(meaning.items)} values where one is needed",
                span,
                help="bind them to names: a, b = f(x)",
            )
        case _:
            frame.error("E313", "the rounds of a repeat are not a value", span, help="as in i[1].h")
    return None


def _foreign_tensor(frame: Frame, span: Span) -> None:
    if frame.kind == "init":
        frame.error(
            "E312",
            "an initial value cannot depend on a tensor",
            span,
            help="it is made before anything runs, from constants and draws",
        )
        return
    frame.error(
        "E312",
        "a definition cannot read a tensor of the model around it",
        span,
        help="give it the tensor in parentheses",
    )


def _constant_tensor(frame: Frame, value: Any, span: Span) -> Value | None:
    with frame.at(span):
        if isinstance(value, Dim):
            op = OPERATORS["dimension"](value)  # type: ignore[call-arg]
            return frame.builder.place(op, (), Type("real"), "")
        if isinstance(value, tuple):
            array = rectangular(value)
            if array is None:
                frame.error(
                    "E213", "the rows of a list must be numbers, equally many in each", span
                )
                return None
            return frame.builder.constant(array)
        if isinstance(value, int | float):
            return frame.builder.constant(value)
    frame.error("E202", f"{_kind_of(value)} cannot be used as a tensor", span)
    return None


def rectangular(value: Any) -> Any:
    """Nested tuples of numbers as an array constant, all ints or all floats; None if ragged."""
    shape = _shape(value)
    if shape is None or 0 in shape:
        return None
    return _floats(value) if _any_float(value) else value


def _shape(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, tuple):
        shapes = {_shape(item) for item in value}
        if len(shapes) != 1:
            return None if shapes else (0,)
        inner = shapes.pop()
        return None if inner is None else (len(value), *inner)
    return () if isinstance(value, int | float) else None


def _any_float(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_any_float, value))
    return isinstance(value, float)


def _run_time_tensor(frame: Frame, meaning: RunTime, span: Span) -> Value | None:
    """Evaluate a deferred attribute in this graph."""
    if frame.kind == "init":
        frame.error("E308", "an initial value cannot depend on a run-time scalar", span)
        return None
    before = frame.clocks, frame.home
    frame.clocks, frame.home = True, meaning.home
    try:
        result = evaluate(frame, meaning.scope, meaning.expr)
        return as_tensor(frame, result, span)
    finally:
        frame.clocks, frame.home = before


def tensor(frame: Frame, scope: Scope, expr: tree.Expr) -> Value | None:
    """The value that an expression stands for."""
    return as_tensor(frame, evaluate(frame, scope, expr), expr.span)


def attribute(frame: Frame, scope: Scope, expr: tree.Expr) -> Meaning:
    """The meaning of an attribute: a constant, a definition, or a deferred run-time scalar."""
    if mentions_clock(frame, scope, expr):
        return RunTime(expr, scope, frame.home)
    meaning = evaluate(frame, scope, expr)
    if isinstance(meaning, Tensor):
        known = calls.known_number(meaning.value)
        if known is not None:
            return Const(known)
        frame.error(
            "E315",
            "an attribute is known when the model is compiled, but this is a tensor",
            expr.span,
            help="tensors go in parentheses: f(x)",
        )
        return POISON
    if isinstance(meaning, BoundLayer):
        frame.error(
            "E315",
            "a bound layer cannot be an attribute",
            expr.span,
            help=f"give the definition itself: {calls.title_of(meaning.use)}",
        )
        return POISON
    return meaning


def constant(frame: Frame, scope: Scope, expr: tree.Expr, what: str) -> Any:
    """The value of a constant expression, or POISON after an error. ``what`` names its place."""
    meaning = attribute(frame, scope, expr)
    if isinstance(meaning, Const):
        return meaning.value
    if isinstance(meaning, RunTime):
        frame.error("E308", f"{what} cannot depend on a run-time scalar", expr.span)
    elif isinstance(meaning, ProjectionConst):
        frame.error("E309", f"{what} cannot depend on `training`", expr.span)
    elif not isinstance(meaning, Poison):
        frame.error("E303", f"{what} is a constant", expr.span)
    return POISON


def integer(frame: Frame, scope: Scope, expr: tree.Expr, what: str) -> int | None:
    """An integer known when compiled, or None after an error."""
    value = constant(frame, scope, expr, what)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Dim):
        frame.error(
            "E309", f"{what} is an integer; a symbolic dimension cannot decide it", expr.span
        )
    elif value is not POISON:
        frame.error("E303", f"{what} is an integer, not {_kind_of(value)}", expr.span)
    return None
