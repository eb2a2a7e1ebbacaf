"""Indices and members: parts of tensors and lists, rounds of a repeat, parameters by path.

``x[0, 1:3]``, ``block[2].h``, ``block.h`` (of every round), ``h.W``.
"""

from __future__ import annotations

from typing import Any

from graphc.diagnostics import Span
from graphc.ir import Dim, Value
from graphc.language import format_expr, tree
from graphc.model import expressions, values
from graphc.model.emission import emit
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import (
    POISON,
    Const,
    Meaning,
    Poison,
    RepeatRounds,
    Scope,
    Several,
    Tensor,
)
from graphc.model.selectors import find_parameter

__all__ = ["index", "member"]


def index(frame: Frame, scope: Scope, expr: tree.Index) -> Meaning:
    """``x[…]``: a part of a tensor, an item of a list, or a round of a repeat."""
    if isinstance(expr.base, tree.Name) and expr.base.name in frame.repeats:
        return _round(frame, scope, expr, frame.repeats[expr.base.name])
    base = expressions.evaluate(frame, scope, expr.base)
    if isinstance(base, Poison):
        return POISON
    if isinstance(base, RepeatRounds):
        return _round(frame, scope, expr, base)
    if isinstance(base, Const) and isinstance(base.value, tuple):
        item = _list_item(frame, scope, expr, base.value)
        if item is not None:
            return item
    value = values.as_tensor(frame, base, expr.base.span)
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
        index = values.integer(frame, scope, expr.items[0], "the index of a repeat")
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
    meaning = expressions.evaluate(frame, scope, expr.items[0])
    if isinstance(meaning, Tensor):
        return None
    position = values.integer(frame, scope, expr.items[0], "the index of a list")
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
        only = expressions.evaluate(frame, scope, expr.items[0])
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
            position = values.integer(frame, scope, item, "an index")
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
    meaning = expressions.evaluate(frame, scope, part)
    if isinstance(meaning, Const) and isinstance(meaning.value, int | Dim):
        return meaning.value
    if not isinstance(meaning, Poison):
        frame.error("E209", "a bound of a slice is an integer known when compiled", part.span)
    return POISON


def member(frame: Frame, scope: Scope, expr: tree.Member) -> Meaning:
    """``a.b``: what a round of a repeat binds, or a parameter by its path."""
    if isinstance(expr.base, tree.Index):
        base = expressions.evaluate(frame, scope, expr.base)
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
            return expressions.read_binding(frame, expr.name, found, expr.span)
        if isinstance(base, Poison):
            return POISON
    if isinstance(expr.base, tree.Name):
        binding = scope.find(expr.base.name)
        if binding is not None and isinstance(binding.meaning, RepeatRounds):
            return _of_every_round(frame, expr, binding.meaning)
    return _parameter_by_path(frame, scope, expr)


def _of_every_round(frame: Frame, expr: tree.Member, rounds: RepeatRounds) -> Meaning:
    """``block.h``: what the rounds bind to a name, in order."""
    found = []
    for scope in rounds.rounds.values():
        if expr.name not in scope.names:
            title = f"the rounds of `{format_expr(expr.base)}` bind no `{expr.name}`"
            frame.error("E301", title, expr.span, help=nearest(expr.name, scope.names))
            return POISON
        found.append(expressions.read_binding(frame, expr.name, scope.names[expr.name], expr.span))
    if any(isinstance(meaning, Poison) for meaning in found):
        return POISON
    return Several(tuple(found))


def _parameter_by_path(frame: Frame, scope: Scope, expr: tree.Member) -> Meaning:
    path = format_expr(expr)
    binding = scope.find(path.split(".")[0])
    if binding is not None:
        binding.used = True
    name = find_parameter(path, list(frame.declared))
    if name is not None:
        return Tensor(frame.declared[name].value)
    if binding is not None and isinstance(binding.meaning, Poison):
        return POISON
    frame.error("E301", f"unknown name `{path}`", expr.span, help=nearest(path, frame.declared))
    return POISON
