"""The story of a backward pass: one moment a step, forward in order, then backward.

Every moment says with numbers what a person would do with a pencil: the value and what it is
computed from; the rule, upstream · local = contribution; the sum over the uses; what is finished.
The picture is laid out once; a moment only says what is known and where one looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graphc.ir import UNICODE, Call
from graphc.passes.differentiate import Contribution as Noted
from graphc.rendering.derivation_text import product_text
from graphc.rendering.formulas import Leaf, Numeral, compose
from graphc.rendering.numbers import brief
from graphc.rendering.pictures.diagram import Diagram
from graphc.rendering.pictures.views import MOST_ARROWS, Views, sum_key

__all__ = ["Moment", "tell"]


@dataclass(frozen=True)
class Moment:
    """``values`` and ``gradients`` are keys of the boxes of which they are known; ``arrows`` those
    along which a gradient has flowed; ``active`` boxes and arrows that the caption speaks of."""

    title: str
    caption: tuple[str, ...]
    values: frozenset[str]
    gradients: frozenset[str]
    arrows: frozenset[str]
    active: frozenset[str]

    def unknown(self, key: str) -> frozenset[str]:
        """Roles of the lines of a box that are not known yet."""
        value = frozenset(() if key in self.values else ("value",))
        return value | frozenset(() if key in self.gradients else ("gradient",))


def tell(views: Views, diagram: Diagram) -> list[Moment]:
    """The moments of a joint view."""
    return list(_Story(views, diagram).run())


class _Story:
    def __init__(self, views: Views, diagram: Diagram) -> None:
        self.views = views
        self.outline, self.walk = views.outline, views.walk
        self.values: set[str] = set()
        self.gradients: set[str] = set()
        self.passed: set[str] = set()
        self.into: dict[str, list[str]] = {}
        for arrow in diagram.arrows:
            if arrow.of_gradient:
                self.into.setdefault(arrow.head, []).append(arrow.key)

    def run(self) -> Iterator[Moment]:
        drawn = self.views.folds.drawn
        start = [id for id in drawn if not self.outline.graph[id].inputs]
        self.values |= {self.outline.key(id) for id in start}
        names = ", ".join(self.outline.name(id) for id in start[:12])
        more = f" and {len(start) - 12} more" if len(start) > 12 else ""
        yield self._moment(
            "Start", f"given: {names}{more}", active=[self.outline.key(id) for id in start]
        )
        for id in drawn:
            if self.outline.graph[id].inputs:
                yield self._forward(id)
        for id in reversed(drawn):
            if self.views.has_gradient(id):
                yield from self._backward(id)
        yield self._end()

    def _moment(self, title: str, *caption: str, active: list[str]) -> Moment:
        return Moment(
            title,
            tuple(line for line in caption if line),
            frozenset(self.values),
            frozenset(self.gradients),
            frozenset(self.passed),
            frozenset(active),
        )

    # -- forward

    def _forward(self, id: int) -> Moment:
        key, name = self.outline.key(id), self.outline.name(id)
        self.values.add(key)
        if id in self.outline.calls or id in self.views.folds.chains:
            return self._moment(f"Forward: {name}", "several values at once", active=[key])
        face = self.walk.face(id)
        formula = f"{name} = {face['formula'].unicode}" if face["formula"] else name
        if face["expansion"] is not None:
            formula += f" = {face['expansion'].unicode}"
        found = brief(face["value"])
        inserted = self._inserted(id)
        if found and inserted and inserted != found:
            found = f"{inserted} = {found}"
        return self._moment(
            f"Forward: {name}", formula, f"{name} = {found}" if found else "", active=[key]
        )

    def _inserted(self, id: int) -> str:
        """The formula with numbers in the place of names, where they are all single numbers."""
        graph, titled = self.outline.graph, self.outline.titles.names
        sources = graph.frontier(graph[id].inputs, titled)
        numbers: dict[int, Leaf] = {}
        for source in sources:
            value = self.walk.numbers.get(source)
            if value is None or np.ndim(value):
                return ""
            numbers[source] = Numeral("", value=float(value))
        return compose(graph, id, numbers, UNICODE).text

    # -- backward

    def _backward(self, id: int) -> Iterator[Moment]:
        key, name, bar = self.outline.key(id), self.outline.name(id), self.views.adjoint(id)
        uses, notes = self.views.uses_of(id), self.views.notes_of(id)
        if not notes:
            self.gradients.add(key)
            line = f"{bar} = ∂{name}/∂{name} = 1: every derivative by itself is 1"
            yield self._moment(f"Backward: start at {name}", line, active=[key])
            return
        several = len(uses) > 1
        arrows = self.into.get(sum_key(key) if several else key, [])
        told = notes if len(notes) <= MOST_ARROWS else []
        for note, arrow in zip(told, arrows, strict=False):
            self.passed.add(arrow)
            if not several:
                self.gradients.add(key)
            yield self._contribution(note, id, arrow, several)
        if several:
            self.passed |= {*arrows, *self.into.get(key, [])}
            self.gradients.add(key)
            yield self._sum(id, len(uses), told if len(told) == len(uses) else [])

    def _contribution(self, note: Noted, id: int, arrow: str, several: bool) -> Moment:
        """Rule, upstream · local = contribution."""
        key, name, bar = self.outline.key(id), self.outline.name(id), self.views.adjoint(id)
        user = self.views.consumer(note)
        tail = self.outline.key(self.views.folds.where[user])
        title = f"Backward: {self.outline.name(user)} → {name}"
        active = [tail, arrow, key] if not several else [tail, arrow]
        if id in self.outline.calls or {id, user} & self.views.folds.chains.keys():
            return self._moment(title, "what flows in is passed on", active=active)
        told = self.views.contribution(note)
        upstream = told.upstream.unicode
        known = brief(told.upstream_value)
        lines = [self._rule(note, told.through, name, user)]
        lines.append(f"upstream: {upstream} = {known}" if known else f"upstream: {upstream}")
        numbers = product_text(told)
        lines.append(f"contribution: {told.formula.unicode} {numbers}".rstrip())
        if not several:
            lines.append(f"{name} has this one use, so {bar} is finished")
        else:
            lines.append(f"{name} has other uses too: their contributions are added at Σ")
        return self._moment(title, *lines, active=active)

    def _rule(self, note: Noted, above: str, below: str, user: int) -> str:
        """``rule of y = σ(z): ∂y/∂z = σ(z)·(1−σ(z)) = 0.196612``."""
        told = self.views.contribution(note)
        op = self.outline.graph[user].op
        what = op.body.title if isinstance(op, Call) else above
        if user not in self.outline.calls:
            formula = self.walk.face(user)["formula"]
            what = f"{above} = {formula.unicode}" if formula else above
        if told.formula == told.upstream:
            return f"rule of {what}: ∂{above}/∂{below} = 1"
        if told.local is None:
            return f"rule of {what}: {told.upstream.unicode} becomes {told.formula.unicode}"
        value = brief(told.local_value)
        local = told.local.unicode
        end = f" = {value}" if value and value != local else ""
        return f"rule of {what}: ∂{above}/∂{below} = {local}{end}"

    def _sum(self, id: int, count: int, told: list[Noted]) -> Moment:
        key, name, bar = self.outline.key(id), self.outline.name(id), self.views.adjoint(id)
        formulas = [self.views.contribution(note).formula.unicode for note in told]
        lines = [f"{name} has {count:,} uses: what they contribute is added"]
        if told:
            lines.append(f"{bar} = {' + '.join(formulas)}".replace("+ −", "− "))
        values = [self.views.contribution(note).value for note in told]
        known = brief(self.walk.numbers.get(self.views.gradient_id(id)))
        single = told and all(value is not None and not np.ndim(value) for value in values)
        if single:
            summands = " + ".join(brief(value) for value in values).replace("+ −", "− ")
            lines.append(f"{bar} = {summands} = {known}")
        elif known:
            lines.append(f"{bar} = {known}")
        lines.append(f"{bar} is finished")
        return self._moment(f"Backward: Σ at {name}", *lines, active=[sum_key(key), key])

    def _end(self) -> Moment:
        """The gradients that training asks for."""
        lines, keys = [], []
        for id in self.views.folds.drawn:
            node = self.outline.graph[id]
            if self.views.has_gradient(id) and not node.inputs:
                bar = self.views.adjoint(id)
                known = brief(self.walk.numbers.get(self.views.gradient_id(id)))
                lines.append(f"{bar} = {known or self.views.total_formula(id)}")
                keys.append(self.outline.key(id))
        shown = lines if len(lines) <= 8 else [*lines[:7], f"… and {len(lines) - 7} more"]
        return self._moment("Finished: the gradients", *shown, active=keys)
