"""Statements of a model, a layer, a definition or an optimizer, in order.

:func:`run_body` elaborates the body of a definition; :func:`run` a list of statements, with the
model's own statements (inputs, losses, …) handled by the ``top`` that the model gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from graphc.diagnostics import Label, Span
from graphc.ir import Body, Builder, Dim, Graph, Origin, Size, Type, Value, broadcast_shapes
from graphc.language import tree
from graphc.model import calls, expressions
from graphc.model.frame import MAX_ROUNDS, Frame, Lifted, nearest
from graphc.model.meanings import (
    POISON,
    Binding,
    BoundLayer,
    Const,
    Definition,
    DefinitionUse,
    Meaning,
    Poison,
    ProjectionConst,
    RepeatRounds,
    Scope,
    Several,
    Tensor,
    Unusable,
)

__all__ = ["already_bound", "bind", "initialiser", "read_type", "run", "run_body"]

MAX_ELEMENTS = 2**40
Returned = list[tuple[Meaning, Span]]
Top = Callable[[Scope, tree.Statement], bool]


def run_body(frame: Frame, scope: Scope, body: Sequence[tree.Statement]) -> Returned | None:
    """What a definition's body returns, or None after an error."""
    before = len(frame.diagnostics.errors)
    returned = run(frame, scope, body)
    if returned is None and len(frame.diagnostics.errors) == before and frame.kind != "optimizer":
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
            _param(frame, scope, statement)
        case tree.State():
            _state(frame, scope, statement)
        case tree.Repeat():
            _repeat(frame, scope, statement, top)
        case tree.If():
            return _if(frame, scope, statement, top)
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
    if owner is not scope and name in _rebindable(frame) and before.role == "value":
        _rebind(frame, owner, target, meaning)
        return
    if before.role == "attribute" and owner is not scope:
        scope.bind(name, meaning, target.span)
        return
    note = "a name is bound once; inside `repeat` a value from outside can be bound anew"
    already_bound(frame, target, before, note)


def _rebindable(frame: Frame) -> set[str]:
    return set().union(*frame.rebinds) if frame.rebinds else set()


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
    value = expressions.as_tensor(frame, meaning, target.span)
    if value is not None and isinstance(state.meaning, Tensor):
        value = _fit_type(frame, value, state.meaning.value.type, target)
    if value is None or not isinstance(state.meaning, Tensor):
        scope.bind(f"{name}'", POISON, target.span, "next")
        return
    calls.set_update(frame, state_name(frame, scope, name), value, target.span)
    if frame.kind != "optimizer":
        value = value.apply("stop_gradient")
    scope.bind(f"{name}'", Tensor(value), target.span, "next")


def state_name(frame: Frame, scope: Scope, name: str) -> str:
    """The full name under which a state was declared."""
    binding = scope.find(name)
    assert binding is not None
    assert isinstance(binding.meaning, Tensor)
    for full, declared in frame.declared.items():
        if declared.value == binding.meaning.value:
            return full
    return name


def _fit_type(frame: Frame, value: Value, wanted: Type, target: tree.Ident) -> Value | None:
    fitted = _converted(frame, value, wanted, target.span)
    if fitted is None:
        frame.error(
            "E215",
            f"`{target.name}` is {wanted}, but its next value is {value.type}",
            target.span,
            help="reduce it first: mean{axis = 0}(x)" if value.type.rank > wanted.rank else "",
        )
    return fitted


def _converted(frame: Frame, value: Value, wanted: Type, span: Span) -> Value | None:
    """The value as the wanted type: integers become reals, short shapes are broadcast."""
    with frame.at(span):
        if wanted.kind == "real" and value.type.kind == "int":
            value = expressions.to_real(value)
        if value.type.kind != wanted.kind or value.type.classes != wanted.classes:
            return None
        if value.shape == wanted.shape:
            return value
        if broadcast_shapes(value.shape, wanted.shape) == wanted.shape:
            return value.apply("broadcast", shape=wanted.shape)
    return None


# -------------------------------------------------------------- parameters and states


def _param(frame: Frame, scope: Scope, statement: tree.Param) -> None:
    type = read_type(frame, scope, statement.type)
    if type is not None and type.kind != "real":
        frame.error("E216", f"a parameter is real, not {type.kind}", statement.type.span)
        type = None
    if type is None or not _static(frame, statement, type):
        _declare(frame, scope, "param", statement.name, None)
        return
    init = initialiser(frame, scope, type, statement.value, statement.random)
    lifted = _lifted(frame, "param", statement, type, init)
    _declare(frame, scope, "param", statement.name, lifted)


def _state(frame: Frame, scope: Scope, statement: tree.State) -> None:
    name = statement.name
    if statement.type is None:
        frame.error(
            "E219",
            f"state `{name.name}` needs a type",
            name.span,
            help="as in state m: real[64] = 0",
        )
        _declare(frame, scope, "state", name, None)
        return
    type = read_type(frame, scope, statement.type)
    if type is None or not _static(frame, statement, type):
        _declare(frame, scope, "state", name, None)
        return
    init = initialiser(frame, scope, type, statement.value, random=False)
    _declare(frame, scope, "state", name, _lifted(frame, "state", statement, type, init))


