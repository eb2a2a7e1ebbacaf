"""From terms to formulas: the order in which a person writes factors and summands.

What flows backwards comes first, then numbers, then the rest as it came up; sums over axes go last.
"""

from __future__ import annotations

from graphc.ir import Formula, Notation, Type
from graphc.ir.notation import Binds
from graphc.ops.shapes import Reshape
from graphc.rendering.formulas import Leaf, shortened, written
from graphc.rendering.kinds import OPPOSITE, Apply, Number, Product, Sum, Use
from graphc.rendering.terms import Terms, operands_first

__all__ = ["write"]


LARGEST_DIVISOR = 10_000
"""``x / (100·n)`` is written instead of ``0.01·x / n``."""
MATRIX_PRODUCTS = ("matmul", "einsum")


def write(terms: Terms, id: int, f: Notation) -> Formula:
    """A term as a formula; parts longer than the notation allows become ``…``."""
    writer = _Writer(terms, f)
    for each in operands_first(terms, id):
        writer.known[each] = writer.formula(each)
    return shortened(writer.known[id], f, times=3)


class _Writer:
    def __init__(self, terms: Terms, f: Notation) -> None:
        self.terms = terms
        self.f = f
        self.known: dict[int, Formula] = {}
        self.backward: set[int] = set()
        """Terms that mention a gradient."""

    def formula(self, id: int) -> Formula:
        term = self.terms[id]
        if any(child in self.backward for child in self.terms.children(id)):
            self.backward.add(id)
        if isinstance(term, Leaf):
            if term.adjoint:
                self.backward.add(id)
            return term.formula(self.f)
        if isinstance(term, Number):
            return self.f.number(term.value)
        if isinstance(term, Product):
            return self.product(term.factors, term.coefficient)
        if isinstance(term, Sum):
            return self.sum(term)
        return self.applied(id, term)

    def applied(self, id: int, term: Apply) -> Formula:
        args = [self.part(arg) for arg in term.args]
        if isinstance(term.op, Use):
            return self.f.call(term.op.title, *args)
        if term.op.name in MATRIX_PRODUCTS:
            if term.op.name == "matmul" and self.is_outer(*term.args):
                return self.f.outer(*args)
            args = [self.matrix(arg) for arg in term.args]
        types = [Type("real", self.terms.shapes[arg]) for arg in term.args]
        return written(term.op, Type("real", self.terms.shapes[id]), types, args, self.f)

    def is_outer(self, column: int, row: int) -> bool:
        """Whether a product is that of a vector stood upright and one lying."""
        return all(
            isinstance(term := self.terms[id], Apply)
            and isinstance(term.op, Reshape)
            and len(self.terms.shapes[term.args[0]]) == 1
            and self.terms.shapes[id][axis] == 1
            for id, axis in ((column, -1), (row, 0))
        )

    def matrix(self, id: int) -> Formula:
        """An operand of a matrix product: products element by element in parentheses."""
        product = isinstance(self.terms[id], Product)
        formula = self.part(id)
        return Formula(formula.text, min(formula.binds, Binds.QUOTIENT)) if product else formula

    def part(self, id: int) -> Formula:
        return shortened(self.known[id], self.f)

    # -- products

    def product(self, factors: tuple[tuple[int, float], ...], coefficient: float) -> Formula:
        above = [(id, e) for id, e in factors if e > 0]
        below = [(id, -e) for id, e in factors if e < 0]
        size = abs(coefficient)
        inverse = 1 / size
        divides = bool(below) and 1 < inverse <= LARGEST_DIVISOR and inverse == int(inverse)
        result = self.chain(above, 1.0 if divides else size)
        if below:
            result = self.f.divide(result, self.chain(below, inverse if divides else 1.0))
        return self.f.negative(result) if coefficient < 0 else result

    def chain(self, factors: list[tuple[int, float]], number: float) -> Formula:
        """Factors one after another, gradients before the number."""
        ordered = sorted(factors, key=self._rank)
        alone = len(ordered) == 1
        front = [self.factor(id, e, alone) for id, e in ordered if id in self.backward]
        back = [self.factor(id, e, alone) for id, e in ordered if id not in self.backward]
        between = [self.f.number(number)] if number != 1 or not ordered else []
        result, *rest = [*front, *between, *back]
        for formula in rest:
            result = self.f.multiply(result, formula)
        return result

    def _rank(self, item: tuple[int, float]) -> tuple[bool, bool, bool, int]:
        """Gradients first, truth values late, sums over axes last."""
        id = item[0]
        term = self.terms[id]
        truth = isinstance(term, Apply) and getattr(term.op, "name", "") in OPPOSITE
        total = self.known[id].binds == Binds.TOTAL
        return id not in self.backward, total, truth, id

    def factor(self, id: int, exponent: float, alone: bool) -> Formula:
        formula = self.part(id)
        if exponent == 0.5:
            return self.f.root(formula)
        if exponent != 1:
            return self.f.power(formula, self.f.number(exponent))
        if not alone and self._is_matrix_product(id):
            return Formula(formula.text, Binds.QUOTIENT)
        return formula

    def _is_matrix_product(self, id: int) -> bool:
        """A matrix product among factors that are multiplied element by element."""
        term = self.terms[id]
        return isinstance(term, Apply) and getattr(term.op, "name", "") in MATRIX_PRODUCTS

    # -- sums

    def sum(self, term: Sum) -> Formula:
        positive = [self.scaled(id, c) for id, c in term.parts if not c < 0]
        negative = [self.scaled(id, -c) for id, c in term.parts if c < 0]
        if not term.constant <= 0:
            positive.insert(0, self.f.number(term.constant))
        if term.constant < 0:
            negative.append(self.f.number(-term.constant))
        if not positive:
            positive = [self.f.negative(negative.pop(0))]
        result, *rest = positive
        for formula in rest:
            result = self.f.add(result, formula)
        for formula in negative:
            result = self.f.subtract(result, formula)
        return result

    def scaled(self, id: int, factor: float) -> Formula:
        return self.part(id) if factor == 1 else self.product(self.terms.factors(id), factor)
