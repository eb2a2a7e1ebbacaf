"""The logistic function and softplus as calls, for rewrites that need them.

They are the prelude's ``sigmoid`` and ``softplus`` (a test compares the graphs), built here because
a pass knows no text, and because a model may have a definition of its own under these names.
"""

from __future__ import annotations

from graphc.ir import Body, Builder, Call, Graph, Operand, Type, Value

__all__ = ["StableBodies"]


class StableBodies:
    """Bodies by operand type, each made once, so that equal calls share theirs."""

    def __init__(self) -> None:
        self._sigmoid: dict[Type, Body] = {}
        self._softplus: dict[Type, Body] = {}

    def sigmoid(self, x: Value) -> Value:
        """1 / (1 + exp(−x)), whose derivative is stated: σ·(1 − σ)."""
        if x.type not in self._sigmoid:
            self._sigmoid[x.type] = _sigmoid(x.type)
        return _call(self._sigmoid[x.type], x)

    def softplus(self, x: Value) -> Value:
        """log(1 + exp(x)), whose derivative is stated: σ(x)."""
        if x.type not in self._softplus:
            self._softplus[x.type] = self._make_softplus(x.type)
        return _call(self._softplus[x.type], x)

    def _make_softplus(self, type: Type) -> Body:
        x = _operand(Builder(Graph()), 0, "x", type)
        positive = x.apply("maximum", 0.0)
        result = positive + (-x.apply("abs")).apply("exp").apply("log1p")
        inner = _operand(Builder(Graph()), 0, "x", type)
        own = _operand(inner.builder, 1, "softplus", type)
        return _body("softplus", [x], result, _body("softplus′", [inner, own], self.sigmoid(inner)))


def _sigmoid(type: Type) -> Body:
    x = _operand(Builder(Graph()), 0, "x", type)
    inner = _operand(Builder(Graph()), 0, "x", type)
    own = _operand(inner.builder, 1, "sigmoid", type)
    derivative = _body("sigmoid′", [inner, own], own * (1.0 - own))
    return _body("sigmoid", [x], 1.0 / (1.0 + (-x).apply("exp")), derivative)


def _operand(builder: Builder, index: int, label: str, type: Type) -> Value:
    return builder.place(Operand(index, label), (), type, label)


def _body(name: str, operands: list[Value], result: Value, derivative: Body | None = None) -> Body:
    ids = tuple(operand.id for operand in operands)
    return Body(name, name, result.builder.graph, ids, (result.id,), derivative)


def _call(body: Body, x: Value) -> Value:
    return x.builder.place(Call(body), (x.id,), body.type)
