"""The body of a definition, made once for equal attributes and operand types.

A body is a graph of its own: its operands are the tensors of the call and the parameters that a
layer declares. Emitting the call is left to ``calls``.
"""

from __future__ import annotations

from typing import Any

from graphc.diagnostics import Span
from graphc.ir import Body, Builder, Graph, Origin, Type, Value, flatten
from graphc.language import tree
from graphc.model import attributes, statements, values
from graphc.model.clocks import CLOCK_HELP
from graphc.model.emission import to_real
from graphc.model.frame import MAX_DEPTH, Expansion, Frame, Lifted
from graphc.model.meanings import (
    Const,
    Definition,
    DefinitionUse,
    Meaning,
    RunTime,
    Scope,
    Several,
    Tensor,
)
from graphc.model.nodes import draws, is_elementwise

__all__ = ["expand"]


def expand(
    frame: Frame, use: DefinitionUse, definition: Definition, types: list[Type], span: Span
) -> Expansion | None:
    """The body of a use for given operand types, made once for equal uses; None after errors,
    which are not reported again."""
    scope = attributes.bind_attributes(frame, use, definition, span)
    if scope is None:
        return None
    bound = tuple((name, _key(b.meaning)) for name, b in scope.names.items())
    context = (frame.ambient, frame.fans, frame.training, frame.in_data)
    key = (definition, bound, tuple(types), context)
    if key in frame.context.expansions:
        return frame.context.expansions[key]
    if not _may_expand(frame, definition, span):
        return None
    failures = frame.context.failures
    expansion = _Expander(frame, use, definition, scope, span).run(types)
    if frame.context.failures > failures:
        expansion = None
    if expansion is not None and not _clocks_are_rates(frame, scope, expansion, span):
        expansion = None
    frame.context.expansions[key] = expansion
    return expansion


def _key(meaning: Meaning) -> Any:
    if isinstance(meaning, Const):
        return _key_of_value(meaning.value)
    if isinstance(meaning, DefinitionUse):
        named = tuple((name, _key(m)) for name, m in meaning.attributes)
        return (meaning.definition, named, tuple(map(_key, meaning.positional)))
    return meaning


def _key_of_value(value: Any) -> Any:
    """A constant and its kind: 1, 1.0 and true are equal, but not the same, in a list too."""
    if isinstance(value, tuple):
        return tuple(map(_key_of_value, value))
    return (type(value).__name__, value)


def _may_expand(frame: Frame, definition: Definition, span: Span) -> bool:
    if (definition.name, id(definition)) in frame.active:
        frame.error(
            "E328",
            f"`{definition.name}` uses itself",
            span,
            help="a definition cannot be recursive; write `repeat` for repetition",
        )
        return False
    if len(frame.callers) >= MAX_DEPTH:
        frame.error("E318", f"definitions use each other more than {MAX_DEPTH} deep", span)
        return False
    return True


def _clocks_are_rates(frame: Frame, scope: Scope, expansion: Expansion, span: Span) -> bool:
    """Whether attributes read run-time scalars only where they may: in what draws at random."""
    clocks = [name for name, b in scope.names.items() if isinstance(b.meaning, RunTime)]
    if not clocks or frame.clocks or frame.kind == "optimizer":
        return True
    if frame.callers or any(map(draws, expansion.body.graph)):
        return True
    frame.error(
        "E308",
        f"the attribute `{clocks[0]}` cannot depend on a run-time scalar here",
        span,
        help=CLOCK_HELP,
    )
    return False


