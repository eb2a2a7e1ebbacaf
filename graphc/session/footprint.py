"""How many bytes the arrays of a program take while it runs, for batches and tangents of any
number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphc.ir import Type
from graphc.model.program import Program
from graphc.schedule import array_bytes, opened

__all__ = ["Footprint", "largest"]


class Footprint:
    """The arrays that a function of a module makes, in double precision, each let go behind its
    last reader. Views count as arrays, and what a group does tile by tile as if it were done at
    once: more than is needed, never much less."""

    def __init__(self, program: Program) -> None:
        whole = opened(program)
        graph, roots = whole.graph, list(whole.roots.values())
        needed = graph.ancestors(roots)
        order = [node for node in graph.topological() if node.id in needed]
        last = {id: place for place, node in enumerate(order) for id in node.inputs}
        last.update(dict.fromkeys(roots, len(order)))
        self._types = {n.id: n.type for n in order if isinstance(n.type, Type) and n.inputs}
        self._order = [node.id for node in order]
        self._ends: dict[int, list[int]] = {}
        for id, place in last.items():
            self._ends.setdefault(place, []).append(id)

    def bytes(self, dims: Mapping[str, int]) -> int:
        """The most that is held at one time, where symbolic dimensions are ``dims``."""
        sizes = {id: array_bytes(type, "f64", dims) for id, type in self._types.items()}
        held = most = 0
        for place, id in enumerate(self._order):
            held += sizes.get(id, 0)
            most = max(most, held)
            held -= sum(sizes.get(end, 0) for end in self._ends.get(place, ()))
        return most


def largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to ``most`` that fits; 1 where none does. What fits does so for all
    smaller ones."""
    if most <= 1 or fits(most):
        return max(most, 1)
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
