"""Uses of definitions: finding them, binding attributes, expanding bodies, emitting calls."""

from __future__ import annotations

from typing import Any

from graphc.diagnostics import Label, Span
from graphc.ir import Body, Builder, Call, Graph, Node, Origin, Type, Value, flatten
from graphc.language import format_expr, tree
from graphc.model import builtins, expressions, statements
from graphc.model.frame import MAX_DEPTH, Expansion, Frame, Lifted, nearest
from graphc.model.meanings import (
    POISON,
    BoundLayer,
    Const,
    Definition,
    DefinitionUse,
    Meaning,
    Poison,
    RunTime,
    Scope,
    Several,
    Tensor,
)
from graphc.ops import evaluate as evaluate_graph

__all__ = [
    "apply",
    "apply_meaning",
    "bind_attributes",
    "draws",
    "expand",
    "find_definition",
    "is_elementwise",
    "known_definitions",
    "known_number",
    "match_attributes",
    "set_update",
    "title_of",
]

Argument = tuple[Meaning, Span]


def find_definition(frame: Frame, scope: Scope, name: str) -> Meaning | None:
    """A definition, bound layer or primitive by name; attributes bound to definitions first."""
    binding = scope.find(name)
    if binding is not None and isinstance(binding.meaning, DefinitionUse | BoundLayer):
        binding.used = True
        return binding.meaning
    definition = frame.home.find(name)
    if definition is not None:
        return DefinitionUse(definition)
    return DefinitionUse(name) if name in builtins.BUILTINS else None


def known_definitions(frame: Frame) -> list[str]:
    return [*frame.home.known(), *builtins.BUILTINS]


def apply(frame: Frame, scope: Scope, expr: tree.Apply, piped: list[Argument]) -> Meaning:
    """``f{…}``, ``f(…)`` or ``f{…}(…)``, with what was piped in as first arguments."""
    callee = find_definition(frame, scope, expr.name)
    if callee is None:
        _unknown(frame, scope, expr)
        for argument in expr.arguments or ():
            expressions.evaluate(frame, scope, argument.value)
        for argument in expr.attributes or ():
            expressions.attribute(frame, scope, argument.value)
        return POISON
    if expr.attributes is not None:
        callee = _with_attributes(frame, scope, callee, expr)
        if isinstance(callee, Poison):
            return POISON
    if expr.arguments is None and not piped:
        return callee
    arguments = list(piped)
    named: dict[str, Argument] = {}
    for argument in expr.arguments or ():
        given = (expressions.evaluate(frame, scope, argument.value), argument.value.span)
        if argument.name is None:
            arguments.append(given)
        elif argument.name in named:
            frame.error("E320", f"`{argument.name}` is given twice", argument.span)
        else:
            named[argument.name] = given
    ordered = _in_order(frame, callee, expr, arguments, named) if named else arguments
    if ordered is None:
        return POISON
    return apply_meaning(frame, callee, expr.name, expr.callee, ordered, expr.span)


def _in_order(
    frame: Frame,
    callee: Meaning,
    expr: tree.Apply,
    arguments: list[Argument],
    named: dict[str, Argument],
) -> list[Argument] | None:
    """Positional arguments, then named ones in the order of the definition; None after errors."""
    use = callee.use if isinstance(callee, BoundLayer) else callee
    definition = use.definition if isinstance(use, DefinitionUse) else None
    if not isinstance(definition, Definition):
        at = next(argument.span for argument in expr.arguments or () if argument.name)
        frame.error("E320", f"`{expr.name}` takes its tensors by position, without names", at)
        return None
    names = [parameter.name for parameter in definition.tree.parameters]
    places = {argument.name: argument.span for argument in expr.arguments or ()}
    for name in named:
        at = places[name]
        if name not in names:
            braces = f"{expr.name}{{{name} = …}}(…)"
            attribute = any(decl.name.name == name for decl in definition.tree.attributes)
            hint = f"attributes go in braces: {braces}" if attribute else nearest(name, names)
            frame.error("E320", f"`{expr.name}` takes no tensor `{name}`", at, help=hint)
            return None
        if name in names[: len(arguments)]:
            frame.error("E320", f"`{name}` of `{expr.name}` is given twice", at)
            return None
    return [*arguments, *(named[name] for name in names if name in named)]


def advice_on_place(frame: Frame, name: str) -> str:
    """What to do about a name that is bound, but not where it is read."""
    if frame.kind != "model":
        if name in frame.context.below and frame.kind in ("def", "layer", "optimizer"):
            return f"`{name}` belongs to the model: hand it to the {frame.kind} as an argument"
        return ""
    span = frame.context.below.get(name)
    return f"`{name}` is bound below, at line {span.line}: use it after that" if span else ""