def _lifted(
    frame: Frame,
    kind: Literal["param", "state"],
    statement: tree.Param | tree.State,
    type: Type,
    init: Body | None,
) -> Lifted | None:
    if init is None:
        return None
    random = any(map(calls.draws, init.graph))
    return Lifted(kind, frame.path(statement.name.name), type, init, random, statement.span)


def _declare(
    frame: Frame, scope: Scope, kind: str, name: tree.Ident, lifted: Lifted | None
) -> None:
    """Bind the name of a parameter or state; ``lifted`` is None where its statement is wrong."""
    if _is_taken(frame, scope, name):
        return
    value = frame.declare(lifted) if lifted is not None else None
    scope.bind(name.name, POISON if value is None else Tensor(value), name.span, kind)


def _is_taken(frame: Frame, scope: Scope, name: tree.Ident) -> bool:
    """Report a declaration whose name has a meaning already."""
    before = scope.find(name.name)
    if before is None and frame.kind == "model":
        before = frame.home.scope.find(name.name)
    if before is None:
        return False
    already_bound(frame, name, before)
    return True


def already_bound(frame: Frame, name: tree.Ident, before: Binding, note: str = "") -> None:
    labels = (Label(before.span, "first bound here"),) if before.span else ()
    frame.error("E335", f"`{name.name}` is bound already", name.span, labels=labels, help=note)


def _static(frame: Frame, statement: tree.Param | tree.State, type: Type) -> bool:
    what = "parameter" if isinstance(statement, tree.Param) else "state"
    span = statement.type.span if statement.type else statement.span
    symbolic = [size for size in type.shape if isinstance(size, Dim)]
    if symbolic:
        frame.error(
            "E217",
            f"the shape of a {what} cannot depend on the symbolic dimension {symbolic[0]}",
            span,
        )
        return False
    if isinstance(type.size, int) and type.size > MAX_ELEMENTS:
        frame.error("E318", f"this {what} has {type.size:,} elements: no memory holds it", span)
        return False
    return True


def initialiser(
    outer: Frame, scope: Scope, type: Type, expr: tree.Expr, random: bool
) -> Body | None:
    """A body without operands that makes the initial value."""
    frame = Frame(
        outer.context,
        outer.home,
        Builder(Graph(), Origin(expr.span)),
        "init",
        callers=outer.callers,
        training=False,
        ambient=type,
        fans=_fans(type),
    )
    frame.active = outer.active
    meaning = expressions.evaluate(frame, scope, expr)
    if isinstance(meaning, DefinitionUse) and random:
        meaning = calls.apply_meaning(frame, meaning, meaning.name, expr.span, [])
    value = expressions.as_tensor(frame, meaning, expr.span)
    if value is None:
        return None
    fitted = _converted(frame, value, type, expr.span)
    if fitted is None:
        outer.error("E218", f"the initial value is {value.type}, but {type} is declared", expr.span)
        return None
    return Body("initial value", "init", frame.builder.graph, (), (fitted.id,))


def _fans(type: Type) -> tuple[int, int]:
    """Inputs and outputs that a unit of a weight sees: kernels are [height, width, in, out]."""
    shape = [size for size in type.shape if isinstance(size, int)]
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return max(size, 1), max(size, 1)
    window = 1
    for size in shape[:-2]:
        window *= size
    return max(window * shape[-2], 1), max(window * shape[-1], 1)


# ------------------------------------------------------------------------------ types


def read_type(
    frame: Frame, scope: Scope, expr: tree.TypeExpr, introduce: Callable[[str], Dim] | None = None
) -> Type | None:
    """A type expression; ``introduce`` makes new symbolic dimensions where they are allowed."""
    classes = None
    if expr.kind == "label":
        if expr.classes is None:
            frame.error(
                "E220", "`label` needs its number of classes", expr.span, help="as in label{10}[n]"
            )
            return None
        classes = expressions.integer(frame, scope, expr.classes, "the number of classes")
        if classes is None:
            return None
        if classes < 1:
            frame.error("E220", f"a label has at least one class, not {classes}", expr.span)
            return None
    shape: list[Size] = []
    for dim in expr.dims or ():
        size = _dimension(frame, scope, dim, introduce)
        if size is None:
            return None
        shape.append(size)
    return Type(expr.kind, tuple(shape), classes)


