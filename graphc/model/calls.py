"""Uses of definitions: finding them, ordering their arguments, emitting calls.

What a definition becomes for given attributes and operand types is left to ``bodies``, primitives
to ``builtins``.
"""

from __future__ import annotations

from graphc.diagnostics import Label, Span
from graphc.ir import Call, Value
from graphc.language import tree
from graphc.model import bodies, builtins, expressions, values
from graphc.model.frame import Expansion, Frame, Lifted, nearest
from graphc.model.meanings import (
    POISON,
    BoundLayer,
    Const,
    Definition,
    DefinitionUse,
    Meaning,
    Poison,
    Scope,
    Several,
    Tensor,
)

__all__ = ["advice_on_place", "apply", "apply_meaning", "find_definition", "known_definitions"]

Argument = tuple[Meaning, Span]


# ----------------------------------------------------------------------------- finding


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
    """Names of all definitions and primitives that can be used here."""
    return [*frame.home.known(), *builtins.BUILTINS]


def advice_on_place(frame: Frame, name: str) -> str:
    """What to do about a name that is bound, but not where it is read."""
    if frame.kind != "model":
        if name in frame.context.below and frame.kind in ("def", "layer", "optimizer"):
            return f"`{name}` belongs to the model: hand it to the {frame.kind} as an argument"
        return ""
    span = frame.context.below.get(name)
    return f"`{name}` is bound below, at line {span.line}: use it after that" if span else ""


# ---------------------------------------------------------------------------- applying


def apply(frame: Frame, scope: Scope, expr: tree.Apply, piped: list[Argument]) -> Meaning:
    """``f{…}``, ``f(…)`` or ``f{…}(…)``, with what was piped in as first arguments."""
    callee = find_definition(frame, scope, expr.name)
    if callee is None:
        _unknown(frame, scope, expr)
        for argument in expr.arguments or ():
            expressions.evaluate(frame, scope, argument.value)
        for argument in expr.attributes or ():
            values.attribute(frame, scope, argument.value)
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
        meaning = values.attribute(frame, scope, argument.value)
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


# ----------------------------------------------------------------------------- calling


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
    operands = _operands(frame, use.name, definition, span, arguments)
    if operands is None:
        return POISON
    expansion = bodies.expand(frame, use, definition, [v.type for v in operands], span)
    if expansion is None:
        return POISON
    prefix = frame.number(use.name)
    lifted = []
    for item in expansion.lifted:
        value = frame.declare(_renamed(item, prefix, span))
        if value is None:
            return POISON
        lifted.append(value)
    return _emit_call(frame, expansion, prefix, operands + lifted, span)


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
    operands = []
    for meaning, at in arguments:
        if isinstance(meaning, Const) and type(meaning.value) is int:
            meaning = Const(float(meaning.value))
        value = values.as_tensor(frame, meaning, at)
        if value is None:
            return None
        operands.append(value)
    return operands


ONE_UPDATE = "call a layer with state once a step, or give each call a layer of its own"


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
        if not frame.set_update(f"{owner}.{name}", value, span, ONE_UPDATE):
            return POISON
    returned = tuple(Tensor(value) for value in items[: expansion.returns])
    return returned[0] if len(returned) == 1 else Several(returned)


def _call_bound(
    frame: Frame, layer: BoundLayer, name: str, span: Span, arguments: list[Argument]
) -> Meaning:
    if layer.frame is not frame:
        frame.error("E312", f"layer `{name}` belongs to the model around this definition", span)
        return POISON
    definition = layer.use.definition
    assert isinstance(definition, Definition)
    operands = _operands(frame, name, definition, span, arguments)
    if operands is None:
        return POISON
    expansion = bodies.expand(frame, layer.use, definition, [v.type for v in operands], span)
    if expansion is None:
        return POISON
    lifted = _shared(frame, layer, expansion, name, span)
    if lifted is None:
        return POISON
    place = frame.number(name)
    return _emit_call(frame, expansion, place, operands + lifted, span, layer.prefix)


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
    operands = []
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
        operands.append(shared)
    return operands
