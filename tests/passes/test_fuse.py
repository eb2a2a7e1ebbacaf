"""Fusion: pairs in the text form, random graphs, real models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc
from graphc.diagnostics import Source, Span
from graphc.ir import (
    Builder,
    Graph,
    Group,
    Node,
    Origin,
    Type,
    TypeRuleError,
    Value,
    open_group,
    parse_graph,
    print_graph,
    symbol,
    verify,
)
from graphc.model import Program
from graphc.ops import evaluate
from graphc.ops.leaves import Constant, Input
from graphc.passes.fuse import Fuse
from graphc.schedule.order import opened, ordered

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "models"
PAIRS = sorted((HERE / "fusion").glob("*.txt"))
LINE = "-----\n"
"""A graph in the text form, and below the line the same with groups."""
n = symbol("n")
ROWS, COLUMNS, CLASSES = 5, 3, 3
MATRIX = Type("real", (n, COLUMNS))


def fused(text: str) -> str:
    """The text form after fusion, verified; it must be read back as it was printed."""
    graph, roots = parse_graph(text)
    program = Fuse().apply(Program(None, graph, roots))  # type: ignore[arg-type]
    verify(program.graph, program.roots.values())
    printed = print_graph(program.graph, program.roots)
    again, roots = parse_graph(printed)
    verify(again, roots.values())
    assert print_graph(again, roots) == printed
    return printed


# ------------------------------------------------------------------------------- pairs


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_before_and_after(path: Path, pytestconfig: pytest.Config) -> None:
    before, after = path.read_text().split(LINE)
    if pytestconfig.getoption("--update-goldens"):
        path.write_text(before + LINE + fused(before))
    else:
        assert fused(before) == after


# ------------------------------------------------------------------------------- random graphs


class Draft:
    """A random graph: values that later ones may read, each shape that is at hand."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.builder = Builder(Graph())
        self.values: list[Value] = [
            self.input("x", MATRIX),
            self.input("v", Type("real", (n,))),
            self.input("b", Type("real", (COLUMNS,))),
            self.input("W", Type("real", (COLUMNS, COLUMNS))),
            self.input("s", Type("real")),
        ]
        self.labels = self.input("y", Type("label", (n,), CLASSES))

    def input(self, name: str, type: Type) -> Value:
        return self.builder.place(Input(name), (), type, name)

    def choose(self, values: list[Any]) -> Any:
        """One of them, rather a late one."""
        return values[max(self.random.randrange(len(values)) for _ in range(2))]

    def extend(self, origin: Origin, count: int) -> list[Value]:
        """``count`` more values, made at that origin, each with a chain of its own."""
        before = len(self.values)
        while len(self.values) < before + count:
            self.builder.origin = replace(origin, chain=(f"layer{len(self.values)}",))
            make = self.random.choice(STEPS)
            try:
                value = make(self)
            except (TypeRuleError, IndexError):
                continue  # shapes do not fit, or there are none: another step may
            value.builder.graph[value.id].name = f"u{len(self.values)}"
            self.values.append(value)
        return self.values[before:]


def unary(draft: Draft) -> Value:
    name = draft.random.choice(["tanh", "negative", "abs", "stop_gradient"])
    return draft.choose(draft.values).apply(name)


def binary(draft: Draft) -> Value:
    """Of operands that broadcast to the larger of the two."""
    name = draft.random.choice(["add", "subtract", "maximum", "multiply"])
    x = draft.choose(draft.values)
    shapes = [x.shape, x.shape, (*x.shape[:-1], 1), x.shape[-1:], (), (*x.shape[1:], n)]
    y = draft.choose([v for v in draft.values if v.shape in shapes])
    return x.apply(name, y).apply("tanh")


def waiting(draft: Draft) -> Value:
    """Every element of the shape needs many."""
    x = draft.choose([v for v in draft.values if v.shape])
    return x.apply("cumsum", axis=0)


def masked(draft: Draft) -> Value:
    mask = draft.choose(draft.values).apply("greater", 0.0)
    return mask.apply("where", draft.choose(draft.values), 0.5)


def reduced(draft: Draft) -> Value:
    x = draft.choose([v for v in draft.values if v.shape])
    rank = len(x.shape)
    axis = draft.choose([(rank - 1,), tuple(range(rank)), (0,)])
    name = draft.random.choice(["sum", "max"])
    return x.apply(name, axis=axis, keep=draft.random.random() < 0.5)


def reshaped(draft: Draft) -> Value:
    x = draft.choose([v for v in draft.values if v.shape])
    if x.shape[-1] == 1:
        return x.apply("reshape", shape=x.shape[:-1])
    flat = (x.type.size,)
    return x.apply("reshape", shape=draft.choose([flat, (*x.shape, 1)]))


def transposed(draft: Draft) -> Value:
    x = draft.choose([v for v in draft.values if len(v.shape) == 2])
    return x.apply("transpose", axes=(1, 0))


