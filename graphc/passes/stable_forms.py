"""Logarithms of values that are built of exponentials, as stable formulas.

``LOG`` has a rule for each operator that gives the logarithm of its result from the logarithms of
its operands; ``LOGIT`` has one for x where the result is σ(x). Both look through calls: the
expansion is copied beside the call, for the one use that looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from graphc.ir import Body, Builder, Call, Graph, Node, Size, TupleType, Value, inline_call
from graphc.ops.leaves import Constant, Dimension, Item
from graphc.ops.reductions import Reduction, reduced_shape
from graphc.passes.stable_bodies import StableBodies

__all__ = ["LOG", "LOGIT", "Forms", "minus"]

Form = Callable[["Forms", Node], Value | None]

DEEPEST = 500
"""A formula nested deeper is left as it is written."""
MOVES = frozenset({"broadcast", "index", "pick", "reshape", "stop_gradient", "take", "transpose"})
"""Operators whose result holds elements of their first operand."""


class Forms:
    """What the values of one graph are made of; nothing looks through a value named in ``kept``."""

    def __init__(self, graph: Graph, bodies: StableBodies, kept: frozenset[str]) -> None:
        self.graph = graph
        self.builder = Builder(graph)
        self.bodies = bodies
        self.kept = kept
        self._logs: dict[int, Value | None] = {}
        self._logits: dict[int, Value | None] = {}
        self._expanded: dict[int, list[int]] = {}
        self._numbers: dict[int, int] = {}
        self._numbered: dict[object, int] = {}
        self._depth = 0

    def log(self, id: int) -> Value | None:
        """The logarithm of a node that is made of exponentials, else None."""
        return self._form(id, LOG, self._logs)

    def logit(self, id: int) -> Value | None:
        """x where the node is σ(x), else None."""
        return self._form(id, LOGIT, self._logits)

    def log_of_positive(self, id: int) -> Value | None:
        """The logarithm of a positive constant or a node made of exponentials, else None."""
        op = self.graph[id].op
        if isinstance(op, Constant) and isinstance(op.value, float) and 0 < op.value < math.inf:
            return self.builder.constant(math.log(op.value))
        if isinstance(op, Dimension):
            return self.builder.value(id).apply("log")
        return self.log(id)

    def _form(
        self, id: int, rules: Mapping[str, Form], known: dict[int, Value | None]
    ) -> Value | None:
        if id in known:
            return known[id]
        if self._depth == DEEPEST:
            return None
        self._depth += 1
        node = self.seen(id)
        rule = rules.get(node.op.name)
        known[id] = rule(self, node) if rule and node.name not in self.kept else None
        self._depth -= 1
        return known[id]

    # -- through calls

    def seen(self, id: int) -> Node:
        """The node that gives a value: for a call, the result of its expansion."""
        node = self.graph[id]
        while node.name not in self.kept:
            call = self.graph[node.inputs[0]] if isinstance(node.op, Item) else node
            if not isinstance(call.op, Call) or (call is node and isinstance(node.type, TupleType)):
                return node
            index = node.op.index if isinstance(node.op, Item) else 0
            if not _may_open(call.op.body, index):
                return node
            node = self.graph[self.expanded(call)[index]]
        return node

    def expanded(self, call: Node) -> list[int]:
        """The results of a copy of the call's expansion; the call stays."""
        if call.id not in self._expanded:
            self._expanded[call.id] = inline_call(self.graph, call)
        return self._expanded[call.id]

    # -- comparing

    def same(self, a: int, b: int) -> bool:
        """Whether two nodes are the same formula of the same values."""
        a, b = self.seen(a).id, self.seen(b).id
        return a == b or self._number(a) == self._number(b)

    def _number(self, id: int) -> int:
        """Equal for nodes with equal operators and operands."""
        stack = [id]
        while stack:
            node = self.graph[stack[-1]]
            missing = [i for i in node.inputs if i not in self._numbers]
            if missing:
                stack.extend(missing)
            else:
                self._numbers[node.id] = self._numbered.setdefault(self._key(node), node.id)
                stack.pop()
        return self._numbers[id]

    def _key(self, node: Node) -> object:
        op = repr(node.op.value) if isinstance(node.op, Constant) else node.op
        return op, tuple(self._numbers[i] for i in node.inputs), node.type

    def is_constant(self, id: int, number: float) -> bool:
        op = self.graph[id].op
        return isinstance(op, Constant) and isinstance(op.value, float) and op.value == number

    def grows(self, id: int) -> bool:
        """Whether a value made of exponentials can overflow: it is no quotient of them."""
        node = self.seen(id)
        while node.op.name in MOVES:
            node = self.seen(node.inputs[0])
        return node.op.name not in ("divide", "subtract")

    # -- building

    def sigmoid(self, x: Value) -> Value:
        return self.bodies.sigmoid(x)

    def softplus(self, x: Value) -> Value:
        return self.bodies.softplus(x)

    def shifted(self, x: Value, axis: tuple[int, ...]) -> Value:
        """x minus its largest element over the axes, x itself where it is that already."""
        if self.is_shifted(x, axis):
            return x
        return x - x.apply("max", axis=axis, keep=True).apply("stop_gradient")

    def is_shifted(self, x: Value, axis: tuple[int, ...]) -> bool:
        """Whether x is y − max y over these axes, so that its largest element is 0."""
        node = self.seen(x.id)
        if node.op.name != "subtract" or node.type != x.type:
            return False
        largest = self.unmoved(node.inputs[1])
        if largest.op.name != "max" or largest.op.axis != axis:  # type: ignore[attr-defined]
            return False
        kept = reduced_shape(x.shape, axis, keep=True)
        fits = _padded(self.graph[node.inputs[1]].tensor.shape, len(kept)) == kept
        return fits and self.same(largest.inputs[0], node.inputs[0])

    def unmoved(self, id: int) -> Node:
        """What stands under reshapes and stopped gradients."""
        node = self.seen(id)
        while node.op.name in ("reshape", "stop_gradient"):
            node = self.seen(node.inputs[0])
        return node

    def softmax(self, node: Node) -> tuple[Value, tuple[int, ...]] | None:
        """Where a quotient is exp(u) / Σ exp(u): u, and the axes of the sum."""
        numerator, denominator = node.inputs
        total = self.unmoved(denominator)
        if total.op.name != "sum" or not self.same(numerator, total.inputs[0]):
            return None
        u = self.log(numerator)
        if u is None or u.type != node.type:
            return None
        axis: tuple[int, ...] = total.op.axis  # type: ignore[attr-defined]
        kept = reduced_shape(u.shape, axis, keep=True)
        shape = self.graph[denominator].tensor.shape
        return (u, axis) if _padded(shape, len(kept)) == kept else None