def _unknown(frame: Frame, scope: Scope, expr: tree.Apply) -> None:
    binding = scope.find(expr.name) or frame.home.scope.find(expr.name)
    if binding is not None:
        binding.used = True
        frame.error(
            "E313",
            f"`{expr.name}` is a value, not a definition",
            expr.callee,
            help=f"multiply with *, as in {expr.name} * (…)" if expr.arguments else "",
        )
        return
    if expr.name in frame.context.broken:
        return
    help_text = advice_on_place(frame, expr.name) or nearest(expr.name, known_definitions(frame))
    frame.error("E302", f"unknown definition `{expr.name}`", expr.callee, help=help_text)


def _with_attributes(frame: Frame, scope: Scope, callee: Meaning, expr: tree.Apply) -> Meaning:
    if isinstance(callee, BoundLayer):
        frame.error("E321", f"the attributes of `{expr.name}` are bound already", expr.callee)
        return POISON
    assert isinstance(callee, DefinitionUse)
    positional = list(callee.positional)
    named = dict(callee.attributes)
    failed = False
    for argument in expr.attributes or ():
        meaning = expressions.attribute(frame, scope, argument.value)
        failed = failed or isinstance(meaning, Poison)
        if argument.name is None:
            positional.append(meaning)
        elif argument.name in named and callee.attributes == tuple(named.items()):
            named[argument.name] = meaning
        elif argument.name in named:
            frame.error("E322", f"attribute `{argument.name}` is given twice", argument.span)
            failed = True
        else:
            named[argument.name] = meaning
    if failed:
        return POISON
    return DefinitionUse(callee.definition, tuple(named.items()), tuple(positional))


def apply_meaning(
    frame: Frame,
    callee: Meaning,
    name: str,
    span: Span,
    arguments: list[Argument],
    whole: Span | None = None,
) -> Meaning:
    """Call what ``callee`` means on the arguments."""
    if any(isinstance(meaning, Poison) for meaning, _ in arguments) or isinstance(callee, Poison):
        return POISON
    if isinstance(callee, BoundLayer):
        return _call_bound(frame, callee, name, span, arguments)
    if not isinstance(callee, DefinitionUse):
        frame.error("E313", f"`{name}` is not a definition or layer", span)
        return POISON
    if isinstance(callee.definition, str):
        return builtins.call(frame, callee, span, arguments, whole or span)
    return _call_definition(frame, callee, callee.definition, span, arguments)


def _call_definition(
    frame: Frame,
    use: DefinitionUse,
    definition: Definition,
    span: Span,
    arguments: list[Argument],
) -> Meaning:
    if definition.tree.kind == "optimizer":
        frame.error(
            "E607",
            f"`{definition.name}` is an optimizer",
            span,
            help=f"it goes in the train section: optimizer = {definition.name}{{…}}",
        )
        return POISON
    values = _operands(frame, use.name, definition, span, arguments)
    if values is None:
        return POISON
    expansion = expand(frame, use, definition, [v.type for v in values], span)
    if expansion is None:
        return POISON
    prefix = frame.number(use.name)
    lifted = []
    for item in expansion.lifted:
        value = frame.declare(_renamed(item, prefix, span))
        if value is None:
            return POISON
        lifted.append(value)
    return _emit_call(frame, expansion, prefix, values + lifted, span)


def _renamed(item: Lifted, prefix: str, span: Span) -> Lifted:
    at = span if item.span.source.prelude else item.span
    name = f"{prefix}.{item.name}"
    return Lifted(item.kind, name, item.type, item.init, item.random, at)


def _operands(
    frame: Frame, name: str, definition: Definition, span: Span, arguments: list[Argument]
) -> list[Value] | None:
    wanted = [p.name for p in definition.tree.parameters]
    if len(arguments) != len(wanted):
        takes = f"{len(wanted)} tensor{'s' * (len(wanted) != 1)} ({', '.join(wanted)})"
        frame.error("E324", f"`{name}` takes {takes}, not {len(arguments)}", span)
        return None
    values = []
    for meaning, at in arguments:
        if isinstance(meaning, Const) and type(meaning.value) is int:
            meaning = Const(float(meaning.value))
        value = expressions.as_tensor(frame, meaning, at)
        if value is None:
            return None
        values.append(value)
    return values


