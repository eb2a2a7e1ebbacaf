"""Parameters by name, and the same numbers as one vector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "Layout", "Mask", "Matrix", "Tensor", "Vector"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Tensor = NDArray[np.float64]
Mask = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """Where each parameter lies in a vector θ [n]: shapes by name, one after the other."""

    shapes: Mapping[str, tuple[int, ...]]

    @cached_property
    def slices(self) -> dict[str, slice]:
        """The part of the vector that a parameter takes, by name."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            found[name] = slice(start, start + math.prod(shape))
            start = found[name].stop
        return found

    @cached_property
    def size(self) -> int:
        """n, the number of parameters."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def pack(self, arrays: Mapping[str, Any]) -> Vector:
        """The arrays as a vector [n]; others than the layout's are left out."""
        parts = [np.asarray(arrays[name], dtype=np.float64).reshape(-1) for name in self.shapes]
        return np.concatenate(parts) if parts else np.zeros(0)

    def unpack(self, vector: Vector) -> Arrays:
        """Views of a vector [n], each in its parameter's shape."""
        return {n: vector[self.slices[n]].reshape(shape) for n, shape in self.shapes.items()}

    def pack_rows(self, arrays: Mapping[str, Any]) -> Matrix:
        """Arrays [k, …] as a matrix [k, n]."""
        parts = [np.asarray(arrays[name], dtype=np.float64) for name in self.shapes]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

    def unpack_rows(self, rows: Matrix) -> Arrays:
        """A matrix [k, n] as arrays [k, …]."""
        count = len(rows)
        return {
            name: rows[:, self.slices[name]].reshape(count, *shape)
            for name, shape in self.shapes.items()
        }

    def entry(self, index: int) -> tuple[str, tuple[int, ...]]:
        """Name of the parameter that element ``index`` of a vector belongs to, and its place
        there."""
        for name, part in self.slices.items():
            if part.start <= index < part.stop:
                place = np.unravel_index(index - part.start, self.shapes[name] or (1,))
                return name, tuple(int(i) for i in place) if self.shapes[name] else ()
        raise IndexError(f"{index} is not in 0..{self.size - 1}")
