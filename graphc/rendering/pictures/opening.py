"""Opening folds: uses of definitions replaced by what is in them, inside a frame.

A depth of 0 draws a box for each value of the text and each use of a definition, 1 one for each
operator of the text, 2 and more open that many definitions inside each other. A name opens a value,
all uses of a definition, or the use at a place.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from graphc.ir import Call, Graph, Group, Node, TupleType
from graphc.ir.group import open_group
from graphc.ir.inline import follow, inline_calls
from graphc.rendering.naming import every_title
from graphc.rendering.pictures.diagram import Frame
from graphc.rendering.pictures.outline import safe_key

__all__ = ["Opened", "Roots", "open_folds", "open_groups"]

Roots = dict[tuple[str, str], int]


@dataclass
class Opened:
    """What was opened: frames, the frame that each node is in, and the nodes of which each
    operator is drawn. ``found`` are the names that there was something to open for."""

    frames: dict[str, Frame] = field(default_factory=dict)
    inside: dict[int, str] = field(default_factory=dict)
    operators: set[int] = field(default_factory=set)
    found: set[str] = field(default_factory=set)


def open_folds(
    graph: Graph, roots: Roots, depth: int, names: Collection[str]
) -> tuple[Roots, Opened]:
    """Open definitions in place; the roots where they are now."""
    opened = Opened()
    levels: dict[int, int] = {}
    _open_values(graph, names, opened)

    def wanted(node: Node, call: Call) -> bool:
        known = {node.name, call.place, call.body.definition, call.body.title} & set(names)
        opened.found |= known
        return bool(known) or levels.get(node.id, 0) < depth - 1

    def note(node: Node, ids: range) -> None:
        call = node.op
        assert isinstance(call, Call)
        outer = opened.inside.get(node.id, "")
        frame = _frame(opened, call, node.name, outer)
        for id in ids:
            levels[id] = levels.get(node.id, 0) + 1
            opened.inside[id] = frame.key
            opened.operators.add(id)

    roots = inline_calls(graph, roots, when=wanted, opened=note)
    graph.keep_only(graph.ancestors(roots.values()))
    if depth >= 1:
        opened.operators.update(node.id for node in graph)
    return roots, opened


def open_groups(
    graph: Graph, roots: Roots, depth: int, names: Collection[str], opened: Opened
) -> Roots:
    """Put the members of fused groups back in place, each group in a frame: of all groups at a
    depth of 1 and more, else of those whose title is named. The roots where they are now."""
    moved: dict[int, int] = {}
    for node in list(graph.topological()):
        # An update of several arrays is a root itself: nothing takes its values out of it.
        several = isinstance(node.type, TupleType)
        if not isinstance(node.op, Group) or (several and not graph.users(node.id)):
            continue
        title = node.op.body.title
        if depth < 1 and title not in names:
            continue
        opened.found |= {title} & set(names)
        frame = _added(opened, title, title, kind="group")
        before = graph.next_id
        moved |= open_group(graph, node)
        opened.inside.update(dict.fromkeys(range(before, graph.next_id), frame.key))
    return {key: follow(moved, id) for key, id in roots.items()}


def _frame(opened: Opened, call: Call, name: str, outer: str) -> Frame:
    place = name or call.place
    title = f"{place}: {call.body.title}" if place else call.body.title
    stem = f"{outer}/{place or call.body.definition}" if outer else place or call.body.definition
    return _added(opened, stem, title, outer)


def _added(
    opened: Opened,
    stem: str,
    title: str,
    outer: str = "",
    kind: Literal["definition", "group"] = "definition",
) -> Frame:
    key, number = safe_key(stem), 2
    while key in opened.frames:
        key, number = f"{safe_key(stem)}.{number}", number + 1
    opened.frames[key] = Frame(key, title, kind, outer)
    return opened.frames[key]


def _open_values(graph: Graph, names: Collection[str], opened: Opened) -> None:
    """Frames around the operators of the values that are named."""
    if not names:
        return
    titles = every_title(graph, {}, graph.next_id)
    for id, title in titles.names.items():
        plain = title.partition("#")[0]
        if title not in names and plain not in names:
            continue
        opened.found |= {title, plain} & set(names)
        members = _members(graph, id, titles.names)
        if len(members) < 2 or isinstance(graph[id].op, Call):
            continue
        frame = _added(opened, title, title)
        for member in members:
            opened.inside[member] = frame.key
            opened.operators.add(member)


def _members(graph: Graph, id: int, names: Collection[int]) -> list[int]:
    """A value and the unnamed nodes that only it is made of."""
    found, stack = [id], list(graph[id].inputs)
    while stack:
        source = stack.pop()
        if source not in names and graph[source].inputs:
            found.append(source)
            stack.extend(graph[source].inputs)
    return list(dict.fromkeys(found))
