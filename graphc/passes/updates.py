"""The optimizers' updates as part of the graph: one group each, over flat arrays.

The parameters of an optimizer lie one after the other in one array, and so do their gradients and
each of the optimizer's states; the rule is element-wise, so one group updates them all. A weight
decay that ends the gradient of a parameter, ``c * w + rest``, moves into the group: instead of two
passes over each parameter there are two over the flat arrays, where ``w`` is read anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from graphc.ir import Body, Graph, Group, Node, Operand, Origin, Type
from graphc.model.program import OptimizerGroup, Program
from graphc.ops.arithmetic import Add, Multiply
from graphc.ops.leaves import Constant, Flat, Parameter

__all__ = ["DECAY", "Updates"]

DECAY = "weight decay"
"""Label of the operand that holds each element's weight decay; no name of a state is like it."""


@dataclass(frozen=True)
class Updates:
    """Add a root ``update`` for each optimizer; with ``decay`` weight decays become part of it."""

    name: ClassVar[str] = "updates"
    decay: bool = True

    def apply(self, program: Program) -> Program:
        for index, group in enumerate(program.spec.groups):
            if group.driver is None:  # else there is no rule: a line search says what comes next
                _Update(program, index, group, self.decay).add()
        return program


@dataclass
class _Update:
    program: Program
    index: int
    group: OptimizerGroup
    decay: bool

    def add(self) -> None:
        graph = self.program.graph
        slopes, decays = {}, dict[str, float]()
        for name in self.group.parameters:
            root = self.program.roots.get(("gradient", name))
            found = None if root is None or not self.decay else _decay_of(graph, graph[root], name)
            if found is not None:
                decays[name], root = found
            if root is not None:
                slopes[name] = root
        parameters = self.program.parameter_nodes
        weights = [parameters[n] for n in self.group.parameters if n in parameters]
        inputs = [self._flat("parameter", weights), self._flat("gradient", list(slopes.values()))]
        inputs += [self._flat(state.name, []) for state in self.group.states]
        body = self._body(decays)
        if len(body.operands) > len(inputs):
            inputs.append(self._flat(DECAY, self._constants(decays)))
        origin = Origin(made_by=Updates.name)
        node = graph.add(Group(body), tuple(inputs), body.type, origin)
        self.program.roots["update", str(self.index)] = node

    def _body(self, decays: dict[str, float]) -> Body:
        """The optimizer's rule, its gradient the one given and the decay."""
        body = replace(self.group.body, definition="update", graph=self.group.body.graph.copy())
        if not decays:
            return body
        graph, (w, g, *_) = body.graph, body.operands
        origin = Origin(made_by=Updates.name)
        type = graph[w].tensor
        numbers = {decays.get(name, 0.0) for name in self.group.parameters}
        operands = body.operands
        if len(numbers) == 1:
            factor = graph.add(Constant(numbers.pop()), (), Type("real"), origin)
        else:
            factor = graph.add(Operand(len(operands), DECAY), (), type, origin, DECAY)
            operands = (*operands, factor)
        product = graph.add(Multiply(), (w, factor), type, origin)
        total = graph.add(Add(), (product, g), type, origin)
        graph.replace_uses(g, total, keep=[total])
        results = tuple(total if id == g else id for id in body.results)
        return replace(body, operands=operands, results=results)

    def _constants(self, decays: dict[str, float]) -> list[int]:
        graph, origin = self.program.graph, Origin(made_by=Updates.name)
        values = [decays.get(name, 0.0) for name in self.group.parameters]
        return [graph.add(Constant(value), (), Type("real"), origin) for value in values]

    def _flat(self, what: str, inputs: list[int]) -> int:
        shape = self.group.body.graph[self.group.body.operands[0]].tensor.shape
        sizes = [self.program.spec.parameters[n].type.size for n in self.group.parameters]
        count = sum(size for size in sizes if isinstance(size, int))
        op = Flat(what, self.index, count, shape[0])
        origin = Origin(made_by=Updates.name)
        return self.program.graph.add(op, tuple(inputs), Type("real", shape), origin)


def _decay_of(graph: Graph, node: Node, name: str) -> tuple[float, int] | None:
    """Factor and rest of a gradient ``factor * parameter + rest`` that nobody else reads."""
    if not isinstance(node.op, Add) or graph.user_count(node.id):
        return None
    for id, rest in (node.inputs, node.inputs[::-1]):
        term = graph[id]
        whole = term.type == graph[rest].type == node.type  # neither of them is broadcast
        if id == rest or not isinstance(term.op, Multiply) or not whole:
            continue
        for factor, source in (term.inputs, term.inputs[::-1]):
            number, op = graph[factor].op, graph[source].op
            scalar = isinstance(number, Constant) and not graph[factor].tensor.shape
            if scalar and isinstance(op, Parameter) and op.label == name:
                return float(number.value), rest  # type: ignore[attr-defined]
    return None
