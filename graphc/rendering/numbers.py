"""Numbers of a graph's values in double precision, as far as what they depend on is known."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from graphc.ir import UNICODE, Graph, Node, TupleType
from graphc.model.nodes import draws
from graphc.ops import evaluate
from graphc.ops.leaves import Clock, Dimension, Leaf, Length

__all__ = ["Numbers", "brief"]

Array = Any


class Numbers:
    """Values by node. ``leaves`` are inputs, parameters and states by name, ``dims`` the lengths
    of symbolic dimensions."""

    def __init__(
        self, leaves: Mapping[str, Array] | None = None, dims: Mapping[str, int] | None = None
    ) -> None:
        self.leaves = dict(leaves or {})
        self.dims = dict(dims or {})
        self.values: dict[int, Array] = {}

    def get(self, id: int) -> Array | None:
        return self.values.get(id)

    def compute(self, graph: Graph, ids: Iterable[int]) -> None:
        """Evaluate the nodes whose leaves are all known."""
        open_ids: set[int] = set()
        for node in graph.topological():
            unknown = not self._is_known(graph, node)
            if unknown or any(i in open_ids for i in node.inputs):
                open_ids.add(node.id)
        wanted = [id for id in dict.fromkeys(ids) if id in graph and id not in open_ids]
        found = evaluate(graph, wanted, self.leaves, dims=self.dims)
        self.values.update(zip(wanted, found, strict=True))

    def _is_known(self, graph: Graph, node: Node) -> bool:
        op = node.op
        if isinstance(op, Dimension | Length):
            return isinstance(op.size, int) or op.size.symbols <= self.dims.keys()
        if isinstance(op, Leaf):
            label = op.which if isinstance(op, Clock) else getattr(op, "label", "")
            return label in self.leaves
        return not draws(node) and self._sizes_known(node)

    def _sizes_known(self, node: Node) -> bool:
        types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        return all(
            isinstance(size, int) or size.symbols <= self.dims.keys()
            for type in types
            for size in type.shape
        )

    def with_ones(
        self, graph: Graph, id: int, upstream: int, end: int, others: Iterable[int] = ()
    ) -> Array | None:
        """The value of ``id`` if the gradient ``upstream`` were one everywhere, ``others`` zero.

        What was computed forward, nodes before ``end``, stays as it is. None where a result has
        another shape than the gradient: then it is no element-wise factor.
        """
        if id not in self.values or upstream not in self.values:
            return None
        zero = [i for i in others if i in self.values]
        stop = _Forward(self.values, end, {upstream, *zero})
        known = {i: self.values[i] for i in graph.frontier([id], stop)}
        known.update((i, np.zeros_like(np.asarray(self.values[i], np.float64))) for i in zero)
        known[upstream] = np.ones_like(np.asarray(self.values[upstream], dtype=np.float64))
        (found,) = evaluate(graph, [id], self.leaves, operands=known, dims=self.dims)
        shape = np.shape(self.values[upstream])
        return found if np.shape(found) == shape or shape == () else None


class _Forward:
    """Values that were computed forward, and the gradients that are replaced."""

    def __init__(self, values: Mapping[int, Array], end: int, upstream: Container[int]) -> None:
        self.values, self.end, self.upstream = values, end, upstream

    def __contains__(self, id: object) -> bool:
        known = id in self.values and isinstance(id, int) and id < self.end
        return known or id in self.upstream


MOST = 24
"""Elements of an array that is shown in full."""
ALIKE = 6
"""Equal elements that are still listed one by one."""


def brief(value: Array | None, most: int = MOST) -> str:
    """A number, a small array in full, or the shape with what its elements are like."""
    if value is None:
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return number(array[()])
    alike = array.size > ALIKE and bool((array == array.flat[0]).all())
    if array.size <= most and array.ndim <= 2 and not alike:
        return _listed(array)
    shape = f"{'×'.join(map(str, array.shape))} numbers"
    if not array.size:
        return shape
    real = array.astype(np.float64)
    if alike:
        return f"{shape}, all {number(real.flat[0])}"
    parts = (f"mean {number(real.mean())}", f"between {number(real.min())}")
    return f"{shape}, {', '.join(parts)} and {number(real.max())}"


def number(value: Any) -> str:
    """Six significant digits."""
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    return UNICODE.number(float(value)).text


def _listed(array: Array) -> str:
    if array.ndim == 1:
        return f"[{', '.join(number(item) for item in array)}]"
    return f"[{', '.join(_listed(row) for row in array)}]"
