"""The primitives under the names that the language gives them.

A row of ``BUILTINS`` says how many tensors a primitive takes and which attributes, and how a use
becomes graph; other families of rows are in ``builtins_…`` and ``equations``. Element-wise
primitives of constants are computed here and now.
"""

from __future__ import annotations

import math

from graphc.diagnostics import Span
from graphc.ir import OPERATORS, Dim, Operator, Type
from graphc.model import attributes, values
from graphc.model.builtin_use import REQUIRED, Builtin, Use
from graphc.model.builtins_draws import DRAWS
from graphc.model.builtins_selections import SELECTIONS
from graphc.model.builtins_shapes import SHAPES
from graphc.model.emission import emit
from graphc.model.equations import EQUATIONS
from graphc.model.frame import Frame
from graphc.model.meanings import ALL, POISON, Const, DefinitionUse, Meaning, Several, Tensor
from graphc.ops.evaluate import compute
from graphc.ops.functions import Function

__all__ = ["BUILTINS", "call"]

MANY = 100
"""A primitive that takes more tensors takes any number."""


def call(
    frame: Frame,
    use: DefinitionUse,
    span: Span,
    arguments: list[tuple[Meaning, Span]],
    whole: Span,
) -> Meaning:
    """Apply a primitive to its arguments."""
    arguments = _spread(use.name, arguments)
    builtin = _select(use.name, len(arguments), use)
    bound = _bind(frame, use, builtin, span)
    if bound is None:
        return POISON
    if not builtin.least <= len(arguments) <= builtin.most:
        frame.error("E324", f"`{use.name}` takes {_count(builtin)}, not {len(arguments)}", span)
        return POISON
    if builtin.operator:
        folded = _fold(frame, builtin, arguments, span)
        if folded is not None:
            return folded
    operands = [values.as_tensor(frame, meaning, at) for meaning, at in arguments]
    if any(value is None for value in operands):
        return POISON
    present = [value for value in operands if value is not None]
    spans = [at for _, at in arguments]
    return builtin.make(Use(builtin, frame, span, whole, bound, present, spans))


def _spread(name: str, arguments: list[tuple[Meaning, Span]]) -> list[tuple[Meaning, Span]]:
    """Several values, such as those of all rounds of a repeat, one by one where any number is
    taken."""
    if name not in PAIRWISE and BUILTINS[name].most <= MANY:
        return arguments
    return [
        (item, span)
        for meaning, span in arguments
        for item in (meaning.items if isinstance(meaning, Several) else (meaning,))
    ]


def _select(name: str, count: int, use: DefinitionUse) -> Builtin:
    """``max(x, y)`` compares elements, ``max{axis}(x)`` reduces."""
    if name in ("max", "min") and count >= 2 and not use.attributes and not use.positional:
        return PAIRWISE[name]
    return BUILTINS[name]


def _count(builtin: Builtin) -> str:
    if builtin.least == builtin.most:
        return f"{builtin.least} tensor{'s' * (builtin.least != 1)}"
    if builtin.most > MANY:
        return f"at least {builtin.least} tensor{'s' * (builtin.least != 1)}"
    return f"{builtin.least} to {builtin.most} tensors"


def _bind(
    frame: Frame, use: DefinitionUse, builtin: Builtin, span: Span
) -> dict[str, Meaning] | None:
    names = [name for name, _ in builtin.attributes]
    given = attributes.match_attributes(frame, use, names, span)
    if given is None:
        return None
    for name, default in builtin.attributes:
        if name in given:
            continue
        if default is REQUIRED:
            frame.error("E325", f"`{use.name}` needs the attribute `{name}`", span)
            return None
        given[name] = Const(default)
    return given


def _fold(
    frame: Frame, builtin: Builtin, arguments: list[tuple[Meaning, Span]], span: Span
) -> Meaning | None:
    """An element-wise primitive of numbers is a number; None where an argument is no number."""
    numbers = [m.value for m, _ in arguments if isinstance(m, Const)]
    if len(numbers) < len(arguments) or not all(isinstance(v, int | float) for v in numbers):
        return None
    if builtin.operator in ("where", "stop_gradient"):
        return None
    operator = OPERATORS[builtin.operator]()
    types = tuple(Type("real") for _ in numbers)
    value = float(compute(operator, types, Type("real"), [float(v) for v in numbers]))
    if not math.isfinite(value) and all(map(math.isfinite, numbers)):
        given = ", ".join(map(str, numbers))
        frame.error("E211", f"`{builtin.name}({given})` is too large or undefined", span)
        return POISON
    return Const(value)


