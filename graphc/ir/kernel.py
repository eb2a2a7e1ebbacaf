"""What an operator may ask of a printer of kernels, which writes C for one element at a time.

An operator gives the expression of one element of its result from one element of each operand; the
printer says where the elements lie and goes through them. The same text is CUDA C++ and C++:
``real`` is a typedef of float or double, so ``exp(x)`` is the overload that fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphc.ir.types import Kind, Type

__all__ = ["C_TYPES", "KernelContext", "NoKernel", "Number", "kernel_number"]

C_TYPES: dict[Kind, str] = {
    "real": "real",
    "int": "long long",
    "label": "long long",
    "bool": "bool",
}
"""The C type of an element; NumPy's int64 and bool have the same bytes."""

Number = float | int | bool


class NoKernel(NotImplementedError):
    """An operator has no expression of one element."""


@dataclass
class KernelContext:
    """Operands and result of one operator inside a kernel, and where its element is.

    Expressions are safe as operands of anything.
    """

    types: tuple[Type, ...] = ()
    """Types of the operands."""
    result: Type = field(default_factory=lambda: Type("real"))
    numbers: tuple[Number | None, ...] = ()
    """What an operand is that is written as a number, else None."""
    exact: tuple[str, ...] = ()
    """The operands before they are rounded to ``real``: a number of the run is an f64."""
    column: str = "column"
    """The position in its row, along the last axis, of the element that is read or written."""
    index: str = "i"
    """The position of the element in its own array, row-major: a ``long long``."""
    size: str = "size"
    """How many elements the result's array has."""
    seed: str = "seed"
    step: str = "step"

    def number(self, i: int) -> Number | None:
        """The number that an operand is written as, if it is one."""
        return self.numbers[i] if i < len(self.numbers) else None

    def as_kind(self, args: Sequence[str], kind: Kind, first: int = 0) -> list[str]:
        """Some operands, of which ``first`` is the position, those of another kind converted."""
        wanted = C_TYPES[kind]
        own = [C_TYPES[type.kind] for type in self.types[first : first + len(args)]]
        return [
            arg if type == wanted else f"({wanted}){arg}"
            for arg, type in zip(args, own, strict=True)
        ]

    def alike(self, args: Sequence[str]) -> list[str]:
        """All operands as the kind that an operation on them has: real before int before bool."""
        types = {C_TYPES[type.kind] for type in self.types}
        kinds: tuple[Kind, ...] = ("real", "int", "bool")
        return self.as_kind(args, next(kind for kind in kinds if C_TYPES[kind] in types))


def kernel_number(value: Number) -> str:
    """A number in C, safe as an operand. Infinities and NaN, which have no literal without a
    header, are functions of the kernels' prelude."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}LL" if value >= 0 else f"({value}LL)"
    if value != value:
        return "not_a_number()"
    if value in (float("inf"), float("-inf")):
        return "infinity()" if value > 0 else "(-infinity())"
    return f"(real){value!r}"
