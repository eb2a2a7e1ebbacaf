"""The diagonal of the Hessian, propagated backwards (LeCun, Denker and Solla, 1990).

Beside its gradient g = ∂E/∂x every value has h, which stands for ∂²E/∂x², element by element:
through y = f(x), element by element, h_x = f'(x)²·h_y + f''(x)·g_y; through what is linear, h with
squared coefficients; summed over a fan-out. What two operands, two elements of an operand or two
uses of a value have to do with each other is dropped. So h is exact for what the objective is a
sum of functions of, as for penalties, for losses by their operands, and for the last linear layer
before one; further down it is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphc.ir import Builder, Call, Node, Origin, Type, TypeRuleError, Value, product, symbol
from graphc.model.program import Program
from graphc.ops.leaves import Dimension
from graphc.passes.differentiate import add_roots, between, gradients
from graphc.passes.layer_maps import layer_maps
from graphc.passes.loss_pieces import loss_derivatives, opened
from graphc.passes.pointwise import Pieces

__all__ = ["BackpropagatedDiagonal", "LayerCurvatures", "LayerInputs", "backpropagated"]


@dataclass(frozen=True)
class BackpropagatedDiagonal:
    """Add a ``product`` root for every learned parameter: h, in its shape."""

    name: ClassVar[str] = "backpropagated_diagonal"

    def apply(self, program: Program) -> Program:
        program = opened(program)
        builder = Builder(program.graph, Origin(made_by=self.name))
        found = backpropagated(program, builder)
        program.roots = {}
        add_roots(program, builder, "product", found)
        return program


@dataclass(frozen=True)
class LayerInputs:
    """Add a ``product`` root for every weight W of :func:`layer_maps`: what W is multiplied by,
    [rows, fan in].

    Rows are examples, times positions where there are several in each. TypeRuleError where there
    is no such weight.
    """

    name: ClassVar[str] = "layer_inputs"

    def apply(self, program: Program) -> Program:
        program = opened(program)
        builder = Builder(program.graph, Origin(made_by=self.name))
        maps = _expected_maps(program)
        program.roots = {
            ("product", name): _rows(builder.value(node.inputs[0])).id
            for name, node in maps.items()
        }
        return program


@dataclass(frozen=True)
class LayerCurvatures:
    """Add a ``product`` root for every weight W of :func:`layer_maps`: n·h of z = x @ W,
    [rows, fan out], for a batch of n examples.

    The objective is a mean over the batch, so h of one example's z gets smaller as n grows, n·h
    does not: it is the second derivative of that example's own objective. Rows are those of the
    layer's inputs x: h of W is the sum over them of x²·(n·h), over n, where W is used in no other
    way. TypeRuleError where there is no such weight.
    """

    name: ClassVar[str] = "layer_curvatures"

    def apply(self, program: Program) -> Program:
        program = opened(program)
        builder = Builder(program.graph, Origin(made_by=self.name))
        maps = _expected_maps(program)
        found = backpropagated(program, builder)
        examples = _examples(program, builder)
        program.roots = {}
        for name, node in maps.items():
            columns = program.graph[node.inputs[1]].tensor.shape[1:]
            value = found.get(node.id) or builder.zeros(node.tensor)
            rows = _rows(value if columns else value.apply("reshape", shape=(*value.shape, 1)))
            program.roots["product", name] = (rows * examples).id
        return program


def _expected_maps(program: Program) -> dict[str, Node]:
    maps = layer_maps(program)
    if not maps:
        raise TypeRuleError(
            "E232",
            f"{program.spec.name} has no weight that is used once, as the matrix of a linear map",
            help="weights of dense layers and of convolutions in one group are, unless shared",
        )
    return maps


def _rows(value: Value) -> Value:
    """All axes but the last as one."""
    shape = (product(value.shape[:-1]), value.shape[-1])
    return value if value.shape == shape else value.apply("reshape", shape=shape)


def _examples(program: Program, builder: Builder) -> Value:
    """The number of examples as a real number."""
    if program.spec.batch is None:
        return builder.constant(1.0)
    return builder.place(Dimension(symbol(program.spec.batch)), (), Type("real"))


def backpropagated(program: Program, builder: Builder) -> dict[int, Value]:
    """h of the parameters, and of what is not inside an element-wise function, by node; those
    that are 0 may be left out. The program is one of :func:`opened`."""
    objective = program.roots["objective", ""]
    path = between(program.graph, [objective], set(program.learned_nodes.values()))
    walk = _Walk(program, builder, path)
    for node in reversed(path):
        with builder.at(Origin(node.origin.span, node.origin.chain, builder.origin.made_by)):
            walk.visit(node)
    return walk.found


class _Walk:
    """One way backwards along ``path``."""

    def __init__(self, program: Program, builder: Builder, path: list[Node]) -> None:
        self.builder = builder
        self.batch = program.spec.batch
        self.inside = {node.id for node in path}
        self.pieces = Pieces(program.graph, self.inside)
        self.parts: dict[int, list[Value]] = {}
        self.found: dict[int, Value] = {}
        functions = [n.id for n in path if isinstance(n.op, Call) or self.pieces.pointwise(n.id)]
        objective = builder.value(program.roots["objective", ""])
        self.gradient = gradients(builder, objective, filter(self.pieces.is_end, functions))

    def visit(self, node: Node) -> None:
        """Pass on what has come together at a node."""
        if not self.pieces.is_end(node.id):
            return
        h = self._total(node.id)
        if h is not None:
            self.found[node.id] = h
        if self.pieces.pointwise(node.id):
            for id, slopes in self.pieces.derivatives(self.builder, node.id).items():
                self._through_function(node, id, h, slopes)
        elif isinstance(node.op, Call):
            for slot in self._slots(node):
                found = loss_derivatives(self.builder, node, slot, self.batch)
                if found is not None:
                    self._through_function(node, node.inputs[slot], h, found)
        elif h is not None:
            self._through_map(node, h)

    def _slots(self, node: Node) -> list[int]:
        return [slot for slot, id in enumerate(node.inputs) if id in self.inside]

    def _total(self, id: int) -> Value | None:
        total: Value | None = None
        for part in self.parts.pop(id, []):
            total = part if total is None else total + part
        return total

    def _through_function(
        self, node: Node, source: int, h: Value | None, slopes: tuple[Value, Value | None]
    ) -> None:
        """f'²·h + f''·g, for a function of elements or for a loss."""
        first, second = slopes
        g = self.gradient.get(node.id)
        part = None if h is None else first * first * h
        if second is not None and g is not None:
            part = second * g if part is None else part + second * g
        if part is not None:
            self._add(source, part)

    def _through_map(self, node: Node, h: Value) -> None:
        xs = tuple(self.builder.value(id) for id in node.inputs)
        y = self.builder.value(node.id)
        for slot in self._slots(node):
            part = node.op.squared_vjp(slot, xs, y, h)
            if part is not None:
                self._add(node.inputs[slot], part)

    def _add(self, id: int, part: Value) -> None:
        shape = self.builder.graph[id].tensor.shape
        self.parts.setdefault(id, []).append(self.builder.unbroadcast(part, shape))
