"""Dead code, common subexpressions and constant folding: what changes no formula."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from graphc.ir import OPERATORS, Graph, Node
from graphc.model.program import Program
from graphc.ops.evaluate import compute
from graphc.ops.leaves import Constant

__all__ = ["CommonSubexpressions", "DeadCode", "FoldConstants"]


@dataclass(frozen=True)
class DeadCode:
    """Remove what no root depends on."""

    name: ClassVar[str] = "dead-code"

    def apply(self, program: Program) -> Program:
        program.graph.keep_only(program.graph.ancestors(program.roots.values()))
        return program


@dataclass(frozen=True)
class CommonSubexpressions:
    """Merge nodes with the same operator and operands; a draw is the same at the same place."""

    name: ClassVar[str] = "common-subexpressions"

    def apply(self, program: Program) -> Program:
        graph = program.graph
        first: dict[Any, int] = {}
        moved: dict[int, int] = {}
        for node in graph.topological():
            key = _key(node)
            known = first.setdefault(key, node.id)
            if known != node.id:
                _keep_name(node, graph[known])
                graph.replace_uses(node.id, known)
                moved[node.id] = known
        program.roots = {key: moved.get(id, id) for key, id in program.roots.items()}
        return DeadCode().apply(program)


def _key(node: Node) -> Any:
    inputs = tuple(sorted(node.inputs)) if node.op.commutative else node.inputs
    op: Any = node.op
    if isinstance(op, Constant):
        # 1, 1.0 and True are equal in Python but not the same constant; nor are 0.0 and -0.0.
        return (repr(op.value), node.type)
    return (op, inputs, node.type)


def _keep_name(lost: Node, kept: Node) -> None:
    """The merged node is the model's own where one of the two is, not the backward walk's."""
    if lost.name and not kept.name:
        kept.name = lost.name
    if _lateness(lost) < _lateness(kept):
        kept.origin = lost.origin


def _lateness(node: Node) -> int:
    """The model's own nodes first, those of the backward pass last."""
    return {"": 0, "differentiate": 2}.get(node.origin.made_by, 1)


@dataclass(frozen=True)
class FoldConstants:
    """Compute scalars that depend on constants only, in double precision."""

    name: ClassVar[str] = "fold-constants"

    def apply(self, program: Program) -> Program:
        graph = program.graph
        moved: dict[int, int] = {}
        for node in graph.topological():
            value = folded(graph, node)
            if value is not None:
                new = graph.add(Constant(value), (), node.type, node.origin, node.name)
                graph.replace_uses(node.id, new)
                moved[node.id] = new
        program.roots = {key: moved.get(id, id) for key, id in program.roots.items()}
        return DeadCode().apply(program)


def folded(graph: Graph, node: Node) -> float | int | bool | None:
    """The value of a scalar node whose operands are scalar constants, None for any other."""
    if node.op.name not in _FOLDED or node.tensor.shape != ():
        return None
    operands = [graph[i] for i in node.inputs]
    if not all(isinstance(n.op, Constant) and n.type.shape == () for n in operands):  # type: ignore[union-attr]
        return None
    types = tuple(n.tensor for n in operands)
    args = [n.op.value for n in operands]  # type: ignore[attr-defined]
    value = compute(node.op, types, node.tensor, args)
    number = value.item() if hasattr(value, "item") else value
    kind = node.tensor.kind
    result = bool(number) if kind == "bool" else int(number) if kind == "int" else float(number)
    return None if isinstance(result, float) and math.isnan(result) else result


_FOLDED = frozenset(name for name, op in OPERATORS.items() if op.elementwise)
