"""Local derivatives as formulas: what one operator or definition passes back to an operand.

Nothing here knows a derivative: the rule that training uses is applied to named operands, and
what it builds is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphc.ir import (
    LATEX,
    UNICODE,
    Builder,
    Graph,
    Operand,
    Sample,
    is_real,
)
from graphc.ops.leaves import Input
from graphc.passes.differentiate import Gradients
from graphc.rendering.folding import folded
from graphc.rendering.formulas import Leaf
from graphc.rendering.reading import Known, read
from graphc.rendering.terms import Terms
from graphc.rendering.writing import write

__all__ = [
    "Adjoints",
    "Formulas",
    "LocalDerivative",
    "adjoints",
    "build_sample",
    "local_derivatives",
]

OPERANDS = ("x", "w", "v", "u")
RESULT = "y"


@dataclass(frozen=True)
class Formulas:
    """One formula in both notations."""

    unicode: str
    latex: str

    @classmethod
    def of(cls, terms: Terms, id: int) -> Formulas:
        return cls(write(terms, id, UNICODE).text, write(terms, id, LATEX).text)

    def text(self, latex: bool) -> str:
        return self.latex if latex else self.unicode


@dataclass(frozen=True)
class LocalDerivative:
    """What a result's gradient becomes on its way to one operand; None where none flows."""

    operand: str
    formula: Formulas | None


@dataclass(frozen=True)
class Adjoints:
    """The gradients that a result passes to operands: nodes of ``graph``, and as ``terms``.

    ``upstream`` is the node of the result's own gradient; ``found`` has the node and the term for
    each operand to which a gradient flows.
    """

    graph: Graph
    terms: Terms
    upstream: int
    found: Mapping[int, tuple[int, int]]


def adjoints(
    graph: Graph,
    operands: Mapping[int, str],
    result: int,
    name: str,
    parts: Mapping[int, str] | None = None,
) -> Adjoints:
    """What the result, called ``name``, passes to each of the named operands. ``parts`` are other
    values that are called by a name."""
    scratch = graph.copy()
    builder = Builder(scratch)
    upstream = builder.place(Operand(-1, f"d_{name}"), (), scratch[result].tensor)
    wanted = [id for id in operands if is_real(scratch[id].type)]
    values = {}
    if is_real(scratch[result].type):
        values = Gradients().backward(builder, {result: upstream}, wanted)
    terms = Terms()
    known: Known = {
        id: terms.leaf(Leaf(label), scratch[id].tensor.shape)
        for id, label in {**(parts or {}), **operands}.items()
    }
    known[upstream.id] = terms.leaf(Leaf(name, adjoint=True), upstream.shape)
    found = {}
    for id, value in values.items():
        (term,) = read(terms, scratch, [value.id], known)
        found[id] = (value.id, folded(terms, term))
    return Adjoints(scratch, terms, upstream.id, found)


def local_derivatives(
    graph: Graph,
    operands: Mapping[int, str],
    result: int,
    name: str = RESULT,
    parts: Mapping[int, str] | None = None,
) -> list[LocalDerivative]:
    """The contribution to the gradient of each real operand, ``name`` being the result's own and
    ``parts`` names of values between."""
    passed = adjoints(graph, operands, result, name, parts)
    return [
        LocalDerivative(
            label,
            Formulas.of(passed.terms, passed.found[id][1]) if id in passed.found else None,
        )
        for id, label in operands.items()
        if is_real(graph[id].type)
    ]


def build_sample(sample: Sample) -> tuple[Graph, dict[int, str], int]:
    """An operator on named operands: the graph, names of the operands, the result."""
    builder = Builder(Graph())
    names = dict(zip(range(len(sample.types)), OPERANDS, strict=False))
    values = [
        builder.place(Input(names[i]), (), type, names[i]) for i, type in enumerate(sample.types)
    ]
    result = builder.emit(sample.operator, *values)
    return builder.graph, {value.id: names[i] for i, value in enumerate(values)}, result.id
