"""Dimensions: a plain ``int``, or a :class:`Dim`, a polynomial in symbolic dimensions.

A reader meets ``n`` and ``64``; concatenation and flattening make ``2*n`` and ``n*64``. A
:class:`Dim` never stands for a constant: arithmetic that ends in a number gives an ``int``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Dim", "Size", "dim_from_text", "dim_text", "divide_exactly", "product", "symbol"]

Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dim:
    """``terms`` maps a sorted tuple of symbols to its coefficient; never constant, never empty."""

    terms: tuple[tuple[Monomial, int], ...]

    def __str__(self) -> str:
        return "+".join(_term_text(symbols, factor) for symbols, factor in self.terms)

    def __add__(self, other: Size) -> Size:
        return _normal([*self.terms, *_terms(other)])

    __radd__ = __add__

    def __mul__(self, other: Size) -> Size:
        return _normal(
            (tuple(sorted(a + b)), p * q) for a, p in self.terms for b, q in _terms(other)
        )

    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + (-1 * other)

    def __rsub__(self, other: Size) -> Size:
        return -1 * self + other

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(name for monomial, _ in self.terms for name in monomial)

    def bind(self, values: Mapping[str, Size]) -> Size:
        """This dimension with the given symbols replaced."""
        total: Size = 0
        for monomial, factor in self.terms:
            part: Size = factor
            for name in monomial:
                part = part * values.get(name, symbol(name))
            total = total + part
        return total


Size = int | Dim


def symbol(name: str) -> Dim:
    return Dim((((name,), 1),))


def product(sizes: Iterable[Size]) -> Size:
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def divide_exactly(numerator: Size, denominator: Size) -> Size | None:
    """``numerator / denominator`` where that is a dimension again, otherwise None."""
    if numerator == denominator:
        return 1
    if isinstance(denominator, int):
        terms = _terms(numerator)
        if denominator == 0 or any(factor % denominator for _, factor in terms):
            return None
        return _normal((symbols, factor // denominator) for symbols, factor in terms)
    if len(denominator.terms) != 1:
        return None
    (divisor, by) = denominator.terms[0]
    result: list[tuple[Monomial, int]] = []
    for symbols, factor in _terms(numerator):
        rest = list(symbols)
        for name in divisor:
            if name not in rest:
                return None
            rest.remove(name)
        if factor % by:
            return None
        result.append((tuple(rest), factor // by))
    return _normal(result)


def dim_text(size: Size) -> str:
    return str(size)


_TERM = re.compile(r"-?[^+\-]+")


def dim_from_text(text: str) -> Size:
    """The inverse of :func:`dim_text`."""
    total: Size = 0
    for term in _TERM.findall(text.replace(" ", "")):
        sign = -1 if term.startswith("-") else 1
        part: Size = sign
        for factor in term.lstrip("-").split("*"):
            part = part * (int(factor) if factor.isdigit() else symbol(factor))
        total = total + part
    return total


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, Dim):
        return size.terms
    return (((), size),) if size else ()


def _normal(terms: Iterable[tuple[Monomial, int]]) -> Size:
    collected: dict[Monomial, int] = {}
    for symbols, factor in terms:
        collected[symbols] = collected.get(symbols, 0) + factor
    kept = tuple(sorted((s, f) for s, f in collected.items() if f))
    if all(not symbols for symbols, _ in kept):
        return sum(factor for _, factor in kept)
    return Dim(kept)


def _term_text(symbols: Monomial, factor: int) -> str:
    if not symbols:
        return str(factor)
    name = "*".join(symbols)
    return name if factor == 1 else f"{factor}*{name}"