def _emit_call(
    frame: Frame,
    expansion: Expansion,
    place: str,
    operands: list[Value],
    span: Span,
    owner: str | None = None,
) -> Meaning:
    """``place`` keys the draws; ``owner`` names whose states are updated, by default the same."""
    owner = place if owner is None else owner
    body = expansion.body
    frame.weight += expansion.weight
    if not frame.may_hold(frame.weight, span):
        return POISON
    with frame.at(span):
        inputs = tuple(value.id for value in operands)
        result = frame.builder.place(Call(body, place), inputs, body.type)
        items = frame.builder.items(result)
    for name, value in zip(expansion.updates, items[expansion.returns :], strict=True):
        if not set_update(frame, f"{owner}.{name}", value, span, ONE_UPDATE):
            return POISON
    returned = tuple(Tensor(value) for value in items[: expansion.returns])
    return returned[0] if len(returned) == 1 else Several(returned)


ONE_UPDATE = "call a layer with state once a step, or give each call a layer of its own"


def set_update(frame: Frame, name: str, value: Value, span: Span, help: str = "") -> bool:
    """Record the next value of a state: it has one a step, and none outside training. False after
    an error."""
    if frame.training is False:
        return True
    if name in frame.updates:
        frame.error(
            "E319",
            f"state `{name}` would be updated twice in a step",
            span,
            labels=(Label(frame.updates[name][1], "first updated here"),),
            help=help,
        )
        return False
    frame.updates[name] = (value, span)
    return True


def _call_bound(
    frame: Frame, layer: BoundLayer, name: str, span: Span, arguments: list[Argument]
) -> Meaning:
    if layer.frame is not frame:
        frame.error("E312", f"layer `{name}` belongs to the model around this definition", span)
        return POISON
    definition = layer.use.definition
    assert isinstance(definition, Definition)
    values = _operands(frame, name, definition, span, arguments)
    if values is None:
        return POISON
    expansion = expand(frame, layer.use, definition, [v.type for v in values], span)
    if expansion is None:
        return POISON
    lifted = _shared(frame, layer, expansion, name, span)
    if lifted is None:
        return POISON
    place = frame.number(name)
    return _emit_call(frame, expansion, place, values + lifted, span, layer.prefix)


def _shared(
    frame: Frame, layer: BoundLayer, expansion: Expansion, name: str, span: Span
) -> list[Value] | None:
    """The parameters of a bound layer: declared at its first call, the same ones afterwards."""
    if layer.lifted is None:
        layer.lifted, layer.first = {}, span
        for item in expansion.lifted:
            value = frame.declare(_renamed(item, layer.prefix, span))
            if value is None:
                return None
            layer.lifted[item.name] = value
    values = []
    frame.replayed.update(f"{layer.prefix}.{name}" for name in layer.lifted)
    for item in expansion.lifted:
        shared = layer.lifted.get(item.name)
        if shared is None or shared.type != item.type:
            before = shared.type if shared is not None else "absent"
            labels = (Label(layer.first, "first called here"),) if layer.first else ()
            frame.error(
                "E317",
                f"`{name}` shares its parameters, but here {item.name} would be {item.type}, "
                f"before it was {before}",
                span,
                labels=labels,
            )
            return None
        values.append(shared)
    return values


# ------------------------------------------------------------------------- attributes


def bind_attributes(
    frame: Frame, use: DefinitionUse, definition: Definition, span: Span
) -> Scope | None:
    """A scope with the definition's attributes bound, defaults filled in."""
    declared = definition.tree.attributes
    names = [decl.name.name for decl in declared]
    given = match_attributes(frame, use, names, span)
    if given is None:
        return None
    scope = Scope()
    inner = Frame(frame.context, definition.home, Builder(Graph()), "def", callers=frame.callers)
    inner.ambient, inner.fans = frame.ambient, frame.fans
    missing = []
    for decl in declared:
        name = decl.name.name
        if name in given:
            meaning = given[name]
        elif decl.default is not None:
            meaning = expressions.attribute(inner, scope, decl.default)
        else:
            missing.append(name)
            continue
        scope.bind(name, meaning, decl.name.span, "attribute")
    if missing:
        which = ", ".join(f"`{name}`" for name in missing)
        frame.error("E325", f"`{use.name}` needs the attribute {which}", span)
        return None
    return scope


