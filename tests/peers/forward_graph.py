"""The forward graph of a model as it was written, and how a table of functions evaluates it.

The graph is the elaborated one, projected and with its calls inlined: no simplification, no
``derivative`` clause, no derivative rule and no NumPy text takes part. What a peer library makes of
it is therefore a witness against all of these. Only the random draws are graphc's own: they are
handed to the peer as constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc
from graphc.ir import OPERATORS, Call, Dim, Graph, Operator, Size, Type, flatten, inline_calls
from graphc.model.prelude import loss_names
from graphc.ops.evaluate import evaluate
from graphc.ops.functions import Function
from graphc.ops.leaves import Clock, Leaf
from graphc.ops.random import Draw
from graphc.passes.project import Project
from graphc.passes.regularize import Regularize

STRUCTURAL = {
    "operand": "a body's formal operand: inlining replaces it",
    "group": "it is made last, of operators that have rows",
    "call": "inlining replaces it by its expansion",
    "item": "inlining replaces it by one of the results",
    "if_training": "the projection replaces it by one of its operands",
    "fitted": "a constant of the data section, which no model graph holds",
}
"""Operators that a table does not hold, and why."""


def needs_row(name: str) -> bool:
    """Whether a table has to have the operator: leaves are given by name, draws are graphc's."""
    return name not in STRUCTURAL and not issubclass(OPERATORS[name], Leaf | Draw)


@dataclass(frozen=True)
class Use:
    """One use of an operator: what a row of a table may ask beside the operands."""

    op: Any
    types: tuple[Type, ...]
    result: Type
    dims: Mapping[str, int]
    real: Any
    """The peer's type of real numbers."""

    def size(self, size: Size | None) -> Any:
        return size.bind(self.dims) if isinstance(size, Dim) else size

    def shape(self, shape: tuple[Size, ...]) -> tuple[int, ...]:
        return tuple(self.size(size) for size in shape)

    def positions(self, axis: int, item: tuple[Any, ...], shape: tuple[int, ...]) -> list[int]:
        """The positions that a slice ``(start, stop, step)`` takes along an axis."""
        start, stop, step = (self.size(part) for part in item)
        return list(range(*slice(start, stop, step).indices(shape[axis])))


Row = Callable[..., Any]
Table = Mapping[str, Row]

AS_IN_PYTHON: Table = {
    "add": lambda u, x, y: x + y,
    "subtract": lambda u, x, y: x - y,
    "multiply": lambda u, x, y: x * y,
    "negative": lambda u, x: -x,
    "power": lambda u, x, y: x**y,
    "less": lambda u, x, y: x < y,
    "less_equal": lambda u, x, y: x <= y,
    "greater": lambda u, x, y: x > y,
    "greater_equal": lambda u, x, y: x >= y,
    "equal": lambda u, x, y: x == y,
    "not_equal": lambda u, x, y: x != y,
    "and": lambda u, x, y: x & y,
    "or": lambda u, x, y: x | y,
    "not": lambda u, x: ~x,
}
"""Rows that are Python's own operators, in every peer."""

SAME_NAME = ("abs", *(name for name, op in OPERATORS.items() if issubclass(op, Function)))
"""Functions of one tensor that the peers call by the same name."""


@dataclass(frozen=True)
class Forward:
    """A graph without calls, the ids of its results by role and name, and those of the first
    arguments of the prelude's losses, where Gauss-Newton products cut."""

    graph: Graph
    roots: dict[tuple[str, str], int]
    cuts: tuple[int, ...] = ()

    def evaluate(
        self,
        table: Table,
        leaves: Mapping[str, Any],
        *,
        real: Any,
        dims: Mapping[str, int],
        wanted: list[int],
        known: Mapping[int, Any] | None = None,
    ) -> list[Any]:
        """Values of nodes, by the rows of a table. ``known`` holds those that are given."""
        values = dict(known or {})
        for node in self.graph.depth_first(wanted, values):
            if isinstance(node.op, Leaf) and node.op.name != "dimension":
                values[node.id] = leaves[_label(node.op)]
                continue
            types = tuple(self.graph[i].tensor for i in node.inputs)
            use = Use(node.op, types, node.tensor, dims, real)
            values[node.id] = table[node.op.name](use, *(values[i] for i in node.inputs))
        return [values[id] for id in wanted]

    def draws(
        self,
        leaves: Mapping[str, Any],
        *,
        dims: Mapping[str, int],
        real: Any,
        seed: int = 0,
        step: int = 0,
    ) -> dict[int, np.ndarray]:
        """graphc's own random draws, by node."""
        ids = [node.id for node in self.graph if isinstance(node.op, Draw)]
        options: dict[str, Any] = {"dims": dims, "real": real, "seed": seed, "step": step}
        found = evaluate(self.graph, ids, leaves, **options)
        return {id: np.asarray(value) for id, value in zip(ids, found, strict=True)}


def forward(model: graphc.Model, *, training: bool = False) -> Forward:
    """The forward graph of a compiled model in one projection, penalties and splices included."""
    program = model.checked.program.copy()
    program = Regularize().apply(program)
    program.roots = {key: id for key, id in program.roots.items() if key[0] != "next"}
    program = Project(training=training).apply(program)
    graph, losses = program.graph, loss_names()

    def is_loss(call: Call) -> bool:
        return call.body.prelude and call.body.definition in losses

    roots = inline_calls(graph, program.roots, when=lambda _, call: not is_loss(call))
    needed = graph.ancestors([id for (role, _), id in roots.items() if role == "objective"])
    calls = [graph[id] for id in sorted(needed) if isinstance(graph[id].op, Call)]
    cuts = tuple(dict.fromkeys(call.inputs[0] for call in calls))
    return Forward(graph, inline_calls(graph, roots), cuts)


def sizes(model: graphc.Model, batch: Mapping[str, np.ndarray]) -> dict[str, int]:
    """The symbolic dimensions that a batch fixes."""
    found: dict[str, int] = {}
    for name, info in model.spec.inputs.items():
        if name in batch:
            for size, length in zip(info.type.shape, np.shape(batch[name]), strict=True):
                if isinstance(size, Dim):
                    found[str(size)] = length
    return found


def _label(op: Operator) -> str:
    return op.which if isinstance(op, Clock) else op.label  # type: ignore[attr-defined, no-any-return]


def initial_values(
    model: graphc.Model, table: Table, tensor: Callable[[Any, Any], Any], real: Any, *, seed: int
) -> dict[str, Any]:
    """Initial values of all parameters by a table, from graphc's draws for that seed."""
    found = {}
    for name, info in model.spec.parameters.items():
        body = flatten(info.init)
        graph = Forward(body.graph, {("init", name): body.results[0]})
        drawn = graph.draws({}, dims={}, real=np.float64, seed=seed)
        known = {id: tensor(value, real) for id, value in drawn.items()}
        options: dict[str, Any] = {"real": real, "dims": {}, "known": known}
        (found[name],) = graph.evaluate(table, {}, wanted=list(body.results), **options)
    return found
