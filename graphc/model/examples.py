"""Example values of inputs: do they fit the declared types, and each other."""

from __future__ import annotations

from typing import Any

from graphc.diagnostics import Span
from graphc.ir import Dim, Type
from graphc.model.constants import is_integer, rectangular, shape_of
from graphc.model.frame import Frame

__all__ = ["Examples"]


class Examples:
    """Checks the example values of one model."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.lengths: dict[str, int] = {}
        """What the examples say of symbolic dimensions."""

    def checked(self, value: Any, type: Type, span: Span) -> Any:
        """An example that fits the input's type and the examples before it; None after an error."""
        array = rectangular(value)
        shape = shape_of(array) or ()
        if array is None or not _fits(shape, type):
            have = f"[{', '.join(map(str, shape))}]" if shape else "a single number"
            have = have if array is not None else "no array of numbers"
            self._error(f"the example value is {have}, but {type} is declared", span)
            return None
        flat = _flat(array)
        if type.kind in ("int", "label") and not all(map(is_integer, flat)):
            self._error(f"the example value of {type} must hold integers", span)
            return None
        if type.kind == "label" and not all(0 <= item < (type.classes or 0) for item in flat):
            top = (type.classes or 1) - 1
            self._error(f"the example value of {type} must lie within 0..{top}", span)
            return None
        return array if self._of_one_size(shape, type, span) else None

    def _of_one_size(self, shape: tuple[int, ...], type: Type, span: Span) -> bool:
        """Whether symbolic dimensions are as long as in the examples before."""
        for want, length in zip(type.shape, shape, strict=True):
            if not isinstance(want, Dim):
                continue
            before = self.lengths.setdefault(str(want), length)
            if before != length:
                self._error(f"{want} is {length} in this example, but {before} in one above", span)
                return False
        return True

    def _error(self, title: str, span: Span) -> None:
        self.frame.error("E221", title, span)


def _fits(shape: tuple[int, ...], type: Type) -> bool:
    return len(shape) == type.rank and all(
        isinstance(want, Dim) or want == have for want, have in zip(type.shape, shape, strict=True)
    )


def _flat(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [leaf for item in value for leaf in _flat(item)]
    return [value]