def match_attributes(
    frame: Frame, use: DefinitionUse, names: list[str], span: Span
) -> dict[str, Meaning] | None:
    if len(use.positional) > len(names):
        count = f"{len(names)} attribute{'s' * (len(names) != 1)}"
        takes = f"{count} ({', '.join(names)})" if names else "no attributes"
        frame.error("E326", f"`{use.name}` has {takes}, but {len(use.positional)} are given", span)
        return None
    given = dict(zip(names, use.positional, strict=False))
    for name, meaning in use.attributes:
        if name not in names:
            frame.error(
                "E327", f"`{use.name}` has no attribute `{name}`", span, help=nearest(name, names)
            )
            return None
        if name in given:
            frame.error("E322", f"attribute `{name}` of `{use.name}` is given twice", span)
            return None
        given[name] = meaning
    return given


def title_of(use: DefinitionUse) -> str:
    """``dense{64}``: a use of a definition as a person calls it."""
    parts = [_meaning_text(m) for m in use.positional]
    parts += [f"{name} = {_meaning_text(m)}" for name, m in use.attributes]
    text = ", ".join(parts)
    if not text or len(text) > 60:
        return use.name
    return f"{use.name}{{{text}}}"


def _meaning_text(meaning: Meaning) -> str:
    if isinstance(meaning, Const):
        value = meaning.value
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(value) if isinstance(value, str) else str(value)
    if isinstance(meaning, DefinitionUse):
        return title_of(meaning)
    if isinstance(meaning, RunTime):
        return format_expr(meaning.expr)
    return "…"


# -------------------------------------------------------------------------- expansion


def _key(meaning: Meaning) -> Any:
    if isinstance(meaning, Const):
        return (type(meaning.value).__name__, meaning.value)
    if isinstance(meaning, DefinitionUse):
        attributes = tuple((name, _key(m)) for name, m in meaning.attributes)
        return (meaning.definition, attributes, tuple(map(_key, meaning.positional)))
    return meaning


def expand(
    frame: Frame, use: DefinitionUse, definition: Definition, types: list[Type], span: Span
) -> Expansion | None:
    """The body of a use for given operand types, made once for equal uses; None after errors,
    which are not reported again."""
    scope = bind_attributes(frame, use, definition, span)
    if scope is None:
        return None
    attributes = tuple((name, _key(b.meaning)) for name, b in scope.names.items())
    context = (frame.ambient, frame.fans, frame.training, frame.in_data)
    key = (definition, attributes, tuple(types), context)
    if key in frame.context.expansions:
        return frame.context.expansions[key]
    if not _may_expand(frame, definition, span):
        return None
    errors = len(frame.diagnostics.errors)
    expansion = _Expander(frame, use, definition, scope, span).run(types)
    if len(frame.diagnostics.errors) > errors:
        expansion = None
    if expansion is not None and not _clocks_are_rates(frame, scope, expansion, span):
        expansion = None
    frame.context.expansions[key] = expansion
    return expansion


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
        help=expressions.CLOCK_HELP,
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
                result = expressions.as_tensor(self.frame, part, span)
                if result is None:
                    return None
                results.append(result)
        return self._finish(results, types)

    def _finish(self, results: list[Value], types: list[Type]) -> Expansion | None:
        weight = self.frame.weight + len(self.frame.builder.graph)
        if not self.frame.may_hold(weight, self.span):
            return None
        updates = tuple(self.frame.updates)
        values = [*results, *(value for value, _ in self.frame.updates.values())]
        body = Body(
            title=title_of(self.use),
            definition=self.definition.name,
            graph=self.frame.builder.graph,
            operands=tuple(self.operands),
            results=tuple(value.id for value in values),
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
        result = expressions.tensor(frame, scope, expr)
        if result is None or not self._is_derivative(frame, result, types[0], expr):
            return None
        result = expressions.to_real(result) if result.type.kind == "int" else result
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


def is_elementwise(node: Node) -> bool:
    """Whether each element of a node depends on the same element of its operands only."""
    spread = node.op.name == "broadcast" and node.op.arity == 1
    return node.op.elementwise or node.op.arity == 0 or spread


def draws(node: Node) -> bool:
    """Whether a node draws random numbers, itself or, as a call, in its body."""
    if isinstance(node.op, Call):
        return any(map(draws, node.op.body.graph))
    return node.op.name.startswith("draw_")


def known_number(value: Value) -> float | int | bool | None:
    """The number that a scalar is, where it depends on constants only."""
    graph = value.builder.graph
    node = graph[value.id]
    if not isinstance(node.type, Type) or node.type.shape:
        return None
    needed = [graph[id] for id in graph.ancestors([value.id])]
    if any(n.op.arity == 0 and n.op.name != "constant" for n in needed):
        return None
    if any(draws(n) for n in needed):
        return None
    (result,) = evaluate_graph(graph, [value.id])
    number = result.item() if hasattr(result, "item") else result
    return number if isinstance(number, int | float) else None