def _padded(shape: tuple[Size, ...], rank: int) -> tuple[Size, ...]:
    """A shape as it broadcasts to a rank."""
    return (1,) * (rank - len(shape)) + shape


def _may_open(body: Body, index: int) -> bool:
    """Whether a result of a body may be a form, and the body says of its derivative only what
    follows from the formula: the prelude's, or that of a copy of its sigmoid."""
    stated = body.derivative
    if stated is not None and not body.prelude and not _is_sigmoid_slope(stated):
        return False
    node = body.graph[body.results[index]]
    return isinstance(node.op, Call | Item) or node.op.name in LOG or node.op.name == "operand"


def _is_sigmoid_slope(derivative: Body) -> bool:
    """Whether a stated derivative is own·(1 − own)."""
    graph, own = derivative.graph, derivative.operands[-1]
    product = graph[derivative.results[0]]
    if product.op.name != "multiply":
        return False
    for factor, other in (product.inputs, product.inputs[::-1]):
        rest = graph[other]
        if factor == own and rest.op.name == "subtract" and rest.inputs[1] == own:
            return getattr(graph[rest.inputs[0]].op, "value", None) == 1
    return False


def minus(x: Value, y: Value) -> Value:
    """x − y without a zero and without a double sign."""
    graph = x.builder.graph
    if getattr(graph[y.id].op, "value", None) == 0:
        return x
    if getattr(graph[x.id].op, "value", None) != 0:
        return x - y
    return x.builder.value(graph[y.id].inputs[0]) if graph[y.id].op.name == "negative" else -y


# ------------------------------------------------------------------------- logarithms


def log_of_exp(f: Forms, node: Node) -> Value | None:
    """log exp(u) = u."""
    return f.builder.value(node.inputs[0])


def log_of_sum(f: Forms, node: Node) -> Value | None:
    """log Σ exp(u) = log Σ exp(u − m) + m with m = max u."""
    u = f.log(node.inputs[0])
    if u is None:
        return None
    axis, keep = node.op.axis, node.op.keep  # type: ignore[attr-defined]
    if f.is_shifted(u, axis):
        return u.apply("exp").apply("sum", axis=axis, keep=keep).apply("log")
    m = u.apply("max", axis=axis, keep=True).apply("stop_gradient")
    value = (u - m).apply("exp").apply("sum", axis=axis, keep=True).apply("log") + m
    return value if keep else value.apply("reshape", shape=node.tensor.shape)


def log_of_product(f: Forms, node: Node) -> Value | None:
    """log(a·b) = log a + log b."""
    return _of_both(f, node, lambda a, b: a + b)


def log_of_prod(f: Forms, node: Node) -> Value | None:
    """log Π a = Σ log a."""
    a = f.log(node.inputs[0])
    assert isinstance(node.op, Reduction)
    return a.apply("sum", axis=node.op.axis, keep=node.op.keep) if a else None


def log_of_quotient(f: Forms, node: Node) -> Value | None:
    """log σ(x) = −softplus(−x); log softmax(u) = w − log Σ exp(w), w = u − max u;
    log(a/b) = log a − log b."""
    x = f.logit(node.id)
    if x is not None:
        return -f.softplus(minus(f.builder.constant(0.0), x))
    parts = f.softmax(node)
    if parts is not None:
        u, axis = parts
        w = f.shifted(u, axis)
        return w - w.apply("exp").apply("sum", axis=axis, keep=True).apply("log")
    return _of_both(f, node, minus)