class _Expander:
    """Elaborates one definition for one set of attributes and operand types."""

    def __init__(
        self, outer: Frame, use: DefinitionUse, definition: Definition, scope: Scope, span: Span
    ) -> None:
        self.use = use
        self.definition = definition
        self.scope = scope
        self.span = span
        kind = definition.tree.kind
        self.frame = Frame(
            outer.context,
            definition.home,
            Builder(Graph(), Origin()),
            kind,
            callers=(*outer.callers, (use.name, span)),
            ambient=outer.ambient,
            fans=outer.fans,
            training=outer.training,
            in_data=outer.in_data,
        )
        self.frame.active = outer.active | {(definition.name, id(definition))}
        self.lifted: list[Lifted] = []
        self.operands: list[int] = []
        if kind == "layer":
            self.frame.make_leaf = self._lift

    def _lift(self, lifted: Lifted) -> Value:
        value = self.frame.operand(len(self.operands), lifted.name, lifted.type, lifted.span)
        self.operands.append(value.id)
        self.lifted.append(lifted)
        return value

    def run(self, types: list[Type]) -> Expansion | None:
        for i, (parameter, type) in enumerate(
            zip(self.definition.tree.parameters, types, strict=True)
        ):
            value = self.frame.operand(i, parameter.name, type, parameter.span)
            self.operands.append(value.id)
            self.scope.bind(parameter.name, Tensor(value), parameter.span, "operand")
        returned = statements.run_body(self.frame, self.scope, self.definition.tree.body)
        if returned is None:
            return None
        results: list[Value] = []
        for meaning, span in returned:
            for part in meaning.items if isinstance(meaning, Several) else (meaning,):
                result = values.as_tensor(self.frame, part, span)
                if result is None:
                    return None
                results.append(result)
        return self._finish(results, types)

    def _finish(self, results: list[Value], types: list[Type]) -> Expansion | None:
        weight = self.frame.weight + len(self.frame.builder.graph)
        if not self.frame.may_hold(weight, self.span):
            return None
        updates = tuple(self.frame.updates)
        given = [*results, *(value for value, _ in self.frame.updates.values())]
        body = Body(
            title=self.use.title,
            definition=self.definition.name,
            graph=self.frame.builder.graph,
            operands=tuple(self.operands),
            results=tuple(value.id for value in given),
            prelude=self.definition.tree.span.source.prelude,
        )
        if self.definition.tree.derivative is not None and _is_differentiable(types):
            body.derivative = self._derivative(types, results)
            if body.derivative is None:
                return None
        return Expansion(body, tuple(self.lifted), len(results), updates, weight)

    def _derivative(self, types: list[Type], results: list[Value]) -> Body | None:
        """The stated derivative as a body over the operand and the definition's own value."""
        definition, name = self.definition.tree, self.definition.name
        expr = definition.derivative
        assert expr is not None
        if not self._is_elementwise(types, results):
            self.frame.error(
                "E316",
                f"`derivative` needs an element-wise definition of one tensor; `{name}` is not",
                expr.span,
            )
            return None
        frame = Frame(
            self.frame.context,
            self.frame.home,
            Builder(Graph(), Origin()),
            "def",
            callers=self.frame.callers,
            training=self.frame.training,
        )
        frame.active = self.frame.active
        x = frame.operand(0, definition.parameters[0].name, types[0], definition.parameters[0].span)
        own = frame.operand(1, name, types[0], definition.name.span)
        scope = Scope(self.scope)
        scope.bind(definition.parameters[0].name, Tensor(x), None, "operand")
        scope.bind(name, Tensor(own), None, "operand")
        result = values.tensor(frame, scope, expr)
        if result is None or not self._is_derivative(frame, result, types[0], expr):
            return None
        result = to_real(result) if result.type.kind == "int" else result
        return Body(
            title=f"{name}′",
            definition=f"{name}′",
            graph=frame.builder.graph,
            operands=(x.id, own.id),
            results=(result.id,),
            prelude=definition.span.source.prelude,
        )

    def _is_elementwise(self, types: list[Type], results: list[Value]) -> bool:
        if not len(types) == len(results) == 1 or results[0].type != types[0]:
            return False
        body = Body("", "", self.frame.builder.graph, tuple(self.operands), (results[0].id,))
        return all(map(is_elementwise, flatten(body).graph))

    def _is_derivative(self, frame: Frame, result: Value, type: Type, expr: tree.Expr) -> bool:
        if result.type.kind != "label" and result.shape in ((), type.shape):
            return True
        frame.error("E316", f"the derivative is {result.type}, but the value is {type}", expr.span)
        return False


def _is_differentiable(types: list[Type]) -> bool:
    """Whether there can be a derivative: integers have none, whatever a definition states."""
    return any(type.kind == "real" for type in types)