def product(draft: Draft) -> Value:
    rows = [v for v in draft.values if len(v.shape) == 2 and v.shape[-1] == COLUMNS]
    square = [v for v in draft.values if v.shape == (COLUMNS, COLUMNS)]
    return draft.choose(rows) @ draft.choose(square)


def repeated(draft: Draft) -> Value:
    shapes = [v.shape for v in draft.values if v.shape]
    return draft.choose(draft.values).apply("broadcast", shape=draft.choose(shapes))


def drawn(draft: Draft) -> Value:
    x = draft.choose([v for v in draft.values if v.shape])
    place = f"draw{len(draft.values)}"
    mask = draft.builder.op("draw_bernoulli", 0.5, shape=x.shape, place=place)
    return x * mask


def picked(draft: Draft) -> Value:
    x = draft.choose([v for v in draft.values if v.shape == (n, CLASSES)])
    return x.apply("pick", draft.labels)


def unpicked(draft: Draft) -> Value:
    d = draft.choose([v for v in draft.values if v.shape == (n,)])
    return d.apply("pick_adjoint", draft.labels, classes=CLASSES)


STEPS: list[Callable[[Draft], Value]] = [
    unary, binary, binary, binary, masked, reduced, reduced, reshaped, transposed, product,
    waiting, waiting, repeated, drawn, picked, unpicked,
]  # fmt: skip

SOURCE = Source("m.gc", "a model\n")


def random_program(random: Random) -> Program:
    """A forward part and a backward part that reads it, with roots in both."""
    draft = Draft(random)
    forward = draft.extend(Origin(Span(SOURCE, 0, 1)), random.randint(2, 16))
    made = Origin(Span(SOURCE, 2, 3), made_by="differentiate", adjoint_of="a")
    backward = draft.extend(made, random.randint(0, 12))
    roots = {}
    for role, values in (("output", forward), ("gradient", backward)):
        some = random.sample(values, min(len(values), random.randint(0, 3)))
        for number, value in enumerate([*some, *values[-1:]]):
            roots[role, str(number)] = value.id
    return Program(None, draft.builder.graph, roots)  # type: ignore[arg-type]


def root_values(program: Program) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"x": (ROWS, COLUMNS), "v": ROWS, "b": COLUMNS, "W": (COLUMNS, COLUMNS), "s": ()}
    leaves: dict[str, Any] = {name: random.normal(size=shape) for name, shape in shapes.items()}
    leaves["y"] = random.integers(0, CLASSES, ROWS)
    return evaluate(program.graph, program.roots.values(), leaves, dims={"n": ROWS})


def same_values(program: Program, expected: list[np.ndarray]) -> None:
    for actual, value in zip(root_values(program), expected, strict=True):
        np.testing.assert_array_equal(actual, value)


def groups_of(graph: Graph) -> list[Group]:
    return [node.op for node in graph.topological() if isinstance(node.op, Group)]


def working(group: Group) -> list[Node]:
    """Members that are more than a number."""
    return [node for node in group.members if not isinstance(node.op, Constant)]


def worked_on(node: Node, graph: Graph) -> set[tuple[Any, ...]]:
    """The shapes that a node writes, and that it reads row by row."""
    shapes = {node.tensor.shape}
    if node.op.name in ("sum", "max", "pick"):
        shapes.add(graph[node.inputs[0]].tensor.shape)
    return shapes


def check_one_domain(group: Group) -> None:
    graph = group.body.graph
    shapes = set().union(*(worked_on(node, graph) for node in working(group)))
    longest = max(map(len, shapes))
    domains = [shape for shape in shapes if len(shape) == longest]
    rows = [{d, (*d[:-1], 1)[: len(d)], d[:-1], ()} for d in domains]
    assert any(shapes <= row for row in rows), shapes


ROWWISE = ("sum", "max", "reshape", "pick", "pick_adjoint")
"""Operators in a group whose operand may have another rank: its rows are those of the result."""


def check_rows(group: Group) -> None:
    """What a member reads of another is the same row: NumPy aligns last axes."""
    graph = group.body.graph
    inside = {node.id for node in working(group)}
    for node in working(group):
        for source in inside.intersection(node.inputs):
            same = graph[source].tensor.rank == node.tensor.rank
            assert same or node.op.name in ROWWISE


def check_group(group: Group) -> None:
    assert group.origins == list(dict.fromkeys(node.origin for node in group.members))
    computing = [node for node in working(group) if not node.op.view]
    assert len(computing) >= 2
    assert len({node.origin.made_by == "differentiate" for node in working(group)}) == 1
    check_one_domain(group)
    check_rows(group)
    read = {id for node in group.members for id in node.inputs}
    assert read.issuperset(group.body.operands)


@settings(max_examples=500, deadline=None)
@given(st.randoms(use_true_random=True))
def test_random_graphs(random: Random) -> None:
    program = random_program(random)
    expected, before = root_values(program), program.copy()
    result = Fuse().apply(program)
    verify(result.graph, result.roots.values())  # a group that is not convex makes a cycle
    same_values(result, expected)
    for group in groups_of(result.graph):
        check_group(group)
    check_order(opened(result))
    check_text(result)
    check_opened(result, before, expected)


