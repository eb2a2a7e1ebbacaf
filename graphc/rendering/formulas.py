"""The formula of a node down to named ones, as the model writes it.

What NumPy's broadcasting does by itself goes without saying, and so do changes of kind and axes of
length 1. How a derivative is brought into a readable form is left to ``terms``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.ir import Formula, Graph, Node, Notation, Operator, Size, Type
from graphc.ir.notation import Binds
from graphc.ops.einsum import Einsum, split_equation
from graphc.ops.leaves import Constant, Dimension, Item, Length
from graphc.ops.reductions import Reduction
from graphc.ops.shapes import Reshape
from graphc.passes.cleanup import folded

__all__ = ["SILENT", "Leaf", "Numeral", "compose", "is_unit_reshape", "shortened", "written"]

SILENT = frozenset({"broadcast", "cast", "stop_gradient"})
"""Operators that a formula does not show."""


@dataclass(frozen=True)
class Leaf:
    """A value by its name, or with ``adjoint`` the derivative of the objective by it."""

    name: str
    adjoint: bool = False

    def formula(self, f: Notation) -> Formula:
        return f.adjoint(self.name) if self.adjoint else f.symbol(self.name)


@dataclass(frozen=True)
class Numeral(Leaf):
    """A single number in a value's place."""

    value: float = 0.0

    def formula(self, f: Notation) -> Formula:
        return f.number(self.value)


def compose(graph: Graph, id: int, names: Mapping[int, Leaf], f: Notation) -> Formula:
    """The formula of the node ``id`` down to the nodes that ``names`` has; its own name is not
    used. Parts longer than the notation allows become ``…``."""
    known = {node: leaf.formula(f) for node, leaf in names.items() if node != id}
    for node in graph.depth_first([id], known):
        number = folded(graph, node) if isinstance(node.type, Type) else None
        neutral = _neutral(graph, node)
        if number is not None or neutral is not None:
            known[node.id] = known[neutral] if neutral is not None else f.number(number or 0)
            continue
        args = [_operand(graph, node, i, shortened(known[i], f)) for i in node.inputs]
        types = [graph[i].type for i in node.inputs]
        known[node.id] = written(node.op, node.type, types, args, f)
    return shortened(known[id], f, times=3)


def _neutral(graph: Graph, node: Node) -> int | None:
    """The operand that a sum with 0 or a product with 1 is."""
    least = {"add": 0, "multiply": 1}.get(node.op.name)
    for i, other in zip(node.inputs, reversed(node.inputs), strict=True):
        op = graph[i].op
        if least is not None and isinstance(op, Constant) and op.value == least:
            return other
    return None


def _operand(graph: Graph, node: Node, source: int, formula: Formula) -> Formula:
    """An operand; products of matrices and products element by element stand apart."""
    names = (node.op.name, graph[source].op.name)
    pair = {"matmul" if name == "einsum" else name for name in names}
    apart = pair == {"matmul", "multiply"} and formula.binds == Binds.PRODUCT
    matrices = all(graph[i].type.shape for i in node.inputs) if apart else False  # type: ignore[union-attr]
    return Formula(formula.text, Binds.QUOTIENT) if matrices else formula


def shortened(formula: Formula, f: Notation, times: int = 1) -> Formula:
    """The formula, or ``…`` where it is too long to be read inside another one."""
    return formula if len(formula.text) <= times * f.longest else f.symbol("…")


def written(
    op: Operator, result: object, types: Sequence[object], args: Sequence[Formula], f: Notation
) -> Formula:
    """One operator applied to formulas."""
    if op.name in SILENT or (op.name == "reshape" and is_unit_reshape(op, types[0])):
        return args[0]
    if isinstance(op, Dimension | Length):
        return dimension(op.size, f)
    if isinstance(op, Item):
        return f.index(args[0], str(op.index))
    if isinstance(op, Einsum):
        return _matrix_product(op, args, f) or op.formula(f, *args)
    if isinstance(op, Reduction) and isinstance(types[0], Type):
        whole = op.axis == tuple(range(types[0].rank))
        return f.total(op.name, args[0]) if whole else op.formula(f, *args)
    if not args and hasattr(op, "label"):
        return f.symbol(op.label)
    return op.formula(f, *args)


def _matrix_product(op: Einsum, args: Sequence[Formula], f: Notation) -> Formula | None:
    """Products of matrices by letters as such: ``td,sd->ts`` is ``q·kᵀ``."""
    terms, output = split_equation(op.equation)
    if len(terms) != 2 or any(len(term) < 2 for term in (*terms, output)):
        return None
    left, right = terms
    row, column = output[-2], output[-1]
    shared = set(left[-2:]) & set(right[-2:]) - set(output)
    apart = left[:-2] == right[:-2] == output[:-2] and row in left[-2:] and column in right[-2:]
    if len(shared) != 1 or not apart or row == column:
        return None
    first = f.transpose(args[0]) if left[-1] == row else args[0]
    second = f.transpose(args[1]) if right[-2] == column else args[1]
    return f.multiply(first, second)


def dimension(size: Size, f: Notation) -> Formula:
    """A dimension, a sum of products of symbols."""
    if isinstance(size, int):
        return f.number(size)
    total: Formula | None = None
    for symbols, factor in size.terms:
        parts = [f.number(factor)] if abs(factor) != 1 or not symbols else []
        result, *rest = [*parts, *map(f.symbol, symbols)]
        for part in rest:
            result = f.multiply(result, part)
        result = f.negative(result) if factor == -1 and symbols else result
        total = result if total is None else f.add(total, result)
    assert total is not None, "a dimension is never empty"
    return total


def is_unit_reshape(op: Operator, operand: object) -> bool:
    """Whether a reshape only adds or drops axes of length 1."""
    if not isinstance(op, Reshape) or not isinstance(operand, Type):
        return False
    before, after = ([s for s in shape if s != 1] for shape in (operand.shape, op.shape))
    return before == after
