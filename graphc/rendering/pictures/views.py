"""The views of a model: its values forward, its gradients backward, and both in one picture.

All that is said comes from the walk that ``explain`` prints; here it is put into boxes and on
arrows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from graphc.ir import UNICODE, Call, Operator
from graphc.passes.differentiate import Contribution as Noted
from graphc.rendering.backward import Backward, shown
from graphc.rendering.faces import Faces
from graphc.rendering.local import Formulas
from graphc.rendering.numbers import number
from graphc.rendering.pictures.diagram import Arrow, Box, Diagram, Line
from graphc.rendering.pictures.folds import Folds, Link
from graphc.rendering.pictures.outline import Outline, call_of, line_of
from graphc.rendering.pictures.wording import (
    WIDEST,
    breaks_well,
    columns,
    exact,
    lines,
    shortest,
    summary,
    visible,
)
from graphc.rendering.steps import Contribution

__all__ = ["MOST_ARROWS", "View", "Views", "adjoint_key", "sum_key"]

View = Literal["forward", "backward", "joint"]

MOST_ARROWS = 8
"""Contributions to one gradient that are drawn; of more, the first and the last."""
LABEL = 30
"""Columns of an arrow's label."""


def sum_key(key: str) -> str:
    return f"sum-{key}"


def adjoint_key(key: str) -> str:
    return f"d-{key}"