def check_opened(program: Program, before: Program, expected: list[np.ndarray]) -> None:
    """Opened again it is the graph that it was: names, origins, operators, values."""
    graph, moved = program.graph, dict[int, int]()
    for node in graph.topological():
        if isinstance(node.op, Group):
            moved.update(open_group(graph, node))
    roots = {key: moved.get(id, id) for key, id in program.roots.items()}
    verify(graph, roots.values())
    same_values(Program(program.spec, graph, roots), expected)
    live = before.graph
    live.keep_only(live.ancestors(before.roots.values()))
    assert contents(graph) == contents(live)


def contents(graph: Graph) -> list[tuple[str, ...]]:
    """What the nodes are, whatever their order. Numbers count as often as they are read."""
    return sorted(
        (
            str((node.name, node.op, node.type, node.origin)),
            *(graph[id].name or str(graph[id].op) for id in node.inputs),
        )
        for node in graph
        if not isinstance(node.op, Constant)
    )


def check_order(program: Program) -> None:
    """Operands first, the members of a group beside each other."""
    order = ordered(program.graph, program.roots.values(), program.groups)
    seen: set[int] = set()
    for node in order:
        assert seen.issuperset(node.inputs)
        seen.add(node.id)
    assert seen == program.graph.ancestors(program.roots.values())
    runs = [program.groups.get(node.id) for node in order]
    starts = [g for i, g in enumerate(runs) if g is not None and (i == 0 or runs[i - 1] is not g)]
    assert len(starts) == len(set(starts))


def check_text(program: Program) -> None:
    printed = print_graph(program.graph, program.roots)
    graph, roots = parse_graph(printed)
    assert print_graph(graph, roots) == printed


# ------------------------------------------------------------------------------- models


def found(program: Program | None) -> dict[str, list[list[str]]]:
    """Operators of the groups by what their titles say after the names of values."""
    assert program is not None
    result: dict[str, list[list[str]]] = {}
    for group in groups_of(program.graph):
        backward, _, title = group.body.title.rpartition("gradient of ")
        definitions = backward + ("∂ " if _ else "") + title.rpartition(": ")[2]
        result.setdefault(definitions, []).append([node.op.name for node in working(group)])
    return result


SOFTMAX = ["max", "subtract", "exp", "sum", "divide"]


def test_digits() -> None:
    """Bias, activation and dropout; penalties; softmax and cross-entropy; their gradients; the
    update of all parameters."""
    programs = graphc.compile(MODELS / "digits.gc").generated.programs
    groups = found(programs.training)
    assert (
        groups["dense, relu, dropout"]
        == [["add", "maximum", "draw_bernoulli", "multiply", "multiply"]] * 2
    )
    assert groups["l2"] == [["multiply", "sum"]] * 3
    (loss,) = groups["dense, cross_entropy"]
    assert [op for op in loss if op in (*SOFTMAX, "log", "pick")] == [
        "max", "subtract", "exp", "sum", "log", "pick", "subtract", "sum", "divide",
    ]  # fmt: skip
    (gradient,) = groups["∂ cross_entropy"]
    assert sorted(gradient) == ["add", "divide", "multiply", "pick_adjoint"]
    assert groups["∂ dropout, relu"] == [["multiply", "greater", "multiply"]] * 2
    assert len(groups["adam{lr = rate * cosine(epoch / epochs)}"]) == 1
    assert found(programs.prediction)["dense, softmax"] == [["add", *SOFTMAX]]


def test_transformer() -> None:
    """Layer normalisation with what is added before it; the softmax of attention."""
    groups = found(graphc.compile(MODELS / "transformer.gc").generated.programs.training)
    assert groups["multi_head_attention"] == [["divide", "where", *SOFTMAX]] * 2
    for normalised in groups["multi_head_attention, layer_norm"]:
        assert normalised[:2] == ["add", "add"]
        assert normalised.count("sum") == 2
        assert "sqrt" in normalised
    assert len(groups["multi_head_attention, layer_norm"]) == len(groups["dense, gelu"]) == 2


@pytest.mark.parametrize("name", ["digits", "lenet5", "lstm", "transformer"])
def test_groups_of_a_model_are_sound(name: str) -> None:
    programs = graphc.compile(MODELS / f"{name}.gc").generated.programs
    for program in (programs.training, programs.losses, programs.metrics, programs.prediction):
        assert program is not None
        found = [g for g in groups_of(program.graph) if g.body.definition != "update"]
        assert found
        for group in found:
            check_group(group)


def test_a_group_knows_every_line_that_it_comes_from() -> None:
    """The first layer is of line 9, its dropout of line 24."""
    training = graphc.compile(MODELS / "digits.gc").generated.programs.training
    assert training is not None
    first = groups_of(training.graph)[0]
    lines = {origin.span.line for origin in first.origins if origin.span}
    assert lines == {9, 24}
    chains = {name for origin in first.origins for name in origin.chain}
    assert chains == {"dense", "relu", "dropout"}
