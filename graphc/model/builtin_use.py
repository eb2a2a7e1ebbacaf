"""One use of a primitive: its attributes read as flags, axes and shapes, its errors.

Which primitives there are, and what each becomes, stands in ``builtins``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphc.diagnostics import Label, Span
from graphc.ir import Dim, Size, Value, divide_exactly, product
from graphc.model.constants import is_integer
from graphc.model.emission import emit
from graphc.model.frame import Frame, provenance
from graphc.model.meanings import ALL, POISON, Const, Meaning, Poison, ProjectionConst, RunTime

__all__ = ["REQUIRED", "Builtin", "Use"]

REQUIRED = object()


@dataclass(frozen=True)
class Builtin:
    """A primitive of the language. ``least`` and ``most`` bound the number of tensors."""

    name: str
    doc: str
    make: Callable[[Use], Meaning]
    least: int
    most: int
    attributes: tuple[tuple[str, Any], ...] = ()
    operator: str = ""
    """Set for element-wise ones: the operator that they are."""


@dataclass
class Use:
    """One use of a primitive: where, with which attributes, on which values."""

    builtin: Builtin
    frame: Frame
    span: Span
    whole: Span
    attributes: dict[str, Meaning]
    values: list[Value]
    spans: list[Span]

    def emit(self, name: str, values: list[Value] | None = None, **attributes: Any) -> Meaning:
        chosen = self.values if values is None else values
        pairs = list(zip(self.values, self.spans, strict=True))
        return emit(self.frame, name, chosen, self.span, pairs, at=self.whole, **attributes)

    def error(self, code: str, title: str, help: str = "") -> Meaning:
        labels = tuple(
            Label(span, f"{value.any_type}{provenance(value, span)}")
            for value, span in zip(self.values, self.spans, strict=True)
            if code.startswith("E20")
        )
        self.frame.error(code, title, self.span, labels=labels, help=help)
        return POISON

    def constant(self, name: str) -> Any:
        """The attribute's constant value, POISON after an error."""
        meaning = self.attributes[name]
        if isinstance(meaning, Const):
            return meaning.value
        if isinstance(meaning, RunTime):
            self.error("E308", f"`{name}` of `{self.builtin.name}` cannot be a run-time scalar")
        elif isinstance(meaning, ProjectionConst):
            self.error("E309", f"`{name}` of `{self.builtin.name}` cannot depend on `training`")
        elif not isinstance(meaning, Poison):
            self.error("E303", f"`{name}` of `{self.builtin.name}` is a constant")
        return POISON

    def flag(self, name: str) -> bool | None:
        value = self.constant(name)
        if isinstance(value, bool):
            return value
        if value is not POISON:
            self.error("E303", f"`{name}` of `{self.builtin.name}` is true or false")
        return None

    def axes(self, name: str = "axis") -> tuple[int, ...] | None:
        """Axes counted from the front; ``all`` means every axis."""
        value = self.constant(name)
        rank = len(self.values[0].shape)
        if value is ALL:
            return tuple(range(rank))
        listed = value if isinstance(value, tuple) else (value,)
        result = []
        for axis in listed:
            if value is POISON or not is_integer(axis):
                if value is not POISON:
                    self.error("E303", f"`{name}` of `{self.builtin.name}` is an integer or a list")
                return None
            if not -rank <= axis < rank:
                self._no_axis(axis)
                return None
            result.append(axis % rank)
        if len(set(result)) < len(result):
            self.error("E205", f"an axis is named twice: {list(listed)}")
            return None
        return tuple(sorted(result))

    def axis(self, extra: int = 0) -> int | None:
        """One axis; ``extra`` more positions where the result has a new one."""
        value = self.constant("axis")
        rank = len(self.values[0].shape) + extra
        if value is POISON:
            return None
        if not is_integer(value):
            self.error("E303", f"`axis` of `{self.builtin.name}` is an integer")
            return None
        if not -rank <= value < rank:
            self._no_axis(value)
            return None
        return value % rank

    def _no_axis(self, axis: int) -> None:
        type = self.values[0].type
        title = f"axis {axis} is out of range for {type}"
        if type.rank == 0:
            title = f"`{self.builtin.name}` needs an axis, but {type} is a single number"
        self.error("E205", title)

    def shape(self, name: str, *, solve: bool = False) -> tuple[Size, ...] | None:
        """A shape from a list of dimensions; with ``solve`` one may be -1, what is left over."""
        value = self.constant(name)
        listed = value if isinstance(value, tuple) else (value,)
        for size in listed:
            if value is POISON or not isinstance(size, int | Dim) or isinstance(size, bool):
                if value is not POISON:
                    self.error("E303", f"`{name}` of `{self.builtin.name}` is a list of dimensions")
                return None
        for size in listed:
            if isinstance(size, int) and size < 0 and not (size == -1 and solve):
                self.error(
                    "E222", f"a dimension of `{self.builtin.name}` is at least 0, not {size}"
                )
                return None
        return self._solve(listed) if -1 in listed else tuple(listed)

    def _solve(self, listed: tuple[Size, ...]) -> tuple[Size, ...] | None:
        known = product(size for size in listed if size != -1)
        rest = divide_exactly(self.values[0].type.size, known) if known != 0 else None
        if listed.count(-1) > 1 or rest is None:
            text = ", ".join(map(str, listed))
            self.error("E208", f"{self.values[0].type} cannot take the shape [{text}]")
            return None
        return tuple(rest if size == -1 else size for size in listed)
