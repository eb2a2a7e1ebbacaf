"""Parameters and states: their types, their initial values, and names that are taken already.

Where the values come from is the frame's business: a layer lifts them, a model makes leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from graphc.diagnostics import Label
from graphc.ir import Body, Builder, Dim, Graph, Origin, Size, Type
from graphc.language import tree
from graphc.model import calls, expressions, values
from graphc.model.constants import kind_of
from graphc.model.emission import as_type
from graphc.model.frame import MAX_ELEMENTS, Frame, Lifted, nearest
from graphc.model.meanings import POISON, Binding, Const, DefinitionUse, Poison, Scope, Tensor
from graphc.model.nodes import draws

__all__ = ["already_bound", "is_taken", "param", "read_type", "state"]


def param(frame: Frame, scope: Scope, statement: tree.Param) -> None:
    """Declare a parameter."""
    type = read_type(frame, scope, statement.type)
    if type is not None and type.kind != "real":
        frame.error("E216", f"a parameter is real, not {type.kind}", statement.type.span)
        type = None
    if type is None or not _static(frame, statement, type):
        _declare(frame, scope, "param", statement.name, None)
        return
    init = _initialiser(frame, scope, type, statement.value, statement.random)
    lifted = _lifted(frame, "param", statement, type, init)
    _declare(frame, scope, "param", statement.name, lifted)


def state(frame: Frame, scope: Scope, statement: tree.State) -> None:
    """Declare a state of a layer or a model; those of an optimizer are its own."""
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
    init = _initialiser(frame, scope, type, statement.value, random=False)
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
    random = any(map(draws, init.graph))
    return Lifted(kind, frame.path(statement.name.name), type, init, random, statement.span)


def _declare(
    frame: Frame, scope: Scope, kind: str, name: tree.Ident, lifted: Lifted | None
) -> None:
    """Bind the name of a parameter or state; ``lifted`` is None where its statement is wrong."""
    if is_taken(frame, scope, name):
        return
    value = frame.declare(lifted) if lifted is not None else None
    scope.bind(name.name, POISON if value is None else Tensor(value), name.span, kind)


def is_taken(frame: Frame, scope: Scope, name: tree.Ident) -> bool:
    """Report a declaration whose name has a meaning already."""
    before = scope.find(name.name)
    if before is None and frame.kind == "model":
        before = frame.home.scope.find(name.name)
    if before is None:
        return False
    already_bound(frame, name, before)
    return True


def already_bound(frame: Frame, name: tree.Ident, before: Binding, note: str = "") -> None:
    """Report a second binding of a name."""
    labels = (Label(before.span, "first bound here"),) if before.span else ()
    what = "a dimension of an input" if before.role == "dimension" else "bound"
    frame.error("E335", f"`{name.name}` is {what} already", name.span, labels=labels, help=note)


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


# ---------------------------------------------------------------------- initial values


def _initialiser(
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
    value = values.as_tensor(frame, meaning, expr.span)
    if value is None:
        return None
    fitted = as_type(frame, value, type, expr.span)
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


# ------------------------------------------------------------------------------- types


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
        classes = values.integer(frame, scope, expr.classes, "the number of classes")
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
            found = f", not {kind_of(meaning)}"
            frame.error("E222", f"a dimension is an integer known when compiled{found}", expr.span)
        return None
    if meaning.value is True or meaning.value is False or meaning.value < 1:
        frame.error("E222", f"a dimension is at least 1, not {kind_of(meaning)}", expr.span)
        return None
    return meaning.value


def _whole(value: Any) -> Any:
    """A number without fraction as an integer; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