def _whole(value: Any) -> Any:
    """A number without fraction as an integer; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _dimension(
    frame: Frame, scope: Scope, expr: tree.Expr, introduce: Callable[[str], Dim] | None
) -> Size | None:
    if isinstance(expr, tree.Name) and not expr.primed:
        bound = scope.find(expr.name) or frame.home.scope.find(expr.name)
        if bound is None and introduce is not None:
            return introduce(expr.name)
        if bound is None:
            help_text = nearest(expr.name, [*scope.known(), *frame.home.scope.known()])
            frame.error(
                "E222",
                f"unknown dimension `{expr.name}`",
                expr.span,
                help=help_text or "new symbolic dimensions are introduced by input and target only",
            )
            return None
    meaning = expressions.evaluate(frame, scope, expr)
    if isinstance(meaning, Const):
        meaning = Const(_whole(meaning.value))
    if isinstance(meaning, Const) and isinstance(meaning.value, Dim):
        return meaning.value
    if not isinstance(meaning, Const) or not isinstance(meaning.value, int):
        if not isinstance(meaning, Poison):
            found = f", not {expressions.kind_of(meaning)}"
            frame.error("E222", f"a dimension is an integer known when compiled{found}", expr.span)
        return None
    if meaning.value is True or meaning.value is False or meaning.value < 1:
        frame.error("E222", f"a dimension is at least 1, not {meaning.value}", expr.span)
        return None
    return meaning.value


# ---------------------------------------------------------------------- repeat and if


def _repeat(frame: Frame, scope: Scope, statement: tree.Repeat, top: Top | None) -> None:
    first = expressions.integer(frame, scope, statement.first, "the start of a repeat")
    last = expressions.integer(frame, scope, statement.last, "the end of a repeat")
    index = statement.index.name
    if _is_taken(frame, scope, statement.index):
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
        errors = len(frame.diagnostics.errors)
        if run(frame, inner, statement.body, top) is not None:
            frame.error(
                "E334", "`return` cannot stand in a `repeat`", statement.span, help=RETURN_HELP
            )
        rounds.rounds[i] = inner
        whole = len(frame.diagnostics.errors) == errors and frame.may_hold(
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


def _poison_bound(scope: Scope, body: Sequence[tree.Statement]) -> None:
    """Keep names that a wrong statement would have bound from being reported as unknown."""
    for name, span in _bound_names(body).items():
        before = scope.find(name)
        if before is None:
            scope.bind(name, POISON, span)
        elif before.role == "value":
            before.meaning = POISON


def _bound_names(statements: Sequence[tree.Statement]) -> dict[str, Span]:
    """Names that statements bind, wherever, with the first place."""
    names: dict[str, Span] = {}
    for statement in statements:
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


def _if(frame: Frame, scope: Scope, statement: tree.If, top: Top | None) -> Returned | None:
    condition = expressions.evaluate(frame, scope, statement.condition)
    decided = expressions.decide(frame, condition, statement.condition.span)
    if decided is None:
        _poison_bound(scope, (statement,))
        return None
    if isinstance(decided, ProjectionConst):
        return _if_training(frame, scope, statement, decided, top)
    branch = statement.then if decided else statement.otherwise
    returned = run(frame, scope, branch, top)
    _forget_one_sided(scope, statement)
    return returned


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


def _if_training(
    frame: Frame,
    scope: Scope,
    statement: tree.If,
    decided: ProjectionConst,
    top: Top | None,
) -> Returned | None:
    """Elaborate both branches and merge what they bind, projection by projection."""

    def branch(training: bool) -> tuple[Scope, Returned | None]:
        chosen = decided.training if training else decided.evaluation
        inner = _branch_scope(frame, scope, statement)
        taken = statement.then if chosen.value else statement.otherwise
        return inner, run(frame, inner, taken, top)

    training, evaluation, missing = frame.both_projections(branch)
    frame.missing_in_evaluation(missing, statement.span)
    _forget_one_sided(scope, statement)
    training_scope, evaluation_scope = training[0], evaluation[0]
    for name in training_scope.names:
        if name in evaluation_scope.names and not name.endswith("'"):
            a, b = training_scope.names[name], evaluation_scope.names[name]
            merged = expressions.merge_projections(
                frame, a.meaning, b.meaning, a.span or statement.span
            )
            if scope.owner(name) is not None and a.span is not None:
                bind(frame, scope, tree.Ident(a.span, name), merged)
            else:
                scope.bind(name, merged, a.span, a.role)
    return _merge_returns(frame, training[1], evaluation[1], statement)


def _branch_scope(frame: Frame, scope: Scope, statement: tree.If) -> Scope:
    """A scope of its own for a branch; names that a repeat binds anew are its own until merged."""
    inner = Scope(scope)
    for name in _bound_names((statement,)):
        outside = scope.find(name)
        if outside is not None and name in _rebindable(frame):
            inner.bind(name, outside.meaning, outside.span, "rebindable")
    return inner


def _merge_returns(
    frame: Frame, training: Returned | None, evaluation: Returned | None, statement: tree.If
) -> Returned | None:
    if training is None and evaluation is None:
        return None
    if training is None or evaluation is None or len(training) != len(evaluation):
        frame.error(
            "E223", "training and evaluation must return the same number of values", statement.span
        )
        return [(POISON, statement.span)]
    return [
        (expressions.merge_projections(frame, a, b, span), span)
        for (a, span), (b, _) in zip(training, evaluation, strict=True)
    ]
