"""Uses of definitions: finding them, binding attributes, expanding bodies, emitting calls."""

from __future__ import annotations

from typing import Any

from graphc.diagnostics import Label, Span
from graphc.ir import Body, Builder, Call, Graph, Origin, Type, Value
from graphc.language import format_expr, tree
from graphc.model import builtins, expressions, statements
from graphc.model.frame import MAX_NODES, Expansion, Frame, Lifted, nearest
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
    "expand",
    "find_definition",
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
        return POISON
    if expr.attributes is not None:
        callee = _with_attributes(frame, scope, callee, expr)
        if isinstance(callee, Poison):
            return POISON
    if expr.arguments is None and not piped:
        return callee
    arguments = list(piped)
    for argument in expr.arguments or ():
        if argument.name is not None:
            frame.error(
                "E320",
                "tensors are given by position",
                argument.span,
                help=f"attributes go in braces: {expr.name}{{{argument.name} = …}}(…)",
            )
            return POISON
        arguments.append((expressions.evaluate(frame, scope, argument.value), argument.span))
    return apply_meaning(frame, callee, expr.name, expr.callee, arguments, expr.span)


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
    help_text = nearest(expr.name, known_definitions(frame))
    frame.error("E302", f"unknown definition `{expr.name}`", expr.callee, help=help_text)


def _with_attributes(
    frame: Frame, scope: Scope, callee: Meaning, expr: tree.Apply
) -> Meaning:
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
            "E323",
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
    with frame.at(span):
        inputs = tuple(value.id for value in operands)
        result = frame.builder.place(Call(body, place), inputs, body.type)
        items = frame.builder.items(result)
    for name, value in zip(expansion.updates, items[expansion.returns :], strict=True):
        set_update(frame, f"{owner}.{name}", value, span)
    returned = tuple(Tensor(value) for value in items[: expansion.returns])
    return returned[0] if len(returned) == 1 else Several(returned)


def set_update(frame: Frame, name: str, value: Value, span: Span) -> None:
    """Record the next value of a state; it has one a step."""
    if name in frame.updates:
        frame.error(
            "E319",
            f"state `{name}` would be updated twice in a step",
            span,
            labels=(Label(frame.updates[name][1], "first updated here"),),
            help="call a layer with state once a step, or give each call a layer of its own",
        )
        return
    frame.updates[name] = (value, span)


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
        takes = f"{len(names)} ({', '.join(names)})" if names else "none"
        frame.error(
            "E326", f"`{use.name}` has attributes: {takes}; {len(use.positional)} given", span
        )
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
    """The body of a use for given operand types, made once for equal uses."""
    scope = bind_attributes(frame, use, definition, span)
    if scope is None:
        return None
    attributes = tuple((name, _key(b.meaning)) for name, b in scope.names.items())
    context = (frame.ambient, frame.fans, frame.training, frame.in_data)
    key = (definition, attributes, tuple(types), context)
    known = frame.context.expansions.get(key)
    if known is not None:
        return known
    if (definition.name, id(definition)) in frame.active:
        frame.error(
            "E328",
            f"`{definition.name}` uses itself",
            span,
            help="a definition cannot be recursive; write `repeat` for repetition",
        )
        return None
    errors = len(frame.diagnostics.errors)
    expansion = _Expander(frame, use, definition, scope, span).run(types)
    if expansion is None or len(frame.diagnostics.errors) > errors:
        return None
    frame.context.expansions[key] = expansion
    return expansion


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
        results = []
        for meaning, span in returned:
            if isinstance(meaning, Several):
                results.extend(meaning.items)
            elif (value := expressions.as_tensor(self.frame, meaning, span)) is not None:
                results.append(Tensor(value))
        if len(results) < len(returned) or not results:
            return None
        return self._finish([r.value for r in results if isinstance(r, Tensor)], types)

    def _finish(self, results: list[Value], types: list[Type]) -> Expansion | None:
        self.frame.context.nodes += len(self.frame.builder.graph)
        if self.frame.context.nodes > MAX_NODES:
            self.frame.error("E318", f"the model is too large: over {MAX_NODES:,} nodes", self.span)
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
        if self.definition.tree.derivative is not None:
            body.derivative = self._derivative(types, results)
            if body.derivative is None:
                return None
        return Expansion(body, tuple(self.lifted), len(results), updates)

    def _derivative(self, types: list[Type], results: list[Value]) -> Body | None:
        """The stated derivative as a body over the operand and the definition's own value."""
        definition, name = self.definition.tree, self.definition.name
        expr = definition.derivative
        assert expr is not None
        fits = len(types) == len(results) == 1 and types[0].kind == "real"
        if not fits or results[0].type != types[0]:
            self.frame.error(
                "E316",
                f"`derivative` needs an element-wise definition of one real tensor; `{name}` is not",
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
        if result is None:
            return None
        return Body(
            title=f"{name}′",
            definition=f"{name}′",
            graph=frame.builder.graph,
            operands=(x.id, own.id),
            results=(result.id,),
            prelude=definition.span.source.prelude,
        )


def _draws(graph: Graph) -> bool:
    """Whether a body draws random numbers, itself or in a call."""
    return any(
        node.op.name.startswith("draw_")
        or (isinstance(node.op, Call) and _draws(node.op.body.graph))
        for node in graph
    )


def known_number(value: Value) -> float | int | bool | None:
    """The number that a scalar is, where it depends on constants only."""
    graph = value.builder.graph
    node = graph[value.id]
    if not isinstance(node.type, Type) or node.type.shape:
        return None
    needed = [graph[id] for id in graph.ancestors([value.id])]
    if any(n.op.arity == 0 and n.op.name != "constant" for n in needed):
        return None
    if any(isinstance(n.op, Call) and _draws(n.op.body.graph) for n in needed):
        return None
    (result,) = evaluate_graph(graph, [value.id])
    number = result.item() if hasattr(result, "item") else result
    return number if isinstance(number, int | float) else None