@dataclass
class Views:
    """Diagrams of one walk. ``walk`` is a :class:`Faces` where nothing is differentiated."""

    outline: Outline
    folds: Folds
    walk: Faces
    title: str
    targets: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    _told: dict[Noted, Contribution] = field(default_factory=dict)

    def draw(self, view: View) -> Diagram:
        """One view as a diagram."""
        boxes: list[Box] = []
        arrows: list[Arrow] = []
        if view != "backward":
            boxes += [self._value_box(id, view == "joint") for id in self.folds.drawn]
            arrows += self._forward_arrows()
        if view != "forward":
            for id in self.folds.drawn:
                if self.has_gradient(id):
                    boxes += self._gradient_boxes(id, view)
                    arrows += self._gradient_arrows(id, view)
        return Diagram(
            self.title,
            tuple(boxes),
            tuple(_numbered(arrows)),
            tuple(self.folds.frames.values()),
            (*self.notes, *self.folds.notes),
        )

    # -- what is asked again and again

    @property
    def _backward(self) -> Backward:
        assert isinstance(self.walk, Backward), "a view of gradients needs a backward walk"
        return self.walk

    def has_gradient(self, id: int) -> bool:
        """Whether a gradient flows to a value."""
        return isinstance(self.walk, Backward) and id in self.walk.gradients

    def _gradient(self, id: int) -> Any:
        return self.walk.numbers.get(self.gradient_id(id))

    def gradient_id(self, id: int) -> int:
        """The node that is the gradient of a value."""
        return self._backward.gradients[id]

    def contribution(self, note: Noted) -> Contribution:
        """What a use passes back, read once."""
        if note not in self._told:
            self._told[note] = self._backward.contribution(note)
        return self._told[note]

    def uses_of(self, id: int) -> list[Noted]:
        """The uses of a value that contribute to its gradient, those inside its own box aside."""
        if not self.has_gradient(id):
            return []
        where = self.folds.where
        units = ((note, self.consumer(note)) for note in self._backward.uses.get(id, ()))
        own = id if id in self.folds.chains else None
        return [note for note, unit in units if unit in where and where[unit] != own]

    def notes_of(self, id: int) -> list[Noted]:
        """Of those, the ones that are drawn: of other rounds one between the same boxes."""
        where, uses = self.folds.where, self.uses_of(id)
        drawn = [note for note in uses if where[self.consumer(note)] == self.consumer(note)]
        known = {(self.consumer(note), note.slot) for note in drawn}
        for note in uses:
            ends = (where[self.consumer(note)], note.slot)
            if ends not in known:
                known.add(ends)
                drawn.append(note)
        return drawn

    def consumer(self, note: Noted) -> int:
        """The unit that a use is part of."""
        titles = self.outline.titles
        return titles.consumer(self.outline.graph, note.user)

    def adjoint(self, id: int) -> str:
        """How the gradient of a value is written."""
        return UNICODE.adjoint(self.outline.name(id)).text

    # -- boxes

    def _value_box(self, id: int, joint: bool) -> Box:
        node, key = self.outline.graph[id], self.outline.key(id)
        if id in self.folds.chains:
            return self._chain_box(id)
        if id in self.outline.calls:
            return self._call_box(id)
        face = self.walk.face(id)
        name = face["name"]
        kind = "target" if name in self.targets else face["kind"]
        text = [*summary(face["value"], "value"), *_equation(name, face, len(node.inputs))]
        text.append(_kind_line(kind, node.op, str(node.type)))
        gradient = None
        if joint and self.has_gradient(id):
            gradient = self._gradient(id)
            text += self._gradient_lines(id)
        return Box(
            key,
            kind,
            name,
            tuple(text),
            self._tip(id, face["value"], gradient),
            self.folds.inside.get(id, ""),
            line_of(node),
            face["value"],
            gradient,
        )

    def _chain_box(self, id: int) -> Box:
        chain = self.folds.chains[id]
        inner = [i for i in chain if self.outline.graph[i].inputs]
        ends = f"{self.outline.name(inner[0])} … {self.outline.name(inner[-1])}"
        text = [*lines(ends, "name"), Line(f"{len(chain):,} values", "note")]
        return Box(
            self.outline.key(id), "fold", ends, tuple(text), (), self.folds.inside.get(id, "")
        )

    def _call_box(self, id: int) -> Box:
        """A use of a definition that returns several values."""
        node, name = self.outline.graph[id], self.outline.name(id)
        op = node.op
        title = op.body.title if isinstance(op, Call) else op.name
        text = [*lines(name, "name"), *lines(title, "type"), *lines(str(node.type), "type")]
        place = line_of(node)
        inside = self.folds.inside.get(id, "")
        return Box(self.outline.key(id), "value", name, tuple(text), (), inside, place)

    def _gradient_lines(self, id: int) -> list[Line]:
        """The gradient below a value: its number, or else the formula that it is."""
        name, known = self.adjoint(id), self._gradient(id)
        if known is not None:
            first, *rest = summary(known, "gradient")
            whole = f"{name} = {first.text}"
            if not rest or columns(whole) <= WIDEST:
                return [*lines(whole, "gradient"), *rest]
            return [*lines(f"{name} =", "gradient"), first, *rest]
        return lines(f"{name} = {self.total_formula(id)}", "gradient", most=2)

    def total_formula(self, id: int) -> str:
        """What a gradient is: 1, a contribution, or a sum of so many."""
        uses = self.uses_of(id)
        if not uses:
            return "1"
        if len(uses) > 1:
            return f"Σ of {len(uses):,}"
        return self.contribution(uses[0]).formula.unicode

    def _gradient_boxes(self, id: int, view: View) -> list[Box]:
        """The Σ of a fan-out; in the backward view also the gradient itself."""
        key, boxes = self.outline.key(id), []
        uses, notes = self.uses_of(id), self.notes_of(id)
        inside = self.folds.inside.get(id, "")
        if len(uses) > 1:
            text = [Line("Σ", "name")]
            if len(notes) > MOST_ARROWS or len(notes) < len(uses):
                text.append(Line(f"{len(uses):,} contributions", "note"))
            tip = (Line(f"{self.adjoint(id)}: the sum over its {len(uses):,} uses", "note"),)
            boxes.append(
                Box(sum_key(key), "sum", f"Σ {self.adjoint(id)}", tuple(text), tip, inside)
            )
        if view == "backward":
            boxes.append(self._adjoint_box(id))
        return boxes

    def _adjoint_box(self, id: int) -> Box:
        node, name = self.outline.graph[id], self.adjoint(id)
        key, inside = adjoint_key(self.outline.key(id)), self.folds.inside.get(id, "")
        if id in self.folds.chains:
            return replace(self._chain_box(id), key=key, kind="gradient")
        if id in self.outline.calls:
            name = f"∂{self.outline.name(id)}"
            return Box(key, "gradient", name, tuple(lines(name, "name")), (), inside)
        known = self._gradient(id)
        text = lines(f"{name} = {self.total_formula(id)}", "name")
        text.append(Line(str(node.type), "type"))
        text += summary(known, "gradient")
        return Box(
            key,
            "gradient",
            name,
            tuple(text),
            self._tip(id, None, known),
            inside,
            line_of(node),
            None,
            known,
        )

    def _tip(self, id: int, value: Any, gradient: Any) -> tuple[Line, ...]:
        told = [Line(text, "value") for text in exact(self.outline.name(id), value)]
        if gradient is not None:
            told += [Line(text, "gradient") for text in exact(self.adjoint(id), gradient)]
        return tuple(told)

    # -- arrows

    def _forward_arrows(self) -> list[Arrow]:
        return [
            Arrow(
                self.outline.key(link.tail),
                self.outline.key(link.head),
                slot=self._slot(link),
                again=link.again,
            )
            for link in self.folds.links
        ]

    def _slot(self, link: Link) -> str:
        """The operand's place: what a definition calls it, or its number where order matters."""
        graph, use = self.outline.graph, link.use
        if link.head in self.folds.chains or use.reader != use.user:
            return ""
        drawn = self._read_by[use.reader]
        names = call_of(graph, use.reader)
        if len(drawn) < 2 or link not in drawn or link.again:
            return ""
        if names:
            called = names.get(use.slot, "")
            return "" if self.outline.name(link.tail) == called else visible(called)
        return "" if graph[use.reader].op.commutative else str(use.slot + 1)

    def _gradient_arrows(self, id: int, view: View) -> list[Arrow]:
        notes = self.notes_of(id)
        several = len(self.uses_of(id)) > 1
        own = self._gradient_key(id, view)
        head = sum_key(self.outline.key(id)) if several else own
        arrows = [self._gradient_arrow(note, id, head, view) for note in shown(notes, MOST_ARROWS)]
        arrows += [
            Arrow(self._gradient_key(user, view), head, "gradient") for user in self._beyond(id)
        ]
        return [*arrows, Arrow(head, own, "total")] if several else arrows

    def _beyond(self, id: int) -> list[int]:
        """Boxes from which a gradient flows to values that share the box of ``id``, not to it."""
        if not isinstance(self.walk, Backward):
            return []
        where = self.folds.where
        drawn = {where[self.consumer(note)] for note in self.notes_of(id)}
        found: dict[int, None] = {}
        for member in self._members.get(id, ()):
            for note in self.walk.uses.get(member, ()):
                unit = self.consumer(note)
                if where.get(unit, id) not in (id, *drawn) and where[unit] == unit:
                    found[unit] = None
        return list(found)

    @cached_property
    def _read_by(self) -> dict[int, list[Link]]:
        """The arrows of each node that reads, those from parameters aside."""
        found: dict[int, list[Link]] = {link.use.reader: [] for link in self.folds.links}
        for link in self.folds.links:
            if self.outline.graph[link.tail].op.name != "parameter":
                found[link.use.reader].append(link)
        return found

    @cached_property
    def _members(self) -> dict[int, list[int]]:
        """The other values that share a box."""
        members: dict[int, list[int]] = {}
        for unit, box in self.folds.where.items():
            if unit != box:
                members.setdefault(box, []).append(unit)
        return members

    def _gradient_key(self, id: int, view: View) -> str:
        key = self.outline.key(id)
        return adjoint_key(key) if view == "backward" else key

    def _gradient_arrow(self, note: Noted, id: int, head: str, view: View) -> Arrow:
        unit = self.consumer(note)
        user = self.folds.where[unit]
        tail = self._gradient_key(user, view)
        again = (
            user != unit
            and self.folds.where[id] in self.folds.inside
            and user not in self.folds.chains
        )
        if user in self.folds.chains or id in self.folds.chains or id in self.outline.calls:
            return Arrow(tail, head, "gradient", again=again)
        told = self.contribution(note)
        label = [*self._local(told, id), *_contributed(told)]
        tip = [Line(f"contribution = {told.formula.unicode}", "gradient")]
        tip += [Line(t, "gradient") for t in exact("contribution", told.value)]
        return Arrow(tail, head, "gradient", tuple(label), tuple(tip), again=again)

    def _local(self, told: Contribution, id: int) -> list[Line]:
        """``∂z/∂w = x = 1.5``; where the derivative is no factor, the whole contribution."""
        above, below = told.through, self.outline.name(id)
        if told.formula == told.upstream:
            return lines(shortest(f"∂{above}/∂{below} = 1", "1", widest=LABEL), "formula", LABEL)
        if told.local is None:
            return lines(told.formula.unicode, "formula", LABEL, 3)
        local = told.local.unicode
        known = "" if told.local_value is None else _single(told.local_value)
        value = f" = {known}" if known and known != local else ""
        whole = f"∂{above}/∂{below} = {local}"
        if columns(whole + value) <= LABEL:
            return [Line(whole + value, "formula")]
        text = shortest(whole, f"× {_fenced(local)}", widest=LABEL)
        found = lines(text, "formula", LABEL, 3)
        return [*found, Line(value.strip(), "formula")] if value else found


