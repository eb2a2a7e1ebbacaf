"""Types of values: an element kind and a shape, or a tuple of such."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from graphc.ir.dims import Size, product

__all__ = ["AnyType", "Kind", "TupleType", "Type", "broadcast_shapes", "is_real"]

Kind = Literal["real", "int", "bool", "label"]


@dataclass(frozen=True, slots=True)
class Type:
    """``real[n, 64]``; ``classes`` is k of ``label{k}`` and None for the other kinds.

    ``real`` carries no precision: that is decided when source is printed.
    """

    kind: Kind
    shape: tuple[Size, ...] = ()
    classes: int | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Size:
        """Number of elements."""
        return _elements(self.shape)

    def with_shape(self, shape: tuple[Size, ...]) -> Type:
        return Type(self.kind, shape, self.classes)

    def __str__(self) -> str:
        kind = f"label{{{self.classes}}}" if self.kind == "label" else self.kind
        return f"{kind}[{', '.join(map(str, self.shape))}]" if self.shape else kind


@cache
def _elements(shape: tuple[Size, ...]) -> Size:
    return product(shape)


@dataclass(frozen=True, slots=True)
class TupleType:
    """Type of a call that returns several values."""

    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


AnyType = Type | TupleType


def is_real(type: AnyType) -> bool:
    return isinstance(type, Type) and type.kind == "real"


def broadcast_shapes(*shapes: tuple[Size, ...]) -> tuple[Size, ...] | None:
    """NumPy's rule; None where two dimensions differ and neither is 1."""
    shapes = tuple(shape for shape in shapes if shape)  # a scalar fits any other
    if not shapes:
        return ()
    if shapes.count(shapes[0]) == len(shapes):
        return shapes[0]
    rank = max(map(len, shapes))
    result: list[Size] = []
    for axis in range(-rank, 0):
        size: Size = 1
        for shape in shapes:
            own = shape[axis] if -axis <= len(shape) else 1
            if own == 1 or own == size:
                continue
            if size != 1:
                return None
            size = own
        result.append(size)
    return tuple(result)
