"""The primitives under the names that the language gives them.

A row of ``BUILTINS`` says how many tensors a primitive takes and which attributes, and how a use
becomes graph. Element-wise primitives of constants are computed here and now.
"""

from __future__ import annotations

import math

from graphc.diagnostics import Span
from graphc.ir import OPERATORS, Dim, Size, Type, Value, product
from graphc.model import attributes, values
from graphc.model.builtin_use import REQUIRED, Builtin, Use
from graphc.model.emission import emit, to_real, unify
from graphc.model.frame import Frame
from graphc.model.meanings import ALL, POISON, Const, DefinitionUse, Meaning, Poison, Tensor
from graphc.model.nodes import known_number
from graphc.ops.evaluate import compute

__all__ = ["BUILTINS", "call"]


def call(
    frame: Frame,
    use: DefinitionUse,
    span: Span,
    arguments: list[tuple[Meaning, Span]],
    whole: Span,
) -> Meaning:
    """Apply a primitive to its arguments."""
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


def _select(name: str, count: int, use: DefinitionUse) -> Builtin:
    """``max(x, y)`` compares elements, ``max{axis}(x)`` reduces."""
    if name in ("max", "min") and count >= 2 and not use.attributes and not use.positional:
        return PAIRWISE[name]
    return BUILTINS[name]


def _count(builtin: Builtin) -> str:
    if builtin.least == builtin.most:
        return f"{builtin.least} tensor{'s' * (builtin.least != 1)}"
    if builtin.most > 100:
        return f"at least {builtin.least} tensors"
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


def _same_name(use: Use) -> Meaning:
    return use.emit(use.builtin.name)


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


def _argmax(use: Use) -> Meaning:
    axis = use.axis()
    return POISON if axis is None else use.emit("argmax", axis=axis)


def _dim(use: Use) -> Meaning:
    axis = use.axis()
    return POISON if axis is None else Const(use.values[0].shape[axis])


def _count_elements(use: Use) -> Meaning:
    axes = use.axes()
    if axes is None:
        return POISON
    return Const(product(use.values[0].shape[axis] for axis in axes))


def _rank(use: Use) -> Meaning:
    return Const(len(use.values[0].shape))


def _reshape(use: Use) -> Meaning:
    shape = use.shape("shape")
    return POISON if shape is None else use.emit("reshape", shape=shape)


def _broadcast(use: Use) -> Meaning:
    shape = use.shape("shape")
    return POISON if shape is None else use.emit("broadcast", shape=shape)


def _transpose(use: Use) -> Meaning:
    rank = len(use.values[0].shape)
    value = use.constant("axes")
    if isinstance(value, Poison):
        return POISON
    if value is ALL:
        value = tuple(reversed(range(rank)))
    listed = value if isinstance(value, tuple) else (value,)
    whole = all(isinstance(a, int) and -rank <= a < rank for a in listed)
    if not whole or sorted(a % rank for a in listed) != list(range(rank)):
        text = ", ".join(map(str, listed))
        return use.error("E205", f"axes [{text}] do not permute those of {use.values[0].type}")
    return use.emit("transpose", axes=tuple(a % rank for a in listed))


def _squeeze(use: Use) -> Meaning:
    axes = use.axes()
    if axes is None:
        return POISON
    shape = use.values[0].shape
    for axis in axes:
        if shape[axis] != 1:
            return use.error("E208", f"axis {axis} of {use.values[0].type} is not 1")
    return use.emit("reshape", shape=tuple(s for i, s in enumerate(shape) if i not in axes))


def _expand(use: Use) -> Meaning:
    axis = use.axis(extra=1)
    if axis is None:
        return POISON
    shape = use.values[0].shape
    return use.emit("reshape", shape=(*shape[:axis], 1, *shape[axis:]))


def _concat(use: Use) -> Meaning:
    axis = use.axis()
    if axis is None:
        return POISON
    result = use.values[0]
    for value in use.values[1:]:
        joined = use.emit("concat", unify("add", [result, value]), axis=axis)
        if not isinstance(joined, Tensor):
            return POISON
        result = joined.value
    return Tensor(result)


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


def _draw_shape(use: Use) -> tuple[Size, ...] | None:
    if use.values:
        return use.values[0].shape
    if use.frame.ambient is not None:
        return use.frame.ambient.shape
    use.error(
        "E330",
        f"`{use.builtin.name}` needs a tensor to take its shape from",
        help=f"write {use.builtin.name}{{…}}(x); only an initialiser knows its shape",
    )
    return None


def _scalar(use: Use, name: str) -> Value | None:
    value = values.as_tensor(use.frame, use.attributes[name], use.span)
    if value is not None and value.shape != ():
        use.error("E303", f"`{name}` of `{use.builtin.name}` is a number")
        return None
    return to_real(value) if value is not None and value.type.kind == "int" else value


