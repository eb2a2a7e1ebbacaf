"""What a graph's titled values look like to a person: name, type, formula, number, line."""

from __future__ import annotations

from typing import Any

from graphc.ir import LATEX, UNICODE, Call, Graph
from graphc.ops.leaves import Item
from graphc.rendering.formulas import Leaf, compose
from graphc.rendering.local import Formulas
from graphc.rendering.naming import Titles
from graphc.rendering.numbers import Numbers

__all__ = ["Faces"]


class Faces:
    """Titled values of a graph; nodes from ``end`` on are another pass's and do not count."""

    def __init__(self, graph: Graph, titles: Titles, numbers: Numbers, end: int) -> None:
        self.graph = graph
        self.titles = titles
        self.numbers = numbers
        self.end = end

    def face(self, id: int) -> dict[str, Any]:
        """What a :class:`Step` says of a value, its gradient aside."""
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
