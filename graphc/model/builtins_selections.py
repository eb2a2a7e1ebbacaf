"""Primitives that take elements by position, put them in order, or count positions."""

from __future__ import annotations

from graphc.ir import Value
from graphc.model.builtin_use import REQUIRED, Builtin, Use
from graphc.model.constants import is_integer
from graphc.model.meanings import POISON, Meaning, Poison, Tensor

__all__ = ["SELECTIONS"]


def _same_name(use: Use) -> Meaning:
    return use.emit(use.builtin.name)


def _gather(use: Use) -> Meaning:
    axis = use.axis()
    return POISON if axis is None else use.emit("gather", axis=axis)


def _argsort(use: Use) -> Meaning:
    axis, descending = use.axis(), use.flag("descending")
    if axis is None or descending is None:
        return POISON
    return use.emit("argsort", axis=axis, descending=descending)


def _sort(use: Use) -> Meaning:
    axis, order = use.axis(), _argsort(use)
    if axis is None or not isinstance(order, Tensor):
        return POISON
    return use.emit("gather", [use.values[0], order.value], axis=axis)


def _top_k(use: Use) -> Meaning:
    axis, best = use.axis(), _best(use)
    if axis is None or best is None:
        return POISON
    return use.emit("gather", [use.values[0], best], axis=axis)


def _top_k_indices(use: Use) -> Meaning:
    best = _best(use)
    return POISON if best is None else Tensor(best)


def _best(use: Use) -> Value | None:
    """Positions of the k largest elements along an axis, the largest first."""
    axis, k = use.axis(), use.constant("k")
    if axis is None or k is POISON:
        return None
    type, name = use.values[0].type, use.builtin.name
    if not is_integer(k) or k < 1:
        use.error("E303", f"`k` of `{name}` is a positive integer")
        return None
    size = type.shape[axis]
    if isinstance(size, int) and k > size:
        use.error("E209", f"`{name}` of {k} elements, but axis {axis} of {type} has {size}")
        return None
    order = use.emit("argsort", axis=axis, descending=True)
    if not isinstance(order, Tensor):
        return None
    items = [(None, None, None)] * axis + [(None, k, None)]
    items += [(None, None, None)] * (type.rank - len(items))
    best = use.emit("index", [order.value], items=tuple(items))
    return best.value if isinstance(best, Tensor) else None


def _ranks(use: Use) -> Meaning:
    axis = use.axis()
    return POISON if axis is None else use.emit("ranks", axis=axis)


def _positions(use: Use) -> Meaning:
    axis = use.axis()
    return POISON if axis is None else use.emit("positions", [], size=use.values[0].shape[axis])


def _cast(use: Use) -> Meaning:
    kind = use.constant("kind")
    if isinstance(kind, Poison):
        return POISON
    if kind not in ("real", "int", "bool"):
        return use.error("E303", '`kind` of `cast` is "real", "int" or "bool"')
    return use.emit("cast", kind=kind)


_AXIS = ("axis", -1)
_DESCENDING = ("descending", False)
_K = ("k", REQUIRED)

SELECTIONS = (
    Builtin("pick", "pick(x, y): the element at each label", _same_name, 2, 2),
    Builtin("one_hot", "a label as a row with a one", _same_name, 1, 1),
    Builtin("gather", "gather(x, i): elements at positions along an axis", _gather, 2, 2, (_AXIS,)),
    Builtin("argsort", "positions that sort an axis", _argsort, 1, 1, (_AXIS, _DESCENDING)),
    Builtin("sort", "an axis in order", _sort, 1, 1, (_AXIS, _DESCENDING)),
    Builtin("top_k", "the k largest elements, largest first", _top_k, 1, 1, (_K, _AXIS)),
    Builtin("top_k_indices", "positions of the k largest", _top_k_indices, 1, 1, (_K, _AXIS)),
    Builtin("ranks", "ranks from 1; equal elements share their mean", _ranks, 1, 1, (_AXIS,)),
    Builtin(
        "cast", "another kind: real, int (towards 0) or bool", _cast, 1, 1, (("kind", REQUIRED),)
    ),
    Builtin("positions", "0, 1, … along an axis, as ints", _positions, 1, 1, (_AXIS,)),
)
