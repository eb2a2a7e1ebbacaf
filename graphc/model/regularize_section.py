"""The regularize section: definitions inserted after or before values, and penalties on parameters.

Each rule is expanded for every type that it meets. Inserting is left to the passes.
"""

from __future__ import annotations

from typing import Literal

from graphc.diagnostics import Span
from graphc.ir import Body, Type
from graphc.language import tree
from graphc.model import bodies
from graphc.model.builtins import BUILTINS
from graphc.model.frame import nearest
from graphc.model.meanings import Definition, DefinitionUse, Poison
from graphc.model.program import Penalty, Splice
from graphc.model.section import SectionReader
from graphc.model.selectors import calls_of, definitions_in, operand_types
from graphc.model.settings import KEYS

__all__ = ["check_regularize"]


def check_regularize(
    reader: SectionReader,
) -> tuple[tuple[Splice, ...], tuple[Penalty, ...]]:
    """What the rules insert, and what they add to the objective."""
    reader.entries("regularize", KEYS["regularize"])
    splices, penalties = [], []
    for rule in reader.rules("regularize"):
        if not isinstance(rule, tree.Placed):
            reader.frame.error(
                "E506",
                "a line of `regularize` is `definition after|before|on selector`",
                rule.span,
                help="as in: dropout{0.2} after relu, or l2{1e-4} on weights",
            )
            continue
        use = _rule_use(reader, rule)
        if use is None:
            continue
        if rule.preposition == "on":
            penalty = _penalty(reader, rule, use)
            if penalty is not None:
                penalties.append(penalty)
        elif (splice := _splice(reader, rule, use)) is not None:
            splices.append(splice)
    return tuple(splices), tuple(penalties)


def _rule_use(reader: SectionReader, rule: tree.Placed) -> DefinitionUse | None:
    value = rule.value
    if isinstance(value, tree.Name):
        value = tree.Apply(value.span, value.name, value.span, (), None)
    meaning = reader.definition(value)
    if isinstance(meaning, DefinitionUse) and isinstance(meaning.definition, Definition):
        return meaning
    if not isinstance(meaning, Poison):
        reader.frame.error("E510", "a rule starts with a definition", value.span)
    return None


def _penalty(reader: SectionReader, rule: tree.Placed, use: DefinitionUse) -> Penalty | None:
    by_name: dict[str, Body] = {}
    for name in reader.select(rule.selector):
        body = _body(reader, use, reader.parameters[name], rule.value.span)
        if body is None:
            return None
        if body.type != Type("real"):
            reader.frame.error(
                "E401",
                f"a penalty must be a scalar, but `{use.name}` gives {body.type}",
                rule.value.span,
            )
            return None
        by_name[name] = body
    return Penalty(use.title, by_name, rule.span) if by_name else None


def _splice(reader: SectionReader, rule: tree.Placed, use: DefinitionUse) -> Splice | None:
    pattern, graph = rule.selector.pattern, reader.frame.builder.graph
    nodes = tuple(reader.frame.bindings.get(pattern, ()))
    definitions = definitions_in(graph)
    match = "" if nodes or pattern not in definitions else pattern
    if not nodes and not match:
        if not reader.sound and _may_be_lost(reader, pattern):
            return None
        home = reader.frame.home
        known = [*reader.frame.bindings, *definitions, *home.known()]
        unused = f"the model never uses `{pattern}`" if home.find(pattern) else ""
        if pattern in BUILTINS:
            unused = f"`{pattern}` is a primitive: name the value, or a definition that uses it"
        reader.frame.error(
            "E507",
            f"`{pattern}` selects no value",
            rule.selector.span,
            help=unused
            or nearest(pattern, known)
            or "a selector of values names a value of the model or a definition that it uses",
        )
        return None
    return _splice_at(reader, rule, use, nodes, match)


def _may_be_lost(reader: SectionReader, pattern: str) -> bool:
    """Whether a name is right as such, so that only another error keeps it from being found."""
    return reader.scope.find(pattern) is not None or reader.frame.home.find(pattern) is not None


def _splice_at(
    reader: SectionReader, rule: tree.Placed, use: DefinitionUse, nodes: tuple[int, ...], match: str
) -> Splice | None:
    graph = reader.frame.builder.graph
    before = rule.preposition == "before"
    types = set(definitions_in(graph)[match]) if match else set()
    if match and before:
        types = operand_types(graph, match)
    for id in nodes or calls_of(graph, match):
        node = graph[id]
        if before and not node.inputs:
            reader.frame.error("E507", "nothing stands before an input", rule.selector.span)
            return None
        types.add(graph[node.inputs[0]].tensor if before else node.tensor)
    by_type: dict[Type, Body] = {}
    for type in sorted(types, key=str):
        body = _body(reader, use, type, rule.value.span)
        if body is None:
            return None
        if body.type != type:
            reader.frame.error(
                "E510",
                f"`{use.name}` turns {type} into {body.type}: it cannot be inserted here",
                rule.value.span,
            )
            return None
        by_type[type] = body
    position: Literal["before", "after"] = "before" if before else "after"
    return Splice(use.title, position, nodes, match, by_type, rule.span)


def _body(reader: SectionReader, use: DefinitionUse, type: Type, span: Span) -> Body | None:
    definition = use.definition
    assert isinstance(definition, Definition)
    if len(definition.tree.parameters) != 1 or definition.tree.kind != "def":
        reader.frame.error(
            "E510", f"`{use.name}` must be a `def` of one tensor to stand in a rule", span
        )
        return None
    expansion = bodies.expand(reader.frame, use, definition, [type], span)
    return expansion.body if expansion else None