def _fenced(formula: str) -> str:
    """A factor: in parentheses where it is a sum, or has a sign."""
    depth = 0
    for before, letter in pairwise(f" {formula}"):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and (letter == "+" or (letter == "−" and before in " ")):
            return f"({formula})"
    return formula


def _contributed(told: Contribution) -> list[Line]:
    text = "" if told.value is None else _single(told.value)
    return [Line(text, "gradient")] if text else []


def _single(value: Any) -> str:
    """A single number; nothing for an array."""
    return number(value) if getattr(value, "ndim", 0) == 0 else ""


def _numbered(arrows: Sequence[Arrow]) -> list[Arrow]:
    """Arrows between the same boxes are told apart by number."""
    count: Counter[tuple[str, str, str]] = Counter()
    numbered = []
    for arrow in arrows:
        ends = (arrow.kind, arrow.tail, arrow.head)
        count[ends] += 1
        numbered.append(replace(arrow, number=count[ends]))
    return numbered


def _equation(name: str, face: Mapping[str, Any], operands: int) -> list[Line]:
    """``y = σ(z)`` and below it what σ(z) is; of a definition of several operands, which its box
    names, only what it is."""
    formula: Formulas | None = face["formula"]
    expansion: Formulas | None = face["expansion"]
    if formula is None or formula.unicode == name:
        return lines(name, "name")
    above = lines(f"{name} = {formula.unicode}", "name")
    written = "" if expansion is None else f"{name} = {expansion.unicode}"
    if expansion is None or not breaks_well(written if operands > 1 else expansion.unicode):
        return above
    if operands > 1:
        return lines(written, "name")
    return [*above, *lines(f"= {expansion.unicode}", "formula")]


def _kind_line(kind: str, op: Operator, type: str) -> Line:
    """What a value is in a word, and its type."""
    what = kind if kind != "value" else op.body.title if isinstance(op, Call) else ""
    text = visible(f"{what} {type}".strip())
    return Line(shortest(text, type), "type")
