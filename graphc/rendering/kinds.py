"""The kinds of terms, and what operators let through."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir import Operator, Size
from graphc.rendering.formulas import Leaf

__all__ = ["LINEAR", "OPPOSITE", "Apply", "Number", "Product", "Shape", "Sum", "Term", "Use"]

Shape = tuple[Size, ...]

LINEAR: dict[str, tuple[int, ...]] = {
    "matmul": (0, 1),
    "take": (0,),
    "take_adjoint": (0,),
    "pick": (0,),
    "pick_adjoint": (0,),
    **dict.fromkeys(
        ("sum", "transpose", "reshape", "broadcast", "index", "index_adjoint", "cumsum"), (0,)
    ),
    **dict.fromkeys(("windows", "windows_adjoint"), (0,)),
}
"""Operators through which a scalar factor passes, with the operands that let it through."""

OPPOSITE = {
    "less": "greater_equal",
    "greater_equal": "less",
    "greater": "less_equal",
    "less_equal": "greater",
    "equal": "not_equal",
    "not_equal": "equal",
}


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Product:
    """``coefficient`` · Π term^exponent, factors by term."""

    factors: tuple[tuple[int, float], ...]
    coefficient: float


@dataclass(frozen=True)
class Sum:
    """``constant`` + Σ factor·term."""

    parts: tuple[tuple[int, float], ...]
    constant: float


@dataclass(frozen=True)
class Use:
    """A definition by the name that it is called by; ``place`` tells apart those that draw."""

    title: str
    place: str = ""


@dataclass(frozen=True)
class Apply:
    """An operator or a definition applied to terms."""

    op: Operator | Use
    args: tuple[int, ...]


Term = Leaf | Number | Product | Sum | Apply
