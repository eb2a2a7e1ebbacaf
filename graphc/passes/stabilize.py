"""Stability: a formula as it is written becomes one that neither overflows nor cancels.

Rules look at one node and give the value that replaces it, before differentiation, so that
derivatives of all orders are those of the stable formula. What a written formula is made of may
stand in other definitions: a call whose result has a stable form is looked through, and a call that
takes the logarithm of something given to it is opened. ``stable_forms`` knows the forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from graphc.ir import Body, Call, Graph, Node, Value, follow
from graphc.model.program import Program
from graphc.passes.cleanup import DeadCode
from graphc.passes.stable_bodies import StableBodies
from graphc.passes.stable_forms import LOG, MOVES, Forms, minus

__all__ = ["RULES", "Stabilize"]

Roots = dict[tuple[str, str], int]
Rule = Callable[[Forms, Node], Value | None]


@dataclass(frozen=True)
class Stabilize:
    """Rewrite every formula that has a stable form, in calls too.

    Values named in ``keep`` stay and are not looked through; with ``open_calls`` false no call is
    opened for what is given to it, and never one for which ``closed`` holds.
    """

    name: ClassVar[str] = "stabilize"
    keep: tuple[str, ...] = ()
    open_calls: bool = True
    closed: Callable[[Node], bool] | None = None

    def apply(self, program: Program) -> Program:
        rewriter = _Rewriter(self)
        if rewriter.has_exponentials(program.graph):
            program.roots = rewriter.graph(program.graph, program.roots) or program.roots
        return DeadCode().apply(program)


class _Rewriter:
    """Rewrites graphs and the bodies below them, each body once."""

    def __init__(self, options: Stabilize) -> None:
        self.options = options
        self.kept = frozenset(options.keep)
        self.stable = StableBodies()
        self._bodies: dict[int, tuple[Body, Body]] = {}
        """New bodies by the identity of the old, which is kept alive beside the new."""
        self._exponential: dict[int, bool] = {}
        self._sought: dict[int, frozenset[int]] = {}

    def graph(self, graph: Graph, roots: Roots, *, stated: bool = False) -> Roots | None:
        """Rewrite in place; the roots where they went, None where nothing changed.

        ``stated``: the graph is the value of a definition that states its derivative.
        """
        forms = Forms(graph, self.stable, self.kept)
        moved: dict[int, int] = {}
        changed = False
        pending = [node.id for node in reversed(graph.topological())]
        while pending:
            id = pending.pop()
            if id in moved:
                continue
            start = graph.next_id
            node = graph[id]
            if isinstance(node.op, Call):
                changed |= self._call(forms, node, node.op, moved)
            else:
                new = self._replacement(forms, node, stated)
                if new is not None and not (new < start and node.name in self.kept):
                    _replace(graph, id, new, start, moved)
                    changed = True
            pending.extend(range(graph.next_id - 1, start - 1, -1))
        return {key: follow(moved, id) for key, id in roots.items()} if changed else None

    def _replacement(self, forms: Forms, node: Node, stated: bool) -> int | None:
        for rule in RULES.get(node.op.name, ()):
            if stated and rule is sigmoid and forms.is_constant(node.inputs[0], 1.0):
                continue  # the value is safe, and the slope is not taken from it
            with forms.builder.at(node.origin):
                value = rule(forms, node)
            if value is not None:
                assert value.type == node.type, f"{rule.__name__} gives {value.type}"
                return value.id
        return None

    # -- calls

    def _call(self, forms: Forms, node: Node, call: Call, moved: dict[int, int]) -> bool:
        """Rewrite the body of a call; open the call where its operands make more of it."""
        body = self.body(call.body)
        changed = body is not call.body
        if changed:
            forms.graph.set_op(node.id, replace(call, body=body))
        closed = self.options.closed
        if not self.options.open_calls or (closed is not None and closed(node)):
            return changed
        with forms.builder.at(node.origin):
            logs = [forms.log(node.inputs[i]) for i in sorted(self.sought(body))]
        if all(log is None for log in logs):
            return changed
        results = forms.expanded(node)
        whole = [node.id] if len(results) == 1 else forms.graph.users(node.id)
        for id in whole:
            index = getattr(forms.graph[id].op, "index", 0) if len(results) > 1 else 0
            _replace(forms.graph, id, results[index], 0, moved)
        return True

    def body(self, body: Body) -> Body:
        """The body with stable formulas; the same object where nothing changed."""
        if id(body) not in self._bodies:
            self._bodies[id(body)] = (body, self._rewritten(body))
        return self._bodies[id(body)][1]

    def _rewritten(self, body: Body) -> Body:
        trusted = body.prelude and body.derivative is not None
        if trusted or not self.has_exponentials(body.graph):
            return body
        derivative = self.body(body.derivative) if body.derivative else None
        graph = body.graph.copy()
        named = {("result", str(i)): id for i, id in enumerate(body.results)}
        roots = self.graph(graph, named, stated=body.derivative is not None)
        if roots is None and derivative is body.derivative:
            return body
        results = tuple((roots or named).values())
        graph.keep_only(graph.ancestors([*results, *body.operands]))
        return replace(body, graph=graph, results=results, derivative=derivative)

    def has_exponentials(self, graph: Graph) -> bool:
        """Whether a graph, or a body below it, has what a rule begins with."""
        return any(
            node.op.name in ("exp", "log", "log1p")
            or (isinstance(node.op, Call) and self._body_has(node.op.body))
            for node in graph
        )

    def _body_has(self, body: Body) -> bool:
        if id(body) not in self._exponential:
            below = [body.graph, *([body.derivative.graph] if body.derivative else ())]
            self._exponential[id(body)] = any(map(self.has_exponentials, below))
        return self._exponential[id(body)]

    def sought(self, body: Body) -> frozenset[int]:
        """Operands that a body, or one below it, takes the logarithm of or divides by: what they
        are made of may decide how the body is to be computed."""
        if id(body) not in self._sought:
            stated = body.derivative is not None
            self._sought[id(body)] = frozenset() if stated else self._find_sought(body)
        return self._sought[id(body)]

    def _find_sought(self, body: Body) -> frozenset[int]:
        graph = body.graph
        logs: list[int] = []
        divisors: list[int] = []
        for node in graph:
            if node.op.name in ("log", "log1p"):
                logs.append(node.inputs[0])
            elif node.op.name == "divide":
                divisors.append(node.inputs[1])
            elif isinstance(node.op, Call):
                logs.extend(node.inputs[i] for i in self.sought(node.op.body))
        reached = _reached(graph, logs, LOG.keys() - {"exp"} | {"negative", "call", "item"})
        reached |= _reached(graph, divisors, {"sum", "add", *MOVES})
        return frozenset(i for i, id in enumerate(body.operands) if id in reached)


def _reached(graph: Graph, starts: Iterable[int], through: Iterable[str]) -> set[int]:
    """The nodes that the starts are made from, by operators named in ``through``."""
    names = frozenset(through)
    seen: set[int] = set()
    stack = list(starts)
    while stack:
        id = stack.pop()
        if id not in seen:
            seen.add(id)
            stack.extend(graph[id].inputs if graph[id].op.name in names else ())
    return seen


def _replace(graph: Graph, old: int, new: int, start: int, moved: dict[int, int]) -> None:
    """Let what read ``old`` read ``new``; a node made since ``start`` takes its name."""
    if graph[old].name and not graph[new].name and new >= start:
        graph[new].name = graph[old].name
    graph.replace_uses(old, new)
    moved[old] = new


# ------------------------------------------------------------------------------ rules


def log_of_exponentials(f: Forms, node: Node) -> Value | None:
    """log v where v is made of exponentials; a sum that is shifted by its largest stays."""
    total = f.unmoved(node.inputs[0])
    if total.op.name == "sum":
        u = f.log(total.inputs[0])
        if u is not None and f.is_shifted(u, total.op.axis):  # type: ignore[attr-defined]
            return None
    return f.log(node.inputs[0])


def log_of_factors(f: Forms, node: Node) -> Value | None:
    """log(a·b) = log a + log b, log(a/b) = log a − log b, where one of them is made of
    exponentials: it is positive, so the other has the sign of the whole."""
    v = f.seen(node.inputs[0])
    if v.op.name not in ("multiply", "divide") or v.name in f.kept:
        return None
    a, b = v.inputs
    log_a, log_b = f.log(a), f.log(b)
    if log_a is None and log_b is None:
        return None
    if any(f.graph[i].tensor.kind != "real" for i in v.inputs):
        return None
    log_a = log_a or f.builder.value(a).apply("log")
    log_b = log_b or f.builder.value(b).apply("log")
    return log_a + log_b if v.op.name == "multiply" else minus(log_a, log_b)


def log_near_one(f: Forms, node: Node) -> Value | None:
    """log(1 + x) = log1p(x), log(1 − x) = log1p(−x)."""
    v = f.graph[node.inputs[0]]
    if v.op.name not in ("add", "subtract"):
        return None
    pairs = (v.inputs, v.inputs[::-1]) if v.op.name == "add" else (v.inputs,)
    for one, other in pairs:
        x = f.builder.value(other)
        if f.is_constant(one, 1.0) and x.type == node.type:
            return (x if v.op.name == "add" else -x).apply("log1p")
    return None


def log1p_of_exponentials(f: Forms, node: Node) -> Value | None:
    """log1p(exp(u)) = softplus(u); where u is −|x| it stays."""
    u = f.log(node.inputs[0])
    if u is None or not f.grows(node.inputs[0]):
        return None
    inner = f.graph[u.id]
    if inner.op.name == "negative" and f.graph[inner.inputs[0]].op.name == "abs":
        return None
    return f.softplus(u)


def log1p_of_share(f: Forms, node: Node) -> Value | None:
    """log1p(−σ(x)) = −softplus(x)."""
    inner = f.graph[node.inputs[0]]
    x = f.logit(inner.inputs[0]) if inner.op.name == "negative" else None
    return None if x is None else -f.softplus(x)


def exp_less_one(f: Forms, node: Node) -> Value | None:
    """exp(x) − 1 = expm1(x); 1 − exp(x) = −expm1(x)."""
    a, b = node.inputs
    if f.is_constant(b, 1.0) and f.graph[a].op.name == "exp":
        return f.builder.value(f.graph[a].inputs[0]).apply("expm1")
    if f.is_constant(a, 1.0) and f.graph[b].op.name == "exp":
        return -f.builder.value(f.graph[b].inputs[0]).apply("expm1")
    return None


def sigmoid(f: Forms, node: Node) -> Value | None:
    """1/(1 + exp(−x)) = σ(x), exp(x)/(1 + exp(x)) = σ(x), a/(a + b) = σ(log a − log b)."""
    x = f.logit(node.id)
    return None if x is None else f.sigmoid(x)


def factor_of_share(f: Forms, node: Node) -> Value | None:
    """k·a/b = k·(a/b) where a/b is σ or softmax."""
    product, divisor = f.graph[node.inputs[0]], f.builder.value(node.inputs[1])
    if product.op.name != "multiply":
        return None
    for k, a in (product.inputs, product.inputs[::-1]):
        if f.log(a) is None:
            continue
        share = f.builder.value(a) / divisor
        parts = f.softmax(f.graph[share.id])
        if f.logit(share.id) is not None or (parts is not None and not f.is_shifted(*parts)):
            return f.builder.value(k) * share
    return None


def scaled_sigmoid(f: Forms, node: Node) -> Value | None:
    """k/(1 + exp(−x)) = k·σ(x)."""
    total = f.seen(node.inputs[1])
    if total.op.name != "add":
        return None
    for one, w in (total.inputs, total.inputs[::-1]):
        u = f.log(w) if f.is_constant(one, 1.0) and f.grows(w) else None
        if u is not None:
            return f.builder.value(node.inputs[0]) * f.sigmoid(minus(f.builder.constant(0.0), u))
    return None


def softmax(f: Forms, node: Node) -> Value | None:
    """exp(u) / Σ exp(u) = exp(w) / Σ exp(w) with w = u − max u."""
    parts = f.softmax(node)
    if parts is None or f.is_shifted(*parts):
        return None
    u, axis = parts
    e = f.shifted(u, axis).apply("exp")
    return e / e.apply("sum", axis=axis, keep=True)


RULES: dict[str, tuple[Rule, ...]] = {
    "log": (log_of_exponentials, log_of_factors, log_near_one),
    "log1p": (log1p_of_exponentials, log1p_of_share),
    "subtract": (exp_less_one,),
    "divide": (sigmoid, factor_of_share, scaled_sigmoid, softmax),
}
"""Rules by the operator that they look at, in the order in which they are tried."""
