"""The backward walk over a graph, read as steps: each value with its formula, what each use of it
contributes to its gradient, and the numbers of all that.

Gradients come from the walk that training uses, taken on the graph in which definitions are still
folded. Which values are told, and how, is left to who derives, prints or draws.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, TypeVar

from graphc.ir import Builder, Graph, TupleType
from graphc.passes.differentiate import Contribution as Noted
from graphc.passes.differentiate import Gradients
from graphc.rendering.faces import Faces
from graphc.rendering.folding import folded
from graphc.rendering.formulas import Leaf
from graphc.rendering.local import Formulas
from graphc.rendering.naming import Titles
from graphc.rendering.numbers import Numbers
from graphc.rendering.reading import Known, read
from graphc.rendering.steps import Contribution, Step
from graphc.rendering.terms import Terms

__all__ = ["Backward", "shown"]

Array = Any
T = TypeVar("T")


def shown(items: Sequence[T], most: int | None) -> list[T]:
    """The first and the last of many."""
    if most is None or len(items) <= most:
        return list(items)
    half = most // 2
    return [*items[: most - half], *items[-half:]]


class _Either:
    """Nodes at which a formula stops: gradients and named values, except some."""

    def __init__(self, first: Container[int], second: Container[int], without: set[int]) -> None:
        self.first, self.second, self.without = first, second, without

    def __contains__(self, id: object) -> bool:
        return id in self.first or (id in self.second and id not in self.without)


class Backward(Faces):
    """The walk from ``objective`` to the nodes ``wanted``; takes the graph over.

    ``named`` gives titles for what the walk noted before the first of its own nodes; ``most``
    bounds the contributions that a step tells. ``gradients`` has the gradient of each titled value
    that one flows to.
    """

    def __init__(
        self,
        graph: Graph,
        objective: int,
        wanted: Sequence[int],
        numbers: Numbers,
        named: Callable[[Sequence[Noted], int], Titles],
        most: int | None = None,
    ) -> None:
        end = graph.next_id
        notes: list[Noted] = []
        builder = Builder(graph)
        seed = builder.constant(1.0)
        walk = Gradients(record=notes)
        found = walk.backward(builder, {objective: seed}, wanted)
        super().__init__(graph, named(notes, end), numbers, end)
        self.most = most
        self.terms = Terms()
        self.uses: dict[int, list[Noted]] = {}
        self.gradients = {id: value.id for id, value in found.items()}
        if found:
            self.gradients[objective] = seed.id
        for note in notes:
            self.uses.setdefault(note.source, []).append(note)
            for item, upstream in note.upstream:
                self.gradients[self.titles.result(note.user, item)] = upstream
        for uses in self.uses.values():
            uses.sort(key=lambda note: (note.user, note.slot))

    def evaluate(self) -> None:
        """The numbers of all titled values, contributions and gradients that are known."""
        forward = [id for id in self.titles.names if id < self.end]
        noted = [note.value for notes in self.uses.values() for note in notes]
        self.numbers.compute(self.graph, [*forward, *noted, *self.gradients.values()])

    def step(self, id: int) -> Step:
        """A value to which a gradient flows, and what each of its uses contributes."""
        notes = self.uses.get(id, [])
        return Step(
            **self.face(id),
            gradient=self.numbers.get(self.gradients[id]),
            contributions=tuple(self.contribution(note) for note in shown(notes, self.most)),
            contribution_count=len(notes),
        )

    def contribution(self, note: Noted) -> Contribution:
        """What one use of a value passes back to it."""
        user = self.titles.consumer(self.graph, note.user)
        known = self._known(note.value, user)
        (term,) = read(self.terms, self.graph, [note.value], known)
        term = folded(self.terms, term)
        upstreams = self.titles.results(self.graph, user)
        name = self.titles.name(upstreams[0])
        adjoint = self.terms.leaf(Leaf(name, True), self.shape(upstreams[0]))
        upstream = Formulas.of(self.terms, adjoint)
        local, value = self._local(note, user, term, adjoint)
        return Contribution(
            ", ".join(self.titles.name(id) for id in upstreams),
            Formulas.of(self.terms, term),
            upstream,
            local,
            self.numbers.get(note.value),
            self.numbers.get(self.gradients.get(upstreams[0], -1)),
            value,
        )

    def shape(self, id: int) -> Any:
        type = self.graph[id].type
        return () if isinstance(type, TupleType) else type.shape

    def _known(self, value: int, user: int) -> Known:
        """Terms of the named values that ``value`` depends on, and of the gradient that flows into
        ``user``.

        The user itself is written out where it is short: ``ȳ·σ(z)·(1−σ(z))`` tells more than
        ``ȳ·y·(1−y)``.
        """
        adjoints = {
            self.gradients[id]: Leaf(self.titles.name(id), True)
            for id in self.titles.results(self.graph, user)
            if id in self.gradients
        }
        names = self.titles.names
        written_out = {user} if self._is_short(user) else set()
        stop = _Either(adjoints, names, written_out)
        return {
            id: self.terms.leaf(adjoints.get(id) or Leaf(names[id]), self.shape(id))
            for id in self.graph.frontier([value], stop)
        }

    def _is_short(self, user: int) -> bool:
        """Whether a value is one operator or definition applied to named values."""
        node = self.graph[user]
        if isinstance(node.type, TupleType) or not node.inputs:
            return True
        return all(i in self.titles.names or not self.graph[i].inputs for i in node.inputs)

    def _local(
        self, note: Noted, user: int, term: int, adjoint: int
    ) -> tuple[Formulas | None, Array | None]:
        """The local derivative where the contribution is a product with the gradient of the use."""
        factors = dict(self.terms.factors(term))
        if term == adjoint or factors.pop(adjoint, 0) != 1:
            return None, None
        coefficient = getattr(self.terms[term], "coefficient", 1.0)
        rest = self.terms.product(factors.items(), coefficient)
        return Formulas.of(self.terms, rest), self.factor(
            note, self.titles.results(self.graph, user)[0]
        )

    def factor(self, note: Noted, result: int) -> Array | None:
        """What a contribution is for a gradient of ones that flows in at one result of the use."""
        user = self.titles.consumer(self.graph, note.user)
        others = [
            self.gradients[other]
            for other in self.titles.results(self.graph, user)
            if other != result and other in self.gradients
        ]
        return self.numbers.with_ones(
            self.graph, note.value, self.gradients[result], self.end, others
        )