def log_of_rest(f: Forms, node: Node) -> Value | None:
    """log(1 − σ(x)) = −softplus(x)."""
    one, y = node.inputs
    x = f.logit(y) if f.is_constant(one, 1.0) else None
    return None if x is None else -f.softplus(x)


def log_of_total(f: Forms, node: Node) -> Value | None:
    """log(1 + exp(u)) = softplus(u); log(a + b) = log a + softplus(log b − log a)."""
    for a, b in (node.inputs, node.inputs[::-1]):
        if isinstance(f.graph[a].op, Constant):
            u = f.log(b)
            first = f.log_of_positive(a)
            if u is None or first is None or not f.grows(b):
                return None
            return f.softplus(u) if f.is_constant(a, 1.0) else first + f.softplus(u - first)
    return _of_both(f, node, lambda a, b: a + f.softplus(b - a), f.log)


def log_of_power(f: Forms, node: Node) -> Value | None:
    """log a^c = c·log a."""
    a = f.log(node.inputs[0])
    return f.builder.value(node.inputs[1]) * a if a else None


def log_of_root(f: Forms, node: Node) -> Value | None:
    """log √a = ½·log a."""
    a = f.log(node.inputs[0])
    return a * 0.5 if a else None


def log_of_choice(f: Forms, node: Node) -> Value | None:
    """log where(c, a, b) = where(c, log a, log b)."""
    c = f.builder.value(node.inputs[0])
    return _of_both(f, node, lambda a, b: c.apply("where", a, b))


def log_of_extreme(f: Forms, node: Node) -> Value | None:
    """log max(a, b) = max(log a, log b), and for min."""
    return _of_both(f, node, lambda a, b: f.builder.emit(node.op, a, b))


def log_of_moved(f: Forms, node: Node) -> Value | None:
    """Elements that only move: their logarithms move."""
    return _moved(f, node, f.log(node.inputs[0]))


def log_of_joined(f: Forms, node: Node) -> Value | None:
    """Logarithms of parts side by side."""
    parts = []
    for id in node.inputs:
        part = f.log(id)
        if part is None:
            return None
        parts.append(part)
    return f.builder.emit(node.op, *parts)


def _of_both(
    f: Forms,
    node: Node,
    join: Callable[[Value, Value], Value],
    log: Callable[[int], Value | None] | None = None,
) -> Value | None:
    """``join`` of the logarithms of the last two operands, one of them made of exponentials."""
    first, second = node.inputs[-2:]
    if all(isinstance(f.graph[i].op, Constant | Dimension) for i in (first, second)):
        return None
    a = (log or f.log_of_positive)(first)
    b = (log or f.log_of_positive)(second) if a is not None else None
    return join(a, b) if a is not None and b is not None else None


def _moved(f: Forms, node: Node, value: Value | None) -> Value | None:
    if value is None:
        return None
    return f.builder.emit(node.op, value, *map(f.builder.value, node.inputs[1:]))


LOG: dict[str, Form] = {
    "exp": log_of_exp,
    "sum": log_of_sum,
    "prod": log_of_prod,
    "multiply": log_of_product,
    "divide": log_of_quotient,
    "subtract": log_of_rest,
    "add": log_of_total,
    "power": log_of_power,
    "sqrt": log_of_root,
    "where": log_of_choice,
    "maximum": log_of_extreme,
    "minimum": log_of_extreme,
    "concat": log_of_joined,
    **dict.fromkeys(MOVES, log_of_moved),
}
"""The logarithm of a value, by its operator."""


# ----------------------------------------------------------------------------- logits


def share(f: Forms, node: Node) -> Value | None:
    """a / (a + b) = σ(log a − log b): 1/(1 + exp(−x)), exp(x)/(1 + exp(x))."""
    a = node.inputs[0]
    total = f.seen(node.inputs[1])
    if total.op.name != "add" or total.type != node.type:
        return None
    for first, b in (total.inputs, total.inputs[::-1]):
        if f.same(a, first):
            made = [i for i in (a, b) if f.log(i) is not None]
            if not made or (len(made) == 1 and not f.grows(made[0])):
                return None
            log_a, log_b = f.log_of_positive(a), f.log_of_positive(b)
            return minus(log_a, log_b) if log_a is not None and log_b is not None else None
    return None


def opposite(f: Forms, node: Node) -> Value | None:
    """1 − σ(x) = σ(−x)."""
    one, y = node.inputs
    x = f.logit(y) if f.is_constant(one, 1.0) else None
    return None if x is None else minus(f.builder.constant(0.0), x)


def moved_share(f: Forms, node: Node) -> Value | None:
    """Elements that only move."""
    return _moved(f, node, f.logit(node.inputs[0]))


LOGIT: dict[str, Form] = {
    "divide": share,
    "subtract": opposite,
    **dict.fromkeys(MOVES, moved_share),
}
"""x where a value is σ(x), by its operator."""
