"""The number that a term stands for, computed from the term alone."""

from __future__ import annotations

import numpy as np

from graphc.ir import Body, Builder, Call, Graph, Type
from graphc.model.prelude import load_prelude
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.rendering.definitions import expansion
from graphc.rendering.formulas import Leaf
from graphc.rendering.kinds import Apply, Number, Product, Sum, Use
from graphc.rendering.terms import Terms, operands_first


class TermValues:
    """``leaves`` are arrays by name, adjoints by ``∂name``; ``kinds`` types of those not real."""

    def __init__(self, terms: Terms, leaves, types, dims, bodies: dict[str, Body]) -> None:
        self.terms = terms
        self.leaves = leaves
        self.types = types
        self.dims = dims
        self.bodies = bodies

    def value(self, id: int):
        known = {}
        for each in operands_first(self.terms, id):
            known[each] = self._one(each, known)
        return known[id]

    def _one(self, id: int, known):
        term = self.terms[id]
        match term:
            case Leaf(name, adjoint):
                return self.leaves[f"∂{name}" if adjoint else name]
            case Number(value):
                return value
            case Product(factors, coefficient):
                result = coefficient
                for factor, exponent in factors:
                    result = result * np.power(np.asarray(known[factor], float), exponent)
                return result
            case Sum(parts, constant):
                return constant + sum(factor * known[part] for part, factor in parts)
            case Apply(Use(title), args):
                return self._use(title, args, known)
            case Apply(op, args):
                return self._apply(op, args, known)
        raise AssertionError(term)

    def _type(self, id: int, value) -> Type:
        term = self.terms[id]
        if isinstance(term, Leaf) and term.name in self.types:
            return self.types[term.name]
        kind = "bool" if np.asarray(value).dtype == bool else "real"
        return Type(kind, self.terms.shapes[id])

    def _use(self, title: str, args, known):
        body = self.bodies.get(title)
        if body is None:
            types = [self._type(arg, known[arg]) for arg in args]
            body = expansion(load_prelude().definitions[title], types)
            assert body is not None
        given = {operand: known[arg] for operand, arg in zip(body.operands, args, strict=True)}
        results = evaluate(body.graph, body.results, operands=given, dims=self.dims)
        return results[0] if len(results) == 1 else tuple(results)

    def _apply(self, op, args, known):
        values = [known[arg] for arg in args]
        if op.name == "item":
            return values[0][op.index]
        builder = Builder(Graph())
        inputs = [
            builder.place(Input(f"a{i}"), (), self._type(arg, known[arg]))
            for i, arg in enumerate(args)
        ]
        node = builder.emit(op, *inputs)
        given = {value.id: array for value, array in zip(inputs, values, strict=True)}
        return evaluate(builder.graph, [node.id], operands=given, dims=self.dims)[0]


def bodies_in(graph: Graph) -> dict[str, Body]:
    """The bodies of all calls by title, those inside others included."""
    found: dict[str, Body] = {}
    for node in graph:
        if isinstance(node.op, Call) and node.op.body.title not in found:
            found[node.op.body.title] = node.op.body
            for title, body in bodies_in(node.op.body.graph).items():
                found.setdefault(title, body)
    return found
