"""Statements of a model, a layer, a definition or an optimizer, in order.

:func:`run_body` elaborates the body of a definition; :func:`run` a list of statements, with the
model's own statements (inputs, losses, …) handled by the ``top`` that the model gives. Parameters
and states are ``declarations``, `if` and `repeat` are ``blocks``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.diagnostics import Label, Span
from graphc.ir import Type, Value
from graphc.language import tree
from graphc.model import blocks, declarations, expressions, values
from graphc.model.emission import as_type
from graphc.model.frame import Frame
from graphc.model.meanings import (
    POISON,
    BoundLayer,
    Definition,
    DefinitionUse,
    Meaning,
    Poison,
    Scope,
    Several,
    Tensor,
)

__all__ = ["Returned", "Top", "bind", "run", "run_body"]

Returned = list[tuple[Meaning, Span]]
Top = Callable[[Scope, tree.Statement], bool]


def run_body(frame: Frame, scope: Scope, body: Sequence[tree.Statement]) -> Returned | None:
    """What a definition's body returns, or None after an error."""
    before = frame.context.failures
    returned = run(frame, scope, body)
    if returned is None and frame.context.failures == before and frame.kind != "optimizer":
        at = frame.callers[-1][1] if frame.callers else None
        frame.error("E332", "this definition returns nothing", body[-1].span if body else at)
    return returned


def run(
    frame: Frame, scope: Scope, statements: Sequence[tree.Statement], top: Top | None = None
) -> Returned | None:
    """Elaborate statements; stops at a `return` and gives its values."""
    for position, statement in enumerate(statements):
        returned = _statement(frame, scope, statement, top)
        if returned is not None:
            if position + 1 < len(statements):
                after = statements[position + 1]
                frame.error("E333", "nothing after `return` is reached", after.span)
            return returned
    return None


def _statement(
    frame: Frame, scope: Scope, statement: tree.Statement, top: Top | None
) -> Returned | None:
    match statement:
        case tree.Assign():
            _assign(frame, scope, statement)
        case tree.Param():
            declarations.param(frame, scope, statement)
        case tree.State():
            declarations.state(frame, scope, statement)
        case tree.Repeat():
            blocks.repeat(frame, scope, statement, top)
        case tree.If():
            return blocks.conditional(frame, scope, statement, top)
        case tree.Return():
            return _return(frame, scope, statement)
        case _:
            if top is None or not top(scope, statement):
                _misplaced(frame, statement)
    return None


def _misplaced(frame: Frame, statement: tree.Statement) -> None:
    """Report what only a model may say; the parser has reported what only the top level may."""
    if isinstance(statement, tree.Report | tree.Minimize):
        what = statement.span.text.split()[0]
        frame.error(
            "E334",
            f"`{what}` belongs in the model, not in a definition",
            Span(statement.span.source, statement.span.start, statement.span.start + len(what)),
        )


def _return(frame: Frame, scope: Scope, statement: tree.Return) -> Returned | None:
    if frame.kind == "model":
        return None  # The parser has said that a model returns nothing.
    if frame.kind == "optimizer":
        frame.error(
            "E334",
            "an optimizer returns nothing",
            statement.span,
            help="assign the parameter: w' = …",
        )
    return [(expressions.evaluate(frame, scope, value), value.span) for value in statement.values]


# ------------------------------------------------------------------------- assignment


def _assign(frame: Frame, scope: Scope, statement: tree.Assign) -> None:
    before = frame.prefix
    frame.prefix = (*before, statement.targets[0].name)
    try:
        meaning = _value_of(frame, scope, statement)
    finally:
        frame.prefix = before
    if len(statement.targets) == 1:
        if isinstance(meaning, Several):
            frame.error(
                "E314",
                f"{len(meaning.items)} values for one name",
                statement.span,
                help="bind them all: a, b = f(x)",
            )
            meaning = POISON
        bind(frame, scope, statement.targets[0], meaning)
        return
    for target, part in zip(statement.targets, _parts(frame, statement, meaning), strict=True):
        bind(frame, scope, target, part)


def _value_of(frame: Frame, scope: Scope, statement: tree.Assign) -> Meaning:
    meaning = expressions.evaluate(frame, scope, statement.value)
    if isinstance(meaning, DefinitionUse) and _is_layer(meaning):
        return BoundLayer(meaning, frame, ".".join(frame.prefix))
    return meaning


