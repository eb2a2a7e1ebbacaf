"""The derivation of ∂objective/∂NAME: forward along all paths from NAME, then backward.

The steps are the model's own values: what a text names, and definitions inside each other by their
place (``h.dense1``). Gradients come from the backward walk that training uses, taken on the graph
in which definitions are still folded; each step says what every use of it contributes. How it is
printed is left to ``derivation_text``.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

from graphc.ir import LATEX, UNICODE, Builder, Call, Graph, TupleType
from graphc.ops.leaves import Item
from graphc.passes.differentiate import Contribution as Noted
from graphc.passes.differentiate import Gradients
from graphc.render.folding import folded
from graphc.render.formulas import Leaf, compose
from graphc.render.local import Formulas
from graphc.render.naming import titles
from graphc.render.numbers import Numbers
from graphc.render.reading import Known, read
from graphc.render.steps import Contribution, Derivation, Path, Step
from graphc.render.terms import Terms

__all__ = ["derive"]

Array = Any
T = TypeVar("T")
MOST_PATHS = 12


def derive(
    graph: Graph,
    objective: int,
    wanted: int,
    *,
    model: str,
    numbers: Numbers,
    most: int | None = None,
    setting: str = "",
) -> Derivation:
    """The derivation by the node ``wanted``; takes the graph over. ``most`` bounds the steps, and
    the contributions to each; ``setting`` is said in front."""
    found = _Deriver(graph, objective, wanted, model, numbers, most).run()
    return replace(found, setting=setting, lengths=numbers.dims)


class _Either:
    """Nodes at which a formula stops: gradients and named values, except some."""

    def __init__(self, first: Container[int], second: Container[int], without: set[int]) -> None:
        self.first, self.second, self.without = first, second, without

    def __contains__(self, id: object) -> bool:
        return id in self.first or (id in self.second and id not in self.without)


class _Deriver:
    def __init__(
        self,
        graph: Graph,
        objective: int,
        wanted: int,
        model: str,
        numbers: Numbers,
        most: int | None,
    ) -> None:
        self.graph = graph
        self.objective = objective
        self.wanted = wanted
        self.model = model
        self.numbers = numbers
        self.most = most
        self.end = graph.next_id
        self.notes: list[Noted] = []
        self.uses: dict[int, list[Noted]] = {}
        self.terms = Terms()
        self.found = 0

    def run(self) -> Derivation:
        builder = Builder(self.graph)
        seed = builder.constant(1.0)
        walk = Gradients(record=self.notes)
        found = walk.backward(builder, {self.objective: seed}, [self.wanted])
        self.titles = titles(self.graph, self.objective, self.wanted, self.notes, self.end)
        name = self.titles.name(self.wanted)
        if self.wanted not in found:
            return self._nothing(name)
        self.found = found[self.wanted].id
        self.gradients = {self.objective: seed.id, self.wanted: self.found}
        for note in self.notes:
            self.uses.setdefault(note.source, []).append(note)
            for item, upstream in note.upstream:
                self.gradients[self.titles.result(note.user, item)] = upstream
        for notes in self.uses.values():
            notes.sort(key=lambda note: (note.user, note.slot))
        self._evaluate()
        path = [id for id in self.titles.steps if id in self.gradients]
        shown = self._shown(path)
        steps = tuple(self._step(id) for id in shown)
        paths, count = self._paths(path)
        return Derivation(
            self.model,
            name,
            self.titles.name(self.objective),
            self._given(shown),
            steps,
            len(path),
            paths,
            count,
        )

    def _nothing(self, name: str) -> Derivation:
        depends = self.wanted in self.graph.ancestors([self.objective])
        reason = (
            f"no derivative flows from the objective to {name}: it passes through "
            "values that have none"
            if depends
            else f"the objective does not depend on {name}"
        )
        return Derivation(
            self.model, name, self.titles.name(self.objective), (), (), 0, (), 0, reason
        )

    def _evaluate(self) -> None:
        forward = [id for id in self.titles.names if id < self.end]
        noted = [note.value for note in self.notes]
        self.numbers.compute(self.graph, [*forward, *noted, *self.gradients.values()])

    def _shown(self, items: Sequence[T]) -> list[T]:
        """The first and the last of many."""
        if self.most is None or len(items) <= self.most:
            return list(items)
        half = self.most // 2
        return [*items[: self.most - half], *items[-half:]]

    # -- steps

    def _step(self, id: int) -> Step:
        notes = self.uses.get(id, [])
        return Step(
            **self._face(id),
            gradient=self.numbers.get(self.gradients[id]),
            contributions=tuple(self._contribution(note) for note in self._shown(notes)),
            contribution_count=len(notes),
        )

    def _face(self, id: int) -> dict[str, Any]:
        node, name = self.graph[id], self.titles.name(id)
        kind = node.op.name if node.op.name in ("input", "parameter", "state") else "value"
        return {
            "name": name,
            "kind": kind,
            "type": str(node.type),
            "formula": self._formula(id) if node.inputs else None,
            "expansion": self._expansion(id),
            "value": self.numbers.get(id),
            "span": node.origin.span,
            "gradient_name": Formulas(UNICODE.adjoint(name).text, LATEX.adjoint(name).text),
        }

    def _formula(self, id: int) -> Formulas:
        id = self._alone(id)
        titled = self.titles.names
        reached = self.graph.frontier(self.graph[id].inputs, titled)
        names = {i: Leaf(titled[i]) for i in reached}
        unicode, latex = (compose(self.graph, id, names, f) for f in (UNICODE, LATEX))
        op = self.graph[id].op
        long = unicode == UNICODE.symbol("…") or len(unicode.text) > UNICODE.longest
        if long and isinstance(op, Call):
            return self._first_operand(op, names.get(self.graph[id].inputs[0], Leaf("…")))
        return Formulas(unicode.text, latex.text)

    def _alone(self, id: int) -> int:
        """For the one value of a definition that is used of several, the definition."""
        node = self.graph[id]
        if not isinstance(node.op, Item):
            return id
        (call,) = node.inputs
        used = {i for i in self.graph.users(call) if i < self.end}
        return call if used == {id} else id

    def _first_operand(self, call: Call, operand: Leaf) -> Formulas:
        """A use of a definition with more operands than can be read."""
        unicode, latex = (
            f.call(call.body.title, operand.formula(f), f.symbol("…")).text
            for f in (UNICODE, LATEX)
        )
        return Formulas(unicode, latex)

    def _expansion(self, id: int) -> Formulas | None:
        """The formula of a definition in terms of what it is applied to."""
        op, item = self.graph[id].op, 0
        if isinstance(op, Item):
            item, (id,) = op.index, self.graph[id].inputs
            op = self.graph[id].op
        if not isinstance(op, Call):
            return None
        names = {}
        for operand, source in zip(op.body.operands, self.graph[id].inputs, strict=True):
            if source not in self.titles.names:
                return None
            names[operand] = Leaf(self.titles.names[source])
        result = op.body.results[item]
        if result in names:
            return Formulas(names[result].formula(UNICODE).text, names[result].formula(LATEX).text)
        unicode = compose(op.body.graph, result, names, UNICODE).text
        if "…" in unicode or len(unicode) > UNICODE.longest:
            return None
        return Formulas(unicode, compose(op.body.graph, result, names, LATEX).text)

    def _given(self, shown: Sequence[int]) -> tuple[Step, ...]:
        """Values off the path that the shown formulas speak of, in the order of the text."""
        inside = set(shown)
        needed: set[int] = set()
        for id in shown:
            stack = list(self.graph[id].inputs)
            while stack:
                source = stack.pop()
                if source in self.titles.names:
                    if source not in self.gradients:
                        needed.add(source)
                elif source not in inside:
                    stack.extend(self.graph[source].inputs)
        return tuple(Step(**self._face(id)) for id in sorted(needed))

    # -- contributions

    def _contribution(self, note: Noted) -> Contribution:
        user = self.titles.consumer(self.graph, note.user)
        known = self._known(note.value, user)
        (term,) = read(self.terms, self.graph, [note.value], known)
        term = folded(self.terms, term)
        upstreams = self.titles.results(self.graph, user)
        name = self.titles.name(upstreams[0])
        adjoint = self.terms.leaf(Leaf(name, True), self._shape(upstreams[0]))
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

    def _shape(self, id: int) -> Any:
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
            id: self.terms.leaf(adjoints.get(id) or Leaf(names[id]), self._shape(id))
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
        return Formulas.of(self.terms, rest), self._factor(
            note, self.titles.results(self.graph, user)[0]
        )

    def _factor(self, note: Noted, result: int) -> Array | None:
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

    # -- paths

    def _paths(self, path: Sequence[int]) -> tuple[tuple[Path, ...], int]:
        """Some ways from NAME to the objective, and how many there are."""
        after: dict[int, list[tuple[int, Noted]]] = {}
        for id in path:
            for note in self.uses.get(id, ()):
                user = self.titles.consumer(self.graph, note.user)
                after.setdefault(id, []).extend(
                    (result, note)
                    for result in self.titles.results(self.graph, user)
                    if result in self.gradients
                )
        count: dict[int, int] = {self.objective: 1}
        for id in reversed(path):
            if id != self.objective:
                count[id] = sum(count.get(result, 0) for result, _ in after.get(id, ()))
        total = count.get(self.wanted, 0)
        if total > MOST_PATHS or len(path) > 2 * MOST_PATHS:
            return (), total
        return tuple(self._walks(after)), total

    def _walks(self, after: Mapping[int, list[tuple[int, Noted]]]) -> list[Path]:
        finished = []
        pending: list[tuple[list[int], list[Noted]]] = [([self.wanted], [])]
        while pending:
            ids, notes = pending.pop()
            if ids[-1] == self.objective:
                names = tuple(self.titles.name(id) for id in ids)
                finished.append(Path(names, self._share(ids, notes)))
                continue
            pending.extend(
                ([*ids, result], [*notes, note]) for result, note in reversed(after[ids[-1]])
            )
        return finished

    def _share(self, ids: Sequence[int], notes: Sequence[Noted]) -> Array | None:
        """The product of local derivatives along a path of scalars."""
        if any(self._shape(id) != () for id in ids):
            return None
        share = 1.0
        for (_, user), note in zip(pairwise(ids), notes, strict=True):
            local = self._factor(note, user)
            if local is None:
                return None
            share = share * float(local)
        return share
