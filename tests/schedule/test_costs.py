"""Operations and bytes: the convention on every operator, and whole models counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc
from graphc.ir import (
    OPERATORS,
    Builder,
    Dim,
    Graph,
    Node,
    Operator,
    Sample,
    Size,
    Type,
    group_nodes,
    symbol,
)
from graphc.model.program import Program
from graphc.ops.leaves import Input, Leaf
from graphc.ops.random import Draw
from graphc.schedule import Plan, classify, ordered, plan
from graphc.schedule.costs import bytes_moved, flops

n = symbol("n")
SAMPLES = [
    pytest.param(sample, id=f"{name}-{i}")
    for name, operator in OPERATORS.items()
    for i, sample in enumerate(operator.samples())
]
STRUCTURE = {"constant", "fitted", "if_training", "item", "length", "operand", "positions"}
"""Operators without samples that compute nothing."""


def real(*shape: Size) -> Type:
    return Type("real", shape)


def at(size: Size, **dims: int) -> int:
    """The value of a polynomial."""
    value = size.bind(dims) if isinstance(size, Dim) else size
    assert isinstance(value, int)
    return value


def measured(graph: Graph, ids: list[int], precision: Any = "f32") -> tuple[Size, Size]:
    """Operations and bytes of everything that the nodes need."""
    order = ordered(graph, ids)
    how = classify(order)
    work: Size = 0
    moved: Size = 0
    for node in order:
        work = work + flops(node, graph, how[node.id])
        moved = moved + bytes_moved(node, graph, how[node.id], precision)
    return work, moved


class Sheet:
    """A graph of inputs x0, x1, … and what is made of them."""

    def __init__(self, *types: Type) -> None:
        self.graph = Graph()
        self.builder = Builder(self.graph)
        self.inputs = [
            self.builder.place(Input(f"x{i}"), (), type, f"x{i}") for i, type in enumerate(types)
        ]

    def bytes_of(self, value: Any, precision: Any = "f32") -> Size:
        return bytes_moved(self.graph[value.id], self.graph, "compute", precision)


# ------------------------------------------------------------------------- every operator


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_cost_is_a_number_of_operations(sample: Sample) -> None:
    op, types = sample.operator, sample.types
    result = op.infer(*types)
    cost, reads = op.cost(types, result), op.reads(types, result)
    assert isinstance(cost, int)
    assert cost >= 0
    assert len(reads) == len(types)
    for read, type in zip(reads, types, strict=True):
        assert isinstance(read, int)
        assert 0 <= read <= max(type.size, result.size)
    if op.view:
        assert cost == 0


def test_what_only_names_a_value_costs_nothing() -> None:
    leaves = {name for name, op in OPERATORS.items() if issubclass(op, Leaf)}
    assert leaves >= {"input", "parameter", "clock"}
    for name in leaves | STRUCTURE:
        assert OPERATORS[name].flops == 0, name
        assert OPERATORS[name].cost is Operator.cost, name


@pytest.mark.parametrize(
    "sample", [p for p in SAMPLES if not isinstance(p.values[0].operator, Draw)]
)
@settings(max_examples=4, deadline=None)
@given(count=st.integers(2, 60))
def test_a_symbolic_size_gives_the_polynomial_of_the_numbers(sample: Sample, count: int) -> None:
    """Each operator over n sets of its operands at once."""

    def measured_over(size: Size) -> tuple[Size, Size]:
        types = [type.with_shape((size, *type.shape)) for type in sample.types]
        sheet = Sheet(*types)
        xs = tuple(sheet.inputs)
        value = sample.operator.vectorize(size, xs, (True,) * len(xs))
        return measured(sheet.graph, [value.id])

    work, moved = measured_over(n)
    assert (at(work, n=count), at(moved, n=count)) == measured_over(count)


def draw(name: str, *shape: Size) -> Operator:
    return OPERATORS[f"draw_{name}"](shape, "p")  # type: ignore[call-arg]


def op(name: str, **attributes: Any) -> Operator:
    return OPERATORS[name](**attributes)


X = real(2, 3, 4)
INDEX, LABELS = Type("int", (7,)), Type("label", (2,), 4)
TWO_WINDOWS = {"axes": (0,), "sizes": (3,), "strides": (2,), "dilations": (1,)}
EXPECTED: list[tuple[Operator, tuple[Type, ...], Size]] = [
    (op("add"), (X, real(4)), 24),
    (op("negative"), (X,), 24),
    (op("maximum"), (X, real()), 24),
    (op("greater"), (X, X), 24),
    (op("where"), (Type("bool", (2, 3, 4)), X, X), 24),
    (op("round"), (X,), 24),
    (op("divide"), (X, X), 4 * 24),
    (op("sqrt"), (X,), 4 * 24),
    (op("exp"), (X,), 8 * 24),
    (op("log"), (X,), 8 * 24),
    (op("tanh"), (X,), 8 * 24),
    (op("erf"), (X,), 8 * 24),
    (op("power"), (X, real()), 8 * 24),
    (op("cast", kind="real"), (Type("bool", (5,)),), 0),
    (op("stop_gradient"), (X,), 0),
    (op("matmul"), (real(n, 64), real(64, 10)), 2 * 64 * 10 * n),
    (op("matmul"), (real(5, 7, 3), real(3, 4)), 2 * 5 * 7 * 3 * 4),
    (op("matmul"), (real(3), real(3)), 6),
    (op("einsum", equation="nij,njk->nik"), (real(n, 3, 4), real(n, 4, 5)), 2 * 3 * 4 * 5 * n),
    (op("einsum", equation="i,j->ij"), (real(3), real(4)), 12),
    (op("einsum", equation="ij->j"), (real(3, 4),), 12),
    (op("einsum", equation="ij->ji"), (real(3, 4),), 0),
    (op("einsum", equation="ij,jk,kl->il"), (real(2, 3), real(3, 4), real(4, 5)), 3 * 120),
    (op("sum", axis=(1,)), (X,), 24),
    (op("max", axis=(0, 2), keep=True), (X,), 24),
    (op("argmax", axis=1), (X,), 24),
    (op("cumsum", axis=1), (X,), 24),
    (op("recurrence", axis=1), (X, X), 2 * 24),
    (op("take"), (real(100, 3), INDEX), 0),
    (op("take_adjoint", rows=100), (real(7, 3), INDEX), 21),
    (op("gather_adjoint", axis=0, size=9), (real(7), INDEX), 7),
    (op("pick"), (real(2, 4), LABELS), 0),
    (op("one_hot"), (LABELS,), 0),
    (op("index", items=(0, 1, (0, 2, None))), (X,), 0),
    (op("windows", **TWO_WINDOWS), (real(5),), 0),
    (op("windows_adjoint", **TWO_WINDOWS, shape=(5,)), (real(2, 3),), 6),
    (op("pad", widths=((1, 1),)), (real(5),), 0),
    (op("broadcast", shape=(2, 3, 4)), (real(4),), 0),
    (op("concat", axis=0), (real(2), real(3)), 0),
    (op("transpose", axes=(2, 0, 1)), (X,), 0),
    (op("argsort", axis=1), (real(3, 8),), 24 * 3),
    (op("argsort", axis=1), (real(3, 9),), 27 * 4),
    (op("argsort", axis=0), (real(1),), 0),
    (op("argsort", axis=0), (real(n),), 20 * n),
    (op("ranks", axis=0), (real(8),), 8 * 3 + 8),
    (draw("uniform", n, 3), (), 3 * n),
    (draw("normal", n, 3), (), 26 * 3 * n),
    (draw("bernoulli", n, 3), (real(),), 3 * n),
    (draw("orthogonal", 6, 4), (), 24 * (26 + 4 * 4)),
    (draw("orthogonal", 4, 6), (), 24 * (26 + 4 * 4)),
    (draw("orthogonal", n, 4), (), 4 * n * (26 + 4 * 4)),
]


@pytest.mark.parametrize(
    ("operator", "types", "expected"),
    [pytest.param(*row, id=f"{row[0].name}-{i}") for i, row in enumerate(EXPECTED)],
)
def test_operations(operator: Operator, types: tuple[Type, ...], expected: Size) -> None:
    assert operator.cost(types, operator.infer(*types)) == expected


# ---------------------------------------------------------------------------------- bytes


def test_a_broadcast_operand_counts_with_its_own_size() -> None:
    sheet = Sheet(real(n, 64), real(64))
    x, bias = sheet.inputs
    assert sheet.bytes_of(x + bias) == 4 * (64 * n + 64 + 64 * n)
    assert sheet.bytes_of(x + bias, "f64") == 8 * (64 * n + 64 + 64 * n)
    assert sheet.bytes_of(bias.apply("broadcast", shape=(n, 64))) == 4 * (64 + 64 * n)


def test_an_operand_in_two_places_is_read_once() -> None:
    sheet = Sheet(real(n, 3))
    (x,) = sheet.inputs
    assert sheet.bytes_of(x * x) == 4 * (3 * n + 3 * n)


def test_only_what_is_taken_is_read() -> None:
    sheet = Sheet(real(1000, 3), INDEX, real(n, 4), Type("label", (n,), 4))
    table, index, scores, labels = sheet.inputs
    assert sheet.bytes_of(table.apply("take", index)) == 4 * 21 + 8 * 7 + 4 * 21
    assert sheet.bytes_of(scores.apply("pick", labels)) == 4 * n + 8 * n + 4 * n
    part = table.apply("index", items=((0, 10, None), (None, None, None)))
    assert sheet.bytes_of(part.apply("exp")) == 4 * (30 + 30)
    assert sheet.bytes_of(table.apply("index", items=(5, 1))) == 4 * (1 + 1)


def test_truth_values_are_bytes() -> None:
    sheet = Sheet(real(n, 3))
    (x,) = sheet.inputs
    positive = x.apply("greater", 0.0)
    assert sheet.bytes_of(positive) == 4 * 3 * n + 4 + 3 * n


def test_only_what_is_computed_into_memory_moves_bytes() -> None:
    sheet = Sheet(real(n, 3))
    (x,) = sheet.inputs
    view = x.apply("transpose", axes=(1, 0))
    table = sheet.builder.constant(((1.0, 2.0, 3.0),)).apply("exp")
    count = Node(99, OPERATORS["dimension"](n), (), real(), sheet.graph[x.id].origin)
    order = ordered(sheet.graph, [view.id, table.id])
    how = classify(order)
    assert how[table.id] == "static"
    assert how[view.id] == "view"
    assert measured(sheet.graph, [view.id, table.id]) == (0, 0)
    assert bytes_moved(count, sheet.graph, "literal", "f32") == 0
    assert flops(count, sheet.graph, "literal") == 0


def test_a_group_costs_what_its_members_cost() -> None:
    def chain() -> tuple[Sheet, Any, list[int]]:
        sheet = Sheet(real(n, 3), real(3))
        x, bias = sheet.inputs
        added = x + bias
        result = added.apply("tanh")
        return sheet, result, [added.id, result.id]

    sheet, result, members = chain()
    apart = measured(sheet.graph, [result.id])
    assert apart == (9 * 3 * n, 4 * (4 * 3 * n + 3))
    groups = group_nodes(sheet.graph, members, "elementwise", "tanh", [result.id])
    (group,) = groups.values()
    node = sheet.graph[group]
    assert node.op.name == "group"
    together = (
        flops(node, sheet.graph, "compute"),
        bytes_moved(node, sheet.graph, "compute", "f32"),
    )
    assert together == apart


# --------------------------------------------------------------------------------- models


def model(text: str) -> Any:
    return graphc.compile(f"model m\n{text}")


def forward(compiled: Any) -> tuple[Size, Size]:
    """Operations and bytes of the one output, in the order and with the copies of a plan."""
    prediction = compiled.generated.programs.prediction
    (output,) = prediction.roots.values()
    program = Program(prediction.spec, prediction.graph, {("objective", ""): output})
    return total(plan(program, symbols=["n"]))


def total(steps: Plan) -> tuple[Size, Size]:
    work: Size = 0
    moved: Size = 0
    for step in steps.steps:
        work = work + flops(step.node, steps.graph, step.how)
        moved = moved + bytes_moved(step.node, steps.graph, step.how, "f32")
    return work, moved


def products(graph: Graph) -> Size:
    """Operations of all matrix products."""
    work: Size = 0
    for node in graph:
        if node.op.name in ("matmul", "einsum"):
            work = work + flops(node, graph, "compute")
    return work


def test_softmax() -> None:
    """Largest, difference, exponential, sum, quotient."""
    compiled = model("input x: real[n, 10]\noutput p = softmax(x)\n")
    work, moved = forward(compiled)
    assert work == (10 + 10 + 80 + 10 + 40) * n
    reads = 10 * n + 11 * n + 10 * n + 10 * n + 11 * n
    writes = n + 10 * n + 10 * n + n + 10 * n
    assert moved == 4 * (reads + writes)


def test_convolution_is_a_product_with_every_window() -> None:
    compiled = model(
        'input x: real[n, 28, 28, 1]\noutput y = x |> conv2d{6, 5, padding = "same"}\n'
    )
    work, moved = forward(compiled)
    product, bias = 2 * 784 * 25 * 6 * n, 784 * 6 * n
    assert work == product + bias
    padded = 28 * 28 * n + 32 * 32 * n
    rows = 2 * 784 * 25 * n
    multiplied = 784 * 25 * n + 25 * 6 + 784 * 6 * n
    added = 784 * 6 * n + 6 + 784 * 6 * n
    assert moved == 4 * (padded + rows + multiplied + added)


def test_an_inner_layer_takes_three_products() -> None:
    """2mkn forward and for each of two gradients; nobody needs that by the first layer's input."""
    compiled = model(
        "input x: real[n, 4]\nh = x |> dense{5} |> tanh\ny = h |> dense{3}\nloss f = mean(y^2)\n"
    )
    first, inner = 4 * 4 * 5 * n, 6 * 5 * 3 * n
    assert products(compiled.generated.programs.training.graph) == first + inner
