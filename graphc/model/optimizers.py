"""Optimizer definitions: one element-wise update rule, elaborated over flat arrays."""

from __future__ import annotations

from graphc.diagnostics import Span
from graphc.ir import OPERATORS, Body, Builder, Graph, Origin, Type, Value, flatten, symbol
from graphc.language import tree
from graphc.model import attributes, statements, values
from graphc.model.frame import Frame
from graphc.model.meanings import Definition, DefinitionUse, Scope, Tensor
from graphc.model.nodes import is_elementwise
from graphc.model.program import OptimizerGroup, OptimizerState
from graphc.ops.random import Draw

__all__ = ["expand_optimizer"]

FLAT = Type("real", (symbol("size"),))


def expand_optimizer(
    outer: Frame, use: DefinitionUse, definition: Definition, names: tuple[str, ...], span: Span
) -> OptimizerGroup | None:
    """The update of ``names`` by one use of an optimizer, or None after errors."""
    before = len(outer.diagnostics.errors)
    scope = attributes.bind_attributes(outer, use, definition, span)
    if scope is None:
        return None
    group = _Optimizer(outer, use, definition, scope, span).run(names)
    return None if len(outer.diagnostics.errors) > before else group


class _Optimizer:
    def __init__(
        self, outer: Frame, use: DefinitionUse, definition: Definition, scope: Scope, span: Span
    ) -> None:
        self.use = use
        self.tree = definition.tree
        self.scope = scope
        self.span = span
        self.frame = Frame(
            outer.context,
            definition.home,
            Builder(Graph(), Origin()),
            "optimizer",
            callers=(*outer.callers, (use.name, span)),
            training=True,
        )
        self.frame.active = outer.active
        self.errors = len(outer.diagnostics.errors)
        self.operands: list[Value] = []
        self.states: list[tuple[str, float]] = []

    def run(self, names: tuple[str, ...]) -> OptimizerGroup | None:
        parameters = self.tree.parameters
        if len(parameters) != 2:
            self.frame.error(
                "E601",
                f"optimizer `{self.tree.name.name}` takes a parameter and its gradient, (w, g)",
                self.tree.name.span,
            )
            return None
        for parameter, role in zip(parameters, ("weight", "operand"), strict=True):
            self._operand(parameter, role)
        with self.frame.at(self.tree.span):
            t = self.frame.builder.place(OPERATORS["clock"]("t"), (), Type("real"), "t")  # type: ignore[call-arg]
        self.scope.bind("t", Tensor(t), None, "clock")
        rest = [s for s in self.tree.body if not self._declared(s)]
        statements.run(self.frame, self.scope, rest)
        return self._group(names)

    def _operand(self, name: tree.Ident, role: str) -> None:
        value = self.frame.operand(len(self.operands), name.name, FLAT, name.span)
        self.operands.append(value)
        self.scope.bind(name.name, Tensor(value), name.span, role)

    def _declared(self, statement: tree.Statement) -> bool:
        """Handle ``state m = 0``; False for any other statement."""
        if not isinstance(statement, tree.State):
            return False
        value = values.constant(self.frame, self.scope, statement.value, "the initial value")
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.frame.error(
                "E602", "a state of an optimizer starts as a number", statement.value.span
            )
            value = 0
        if statement.type is not None:
            self.frame.error(
                "E602",
                "a state of an optimizer has the shape of the parameter: leave the type out",
                statement.type.span,
            )
        self.states.append((statement.name.name, float(value)))
        self._operand(statement.name, "state")
        return True

    def _group(self, names: tuple[str, ...]) -> OptimizerGroup | None:
        weight = self.tree.parameters[0].name
        if weight not in self.frame.updates:
            if len(self.frame.diagnostics.errors) == self.errors:
                self.frame.error(
                    "E603",
                    f"optimizer `{self.tree.name.name}` never assigns {weight}'",
                    self.tree.name.span,
                )
            return None
        results = [self.frame.updates[weight][0]]
        for (name, _), operand in zip(self.states, self.operands[2:], strict=True):
            results.append(self.frame.updates[name][0] if name in self.frame.updates else operand)
        title = self.use.title
        body = flatten(
            Body(
                title=title,
                definition=self.tree.name.name,
                graph=self.frame.builder.graph,
                operands=tuple(value.id for value in self.operands),
                results=tuple(value.id for value in results),
                prelude=self.tree.span.source.prelude,
            )
        )
        body.graph.keep_only(body.graph.ancestors([*body.results, *body.operands]))
        return self._checked(body, title, names)

    def _checked(self, body: Body, title: str, names: tuple[str, ...]) -> OptimizerGroup | None:
        """Every value is a number or has one element for each of the parameter's."""
        for node in body.graph:
            if isinstance(node.op, Draw):
                self.frame.error(
                    "E604", "an optimizer draws no random numbers", node.origin.span or self.span
                )
                return None
            shape = node.tensor.shape
            if shape not in ((), FLAT.shape) or not is_elementwise(node):
                self.frame.error(
                    "E604",
                    f"an optimizer is element-wise, but `{node.op.name}` is not",
                    node.origin.span or self.span,
                )
                return None
        states = tuple(OptimizerState(name, initial) for name, initial in self.states)
        return OptimizerGroup(title, body, states, names)
