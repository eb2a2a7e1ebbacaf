"""Sums of products by an equation: ``nij,njk->nik``.

The operator takes the explicit form, one letter an axis, each letter once in a term. What the
language allows beyond that (``...``, no output, a letter twice in a term) is made explicit where
it is read. A pass turns equations of one and two operands into sums and matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_letters

from graphc.ir import (
    Formula,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
    product,
)

__all__ = ["Einsum", "split_equation"]


def split_equation(equation: str) -> tuple[list[str], str]:
    """The terms of the operands and the output of an explicit equation."""
    terms, _, output = equation.partition("->")
    return terms.split(","), output


@dataclass(frozen=True)
class Einsum(Operator):
    """Products over all letters, summed over those that the output does not hold."""

    name = "einsum"
    arity = -1
    equation: str

    def infer(self, *types: Type) -> Type:
        terms, output = split_equation(self.equation)
        if len(terms) != len(types):
            raise TypeRuleError(
                "E241", f"`{self.equation}` is for {len(terms)} tensors, not {len(types)}"
            )
        sizes = self._sizes(terms, types)
        for letter in output:
            if letter not in sizes or output.count(letter) > 1:
                raise TypeRuleError(
                    "E241", f"`{letter}` of the output of `{self.equation}` is in no term, or twice"
                )
        return Type("real", tuple(sizes[letter] for letter in output))

    def _sizes(self, terms: Sequence[str], types: Sequence[Type]) -> dict[str, Size]:
        sizes: dict[str, Size] = {}
        owner: dict[str, int] = {}
        for i, (term, type) in enumerate(zip(terms, types, strict=True)):
            if type.kind != "real":
                raise TypeRuleError("E202", f"`einsum` takes real tensors, not {type}", blame=[i])
            if type.rank != len(term) or len(set(term)) != len(term):
                raise TypeRuleError(
                    "E241", f"`{term}` does not name the {type.rank} axes of {type}", blame=[i]
                )
            for letter, size in zip(term, type.shape, strict=True):
                if sizes.setdefault(letter, size) != size:
                    first = owner[letter]
                    raise TypeRuleError(
                        "E241",
                        f"`{letter}` of `{self.equation}` is {sizes[letter]} in {types[first]} "
                        f"and {size} in {type}",
                        blame=(first, i),
                    )
                owner.setdefault(letter, i)
        return sizes

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        """The equation with output and term exchanged; letters that no other term holds are
        those that were summed in this one alone, so the gradient is the same along them."""
        terms, output = split_equation(self.equation)
        others = [j for j in range(len(terms)) if j != i]
        left = [output, *(terms[j] for j in others)]
        known = "".join(letter for letter in terms[i] if any(letter in term for term in left))
        equation = f"{','.join(left)}->{known}"
        gradient = d.apply("einsum", *(xs[j] for j in others), equation=equation)
        if known == terms[i]:
            return gradient
        shape = xs[i].shape
        kept = tuple(s if a in known else 1 for a, s in zip(terms[i], shape, strict=True))
        return gradient.apply("reshape", shape=kept).apply("broadcast", shape=shape)

    def squared_vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        """A letter that the other operands alone hold is summed before squares are taken."""
        terms, output = split_equation(self.equation)
        others = [j for j in range(len(terms)) if j != i]
        letters = dict.fromkeys("".join(terms[j] for j in others))
        kept = "".join(letter for letter in letters if letter in terms[i] + output)
        if len(kept) == len(letters):
            return super().squared_vjp(i, xs, y, d)
        equation = f"{','.join(terms[j] for j in others)}->{kept}"
        first, *rest = (xs[j] for j in others)
        local = first.apply("einsum", *rest, equation=equation)
        return Einsum(f"{terms[i]},{kept}->{output}").squared_vjp(0, (xs[i], local), y, d)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        terms, output = split_equation(self.equation)
        new = next(letter for letter in ascii_letters if letter not in self.equation)
        terms = [new + term if own else term for term, own in zip(terms, mapped, strict=True)]
        return xs[0].apply("einsum", *xs[1:], equation=f"{','.join(terms)}->{new}{output}")

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f'np.einsum("{self.equation}", {", ".join(args)}, optimize=True)'

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f'np.einsum("{self.equation}", {", ".join(args)}, out={out}, optimize=True)'

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """NumPy contracts pair by pair: each time the two with their axes in another order and
        the product, which is then the result or has at most an element for each combination of
        letters. Of k operands, at most k/2 such products wait for another."""
        terms, _ = split_equation(self.equation)
        everything = Type("real", (product(self._sizes(terms, types).values()),))
        waiting = 0 if len(terms) <= 2 else 2 + len(terms) // 2
        return *types, result, *(everything,) * waiting

    def formula(self, f: Notation, *args: Formula) -> Formula:
        """Elements by their letters: ``Σ a[i, j]·b[j, k]``, the sum over letters that repeat."""
        terms, output = split_equation(self.equation)
        factors = [f.index(a, *term) if term else a for a, term in zip(args, terms, strict=True)]
        whole = factors[0]
        for factor in factors[1:]:
            whole = f.multiply(whole, factor)
        summed = set("".join(terms)) - set(output)
        return f.total("sum", whole) if summed else whole

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        """For each combination of letters a multiplication less than there are operands, and an
        addition where a letter is summed. Three operands or more may need fewer in pairs."""
        terms, output = split_equation(self.equation)
        sizes = self._sizes(terms, types)
        return (len(terms) - 1 + (len(sizes) > len(output))) * product(sizes.values())

    @classmethod
    def samples(cls) -> list[Sample]:
        cases: dict[str, tuple[tuple[int, ...], ...]] = {
            "nij,njk->nik": ((2, 3, 4), (2, 4, 5)),
            "nij,kj->ink": ((2, 3, 4), (5, 4)),
            "abc->ca": ((2, 3, 4),),
            "i,j->ij": ((3,), (4,)),
            "ij,jk,kl->il": ((2, 3), (3, 4), (4, 2)),
            "nijo,nijk->ko": ((2, 3, 2, 4), (2, 3, 2, 5)),
            "ij,k->j": ((2, 3), (4,)),
            "ni,ni->n": ((3, 4), (3, 4)),
            ",ij->": ((), (2, 3)),
        }
        return [
            Sample(cls(equation), tuple(Type("real", shape) for shape in shapes))
            for equation, shapes in cases.items()
        ]
