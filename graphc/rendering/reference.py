"""Pages of the reference: what a definition or a primitive is, with its formula and derivatives.

Everything on a page is read from the definition itself: its comment, its text, and the graph that
it elaborates to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graphc.ir import LATEX, OPERATORS, UNICODE, Call, Graph, Notation, Operator, Type, is_real
from graphc.language import tree
from graphc.language.format import format_expr
from graphc.model.builtin_use import REQUIRED
from graphc.model.builtins import BUILTINS, PAIRWISE
from graphc.model.meanings import Definition
from graphc.model.program import DataPlan, ModelSpec, Program, PrunePlan, TrainPlan
from graphc.ops.leaves import Fitted
from graphc.passes.project import Project, has_choice
from graphc.rendering.definitions import Elaborated, example
from graphc.rendering.folding import folded
from graphc.rendering.formulas import Leaf, compose
from graphc.rendering.kinds import Use
from graphc.rendering.local import Formulas, LocalDerivative, build_sample, local_derivatives
from graphc.rendering.reading import Known, read
from graphc.rendering.terms import Terms

__all__ = ["Page", "Shown", "definition_page", "named_parts", "primitive_page", "signature"]

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
        return (_one(found, found.graph, found.results, when),)
    shown = []
    for training, word in ((True, "in training"), (False, "in evaluation")):
        graph, results = _projected(found, training)
        shown.append(_one(found, graph, results, f"{when}, {word}" if when else word))
    return tuple(shown)


def _projected(found: Elaborated, training: bool) -> tuple[Graph, Results]:
    roots = {("result", str(i)): id for i, (_, id) in enumerate(found.results)}
    roots |= {("operand", str(id)): id for id in found.names}
    program = Program(_NO_MODEL, found.graph.copy(), roots)
    program = Project(training).apply(program)
    names = [name for name, _ in found.results]
    results = program.named("result").values()
    return program.graph, tuple(zip(names, results, strict=True))


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
    prune=PrunePlan(),
    hypers={},
)
"""A definition on its own belongs to no model."""


def _one(found: Elaborated, graph: Graph, results: Results, when: str) -> Shown:
    """The page's part for one graph; where it is long, values inside get names."""
    best = _written(found, graph, results, {}, when)
    for places in (False, True):
        if _longest(best) <= (READABLE if places else LONG):
            break
        parts = named_parts(found, graph, results, places)
        named = _written(found, graph, results, parts, when) if parts else best
        if _longest(best) > READABLE or _formulas_long(best):
            best = named
    return best


def _longest(shown: Shown) -> int:
    sides = [right for _, right in shown.formulas]
    sides += [item.formula for item in shown.derivatives if item.formula is not None]
    return max((READABLE + 1 if "…" in s.unicode else len(s.unicode) for s in sides), default=0)


def _formulas_long(shown: Shown) -> bool:
    return any(len(right.unicode) > LONG or "…" in right.unicode for _, right in shown.formulas)


def _written(
    found: Elaborated, graph: Graph, results: Results, parts: dict[int, str], when: str
) -> Shown:
    leaves = {id: Leaf(label) for id, label in {**found.names, **parts}.items()}
    optimizer = found.definition.tree.kind == "optimizer"
    several = len(results) > 1 or optimizer
    result = next(each for each in RESULTS if each not in found.names.values())
    formulas = [(_named(label), _composed(graph, id, leaves)) for id, label in parts.items()]
    for i, (label, id) in enumerate(results):
        others = {j: Leaf(n) for n, j in results if several and n and j != id}
        left = _named(label) if optimizer or (several and label) else _call(found)
        if several and not label:
            left = Formulas(f"{left.unicode}[{i}]", f"{{{left.latex}}}_{{{i}}}")
        formulas.append((left, _composed(graph, id, {**leaves, **others})))
    derivatives = [] if several else _derivatives(found, graph, results[0][1], result, parts)
    return Shown(when, tuple(formulas), tuple(derivatives), result)


def named_parts(found: Elaborated, graph: Graph, results: Results, places: bool) -> dict[int, str]:
    """Values inside that have a name in the text, with ``places`` uses of definitions too; none
    where they are too many."""
    ends = {id for _, id in results}
    inside = graph.ancestors(ends)
    names: dict[int, str] = {}
    for node in graph.topological():
        place = node.op.place if isinstance(node.op, Call) and places else ""
        name = node.name or place
        if not name or not node.inputs or node.id in ends or node.id not in inside:
            continue
        leaves = {id: Leaf(label) for id, label in {**found.names, **names}.items()}
        taken = {leaf.name for leaf in leaves.values()}
        same = isinstance(node.type, Type) and _composed(graph, node.id, leaves).unicode in taken
        if isinstance(node.type, Type) and node.id not in found.names and not same:
            names[node.id] = name if name not in taken else f"{name}#{len(names) + 1}"
    return names if len(names) <= MOST_PARTS else {}


LONG = 70
"""Characters of a formula that is better read in parts."""
READABLE = 110
"""Characters beyond which a formula is not read at all."""
MOST_PARTS = 8

Results = Sequence[tuple[str, int]]
"""Names that the text gives what is returned, and the nodes."""


def _named(label: str) -> Formulas:
    return Formulas(UNICODE.symbol(label).text, LATEX.symbol(label).text)


def _call(found: Elaborated) -> Formulas:
    def text(f: Notation) -> str:
        names = (f.symbol(found.graph[id].name) for id in found.operands)
        return f.call(found.definition.name, *names).text

    return Formulas(text(UNICODE), text(LATEX))


def _composed(graph: Graph, id: int, leaves: dict[int, Leaf]) -> Formulas:
    if not graph[id].inputs and id in leaves:
        return _named(leaves[id].name)
    return Formulas(
        compose(graph, id, leaves, UNICODE).text, compose(graph, id, leaves, LATEX).text
    )


def _derivatives(
    found: Elaborated, graph: Graph, result: int, name: str, parts: dict[int, str]
) -> list[LocalDerivative]:
    if not is_real(graph[result].type) or any(isinstance(node.op, Fitted) for node in graph):
        return []  # data are not differentiated
    if found.derivative is not None:
        return [_stated(found, name)]
    hidden = {*found.symbolic, *found.states}
    shown = {label for id, label in found.names.items() if id not in hidden}
    operands = {id: label for id, label in found.names.items() if id in graph}
    everything = local_derivatives(graph, operands, result, name, parts)
    return [item for item in everything if item.operand in shown]


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


MOST_SAMPLES = 2


def _operator(op: type[Operator]) -> Sequence[Shown]:
    """An operator on its samples, those once whose formulas differ in numbers and axes only."""
    shown: dict[str, Shown] = {}
    for sample in op.samples():
        graph, names, result = build_sample(sample)
        right = _composed(graph, result, {id: Leaf(name) for id, name in names.items()})
        derivatives = local_derivatives(graph, names, result)
        formulas = [right.unicode, *(d.formula.unicode for d in derivatives if d.formula)]
        types = ", ".join(f"{names[id]}: {graph[id].type}" for id in names)
        item = Shown(types, ((_named("y"), right),), tuple(derivatives), "y")
        if not shown or _longest(item) <= READABLE:
            shown.setdefault(_DETAIL.sub("", "; ".join(formulas)), item)
    return list(shown.values())[:MOST_SAMPLES]


_DETAIL = re.compile(r"[₀-₉0-9,.:− -]|\[[^<>=≤≥≠]*?\]")
"""What a formula says of axes, sizes and places."""
