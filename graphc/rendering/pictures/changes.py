"""What passes change: a graph as it is after a pass, and before and after beside each other.

Passes rewrite in place and never use an id again, so a node is the same before and after where its
id, its operator and its operands are. Only what changed is drawn, and what it touches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from graphc.ir import Graph, Group, TupleType
from graphc.ops.leaves import Item
from graphc.rendering.faces import Faces
from graphc.rendering.naming import every_title
from graphc.rendering.numbers import Numbers
from graphc.rendering.pictures.diagram import (
    Arrow,
    Box,
    Diagram,
    Frame,
    Line,
    Mark,
    frames_around,
)
from graphc.rendering.pictures.opening import Opened, Roots, open_folds, open_groups
from graphc.rendering.pictures.outline import Outline, line_of, make_outline
from graphc.rendering.pictures.wording import lines, visible

__all__ = ["Change", "Snapshot", "alike", "draw_changes", "draw_stage"]

MOST_MARKED = 6
"""Changed values of a panel that are drawn."""


@dataclass(frozen=True)
class Snapshot:
    """A graph at a point of the pipeline, its roots by id with their names."""

    graph: Graph
    roots: Mapping[int, str]

    @property
    def is_flat(self) -> bool:
        """Whether definitions are gone: then each operator is drawn."""
        return not any(node.op.name == "call" for node in self.graph)


@dataclass(frozen=True)
class Change:
    """What passes with the title ``name`` made of a graph."""

    name: str
    before: Snapshot
    after: Snapshot


def alike(a: Snapshot, b: Snapshot) -> bool:
    """Whether no node differs."""
    return len(a.graph) == len(b.graph) and not _marks(a.graph, b.graph, "removed")


# ------------------------------------------------------------------------------- a stage


def draw_stage(
    title: str, snapshot: Snapshot, depth: int, names: Collection[str]
) -> tuple[Diagram, frozenset[str]]:
    """The whole graph at a point, which is taken over; those of ``names`` that opened a definition
    or a group."""
    graph, flat = snapshot.graph, snapshot.is_flat
    roots: Roots = {(name, str(id)): id for id, name in snapshot.roots.items()}
    opened = Opened()
    if not flat:
        roots, opened = open_folds(graph, roots, depth, names)
    roots = open_groups(graph, roots, depth, names, opened)
    point = Snapshot(graph, {id: name for (name, _), id in roots.items()})
    panel = _Panel(point, "", "", None if flat else opened.operators)
    boxes = [replace(panel.box(id), frame=opened.inside.get(id, "")) for id in panel.units]
    around = (reversed(frames_around(opened.frames, box.frame)) for box in boxes)
    kept = dict.fromkeys(key for keys in around for key in keys)
    frames = tuple(opened.frames[key] for key in kept)
    arrows = panel.arrows(set(panel.units), {})
    return Diagram(title, tuple(boxes), tuple(arrows), frames), frozenset(opened.found)


class _Panel:
    """Boxes and arrows of one graph; keys begin with ``prefix``. What takes one of the values of a
    group is drawn as the group."""

    def __init__(
        self,
        snapshot: Snapshot,
        prefix: str,
        frame: str,
        operators: Container[int] | None = None,
    ) -> None:
        graph = self.graph = snapshot.graph
        if operators is None:
            operators = {node.id for node in graph} if snapshot.is_flat else set()
        titles = every_title(graph, snapshot.roots, graph.next_id, operators)
        self.faces = Faces(graph, titles, Numbers(), graph.next_id)
        self.outline: Outline = make_outline(graph, titles, snapshot.roots, graph.next_id)
        self.prefix, self.frame = prefix, frame
        self.units = [id for id in self.outline.units if self._owner(id) == id]
        pairs = ((self._owner(use.source), self._owner(use.user)) for use in self.outline.uses)
        self.uses = [(source, user) for source, user in pairs if source != user]

    def _owner(self, id: int) -> int:
        node = self.graph[id]
        is_item = isinstance(node.op, Item) and isinstance(self.graph[node.inputs[0]].op, Group)
        return node.inputs[0] if is_item else id

    def key(self, id: int) -> str:
        """The key of a unit's box."""
        return f"{self.prefix}{self.outline.key(id)}"

    def box(self, id: int, mark: Mark = "") -> Box:
        """A unit's box, without numbers."""
        node, name = self.graph[id], self.outline.name(id)
        kind = node.op.name if node.op.name in ("input", "parameter", "state") else "value"
        if isinstance(node.op, Group):
            text, kind = _group_lines(node.op), "group"
        elif isinstance(node.type, TupleType):
            text = [*lines(name, "name"), *lines(str(node.type), "type", most=2)]
        else:
            formula = self.faces.face(id)["formula"]
            whole = f"{name} = {formula.unicode}" if formula else name
            text = [*lines(whole, "name", most=3), Line(visible(str(node.type)), "type")]
        place = line_of(node)
        return Box(self.key(id), kind, name, tuple(text), frame=self.frame, place=place, mark=mark)

    def arrows(self, drawn: set[int], marks: Mapping[int, Mark]) -> list[Arrow]:
        """Arrows between drawn units; one at something added or removed is so too."""
        count: Counter[tuple[int, int]] = Counter()
        found = []
        for source, user in self.uses:
            if source not in drawn or user not in drawn:
                continue
            count[source, user] += 1
            near = [marks[id] for id in (source, user) if marks.get(id) in ("added", "removed")]
            mark: Mark = near[0] if near else ""
            ends = (self.key(source), self.key(user))
            found.append(Arrow(*ends, number=count[source, user], mark=mark))
        return found

    def neighbours(self, id: int) -> list[int]:
        """Units that read or are read."""
        return self._around.get(id, [])

    @cached_property
    def _around(self) -> dict[int, list[int]]:
        around: dict[int, list[int]] = {}
        for source, user in self.uses:
            around.setdefault(source, []).append(user)
            around.setdefault(user, []).append(source)
        return around


