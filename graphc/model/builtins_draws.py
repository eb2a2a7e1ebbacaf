"""Random draws, and numbers that fill a shape: what initialisers and noise are made of."""

from __future__ import annotations

from graphc.ir import OPERATORS, Size, Type, Value
from graphc.model import values
from graphc.model.builtin_use import REQUIRED, Builtin, Use
from graphc.model.emission import to_real
from graphc.model.meanings import POISON, Meaning, Tensor
from graphc.model.nodes import known_number

__all__ = ["DRAWS"]


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


def _orthonormal(use: Use) -> Meaning:
    shape = _draw_shape(use)
    if shape is None:
        return POISON
    place = use.frame.number("orthonormal")
    return use.emit("draw_orthogonal", [], shape=shape, place=place)


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


DRAWS = (
    Builtin("uniform", "uniform draws", _uniform, 0, 1, (("low", 0.0), ("high", 1.0))),
    Builtin("normal", "normal draws", _normal, 0, 1, (("mean", 0.0), ("std", 1.0))),
    Builtin("orthonormal", "a random matrix with orthonormal columns or rows", _orthonormal, 0, 1),
    Builtin("bernoulli", "true with probability p", _bernoulli, 0, 1, (("p", REQUIRED),)),
    Builtin("fill", "one number everywhere", _fill, 0, 1, (("value", REQUIRED),)),
)
