"""Where an element lies: sizes, and positions in arrays that are row-major, as expressions in C."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir import Size, product

__all__ = ["broadcast_place", "size_text"]

Shape = tuple[Size, ...]


def size_text(size: Size, dims: Mapping[str, str], *, atom: bool = False) -> str:
    """A size over the names of its symbols; in brackets where it must stand beside a sign."""
    if isinstance(size, int):
        return str(size)
    terms = []
    for symbols, factor in size.terms:
        names = [dims[name] for name in symbols]
        terms.append(" * ".join(([str(factor)] if factor != 1 or not names else []) + names))
    text = " + ".join(terms)
    return f"({text})" if atom and " " in text else text


def broadcast_place(shape: Shape, whole: Shape, base: str, dims: Mapping[str, str]) -> str:
    """Where in an array of ``shape``, broadcast to ``whole`` by NumPy's rule, the element lies that
    is number ``base`` of the whole."""
    padded = (1,) * (len(whole) - len(shape)) + shape
    if padded == whole:
        return base
    behind: Size = 1
    terms = []
    for start, stop in reversed(_runs(padded, whole)):
        terms.append(_term(whole, start, stop, behind, base, dims))
        behind = behind * product(whole[start:stop])
    return " + ".join(reversed(terms)) or "0"


def _runs(padded: Shape, whole: Shape) -> list[tuple[int, int]]:
    """Axes, from and to, that an array has one behind the other; an axis of length 1 is none."""
    runs: list[tuple[int, int]] = []
    joins = False
    for axis, (own, size) in enumerate(zip(padded, whole, strict=True)):
        if size == 1:
            continue
        if own != size:
            joins = False
        elif joins:
            runs[-1] = (runs[-1][0], axis + 1)
        else:
            runs.append((axis, axis + 1))
            joins = True
    return runs


def _term(
    whole: Shape, start: int, stop: int, behind: Size, base: str, dims: Mapping[str, str]
) -> str:
    """What the axes of a run add to the position; ``behind`` is the size of what follows them."""
    after = product(whole[stop:])
    text = base if after == 1 else f"{base} / {size_text(after, dims, atom=True)}"
    if product(whole[:start]) != 1:
        text = f"{text} % {size_text(product(whole[start:stop]), dims, atom=True)}"
    return text if behind == 1 else f"{text} * {size_text(behind, dims, atom=True)}"