def _is_layer(use: DefinitionUse) -> bool:
    return isinstance(use.definition, Definition) and use.definition.tree.kind == "layer"


def _parts(frame: Frame, statement: tree.Assign, meaning: Meaning) -> list[Meaning]:
    count = len(statement.targets)
    if isinstance(meaning, Several) and len(meaning.items) == count:
        return list(meaning.items)
    if not isinstance(meaning, Poison):
        have = len(meaning.items) if isinstance(meaning, Several) else 1
        frame.error("E314", f"{count} names for {have} value{'s' * (have != 1)}", statement.span)
    return [POISON] * count


# ------------------------------------------------------------------------------- names


def bind(frame: Frame, scope: Scope, target: tree.Ident, meaning: Meaning) -> None:
    """Give a name its value; in a repeat, a name from outside is bound anew."""
    if target.primed:
        _prime(frame, scope, target, meaning)
        return
    name = target.name
    if isinstance(meaning, Tensor):
        meaning = Tensor(_named(meaning.value, name))
        frame.bindings.setdefault(name, []).append(meaning.value.id)
    owner = scope.owner(name)
    if owner is None and frame.kind == "model" and name in frame.home.scope.names:
        owner = frame.home.scope
    if owner is None:
        scope.bind(name, meaning, target.span)
        return
    before = owner.names[name]
    if owner is scope and before.role == "rebindable":
        scope.bind(name, meaning, target.span)
        return
    if owner is not scope and name in frame.rebindable and before.role == "value":
        _rebind(frame, owner, target, meaning)
        return
    if before.role == "attribute" and owner is not scope:
        scope.bind(name, meaning, target.span)
        return
    note = "a name is bound once; inside `repeat` a value from outside can be bound anew"
    declarations.already_bound(frame, target, before, note)


def _rebind(frame: Frame, owner: Scope, target: tree.Ident, meaning: Meaning) -> None:
    before = owner.names[target.name]
    if isinstance(before.meaning, Tensor) and isinstance(meaning, Tensor):
        old, new = before.meaning.value.type, meaning.value.type
        if old.kind != new.kind:
            labels = (Label(before.span, f"{old} before"),) if before.span else ()
            frame.error(
                "E214", f"`{target.name}` becomes {new} in a repeat", target.span, labels=labels
            )
    before.meaning = meaning


def _named(value: Value, name: str) -> Value:
    """Give the node the model's name; a value that has one already keeps it."""
    node = value.builder.graph[value.id]
    if not node.name and node.inputs:
        node.name = name
    return value


def _prime(frame: Frame, scope: Scope, target: tree.Ident, meaning: Meaning) -> None:
    """``m' = …``: the next value of a state, or of the optimizer's parameter."""
    name = target.name
    state = scope.find(name)
    if state is None or state.role not in ("state", "weight"):
        frame.error(
            "E337", f"`{name}'` is the next value of a state, but `{name}` is none", target.span
        )
        return
    value = values.as_tensor(frame, meaning, target.span)
    if value is not None and isinstance(state.meaning, Tensor):
        value = _fit_type(frame, value, state.meaning.value.type, target)
    if value is None or not isinstance(state.meaning, Tensor):
        scope.bind(f"{name}'", POISON, target.span, "next")
        return
    frame.set_update(_state_name(frame, scope, name), value, target.span)
    if frame.kind != "optimizer":
        value = value.apply("stop_gradient")
    scope.bind(f"{name}'", Tensor(value), target.span, "next")


def _state_name(frame: Frame, scope: Scope, name: str) -> str:
    """The full name under which a state was declared."""
    binding = scope.find(name)
    assert binding is not None
    assert isinstance(binding.meaning, Tensor)
    for full, declared in frame.declared.items():
        if declared.value == binding.meaning.value:
            return full
    return name


def _fit_type(frame: Frame, value: Value, wanted: Type, target: tree.Ident) -> Value | None:
    fitted = as_type(frame, value, wanted, target.span)
    if fitted is None:
        frame.error(
            "E215",
            f"`{target.name}` is {wanted}, but its next value is {value.type}",
            target.span,
            help="reduce it first: mean{axis = 0}(x)" if value.type.rank > wanted.rank else "",
        )
    return fitted