def _group_lines(group: Group) -> list[Line]:
    """A fused group: what it computes, and in how many operators."""
    members = [node for node in group.members if node.inputs]
    text = lines(group.body.title, "name", most=3)
    text.append(Line(f"{len(members)} operators in one", "note"))
    names = list(dict.fromkeys(node.name for node in members if node.name))
    if names:
        text += lines(f"computes {', '.join(names)}", "formula", most=2)
    return text


# ------------------------------------------------------------------------ before, after


def draw_changes(title: str, changes: Iterable[Change], notes: tuple[str, ...]) -> Diagram:
    """A row for each change: before on the left, after on the right, changed values marked."""
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    frames: list[Frame] = []
    told, rows = list(notes), []
    for number, change in enumerate(changes, start=1):
        keys = []
        seen: set[int] = set()
        for side, snapshot, other, mark in (
            ("before", change.before, change.after, "removed"),
            ("after", change.after, change.before, "added"),
        ):
            frame = Frame(f"{number}-{side}", f"{side} {change.name}", "panel")
            marks = _marks(snapshot.graph, other.graph, mark)  # type: ignore[arg-type]
            panel = _Panel(snapshot, f"{number}{side[0]}.", frame.key)
            drawn, links, left = _side(panel, marks, seen)
            frames.append(frame)
            keys.append(frame.key)
            boxes += drawn
            arrows += links
            if left:
                told.append(f"{frame.title}: {left:,} more {mark} values are not drawn")
        rows.append(tuple(keys))
    return Diagram(
        title, tuple(boxes), tuple(arrows), tuple(frames), tuple(told), "down", rows=tuple(rows)
    )


def _marks(graph: Graph, other: Graph, own: Mark) -> dict[int, Mark]:
    """What is only here, and what is there too with another operator or other operands."""
    marks: dict[int, Mark] = {}
    for node in graph:
        if node.id not in other:
            marks[node.id] = own
        elif other[node.id].op != node.op or other[node.id].inputs != node.inputs:
            marks[node.id] = "changed"
    return marks


def _side(
    panel: _Panel, marks: Mapping[int, Mark], seen: set[int]
) -> tuple[list[Box], list[Arrow], int]:
    """Marked values with their neighbours; how many that are only here are left out. What stands
    near values in ``seen``, drawn on the other side, comes first; the own ones are added."""
    marked = {id for id in panel.units if marks.get(id) in ("added", "removed")}
    kept = _pieces(panel, marked, seen)
    kept |= {id for id in panel.units if marks.get(id) == "changed"} if not marked else set()
    near = {other for id in kept for other in panel.neighbours(id)}
    drawn = [id for id in panel.units if id in kept or id in near]
    if not drawn:
        text = (Line("nothing", "note"),)
        nothing = Box(f"{panel.prefix}nothing", "fold", "", text, frame=panel.frame)
        return [nothing], [], 0
    seen.update(drawn)
    shown = {id: mark for id, mark in marks.items() if id in kept or mark == "changed"}
    boxes = [panel.box(id, shown.get(id, "")) for id in drawn]
    return boxes, panel.arrows(set(drawn), shown), len(marked) - len(marked & kept)


def _pieces(panel: _Panel, marked: set[int], seen: set[int]) -> set[int]:
    """Marked values that hang together, piece by piece, as many as can be read."""
    kept: set[int] = set()
    for start in sorted(panel.units, key=lambda id: seen.isdisjoint(panel.neighbours(id))):
        if start not in marked or start in kept:
            continue
        piece, stack = {start}, [start]
        while stack:
            fresh = [i for i in panel.neighbours(stack.pop()) if i in marked and i not in piece]
            room = MOST_MARKED - len(kept) - len(piece)
            piece.update(fresh[: max(room, 0)])
            stack.extend(fresh[: max(room, 0)])
        kept |= piece
        if len(kept) >= MOST_MARKED:
            break
    return kept
