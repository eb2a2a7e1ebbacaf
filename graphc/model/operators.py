"""Binary and unary operators of the language, on constants and on tensors.

Chains of them are walked, not recursed into: a sum of thousands of terms is one expression.
Arithmetic on constants is ``constants``'; broadcasting and types are the primitives' own.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.diagnostics import Span
from graphc.ir import Value
from graphc.language import format_expr, tree
from graphc.model import expressions, values
from graphc.model.constants import compares_kinds, fold_binary, fold_unary
from graphc.model.emission import emit
from graphc.model.frame import Frame
from graphc.model.meanings import POISON, Const, Meaning, Poison, ProjectionConst, Scope

__all__ = ["binary", "unary"]

PRIMITIVES = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "^": "power",
    "@": "matmul",
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "and": "and",
    "or": "or",
}


def binary(frame: Frame, scope: Scope, expr: tree.Binary) -> Meaning:
    """``a + b``, ``a and b``, ``a < b`` and chains of them."""
    chain = [expr]
    while isinstance(chain[-1].left, tree.Binary):
        chain.append(chain[-1].left)
    left = expressions.evaluate(frame, scope, chain[-1].left)
    for link in reversed(chain):
        right = expressions.evaluate(frame, scope, link.right)
        left = _combine(frame, link, left, right)
    return left


def _combine(frame: Frame, expr: tree.Binary, left: Meaning, right: Meaning) -> Meaning:
    if isinstance(left, Poison) or isinstance(right, Poison):
        return POISON
    if isinstance(left, Const | ProjectionConst) and isinstance(right, Const | ProjectionConst):
        projected = isinstance(left, ProjectionConst) or isinstance(right, ProjectionConst)
        if projected:
            return _both(lambda a, b: _combine(frame, expr, a, b), left, right)
    if isinstance(left, Const) and isinstance(right, Const) and _folds(expr.op, left, right):
        result = fold_binary(frame, expr, left.value, right.value)
        if result is not None:
            return result
    operands = [
        values.as_tensor(frame, left, expr.left.span),
        values.as_tensor(frame, right, expr.right.span),
    ]
    if operands[0] is None or operands[1] is None:
        return POISON
    return _tensor_binary(frame, expr, operands[0], operands[1])


def _folds(op: str, left: Const, right: Const) -> bool:
    """Whether two constants combine as such; a list is an array of numbers, for the graph."""
    a, b = left.value, right.value
    return compares_kinds(op, a, b) or not (isinstance(a, tuple) or isinstance(b, tuple))


def _tensor_binary(frame: Frame, expr: tree.Binary, left: Value, right: Value) -> Meaning:
    if expr.op == "//":
        frame.error(
            "E202",
            "`//` divides integers known when compiled",
            expr.op_span,
            help="use floor(a / b)",
        )
        return POISON
    name = PRIMITIVES[expr.op]
    spans = [(left, _operand_span(expr.left)), (right, expr.right.span)]
    advice = _matmul_advice(frame, expr, left, right) if expr.op == "@" else ""
    return emit(frame, name, [left, right], expr.op_span, spans, at=expr.span, advice=advice)


def _matmul_advice(frame: Frame, expr: tree.Binary, left: Value, right: Value) -> str:
    """What to do where the inner dimensions of ``@`` differ."""
    if len(left.shape) < 1 or len(right.shape) < 2:
        return ""
    have, want = left.shape[-1], right.shape[-2]
    if have == want:
        return ""
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


def unary(frame: Frame, scope: Scope, expr: tree.Unary) -> Meaning:
    """``-a`` and ``not a``, any number of them."""
    inner: tree.Expr = expr
    signs: list[tree.Unary] = []
    while isinstance(inner, tree.Unary):
        signs.append(inner)
        inner = inner.operand
    meaning = expressions.evaluate(frame, scope, inner)
    for sign in reversed(signs):
        meaning = _apply_unary(frame, sign, meaning)
    return meaning


def _apply_unary(frame: Frame, expr: tree.Unary, operand: Meaning) -> Meaning:
    if isinstance(operand, Poison):
        return POISON
    if isinstance(operand, ProjectionConst):
        return _both(lambda a, _: _apply_unary(frame, expr, a), operand, operand)
    if isinstance(operand, Const) and not isinstance(operand.value, tuple):
        return fold_unary(frame, expr, operand.value)
    value = values.as_tensor(frame, operand, expr.operand.span)
    if value is None:
        return POISON
    name = "not" if expr.op == "not" else "negative"
    sign = Span(expr.span.source, expr.span.start, expr.span.start + len(expr.op))
    return emit(frame, name, [value], sign, [(value, expr.operand.span)], at=expr.span)


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
