"""Derivatives as a person would write them: sums and products in one normal form.

A derivative rule builds graph that is right but not pretty: signs, factors of one and broadcasts
lie between what matters. Here nodes become terms; equal terms are one term, so that whether two
formulas are the same is a comparison of numbers. Products keep their factors with exponents and
their coefficient in front, sums take common factors out, signs go outwards, linear operators let
scalars through. A value that NumPy would broadcast may stand by its smaller form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from graphc.ir import OPERATORS, Operator, Size, broadcast_shapes
from graphc.ops.reductions import Reduction, reduced_shape
from graphc.ops.shapes import Broadcast, Reshape, Transpose
from graphc.rendering.formulas import Leaf
from graphc.rendering.kinds import LINEAR, OPPOSITE, Apply, Number, Product, Shape, Sum, Term, Use

__all__ = ["Terms", "operands_first"]


class Terms:
    """Terms by number; making one twice gives the same number."""

    def __init__(self) -> None:
        self.items: list[Term] = []
        self.shapes: list[Shape] = []
        self._known: dict[tuple[Term, Shape], int] = {}

    def __getitem__(self, id: int) -> Term:
        return self.items[id]

    def _intern(self, term: Term, shape: Shape) -> int:
        known = self._known.setdefault((term, shape), len(self.items))
        if known == len(self.items):
            self.items.append(term)
            self.shapes.append(shape)
        return known

    def children(self, id: int) -> tuple[int, ...]:
        term = self.items[id]
        if isinstance(term, Apply):
            return term.args
        if isinstance(term, Product):
            return tuple(factor for factor, _ in term.factors)
        if isinstance(term, Sum):
            return tuple(part for part, _ in term.parts)
        return ()

    # -- making terms

    def leaf(self, leaf: Leaf, shape: Shape) -> int:
        return self._intern(leaf, shape)

    def number(self, value: float) -> int:
        return self._intern(Number(float(value)), ())

    def product(self, factors: Iterable[tuple[int, float]], coefficient: float = 1.0) -> int:
        """``coefficient`` · Π term^exponent."""
        powers: Counter[int] = Counter()
        pending = list(factors)[::-1]
        while pending:
            id, exponent = pending.pop()
            term = self.items[id]
            if isinstance(term, Number):
                number = _real_power(term.value, exponent)
                if number is None:
                    powers[id] += exponent  # type: ignore[assignment]
                else:
                    coefficient *= number
            elif isinstance(term, Product) and _splits(term, exponent):
                coefficient *= term.coefficient**exponent
                pending.extend((f, e * exponent) for f, e in reversed(term.factors))
            else:
                powers[id] += exponent  # type: ignore[assignment]
        kept = {id: self._exponent(id, e) for id, e in powers.items() if e != 0}
        if coefficient == 0:
            return self.number(0.0)
        if not kept:
            return self.number(coefficient)
        if coefficient == 1 and len(kept) == 1 and next(iter(kept.values())) == 1:
            return next(iter(kept))
        ordered = tuple(sorted(kept.items()))
        return self._intern(Product(ordered, coefficient), self.broadcast(kept))

    def _exponent(self, id: int, exponent: float) -> float:
        """A truth value is its own power."""
        term = self.items[id]
        truth = isinstance(term, Apply) and getattr(term.op, "name", "") in OPPOSITE
        return 1 if truth and exponent > 0 else exponent

    def broadcast(self, ids: Iterable[int]) -> Shape:
        """The shape of an element-wise combination."""
        shape = broadcast_shapes(*(self.shapes[id] for id in ids))
        assert shape is not None, "operands of an element-wise operator broadcast"
        return shape

    def sum(self, parts: Iterable[tuple[int, float]], constant: float = 0.0) -> int:
        """``constant`` + Σ factor·term; common factors are taken out."""
        cores: dict[int, float] = {}
        pending = list(parts)[::-1]
        while pending:
            id, factor = pending.pop()
            term = self.items[id]
            if isinstance(term, Number):
                constant += factor * term.value
            elif isinstance(term, Sum):
                constant += factor * term.constant
                pending.extend((i, factor * c) for i, c in reversed(term.parts))
            elif isinstance(term, Product) and term.coefficient != 1:
                pending.append((self.product(term.factors), factor * term.coefficient))
            else:
                cores[id] = cores.get(id, 0.0) + factor
        cores, constant = self._whole_exponentials(cores, constant)
        cores = {id: factor for id, factor in cores.items() if factor != 0}
        if not cores:
            return self.number(constant)
        if len(cores) == 1 and constant == 0:
            ((id, factor),) = cores.items()
            return self.product([(id, 1)], factor)
        return self._proper_sum(cores, constant)

    def _whole_exponentials(
        self, cores: dict[int, float], constant: float
    ) -> tuple[dict[int, float], float]:
        """1 + expm1(x) = exp(x)."""
        for id, factor in list(cores.items()):
            term = self.items[id]
            is_expm1 = isinstance(term, Apply) and getattr(term.op, "name", "") == "expm1"
            if is_expm1 and factor == constant != 0:
                assert isinstance(term, Apply)
                del cores[id]
                whole = self._intern(Apply(OPERATORS["exp"](), term.args), self.shapes[id])
                cores[whole] = cores.get(whole, 0.0) + factor
                constant = 0.0
        return cores, constant

    def _proper_sum(self, cores: dict[int, float], constant: float) -> int:
        """A sum of at least two parts."""
        scale = _common_scale([*cores.values(), *([constant] if constant else [])])
        common = self._common_factors(cores) if constant == 0 else ()
        if common:
            inverse = [(id, -exponent) for id, exponent in common]
            rest = [(self.product([(id, 1), *inverse]), c / scale) for id, c in cores.items()]
            return self.product([*common, (self.sum(rest), 1)], scale)
        if scale != 1:
            inner = {id: c / scale for id, c in cores.items()}
            return self.product([(self._proper_sum(inner, constant / scale), 1)], scale)
        parts = tuple(sorted(cores.items()))
        return self._intern(Sum(parts, constant), self.broadcast(cores))

    def _common_factors(self, cores: Iterable[int]) -> tuple[tuple[int, float], ...]:
        """Factors that all parts have, with the exponents that they share."""
        common: dict[int, float] | None = None
        for id in cores:
            own = dict(self.factors(id))
            if common is None:
                common = own
                continue
            common = {
                f: min(e, own[f], key=abs) for f, e in common.items() if f in own and own[f] * e > 0
            }
        return tuple((common or {}).items())

    def factors(self, id: int) -> tuple[tuple[int, float], ...]:
        """The factors of a term; of one that is no product, itself."""
        term = self.items[id]
        return term.factors if isinstance(term, Product) else ((id, 1.0),)

    def apply(self, op: Operator | Use, args: Sequence[int], shape: Shape) -> int:
        """An operator applied, scalars taken out of a linear one."""
        zeros = isinstance(op, Broadcast) and self.items[args[0]] == Number(0.0)
        if not isinstance(op, Operator) or zeros:
            return self._intern(Apply(op, tuple(args)), shape)
        outside: list[tuple[int, float]] = []
        inside = list(args)
        scale = 1.0
        for i in LINEAR.get(op.name, ()):
            factor, scalars, inside[i] = self._scalars(inside[i])
            scale *= factor
            outside += scalars
        plain = self._rewritten(op, inside, shape)
        return self.product([*outside, (plain, 1)], scale)

    def _scalars(self, id: int) -> tuple[float, list[tuple[int, float]], int]:
        """A term as coefficient, scalar factors, and the rest."""
        term = self.items[id]
        if isinstance(term, Number) and term.value != 1:
            return term.value, [], self.number(1.0)
        factors = self.factors(id)
        coefficient = term.coefficient if isinstance(term, Product) else 1.0
        scalars = [(f, e) for f, e in factors if self.shapes[f] == ()]
        rest = [(f, e) for f, e in factors if self.shapes[f] != ()]
        return coefficient, scalars, self.product(rest)

    def _rewritten(self, op: Operator, args: list[int], shape: Shape) -> int:
        first = self.items[args[0]] if args else None
        inner = first.op if isinstance(first, Apply) else None
        one = isinstance(first, Number) and first.value == 1
        if isinstance(op, Reshape | Broadcast | Transpose) and isinstance(inner, Broadcast):
            assert isinstance(first, Apply)
            if self._is_one(first.args[0]):
                return self._ones(shape) if isinstance(op, Broadcast) else self.number(1.0)
        if isinstance(op, Reshape | Transpose) and one:
            return self.number(1.0)
        if isinstance(op, Reshape) and isinstance(first, Apply):
            return self._reshaped(op, first, args, shape)
        if isinstance(op, Transpose) and isinstance(inner, Transpose):
            assert isinstance(first, Apply)
            axes = tuple(inner.axes[a] for a in op.axes)
            if axes == tuple(range(len(axes))):
                return first.args[0]
            return self._intern(Apply(Transpose(axes), first.args), shape)
        if op.name == "sum" and isinstance(inner, Broadcast) and isinstance(first, Apply):
            count = self._repeats(op, first, args[0])
            if count is not None:
                return count
        if op.name == "pick_adjoint":
            return self._at_labels(args, shape)
        return self._intern(Apply(op, tuple(args)), shape)

    def _is_one(self, id: int) -> bool:
        term = self.items[id]
        return isinstance(term, Number) and term.value == 1

    def _at_labels(self, args: list[int], shape: Shape) -> int:
        """Numbers at the places of labels: the numbers times the labels' one-hot rows."""
        one_hot = self._intern(Apply(OPERATORS["one_hot"](), (args[1],)), shape)
        if self._all_ones(args[0]):
            return one_hot
        column = (*shape[:-1], 1)
        term = self.items[args[0]]
        whole = isinstance(term, Product) and all(
            self.shapes[factor] in ((), shape[:-1]) for factor, _ in term.factors
        )
        factors = self.factors(args[0]) if whole else ((args[0], 1.0),)
        upright = [
            (self.apply(Reshape(column), [factor], column) if self.shapes[factor] else factor, e)
            for factor, e in factors
        ]
        scale = term.coefficient if whole and isinstance(term, Product) else 1.0
        return self.product([*upright, (one_hot, 1)], scale)

    def _all_ones(self, id: int) -> bool:
        term = self.items[id]
        spread = isinstance(term, Apply) and isinstance(term.op, Broadcast)
        return self._is_one(self.children(id)[0] if spread else id)

    def _ones(self, shape: Shape) -> int:
        return self._intern(Apply(Broadcast(shape), (self.number(1.0),)), shape)

    def _reshaped(self, op: Reshape, first: Apply, args: list[int], shape: Shape) -> int:
        """A reshape of a reshape is one; a reduction whose axes come back keeps them."""
        inner = first.op
        if isinstance(inner, Reshape):
            source = first.args[0]
            if self.shapes[source] == shape:
                return source
            return self._rewritten(op, [source], shape)
        if isinstance(inner, Reduction) and shape == reduced_shape(
            self.shapes[first.args[0]], inner.axis, not inner.keep
        ):
            other = replace(inner, keep=not inner.keep)  # type: ignore[type-var]
            return self._intern(Apply(other, first.args), shape)
        return self._intern(Apply(op, tuple(args)), shape)

    def _repeats(self, op: Operator, spread: Apply, id: int) -> int | None:
        """A sum over axes along which one number is repeated: how often that is."""
        assert isinstance(op, Reduction)
        if not self._is_one(spread.args[0]):
            return None
        sizes = [self.shapes[id][axis] for axis in op.axis]
        return self.product([(self.size(size), 1) for size in sizes])

    def size(self, size: Size) -> int:
        """A dimension as a number or a product of symbols."""
        if isinstance(size, int):
            return self.number(size)
        parts = [
            (self.product([(self.leaf(Leaf(name), ()), 1) for name in symbols]), float(factor))
            for symbols, factor in size.terms
        ]
        return self.sum(parts)

    def pulled(self, id: int) -> int:
        """A sum over axes without the factors that are equal along them."""
        term = self.items[id]
        if not isinstance(term, Apply) or getattr(term.op, "name", "") != "sum":
            return id
        assert isinstance(term.op, Reduction)
        full = self.shapes[term.args[0]]
        inside: list[tuple[int, float]] = []
        outside: list[tuple[int, float]] = []
        for factor, exponent in self.factors(term.args[0]):
            shape = (1,) * (len(full) - len(self.shapes[factor])) + self.shapes[factor]
            fixed = all(shape[axis] == 1 for axis in term.op.axis)
            same = fixed and (term.op.keep or self.shapes[factor] == ())
            (outside if same else inside).append((factor, exponent))
        rest = self.product(inside)
        if not outside or self.shapes[rest] != full:
            return id
        total = self.apply(term.op, [rest], self.shapes[id])
        return self.product([*outside, (total, 1)])

    def opposite(self, id: int) -> int:
        """1 where a condition does not hold."""
        term = self.items[id]
        if isinstance(term, Apply) and isinstance(term.op, Operator) and term.op.name in OPPOSITE:
            op = OPERATORS[OPPOSITE[term.op.name]]()
            return self._intern(Apply(op, term.args), self.shapes[id])
        return self.sum([(id, -1.0)], 1.0)


def _splits(term: Product, exponent: float) -> bool:
    """Whether a power of a product is the product of powers, for all real factors."""
    return float(exponent).is_integer() and _real_power(term.coefficient, exponent) is not None


def _real_power(base: float, exponent: float) -> float | None:
    """A power of numbers; None for one that is no real number."""
    try:
        power = float(base) ** float(exponent)
    except (OverflowError, ZeroDivisionError):
        return None
    return power if isinstance(power, float) else None


def _common_scale(factors: Sequence[float]) -> float:
    """A number that all factors share, with the sign that all have."""
    sizes = {abs(factor) for factor in factors}
    scale = sizes.pop() if len(sizes) == 1 else 1.0
    return -scale if all(factor < 0 for factor in factors) else scale


def operands_first(terms: Terms, id: int) -> list[int]:
    """The term and all its parts, every one after its own parts."""
    order: list[int] = []
    seen: set[int] = set()
    stack = [(id, False)]
    while stack:
        each, ready = stack.pop()
        if ready:
            order.append(each)
        elif each not in seen:
            seen.add(each)
            stack.append((each, True))
            stack.extend((child, False) for child in terms.children(each))
    return order
