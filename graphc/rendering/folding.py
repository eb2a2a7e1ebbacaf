"""What equals the expansion of a definition, under the definition's name again.

The adjoint of ``cross_entropy`` holds exp(z − max z) / Σ exp(z − max z), which is softmax(z).
A definition of the prelude's activations, and the mean, is instantiated on the terms that occur;
since equal terms are one, an occurrence is found by looking whether the instance is there, as a
term, or as some of the factors of a product.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from graphc.ir import Body, Type, is_real
from graphc.model.prelude import load_prelude
from graphc.rendering.formulas import Leaf
from graphc.rendering.kinds import OPPOSITE, Apply, Number, Product, Sum, Use
from graphc.rendering.reading import Known, read
from graphc.rendering.terms import Terms, operands_first

__all__ = ["folded"]

FILES = ("prelude/activations.gc",)
"""Files whose definitions are functions of one tensor that papers call by their names."""
BESIDES = ("mean",)
LEAST_SIZE = 2
"""Operations in an expansion that is worth a name."""
MOST_OPERANDS = 40
"""Terms that a definition is tried on; in a longer formula only the values themselves are."""


def folded(terms: Terms, id: int) -> int:
    """The term with every occurrence of a known definition folded, and factors that are equal
    along the axes of a sum taken out of it."""
    once = _folded(terms, id)
    return _folded(terms, _pulled(terms, once))


def _pulled(terms: Terms, id: int) -> int:
    moved: dict[int, int] = {}
    for each in operands_first(terms, id):
        moved[each] = terms.pulled(_rebuilt(terms, each, None, each, moved))
    return moved[id]


def _folded(terms: Terms, id: int) -> int:
    for name, operators in _names().items():
        if not operators <= _operators(terms, id):
            continue
        for operand in _operands(terms, id):
            instance = _instance(terms, name, operand)
            if instance is not None:
                use = terms.apply(Use(name), [operand], terms.shapes[instance])
                id = _replaced(terms, id, instance, use)
    return id


@cache
def _names() -> dict[str, frozenset[str]]:
    """Definitions that are folded, with the operators of their expansions; the largest first, as
    one may be a part of another."""
    sizes: dict[str, int] = {}
    operators: dict[str, frozenset[str]] = {}
    for name, definition in load_prelude().definitions.items():
        if name in BESIDES or definition.source.name in FILES:
            terms = Terms()
            operand = terms.leaf(Leaf("x"), (3, 5))
            instance = _instance(terms, name, operand)
            if instance is None or (name not in BESIDES and not _is_worth_a_name(terms, instance)):
                continue
            sizes[name] = len(operands_first(terms, instance))
            operators[name] = _operators(terms, instance)
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    return {name: operators[name] for name in ordered}


def _is_worth_a_name(terms: Terms, id: int) -> bool:
    """Whether an expansion has a function in it and is more than that function."""
    parts = [terms[part] for part in operands_first(terms, id)]
    if not any(isinstance(part, Apply) and not _is_truth(part) for part in parts):
        return False
    return sum(not isinstance(part, Leaf | Number) for part in parts) >= LEAST_SIZE


def _operators(terms: Terms, id: int) -> frozenset[str]:
    """Names of the operators and definitions in a term."""
    parts = (terms[part] for part in operands_first(terms, id))
    return frozenset(
        part.op.title if isinstance(part.op, Use) else part.op.name
        for part in parts
        if isinstance(part, Apply)
    )


def _is_truth(term: Apply) -> bool:
    return getattr(term.op, "name", "") in OPPOSITE


def _instance(terms: Terms, name: str, operand: int) -> int | None:
    """A definition applied to a term, written out."""
    body = _body(name, Type("real", terms.shapes[operand]))
    if body is None:
        return None
    known: Known = {body.operands[0]: operand}
    (result,) = read(terms, body.graph, body.results, known)
    plain = isinstance(terms[result], Leaf | Number) or result == operand
    return None if plain else result


@cache
def _body(name: str, type: Type) -> Body | None:
    from graphc.rendering.definitions import expansion

    definition = load_prelude().definitions[name]
    if definition.tree.kind != "def" or len(definition.tree.parameters) != 1:
        return None
    if any(decl.default is None for decl in definition.tree.attributes):
        return None
    body = expansion(definition, [type])
    fits = body is not None and len(body.operands) == len(body.results) == 1
    return body if fits and body is not None and is_real(body.type) else None


def _operands(terms: Terms, id: int) -> list[int]:
    """Terms that a definition may have been applied to, in the order in which they came up."""
    found = sorted(
        each
        for each in operands_first(terms, id)
        if not isinstance(terms[each], Number) and each != id
    )
    if len(found) > MOST_OPERANDS:
        found = [each for each in found if isinstance(terms[each], Leaf)][:MOST_OPERANDS]
    return [each for each in found if not _is_adjoint(terms, each)]


def _is_adjoint(terms: Terms, id: int) -> bool:
    term = terms[id]
    return isinstance(term, Leaf) and term.adjoint


def _replaced(terms: Terms, id: int, old: int, new: int) -> int:
    """The term with ``old`` replaced by ``new`` wherever it occurs."""
    moved: dict[int, int] = {}
    for each in operands_first(terms, id):
        moved[each] = new if each == old else _rebuilt(terms, each, old, new, moved)
    return moved[id]


def _rebuilt(terms: Terms, id: int, old: int | None, new: int, moved: dict[int, int]) -> int:
    term = terms[id]
    if isinstance(term, Product):
        factors: Iterable[tuple[int, float]] = term.factors
        coefficient = term.coefficient
        rest = None if old is None else _without(terms, term, old)
        if rest is not None:
            factors, coefficient = rest
        parts = [(moved[f], e) for f, e in factors]
        same = rest is None and all(
            a == b for (a, _), (b, _) in zip(parts, term.factors, strict=True)
        )
        return id if same else terms.product([*parts, *([(new, 1.0)] if rest else [])], coefficient)
    if all(moved[child] == child for child in terms.children(id)):
        return id
    if isinstance(term, Sum):
        return terms.sum([(moved[p], c) for p, c in term.parts], term.constant)
    assert isinstance(term, Apply)
    return terms.apply(term.op, [moved[a] for a in term.args], terms.shapes[id])


def _without(terms: Terms, term: Product, old: int) -> tuple[list[tuple[int, float]], float] | None:
    """The factors of a product that are not those of ``old``; None where it lacks one of them."""
    inner = terms[old]
    if not isinstance(inner, Product):
        return None
    left = dict(term.factors)
    for factor, exponent in inner.factors:
        own = left.get(factor, 0.0)
        if own * exponent <= 0 or abs(own) < abs(exponent):
            return None
        left[factor] = own - exponent
    kept = [(f, e) for f, e in left.items() if e != 0]
    coefficient = term.coefficient / inner.coefficient
    if abs(inner.coefficient) != 1 and _is_harder(coefficient, term.coefficient):
        return None
    return kept, coefficient


def _is_harder(number: float, than: float) -> bool:
    """Whether a number is written longer than another: ``Σ x`` is no ``4·mean(x)``."""
    if abs(number) == 1 or abs(than) == 1:
        return abs(number) != 1
    return len(f"{abs(number):.6g}") > len(f"{abs(than):.6g}")
