"""A reference evaluator: the value of nodes by the NumPy expression that each operator prints.

Used for constant folding, for hypers and attributes, and by tests as the plain meaning of a graph.
What it runs is text that operators produced, over placeholder names; no user text is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from graphc.ir import (
    Body,
    Call,
    Graph,
    Group,
    Node,
    Operator,
    Type,
    WriteContext,
    join_place,
    relocate,
)
from graphc.ops import helpers
from graphc.ops.leaves import Clock, Dimension, Item, Leaf

__all__ = ["compute", "evaluate"]

_NAMES: dict[str, Any] = {"np": np, **{f.__name__: f for f in helpers.FUNCTIONS}}


def evaluate(
    graph: Graph,
    ids: Iterable[int],
    leaves: Mapping[str, Any] | None = None,
    *,
    operands: Mapping[int, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    real: Any = np.float64,
    seed: int = 0,
    step: int = 0,
) -> list[Any]:
    """Values of the nodes ``ids``; ``leaves`` gives inputs, parameters, states, clocks by name."""
    scope = _Scope(dict(leaves or {}), dict(dims or {}), real, seed, step)
    wanted = list(ids)
    values = dict(operands or {})
    for node in graph.depth_first(wanted, values):
        values[node.id] = scope.value(node, graph, values)
    return [values[id] for id in wanted]


class _Scope:
    def __init__(
        self, leaves: dict[str, Any], dims: dict[str, int], real: Any, seed: int, step: int
    ) -> None:
        self.leaves = leaves
        self.dims = dims
        self.real = real
        self.seed = seed
        self.step = step
        self.place = ""

    def value(self, node: Node, graph: Graph, values: Mapping[int, Any]) -> Any:
        op = node.op
        args = [values[i] for i in node.inputs]
        if isinstance(op, Dimension):
            return op.size if isinstance(op.size, int) else op.size.bind(self.dims)
        if isinstance(op, Leaf):
            return self._leaf(op, node)
        if isinstance(op, Item):
            return args[0][op.index]
        if isinstance(op, Call):
            return self._call(op, args)
        if isinstance(op, Group):
            return self._results(op.body, args)
        types = tuple(graph[i].tensor for i in node.inputs)
        return compute(relocate(op, self.place), types, node.tensor, args, self)

    def _call(self, op: Call, args: list[Any]) -> Any:
        """A call's results; the draws inside are keyed by where it stands."""
        outer, self.place = self.place, join_place(self.place, op.place)
        results = self._results(op.body, args)
        self.place = outer
        return results

    def _results(self, body: Body, args: list[Any]) -> Any:
        values = dict(zip(body.operands, args, strict=True))
        for node in body.graph.depth_first(body.results, values):
            values[node.id] = self.value(node, body.graph, values)
        results = tuple(values[id] for id in body.results)
        return results if len(results) > 1 else results[0]

    def _leaf(self, op: Leaf, node: Node) -> Any:
        label = op.which if isinstance(op, Clock) else op.label  # type: ignore[attr-defined]
        value = self.leaves[label]
        if isinstance(op, Clock):
            return value
        dtype = {"real": self.real, "bool": np.bool_}.get(node.tensor.kind, np.int64)
        return np.asarray(value, dtype=dtype)


_DEFAULT = _Scope({}, {}, np.float64, 0, 0)


def compute(
    op: Operator,
    types: tuple[Type, ...],
    result: Type,
    args: list[Any],
    scope: _Scope = _DEFAULT,
) -> Any:
    """One operator applied to arrays."""
    names = [f"_a{i}" for i in range(len(args))]
    known = set(scope.dims).union(*map(_symbols, (*types, result)))
    dims = {name: f"_dims[{name!r}]" for name in known}
    w = WriteContext(types, result, dims, real="_real", seed="_seed", step="_step")
    code = _compiled(op.numpy(w, *names))
    local = dict(zip(names, args, strict=True))
    local.update(_dims=scope.dims, _real=scope.real, _seed=scope.seed, _step=scope.step)
    with np.errstate(all="ignore"):
        return eval(code, _NAMES, local)


def _symbols(type: Type) -> set[str]:
    return {name for size in type.shape if not isinstance(size, int) for name in size.symbols}


@lru_cache(maxsize=4096)
def _compiled(source: str) -> CodeType:
    return compile(source, "<operator>", "eval")