# ------------------------------------------------------------------------ how they build


def _elementwise(use: Use) -> Meaning:
    return use.emit(use.builtin.operator)


def _extremum_of_pair(use: Use) -> Meaning:
    result: Meaning = Tensor(use.values[0])
    for value in use.values[1:]:
        if not isinstance(result, Tensor):
            return POISON
        result = emit(
            use.frame,
            use.builtin.operator,
            [result.value, value],
            use.span,
            list(zip(use.values, use.spans, strict=True)),
            at=use.whole,
        )
    return result


def _reduce(use: Use) -> Meaning:
    axes, keep = use.axes(), use.flag("keep")
    if axes is None or keep is None:
        return POISON
    if not axes:
        return Tensor(use.values[0])
    return use.emit(use.builtin.name, axis=axes, keep=keep)


def _along(use: Use) -> Meaning:
    axis = use.axis()
    return POISON if axis is None else use.emit(use.builtin.name, axis=axis)


def _running(use: Use) -> Meaning:
    axis, reverse = use.axis(), use.flag("reverse")
    if axis is None or reverse is None:
        return POISON
    return use.emit(use.builtin.name, axis=axis, reverse=reverse)


def _fitted(use: Use) -> Meaning:
    """A constant of the data, named by the statement that it stands in."""
    if not use.frame.in_data:
        return use.error("E329", "`fitted` belongs in the data section")
    default = use.constant("default")
    if not isinstance(default, int | float):
        return use.error("E303", "`default` of `fitted` is a number")
    type = use.values[0].type
    if type.kind != "real" or any(isinstance(size, Dim) for size in type.shape):
        return use.error(
            "E329",
            f"a constant of the data is real with known dimensions, not {type}",
            help="reduce over the batch first: fitted(mean{axis = 0}(x))",
        )
    place = use.frame.path() or use.frame.number("fitted")
    return use.emit("fitted", place=place, default=float(default))


# --------------------------------------------------------------------------- the rows


def _said(operator: type[Operator]) -> str:
    """The first sentence of an operator's docstring, as a part of a sentence."""
    first = (operator.__doc__ or "").split(". ")[0].split("\n")[0].strip().rstrip(".;,")
    return first[:1].lower() + first[1:]


def _function(name: str, doc: str, operator: str = "", count: int = 1) -> Builtin:
    return Builtin(name, doc, _elementwise, count, count, (), operator or name)


_AXIS = ("axis", -1)
_AXES = ("axis", ALL)
_KEEP = ("keep", False)
_REVERSE = ("reverse", False)

BUILTINS: dict[str, Builtin] = {
    item.name: item
    for item in (
        *(
            _function(name, _said(operator))
            for name, operator in OPERATORS.items()
            if issubclass(operator, Function)
        ),
        _function("abs", "absolute value"),
        _function("stop_gradient", "the value; no gradient flows through it"),
        _function("where", "where(c, a, b): a where c holds, else b", count=3),
        Builtin("sum", "sum over axes", _reduce, 1, 1, (_AXES, _KEEP)),
        Builtin("prod", "product over axes", _reduce, 1, 1, (_AXES, _KEEP)),
        Builtin("max", "largest element over axes", _reduce, 1, 1, (_AXES, _KEEP)),
        Builtin("min", "smallest element over axes", _reduce, 1, 1, (_AXES, _KEEP)),
        Builtin("argmax", "index of the largest element along an axis", _along, 1, 1, (_AXIS,)),
        Builtin("argmin", "index of the smallest element along an axis", _along, 1, 1, (_AXIS,)),
        Builtin("cumsum", "running sum along an axis", _running, 1, 1, (_AXIS, _REVERSE)),
        Builtin("cumprod", "running product along an axis", _running, 1, 1, (_AXIS, _REVERSE)),
        Builtin("fitted", "a constant of the training data", _fitted, 1, 1, (("default", 0.0),)),
        *SHAPES,
        *SELECTIONS,
        *EQUATIONS,
        *DRAWS,
    )
}

PAIRWISE: dict[str, Builtin] = {
    "max": Builtin("max", "larger element", _extremum_of_pair, 2, 1000, (), "maximum"),
    "min": Builtin("min", "smaller element", _extremum_of_pair, 2, 1000, (), "minimum"),
}
