"""What is decided when compiled, and what differs between training and evaluation."""

from __future__ import annotations

from graphc.diagnostics import Span
from graphc.ir import Value
from graphc.model import values
from graphc.model.constants import kind_of_value
from graphc.model.emission import emit, unify
from graphc.model.frame import Frame
from graphc.model.meanings import POISON, Const, Meaning, Poison, ProjectionConst, Several, Tensor

__all__ = ["decide", "merge_projections"]


def decide(frame: Frame, condition: Meaning, span: Span) -> bool | ProjectionConst | None:
    """The outcome of a condition that is decided when compiled; None after reporting an error."""
    if isinstance(condition, Poison):
        return None
    if isinstance(condition, ProjectionConst) and isinstance(condition.training.value, bool):
        return condition
    if isinstance(condition, Const):
        if isinstance(condition.value, bool):
            return condition.value
        frame.error(
            "E309", f"a condition is a truth value, not {kind_of_value(condition.value)}", span
        )
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
    a, b = values.as_tensor(frame, training, span), values.as_tensor(frame, evaluation, span)
    if a is None or b is None:
        return POISON
    if a == b:
        return training
    return emit(frame, "if_training", unify("if_training", [a, b]), span)