def _draw(use: Use, operator: str) -> Value | None:
    shape = _draw_shape(use)
    if shape is None:
        return None
    place = use.frame.number(use.builtin.name)
    with use.frame.at(use.whole):
        op = OPERATORS[operator](shape, place)  # type: ignore[call-arg]
        return use.frame.builder.place(op, (), Type("real", shape))


def _uniform(use: Use) -> Meaning:
    low, high = _scalar(use, "low"), _scalar(use, "high")
    draw = _draw(use, "draw_uniform")
    if low is None or high is None or draw is None:
        return POISON
    with use.frame.at(use.whole):
        return Tensor(low + draw * (high - low))


def _normal(use: Use) -> Meaning:
    mean, std = _scalar(use, "mean"), _scalar(use, "std")
    draw = _draw(use, "draw_normal")
    if mean is None or std is None or draw is None:
        return POISON
    with use.frame.at(use.whole):
        return Tensor(mean + draw * std)


def _bernoulli(use: Use) -> Meaning:
    p = _scalar(use, "p")
    shape = _draw_shape(use)
    if p is None or shape is None:
        return POISON
    known = known_number(p)
    if known is not None and not 0 <= known <= 1:
        return use.error("E224", f"the probability of `bernoulli` is {known}, not within 0 to 1")
    place = use.frame.number("bernoulli")
    return use.emit("draw_bernoulli", [p], shape=shape, place=place)


def _fill(use: Use) -> Meaning:
    shape = _draw_shape(use)
    value = _scalar(use, "value")
    if shape is None or value is None:
        return POISON
    return use.emit("broadcast", [value], shape=shape)


# --------------------------------------------------------------------------- the rows


def _function(name: str, doc: str, operator: str = "", count: int = 1) -> Builtin:
    return Builtin(name, doc, _elementwise, count, count, (), operator or name)


_AXIS = ("axis", -1)
_AXES = ("axis", ALL)
_KEEP = ("keep", False)

BUILTINS: dict[str, Builtin] = {
    item.name: item
    for item in (
        _function("exp", "exponential function"),
        _function("expm1", "exp(x) - 1, accurate near 0"),
        _function("log", "natural logarithm"),
        _function("log1p", "log(1 + x), accurate near 0"),
        _function("sqrt", "square root"),
        _function("sin", "sine"),
        _function("cos", "cosine"),
        _function("tanh", "hyperbolic tangent"),
        _function("abs", "absolute value"),
        _function("sign", "-1, 0 or 1"),
        _function("floor", "largest integer not above x"),
        _function("stop_gradient", "the value; no gradient flows through it"),
        _function("where", "where(c, a, b): a where c holds, else b", count=3),
        Builtin("sum", "sum over axes", _reduce, 1, 1, (_AXES, _KEEP)),
        Builtin("max", "largest element over axes", _reduce, 1, 1, (_AXES, _KEEP)),
        Builtin("min", "smallest element over axes", _reduce, 1, 1, (_AXES, _KEEP)),
        Builtin("argmax", "index of the largest element along an axis", _argmax, 1, 1, (_AXIS,)),
        Builtin("dim", "length of an axis, as an attribute", _dim, 1, 1, (_AXIS,)),
        Builtin("count", "number of elements along axes", _count_elements, 1, 1, (_AXES,)),
        Builtin("rank", "number of axes", _rank, 1, 1),
        Builtin("reshape", "another shape", _reshape, 1, 1, (("shape", REQUIRED),)),
        Builtin("broadcast", "repeated to a shape", _broadcast, 1, 1, (("shape", REQUIRED),)),
        Builtin("transpose", "axes in another order", _transpose, 1, 1, (("axes", ALL),)),
        Builtin("squeeze", "axes of length 1 dropped", _squeeze, 1, 1, (("axis", REQUIRED),)),
        Builtin("expand", "a new axis of length 1", _expand, 1, 1, (("axis", REQUIRED),)),
        Builtin("concat", "tensors joined along an axis", _concat, 1, 1000, (_AXIS,)),
        Builtin("pick", "pick(x, y): the element at each label", _same_name, 2, 2),
        Builtin("one_hot", "a label as a row with a one", _same_name, 1, 1),
        Builtin("uniform", "uniform draws", _uniform, 0, 1, (("low", 0.0), ("high", 1.0))),
        Builtin("normal", "normal draws", _normal, 0, 1, (("mean", 0.0), ("std", 1.0))),
        Builtin("bernoulli", "true with probability p", _bernoulli, 0, 1, (("p", REQUIRED),)),
        Builtin("fill", "one number everywhere", _fill, 0, 1, (("value", REQUIRED),)),
        Builtin("fitted", "a constant of the training data", _fitted, 1, 1, (("default", 0.0),)),
    )
}

PAIRWISE: dict[str, Builtin] = {
    "max": Builtin("max", "larger element", _extremum_of_pair, 2, 1000, (), "maximum"),
    "min": Builtin("min", "smaller element", _extremum_of_pair, 2, 1000, (), "minimum"),
}
