"""The derivation of ∂objective/∂NAME: forward along all paths from NAME, then backward.

The steps are the model's own values: what a text names, and definitions inside each other by their
place (``h.dense1``). Gradients come from the backward walk that training uses, taken on the graph
in which definitions are still folded; each step says what every use of it contributes. How it is
printed is left to ``derivation_text``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from graphc.ir import Graph
from graphc.passes.differentiate import Contribution as Noted
from graphc.rendering.backward import Backward, shown
from graphc.rendering.naming import Titles, titles
from graphc.rendering.numbers import Numbers
from graphc.rendering.steps import Derivation, Path, Step

__all__ = ["derive"]

Array = Any
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
        self.most = most

        def named(notes: Sequence[Noted], end: int) -> Titles:
            return titles(graph, objective, wanted, notes, end)

        self.walk = Backward(graph, objective, [wanted], numbers, named, most)
        self.titles, self.gradients = self.walk.titles, self.walk.gradients

    def run(self) -> Derivation:
        name = self.titles.name(self.wanted)
        if self.wanted not in self.gradients:
            return self._nothing(name)
        self.walk.evaluate()
        path = [id for id in self.titles.steps if id in self.gradients]
        told = shown(path, self.most)
        steps = tuple(self.walk.step(id) for id in told)
        paths, count = self._paths(path)
        return Derivation(
            self.model,
            name,
            self.titles.name(self.objective),
            self._given(told),
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
        return tuple(Step(**self.walk.face(id)) for id in sorted(needed))

    # -- paths

    def _paths(self, path: Sequence[int]) -> tuple[tuple[Path, ...], int]:
        """Some ways from NAME to the objective, and how many there are."""
        after: dict[int, list[tuple[int, Noted]]] = {}
        for id in path:
            for note in self.walk.uses.get(id, ()):
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
        if any(self.walk.shape(id) != () for id in ids):
            return None
        share = 1.0
        for (_, user), note in zip(pairwise(ids), notes, strict=True):
            local = self.walk.factor(note, user)
            if local is None:
                return None
            share = share * float(local)
        return share
