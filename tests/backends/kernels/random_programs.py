"""Random graphs of what groups hold, over one, two and three axes, fused."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from graphc.ir import Builder, Graph, Type, TypeRuleError, Value, symbol
from graphc.model.program import Program
from graphc.ops.leaves import Clock, Constant, Dimension, Input
from graphc.passes.fuse import Fuse

n = symbol("n")
ROWS = 5
SHAPES = {
    "x": (n, 3), "c": (n, 1), "v": (n,), "b": (3,), "one": (1,), "s": (),
    "t": (n, 4, 3), "w": (n, 4, 1), "u": (n, 4), "k": (4, 1), "q": (n, 1, 3), "f": (1, 3),
}  # fmt: skip


class Draft:
    def __init__(self, random: Random) -> None:
        self.random, self.builder = random, Builder(Graph())
        self.values = [self._leaf(name, Type("real", shape)) for name, shape in SHAPES.items()]
        self.values.append(self._leaf("whole", Type("int", (n, 3))))
        self.values.append(self._leaf("truth", Type("bool", (n, 3))))
        table = ((0.5, -1.0, 2.0),)
        self.values.append(self.builder.place(Constant(table), (), Type("real", (1, 3)), "table"))
        self.numbers = [
            self.builder.place(Clock("epoch"), (), Type("real"), "epoch"),
            self.builder.place(Dimension(n), (), Type("real"), ""),
            *(self.builder.constant(number) for number in (0.5, -2.0, float("inf"))),
        ]
        self.labels = {
            (n, 3): self._leaf("y", Type("label", (n,), 3)),
            (n, 4, 3): self._leaf("z", Type("label", (n, 4), 3)),
            (3,): self._leaf("l", Type("label", (), 3)),
        }

    def _leaf(self, name: str, type: Type) -> Value:
        return self.builder.place(Input(name), (), type, name)

    def choose(self, values: list[Any]) -> Any:
        """One of them, rather a late one."""
        return values[max(self.random.randrange(len(values)) for _ in range(2))]

    def of(self, kind: str, *shapes: Any) -> Value:
        fits = [v for v in self.values if v.type.kind == kind and (not shapes or v.shape in shapes)]
        return self.choose(fits)

    def extend(self, count: int) -> None:
        for number in range(count):
            make = self.random.choice(STEPS)
            try:
                value = make(self)
            except (TypeRuleError, IndexError):
                continue  # shapes do not fit, or there are none: another step may
            self.builder.graph[value.id].name = f"u{number}"
            self.values.append(value)


def unary(d: Draft) -> Value:
    return d.of("real").apply(d.random.choice(["tanh", "negative", "abs", "stop_gradient", "cos"]))


def binary(d: Draft) -> Value:
    name = d.random.choice(["add", "subtract", "maximum", "minimum", "multiply", "divide"])
    x = d.of("real")
    near = [x.shape, x.shape, (*x.shape[:-1], 1), x.shape[-1:], (), (1, *x.shape[1:])]
    operands = [x, d.of("real", *near)]
    d.random.shuffle(operands)
    return operands[0].apply(name, operands[1])


def scaled(d: Draft) -> Value:
    operands = [d.of("real"), d.random.choice(d.numbers)]
    d.random.shuffle(operands)
    return operands[0].apply(d.random.choice(["multiply", "maximum", "power"]), operands[1])


def masked(d: Draft) -> Value:
    mask = d.of("real").apply(d.random.choice(["greater", "less_equal"]), 0.25)
    return mask.apply("where", d.of("real"), d.random.choice(d.numbers))


def counted(d: Draft) -> Value:
    name = d.random.choice(["add", "multiply", "maximum"])
    return d.of("int").apply(name, d.of(d.random.choice(["int", "bool"])))


def truth(d: Draft) -> Value:
    return d.of("bool").apply(d.random.choice(["and", "or"]), d.of("real").apply("greater", 0.0))


def reduced(d: Draft) -> Value:
    x = d.choose([v for v in d.values if v.shape])
    rank = len(x.shape)
    axis = d.choose([tuple(range(rank)), (rank - 1,)])
    name = d.random.choice(["sum", "max", "min", "prod"])
    return x.apply(name, axis=axis, keep=d.random.random() < 0.5)


def reshaped(d: Draft) -> Value:
    x = d.of("real")
    shape = x.shape[:-1] if x.shape[-1:] == (1,) else (*x.shape, 1)
    return x.apply("reshape", shape=shape)


def repeated(d: Draft) -> Value:
    return d.of("real").apply("broadcast", shape=d.choose([*SHAPES.values()]))


def drawn(d: Draft) -> Value:
    x, place = d.of("real"), f"draw{len(d.builder.graph)}"
    kind = d.random.choice(["uniform", "normal", "bernoulli"])
    p = [0.3] if kind == "bernoulli" else []
    return x * d.builder.op(f"draw_{kind}", *p, shape=x.shape, place=place)


def picked(d: Draft) -> Value:
    x = d.of("real", *d.labels)
    return x.apply("pick", d.labels[x.shape])


def unpicked(d: Draft) -> Value:
    shape = d.random.choice([*d.labels])
    return d.of("real", shape[:-1]).apply("pick_adjoint", d.labels[shape], classes=3)


def hot(d: Draft) -> Value:
    return d.random.choice([*d.labels.values()]).apply("one_hot") * d.of("real")


STEPS: list[Callable[[Draft], Value]] = [
    unary, binary, binary, binary, scaled, masked, counted, truth, reduced, reduced, reduced,
    reshaped, repeated, drawn, picked, unpicked, hot,
]  # fmt: skip


def random_program(seed: int) -> Program:
    """Some roots, the last value among them."""
    random = Random(seed)
    draft = Draft(random)
    draft.extend(random.randint(10, 50))
    made = [value for value in draft.values if draft.builder.graph[value.id].inputs]
    some = [*random.sample(made, min(len(made), 6)), *made[-1:]]
    roots = {("output", str(number)): value.id for number, value in enumerate(some)}
    return Fuse().apply(Program(None, draft.builder.graph, roots))  # type: ignore[arg-type]


def leaves(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {
        name: rng.normal(size=[ROWS if size == n else size for size in shape])
        for name, shape in SHAPES.items()
    }
    found |= {"whole": rng.integers(-5, 6, (ROWS, 3)), "truth": rng.random((ROWS, 3)) < 0.5}
    found |= {"y": rng.integers(0, 3, ROWS), "z": rng.integers(0, 3, (ROWS, 4)), "l": 1}
    return found | {"epoch": 1.75}
