"""Definitions elaborated on example operands, their numbers left symbolic.

``leaky_relu{slope}`` becomes a graph in which the slope is an operand like x, so that its formula
speaks of the slope. An attribute that decides an axis, a size or a branch keeps a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from graphc.diagnostics import Diagnostics
from graphc.ir import Body, Builder, Call, Graph, Type, Value, symbol
from graphc.language import tree
from graphc.model import statements, values
from graphc.model.bodies import expand
from graphc.model.frame import Context, Frame, Lifted
from graphc.model.meanings import (
    Const,
    Definition,
    DefinitionUse,
    Meaning,
    Poison,
    Scope,
    Several,
    Tensor,
)

__all__ = ["Elaborated", "elaborate_definition", "example", "expansion"]

_N, _K = symbol("n"), symbol("m")
TYPES: tuple[Type, ...] = (
    Type("real", (_N, _K)),
    Type("real", (_N, 4)),
    Type("label", (_N,), 4),
    Type("real", (_N,)),
    Type("real", (_N, 8, 4)),
    Type("real", (_N, 8, 8, 4)),
    Type("int", (_N,)),
    Type("bool", (_N,)),
    Type("real", (4, 4)),
    Type("real"),
    Type("real", (_N, 8)),
    Type("real", (_N, 2)),
)
"""Operand types to try, the most telling first."""
SPOKEN = {"sequence": Type("real", (_N, 8, 4)), "images": Type("real", (_N, 8, 8, 4))}
"""Operand types that a comment speaks of, which are tried before."""
CHOICES: tuple[Meaning, ...] = (Const(2), Const(0.5), Const(4), DefinitionUse("tanh"))
"""Values to try for an attribute that needs one."""
MOST_TRIES = 400
_NEVER_SYMBOLIC = (tree.Bool, tree.Text, tree.ListExpr, tree.Apply, tree.Name)


FANS = (64, 32)
"""fan_in and fan_out of the parameter that an initialiser is shown for."""


@dataclass(frozen=True)
class Elaborated:
    """The graph of a definition. ``results`` are named as the text names what is returned;
    ``operands`` are the tensors, ``declared`` the parameters and states of a layer or optimizer.
    ``derivative`` is the stated local derivative and the operand that is the definition's value."""

    definition: Definition
    graph: Graph
    operands: tuple[int, ...]
    declared: tuple[int, ...]
    symbolic: tuple[int, ...]
    results: tuple[tuple[str, int], ...]
    derivative: tuple[int, int] | None = None
    note: str = ""
    states: tuple[int, ...] = ()
    """Those of ``declared`` that no gradient flows into."""

    @property
    def names(self) -> dict[int, str]:
        """Operands of every kind by name."""
        ids = (*self.operands, *self.declared, *self.symbolic)
        return {id: self.graph[id].name for id in ids}


def expansion(definition: Definition, types: Sequence[Type]) -> Body | None:
    """The body of a definition used with its default attributes; None where it does not fit."""
    diagnostics = Diagnostics()
    frame = Frame(Context(diagnostics), definition.home, Builder(Graph()), "model")
    use = DefinitionUse(definition)
    found = expand(frame, use, definition, list(types), definition.tree.span)
    return None if found is None or diagnostics.errors else found.body


def example(definition: Definition) -> Elaborated | None:
    """A definition on the first operand types that fit, as symbolic as it can be; otherwise as
    another definition of its file uses it."""
    return _alone(definition) or _as_used(definition)


def _alone(definition: Definition) -> Elaborated | None:
    names = [decl.name.name for decl in definition.tree.attributes]
    required = [decl.name.name for decl in definition.tree.attributes if decl.default is None]
    for types, chosen in _tries(definition, required):
        found = elaborate_definition(definition, types, chosen)
        if found is None:
            continue
        symbolic: set[str] = set()
        for name in names:
            given = {n: v for n, v in chosen.items() if n not in symbolic | {name}}
            better = elaborate_definition(definition, types, given, symbolic | {name})
            if better is not None:
                symbolic, found = symbolic | {name}, better
        fixed = [f"{n} = {_title(m)}" for n, m in chosen.items() if n not in symbolic]
        return replace(found, note=", ".join([*fixed, *([found.note] if found.note else [])]))
    return None


def _title(meaning: Meaning) -> str:
    return (
        meaning.title if isinstance(meaning, DefinitionUse) else f"{getattr(meaning, 'value', '')}"
    )


def _as_used(definition: Definition) -> Elaborated | None:
    name = definition.name
    for other in definition.home.definitions.values():
        text = other.tree.span.text
        if other is definition or not (f"{name}{{" in text or f"{name}(" in text):
            continue
        user = _alone(other)
        body = None if user is None else _body_of(user.graph, name)
        if body is not None:
            count = len(definition.tree.parameters)
            results = tuple((body.graph[id].name, id) for id in body.results)
            note = f"as {other.name} uses it, {body.title}"
            return Elaborated(
                definition,
                body.graph,
                body.operands[:count],
                body.operands[count:],
                (),
                results,
                note=note,
            )
    return None


def _body_of(graph: Graph, name: str) -> Body | None:
    """The body of a call of that definition, somewhere inside."""
    for node in graph.topological():
        if isinstance(node.op, Call):
            if node.op.body.definition == name:
                return node.op.body
            inner = _body_of(node.op.body.graph, name)
            if inner is not None:
                return inner
    return None


