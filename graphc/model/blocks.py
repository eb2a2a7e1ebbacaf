"""`repeat` and `if`: statements inside statements.

A `repeat` is written out round by round. An `if` is decided when compiled; one on `training` is
elaborated both ways, and what the two bind is merged.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.diagnostics import Span
from graphc.language import tree
from graphc.model import declarations, expressions, projections, statements, values
from graphc.model.frame import MAX_ROUNDS, Frame
from graphc.model.meanings import POISON, Const, ProjectionConst, RepeatRounds, Scope, Unusable

__all__ = ["conditional", "repeat"]


# ------------------------------------------------------------------------------ repeat


def repeat(frame: Frame, scope: Scope, statement: tree.Repeat, top: statements.Top | None) -> None:
    """Elaborate a `repeat`, and bind its index to the rounds."""
    first = values.integer(frame, scope, statement.first, "the start of a repeat")
    last = values.integer(frame, scope, statement.last, "the end of a repeat")
    index = statement.index.name
    if declarations.is_taken(frame, scope, statement.index):
        return
    if first is None or last is None or not _may_repeat(frame, statement, last - first + 1):
        _poison_bound(scope, statement.body)
        scope.bind(index, POISON, statement.index.span, "repeat")
        return
    rounds = RepeatRounds()
    whole = True
    frame.repeats[index] = rounds
    outer = frame.prefix
    frame.rebinds.append(set(_bound_names(statement.body)))
    for i in range(first, last + 1):
        inner = Scope(scope)
        inner.bind(index, Const(i), statement.index.span, "index")
        inner.names[index].used = True
        frame.prefix = (*outer, f"{index}[{i}]")
        failures = frame.context.failures
        if statements.run(frame, inner, statement.body, top) is not None:
            frame.error(
                "E334", "`return` cannot stand in a `repeat`", statement.span, help=RETURN_HELP
            )
        rounds.rounds[i] = inner
        whole = frame.context.failures == failures and frame.may_hold(
            frame.weight + len(frame.builder.graph), statement.index.span
        )
        if not whole:
            break
    frame.prefix = outer
    frame.rebinds.pop()
    del frame.repeats[index]
    scope.bind(index, rounds if whole else POISON, statement.index.span, "repeat")


RETURN_HELP = "bind a name from outside anew in each round, and return it after the `repeat`"


def _may_repeat(frame: Frame, statement: tree.Repeat, rounds: int) -> bool:
    if frame.context.rounds + rounds <= MAX_ROUNDS:
        frame.context.rounds += max(0, rounds)
        return True
    frame.error(
        "E345",
        f"over {MAX_ROUNDS:,} rounds of `repeat` in all",
        statement.first.span.to(statement.last.span),
    )
    return False


# ---------------------------------------------------------------------------------- if


def conditional(
    frame: Frame, scope: Scope, statement: tree.If, top: statements.Top | None
) -> statements.Returned | None:
    """Elaborate the branch that is taken; what it returns, if it does."""
    condition = expressions.evaluate(frame, scope, statement.condition)
    decided = projections.decide(frame, condition, statement.condition.span)
    if decided is None:
        _poison_bound(scope, (statement,))
        return None
    if isinstance(decided, ProjectionConst):
        return _if_training(frame, scope, statement, decided, top)
    branch = statement.then if decided else statement.otherwise
    returned = statements.run(frame, scope, branch, top)
    _forget_one_sided(scope, statement)
    return returned


def _if_training(
    frame: Frame,
    scope: Scope,
    statement: tree.If,
    decided: ProjectionConst,
    top: statements.Top | None,
) -> statements.Returned | None:
    """Elaborate both branches and merge what they bind, projection by projection."""

    def branch(training: bool) -> tuple[Scope, statements.Returned | None]:
        chosen = decided.training if training else decided.evaluation
        inner = _branch_scope(frame, scope, statement)
        taken = statement.then if chosen.value else statement.otherwise
        return inner, statements.run(frame, inner, taken, top)

    training, evaluation, missing = frame.both_projections(branch)
    frame.missing_in_evaluation(missing, statement.span)
    _forget_one_sided(scope, statement)
    training_scope, evaluation_scope = training[0], evaluation[0]
    for name in training_scope.names:
        if name in evaluation_scope.names and not name.endswith("'"):
            a, b = training_scope.names[name], evaluation_scope.names[name]
            merged = projections.merge_projections(
                frame, a.meaning, b.meaning, a.span or statement.span
            )
            if scope.owner(name) is not None and a.span is not None:
                statements.bind(frame, scope, tree.Ident(a.span, name), merged)
            else:
                scope.bind(name, merged, a.span, a.role)
    return _merge_returns(frame, training[1], evaluation[1], statement)


def _branch_scope(frame: Frame, scope: Scope, statement: tree.If) -> Scope:
    """A scope of its own for a branch; names that a repeat binds anew are its own until merged."""
    inner = Scope(scope)
    for name in _bound_names((statement,)):
        outside = scope.find(name)
        if outside is not None and name in frame.rebindable:
            inner.bind(name, outside.meaning, outside.span, "rebindable")
    return inner


def _merge_returns(
    frame: Frame,
    training: statements.Returned | None,
    evaluation: statements.Returned | None,
    statement: tree.If,
) -> statements.Returned | None:
    if training is None and evaluation is None:
        return None
    if training is None or evaluation is None or len(training) != len(evaluation):
        frame.error(
            "E223", "training and evaluation must return the same number of values", statement.span
        )
        return [(POISON, statement.span)]
    return [
        (projections.merge_projections(frame, a, b, span), span)
        for (a, span), (b, _) in zip(training, evaluation, strict=True)
    ]


# ------------------------------------------------------------------ names that are bound


def _forget_one_sided(scope: Scope, statement: tree.If) -> None:
    """A name that only one branch binds cannot be used afterwards."""
    then, other = _bound_names(statement.then), _bound_names(statement.otherwise)
    for name in {*then, *other} - (set(then) & set(other)):
        line = {**then, **other}[name].line
        reason = f"only one branch of the `if` binds it (line {line})"
        used = scope.names[name].used if name in scope.names else True
        if name in scope.names and scope.names[name].role == "param":
            used = True
        if scope.owner(name) in (None, scope):
            scope.bind(name, Unusable(reason), {**then, **other}[name])
            scope.names[name].used = used


def _poison_bound(scope: Scope, body: Sequence[tree.Statement]) -> None:
    """Keep names that a wrong statement would have bound from being reported as unknown."""
    for name, span in _bound_names(body).items():
        before = scope.find(name)
        if before is None:
            scope.bind(name, POISON, span)
        elif before.role == "value":
            before.meaning = POISON


def _bound_names(body: Sequence[tree.Statement]) -> dict[str, Span]:
    """Names that statements bind, wherever, with the first place."""
    names: dict[str, Span] = {}
    for statement in body:
        if isinstance(statement, tree.Assign):
            for target in statement.targets:
                if not target.primed:
                    names.setdefault(target.name, target.span)
        elif isinstance(statement, tree.Param | tree.State | tree.Report):
            names.setdefault(statement.name.name, statement.name.span)
        elif isinstance(statement, tree.If):
            inner = {**_bound_names(statement.then), **_bound_names(statement.otherwise)}
            names = {**inner, **names}
        elif isinstance(statement, tree.Repeat):
            names = {**_bound_names(statement.body), **names}
    return names
