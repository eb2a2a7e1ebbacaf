"""Pages of the reference: what a definition or a primitive is, with its formula and derivatives.

Everything on a page is read from the definition itself: its comment, its text, and the graph that
it elaborates to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.ir import LATEX, OPERATORS, UNICODE, Graph, Notation, Operator, is_real
from graphc.language import tree
from graphc.language.format import format_expr
from graphc.model.builtin_use import REQUIRED
from graphc.model.builtins import BUILTINS, PAIRWISE
from graphc.model.meanings import Definition
from graphc.model.program import DataPlan, ModelSpec, Program, TrainPlan
from graphc.ops.leaves import Fitted
from graphc.passes.project import Project, has_choice
from graphc.render.definitions import Elaborated, example
from graphc.render.folding import folded
from graphc.render.formulas import Leaf, compose
from graphc.render.kinds import Use
from graphc.render.local import Formulas, LocalDerivative, build_sample, local_derivatives
from graphc.render.reading import Known, read
from graphc.render.terms import Terms

__all__ = ["Page", "Shown", "definition_page", "primitive_page", "signature"]

RESULTS = ("y", "f", "r", "s")
"""Names for the value of a definition, the first that no operand has."""


@dataclass(frozen=True)
class Shown:
    """A formula with its derivatives. ``when`` says for which operands or in which projection."""

    when: str
    formulas: tuple[tuple[Formulas, Formulas], ...]
    """Left and right sides."""
    derivatives: tuple[LocalDerivative, ...]
    result: str


@dataclass(frozen=True)
class Page:
    """What is known of one name."""

    name: str
    kind: str
    signature: str
    doc: str
    place: str
    shown: tuple[Shown, ...]
    text: str


def signature(definition: tree.Definition) -> str:
    """``leaky_relu{slope = 0.01}(x)``: how a definition is called."""
    attributes = [
        decl.name.name + (f" = {format_expr(decl.default)}" if decl.default else "")
        for decl in definition.attributes
    ]
    braces = f"{{{', '.join(attributes)}}}" if attributes else ""
    return f"{definition.name.name}{braces}({', '.join(p.name for p in definition.parameters)})"


def definition_page(definition: Definition) -> Page:
    """The page of a definition in the language."""
    node = definition.tree
    found = example(definition)
    source = node.span.source
    return Page(
        definition.name,
        node.kind,
        signature(node),
        node.doc,
        f"{source.name}:{node.span.line}",
        () if found is None else _shown(found),
        node.span.text,
    )


def _shown(found: Elaborated) -> tuple[Shown, ...]:
    types = ", ".join(f"{found.graph[id].name}: {found.graph[id].type}" for id in found.operands)
    when = ", ".join(part for part in (types, found.note) if part)
    if not has_choice(found.graph):
        return (_one(found, found.graph, dict(found.results), when),)
    shown = []
    for training, word in ((True, "in training"), (False, "in evaluation")):
        graph, results = _projected(found, training)
        shown.append(_one(found, graph, results, f"{when}, {word}" if when else word))
    return tuple(shown)


def _projected(found: Elaborated, training: bool) -> tuple[Graph, dict[str, int]]:
    roots = {("result", str(i)): id for i, (_, id) in enumerate(found.results)}
    roots |= {("operand", str(id)): id for id in found.names}
    program = Program(_NO_MODEL, found.graph.copy(), roots)
    program = Project(training).apply(program)
    names = [name for name, _ in found.results]
    results = program.named("result").values()
    return program.graph, dict(zip(names, results, strict=True))


_NO_MODEL = ModelSpec(
    name="",
    path="",
    inputs={},
    parameters={},
    states={},
    aliases={},
    groups=(),
    outputs={},
    batch=None,
    train=TrainPlan(),
    data=DataPlan(),
    prune=None,
    hypers={},
)
"""A definition on its own belongs to no model."""


def _one(found: Elaborated, graph: Graph, results: dict[str, int], when: str) -> Shown:
    name = found.definition.name
    leaves = {id: Leaf(label) for id, label in found.names.items()}
    several = len(results) > 1 or found.definition.tree.kind == "optimizer"
    result = next(each for each in RESULTS if each not in found.names.values())
    formulas = []
    for label, id in results.items():
        others = {i: Leaf(n) for n, i in results.items() if several and n and i != id}
        left = _call(name, found) if not several else _named(label or result)
        formulas += _with_parts(graph, id, left, {**leaves, **others})
    derivatives: list[LocalDerivative] = []
    if not several and found.definition.tree.kind != "optimizer":
        derivatives = _derivatives(found, graph, next(iter(results.values())), result)
    return Shown(when, tuple(formulas), tuple(derivatives), result)


def _with_parts(
    graph: Graph, id: int, left: Formulas, leaves: dict[int, Leaf]
) -> list[tuple[Formulas, Formulas]]:
    """A formula; where it is long, with the values that the text names beside it."""
    whole = _composed(graph, id, leaves)
    if len(whole.unicode) <= LONG and "…" not in whole.unicode:
        return [(left, whole)]
    inside = graph.ancestors([id])
    parts = {
        node.id: Leaf(node.name)
        for node in graph.topological()
        if node.name and node.inputs and node.id in inside and node.id not in leaves
    }
    if len(parts) > MOST_PARTS:
        return [(left, whole)]
    known = {**leaves, **parts}
    rows = [(_named(leaf.name), _composed(graph, i, known)) for i, leaf in parts.items() if i != id]
    return [*rows, (left, _composed(graph, id, known))]


LONG = 70
"""Characters of a formula that is better read in parts."""
MOST_PARTS = 8


def _named(label: str) -> Formulas:
    return Formulas(UNICODE.symbol(label).text, LATEX.symbol(label).text)


def _call(name: str, found: Elaborated) -> Formulas:
    def text(f: Notation) -> str:
        return f.call(name, *(f.symbol(found.graph[id].name) for id in found.operands)).text

    return Formulas(text(UNICODE), text(LATEX))


def _composed(graph: Graph, id: int, leaves: dict[int, Leaf]) -> Formulas:
    if not graph[id].inputs and id in leaves:
        return _named(leaves[id].name)
    return Formulas(
        compose(graph, id, leaves, UNICODE).text, compose(graph, id, leaves, LATEX).text
    )


def _derivatives(found: Elaborated, graph: Graph, result: int, name: str) -> list[LocalDerivative]:
    if not is_real(graph[result].type) or any(isinstance(node.op, Fitted) for node in graph):
        return []  # data are not differentiated
    names = {id: label for id, label in found.names.items() if id not in found.symbolic}
    if found.derivative is None:
        everything = {id: label for id, label in found.names.items() if id in graph}
        found_derivatives = local_derivatives(graph, everything, result, name)
        return [item for item in found_derivatives if item.operand in names.values()]
    return [_stated(found, name)]


def _stated(found: Elaborated, name: str) -> LocalDerivative:
    """The derivative that a definition states, in terms of its own value."""
    assert found.derivative is not None
    derivative, own = found.derivative
    graph, terms = found.graph, Terms()
    known: Known = {
        id: terms.leaf(Leaf(label), graph[id].tensor.shape) for id, label in found.names.items()
    }
    operand = known[found.operands[0]]
    assert isinstance(operand, int)
    shape = graph[own].tensor.shape
    known[own] = terms.apply(Use(found.definition.name), [operand], shape)
    (local,) = read(terms, graph, [derivative], known)
    upstream = terms.leaf(Leaf(name, adjoint=True), shape)
    whole = folded(terms, terms.product([(upstream, 1), (local, 1)]))
    return LocalDerivative(graph[found.operands[0]].name, Formulas.of(terms, whole))


# -------------------------------------------------------------------------- primitives


def primitive_page(name: str) -> Page | None:
    """The page of a primitive, by its name in the language or by its operator's."""
    rows = [row for row in (BUILTINS.get(name), PAIRWISE.get(name)) if row is not None]
    operators = [OPERATORS.get(row.operator or row.name) for row in rows] or [OPERATORS.get(name)]
    operators = [op or OPERATORS.get(f"draw_{name}") for op in operators]
    known = [op for op in operators if op is not None]
    if not rows and not known:
        return None
    docs = [row.doc for row in rows] or [_doc(op) for op in known]
    shown = [item for op in known for item in _operator(op)]
    attributes = [
        key if default is REQUIRED else f"{key} = {_value(default)}"
        for row in rows
        for key, default in row.attributes
    ]
    braces = f"{{{', '.join(attributes)}}}" if attributes else ""
    return Page(name, "primitive", f"{name}{braces}", "; ".join(docs), "", tuple(shown), "")


def _doc(op: type[Operator]) -> str:
    return " ".join((op.__doc__ or "").split())


def _value(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return str(default)


MOST_SAMPLES = 4


def _operator(op: type[Operator]) -> Sequence[Shown]:
    """An operator on its samples, those with equal formulas once."""
    shown: dict[tuple[str, tuple[str, ...]], Shown] = {}
    for sample in op.samples():
        graph, names, result = build_sample(sample)
        right = _composed(graph, result, {id: Leaf(name) for id, name in names.items()})
        derivatives = local_derivatives(graph, names, result)
        key = (right.unicode, tuple(d.formula.unicode if d.formula else "" for d in derivatives))
        types = ", ".join(f"{names[id]}: {graph[id].type}" for id in names)
        item = Shown(types, ((_named("y"), right),), tuple(derivatives), "y")
        shown.setdefault(key, item)
    return list(shown.values())[:MOST_SAMPLES]
