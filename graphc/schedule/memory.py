"""Memory: slots of one arena, each holding one array after the other.

A slot is as long as the longest of its residents. Which slot an array gets is chosen for nominal
values of the symbolic dimensions, but whatever was chosen is right for every value: a resident's
array begins where its slot begins.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from graphc.ir import Kind, Size, Type

__all__ = [
    "ALIGNMENT",
    "Arena",
    "Precision",
    "Slot",
    "aligned",
    "array_bytes",
    "item_bytes",
    "likely_bytes",
    "size_value",
]

Precision = Literal["f32", "f64"]

ALIGNMENT = 64
"""Bytes: a slot begins at a multiple, a cache line."""


def item_bytes(kind: Kind, precision: Precision) -> int:
    """Bytes of one element."""
    return {"real": 4 if precision == "f32" else 8, "bool": 1}.get(kind, 8)


def size_value(size: Size, dims: Mapping[str, int]) -> int:
    """A size with its symbols replaced; ValueError naming one that has no value."""
    if isinstance(size, int):
        return size
    value = size.bind(dims)
    if not isinstance(value, int):
        raise ValueError(f"nothing gives the dimension {', '.join(sorted(value.symbols))}")
    return value


def array_bytes(type: Type, precision: Precision, dims: Mapping[str, int]) -> int:
    """Bytes of an array."""
    return size_value(type.size, dims) * item_bytes(type.kind, precision)


def aligned(count: int) -> int:
    """Bytes rounded up to where the next slot may begin."""
    return -(-count // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class Slot:
    """Memory of one array at a time. ``target``: it is given from outside and goes by that name.

    ``kept``: what is written there once is read in every step, or after it.
    """

    id: int
    residents: tuple[tuple[Kind, Size], ...]
    target: str = ""
    kept: bool = False

    def bytes(self, precision: Precision, dims: Mapping[str, int]) -> int:
        """Bytes of its longest resident."""
        return max(
            size_value(size, dims) * item_bytes(kind, precision) for kind, size in self.residents
        )


def likely_bytes(slot: Slot, precision: Precision, dims: Mapping[str, int]) -> int:
    """Bytes of a slot, dimensions of which nothing is known taken for 64."""
    return slot.bytes(precision, _Nominal(dims))


@dataclass
class Arena:
    """Slots while a plan is made: taken, freed, taken again by what fits best."""

    precision: Precision
    dims: Mapping[str, int]
    """Nominal values of the symbolic dimensions."""
    share: bool = True
    """Whether a slot that is free again is taken again."""
    residents: list[dict[tuple[Kind, Size], None]] = field(default_factory=list)
    targets: dict[int, str] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    _length: list[int] = field(default_factory=list)
    _free: list[tuple[int, int]] = field(default_factory=list)
    """Length and slot, ascending."""

    def take(self, type: Type) -> int:
        """The shortest free slot that is long enough, or the longest, which grows, or a new one."""
        if not self._free:
            return self.new(type)
        fits = bisect_left(self._free, (self._nominal(type), -1))
        _, slot = self._free.pop(min(fits, len(self._free) - 1))
        self.add(slot, type)
        return slot

    def new(self, type: Type, target: str = "") -> int:
        slot = len(self.residents)
        self.residents.append({})
        self._length.append(0)
        if target:
            self.targets[slot] = target
        self.add(slot, type)
        return slot

    def add(self, slot: int, type: Type) -> None:
        """One more resident of a slot that is taken."""
        self.residents[slot][type.kind, type.size] = None
        self._length[slot] = max(self._length[slot], self._nominal(type))

    def free(self, slot: int) -> None:
        if self.share and slot not in self.targets and slot not in self.kept:
            insort(self._free, (self._length[slot], slot))

    def slots(self) -> tuple[Slot, ...]:
        return tuple(
            Slot(id, tuple(residents), self.targets.get(id, ""), id in self.kept)
            for id, residents in enumerate(self.residents)
        )

    def _nominal(self, type: Type) -> int:
        return array_bytes(type, self.precision, _Nominal(self.dims))


class _Nominal(dict[str, int]):
    """Dimensions of which nothing is known are taken for 64."""

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__(dims)

    def get(self, name: str, default: object = None) -> int:
        return super().get(name, 64)