def _tries(
    definition: Definition, required: Sequence[str]
) -> Iterator[tuple[tuple[Type, ...], dict[str, Meaning]]]:
    count = len(definition.tree.parameters)
    if definition.tree.kind == "optimizer":
        pairs = [(Type("real"),) * count]
    else:
        spoken = [type for word, type in SPOKEN.items() if word in definition.tree.doc]
        types = (*spoken, *(type for type in TYPES if type not in spoken))
        pairs = sorted(product(types, repeat=count), key=lambda pair: sum(map(types.index, pair)))
        pairs = pairs[:MOST_TRIES]
    for values_ in product(CHOICES, repeat=len(required)):
        for types in pairs:
            yield types, dict(zip(required, values_, strict=True))


def elaborate_definition(
    definition: Definition,
    types: Sequence[Type],
    given: Mapping[str, Meaning],
    symbolic: set[str] | None = None,
) -> Elaborated | None:
    """A definition on operands of the given types; None where it does not fit them."""
    worker = _Elaboration(definition, types)
    found = worker.run(given, symbolic or set())
    return None if worker.diagnostics.errors else found


class _Elaboration:
    def __init__(self, definition: Definition, types: Sequence[Type]) -> None:
        self.definition = definition
        self.tree = definition.tree
        self.types = types
        self.diagnostics = Diagnostics()
        kind = self.tree.kind
        self.frame = Frame(
            Context(self.diagnostics),
            definition.home,
            Builder(Graph()),
            kind,
            callers=((definition.name, self.tree.span),),
            training=True if kind == "optimizer" else None,
        )
        self.frame.active = frozenset({(definition.name, id(definition))})
        self.frame.in_data = "fitted" in self.tree.span.text
        self.declared: list[int] = []
        self.states: list[int] = []
        self.symbolic: list[int] = []
        self.count = 0
        if kind == "layer":
            self.frame.make_leaf = self._lift
        if not types:
            self.frame.ambient = Type("real", (_N, _K))
            self.frame.fans = FANS

    def _operand(self, name: str, type: Type) -> Value:
        self.count += 1
        return self.frame.operand(self.count, name, type, None)

    def _lift(self, lifted: Lifted) -> Value:
        value = self._operand(lifted.name, lifted.type)
        self.declared.append(value.id)
        if lifted.kind == "state":
            self.states.append(value.id)
        return value

    def run(self, given: Mapping[str, Meaning], symbolic: set[str]) -> Elaborated | None:
        scope = Scope()
        for decl in self.tree.attributes:
            meaning = self._attribute(scope, decl, given, symbolic)
            if meaning is None or isinstance(meaning, Poison):
                return None
            scope.bind(decl.name.name, meaning, decl.name.span, "attribute")
        operands = []
        roles = ("weight", "operand") if self.tree.kind == "optimizer" else ("operand",) * 9
        for parameter, type, role in zip(self.tree.parameters, self.types, roles, strict=False):
            value = self._operand(parameter.name, type)
            operands.append(value.id)
            scope.bind(parameter.name, Tensor(value), parameter.span, role)
        results = self._results(scope)
        if not results or self.diagnostics.errors:
            return None
        fans = f"fan_in = {FANS[0]}, fan_out = {FANS[1]}" if self._reads_fans() else ""
        return Elaborated(
            self.definition,
            self.frame.builder.graph,
            tuple(operands),
            tuple(self.declared),
            tuple(self.symbolic),
            tuple(results),
            self._derivative(scope, results),
            fans,
            tuple(self.states),
        )

    def _reads_fans(self) -> bool:
        return not self.types and "fan_" in self.tree.span.text

    def _derivative(
        self, scope: Scope, results: Sequence[tuple[str, int]]
    ) -> tuple[int, int] | None:
        """The stated derivative, a function of the operand and of the definition's own value."""
        if self.tree.derivative is None or len(results) != 1:
            return None
        own = self._operand(self.definition.name, self.types[0])
        inner = Scope(scope)
        inner.bind(self.definition.name, Tensor(own), None, "operand")
        value = values.tensor(self.frame, inner, self.tree.derivative)
        return None if value is None else (value.id, own.id)

    def _attribute(
        self,
        scope: Scope,
        decl: tree.AttributeDecl,
        given: Mapping[str, Meaning],
        symbolic: set[str],
    ) -> Meaning | None:
        name = decl.name.name
        if name in symbolic:
            default = decl.default
            if isinstance(default, _NEVER_SYMBOLIC):
                return None
            value = self._operand(name, Type("real"))
            self.symbolic.append(value.id)
            return Tensor(value)
        if name in given:
            return given[name]
        if decl.default is None:
            return None
        return values.attribute(self.frame, scope, decl.default)

    def _results(self, scope: Scope) -> list[tuple[str, int]]:
        if self.tree.kind == "optimizer":
            return self._updates(scope)
        returned = statements.run_body(self.frame, scope, self.tree.body)
        results: list[tuple[str, int]] = []
        for meaning, span in returned or ():
            for part in meaning.items if isinstance(meaning, Several) else (meaning,):
                value = values.as_tensor(self.frame, part, span)
                if value is None:
                    return []
                results.append((self.frame.builder.graph[value.id].name, value.id))
        return results

    def _updates(self, scope: Scope) -> list[tuple[str, int]]:
        """The next values that an optimizer assigns, states first."""
        t = self._operand("t", Type("real"))
        scope.bind("t", Tensor(t), None, "clock")
        rest = []
        for statement in self.tree.body:
            if isinstance(statement, tree.State):
                state = self._operand(statement.name.name, Type("real"))
                self.declared.append(state.id)
                scope.bind(statement.name.name, Tensor(state), statement.name.span, "state")
            else:
                rest.append(statement)
        statements.run(self.frame, scope, rest)
        weight = self.tree.parameters[0].name
        updates = [(f"{name}′", value.id) for name, (value, _) in self.frame.updates.items()]
        return sorted(updates, key=lambda item: item[0] == f"{weight}′")
