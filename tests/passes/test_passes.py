"""Passes, three ways: a pair in the text form, equal results, and firing in the pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.diagnostics import Diagnostics, Source
from graphc.ir import Builder, Call, Graph, Type, parse_graph, print_graph, symbol, verify
from graphc.model import Program, elaborate
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.passes import TRAINING, lower, run_passes
from graphc.passes.cleanup import CommonSubexpressions, DeadCode, FoldConstants
from graphc.passes.differentiate import Differentiate, gradients
from graphc.passes.inline import Inline
from graphc.passes.project import Project
from graphc.passes.regularize import Regularize
from graphc.passes.simplify import RULES, Simplify

LEAF = "%0 = input{'x'}() : real[2, 3]  # x\n"
SMALL = {"x": np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])}

MODEL = """model m
input x: real[n, 3]
target y: label{4}[n]
h = x |> dense{5} |> relu
h2 = h |> dense{5} |> sigmoid
logits = h2 |> dense{4}
loss ce = cross_entropy(logits, y)
regularize {
  dropout{0.5} after relu
  l2{0.1} on weights
  l1{0.01} on h.*
}
"""


def program(text: str = MODEL) -> Program:
    return elaborate(Source("m.gc", text), Diagnostics())


def leaves(program: Program, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    values: dict = {
        name: rng.normal(size=p.type.shape) for name, p in program.spec.parameters.items()
    }
    values["x"] = rng.normal(size=(6, 3))
    values["y"] = rng.integers(0, 4, 6)
    return values


def run(text: str, *passes) -> str:
    graph, roots = parse_graph(text)
    result = Program(None, graph, roots)
    for item in passes:
        result = item.apply(result)
        verify(result.graph, result.roots.values())
    return print_graph(result.graph, result.roots)


PAIRS = {
    "x + 0": (
        Simplify(),
        "%1 = constant{0.0}() : real\n%2 = add(%0, %1) : real[2, 3]\nroot output y = %2\n",
        "root output y = %0\n",
    ),
    "x^2": (
        Simplify(),
        "%1 = constant{2.0}() : real\n%2 = power(%0, %1) : real[2, 3]\nroot output y = %2\n",
        "%1 = multiply(%0, %0) : real[2, 3]\nroot output y = %1\n",
    ),
    "x + (-y)": (
        Simplify(),
        "%1 = exp(%0) : real[2, 3]\n%2 = negative(%1) : real[2, 3]\n"
        "%3 = add(%0, %2) : real[2, 3]\nroot output y = %3\n",
        "%1 = exp(%0) : real[2, 3]\n%2 = subtract(%0, %1) : real[2, 3]\nroot output y = %2\n",
    ),
    "x * broadcast(2)": (
        Simplify(),
        "%1 = constant{2.0}() : real\n%2 = broadcast{(2, 3)}(%1) : real[2, 3]\n"
        "%3 = multiply(%0, %2) : real[2, 3]\nroot output y = %3\n",
        "%1 = constant{2.0}() : real\n%2 = multiply(%0, %1) : real[2, 3]\nroot output y = %2\n",
    ),
    "transpose twice": (
        Simplify(),
        "%1 = transpose{(1, 0)}(%0) : real[3, 2]\n%2 = transpose{(1, 0)}(%1) : real[2, 3]\n"
        "root output y = %2\n",
        "root output y = %0\n",
    ),
    "(x * 6) / 2": (
        Simplify(),
        "%1 = constant{6.0}() : real\n%2 = multiply(%0, %1) : real[2, 3]\n"
        "%3 = constant{2.0}() : real\n%4 = divide(%2, %3) : real[2, 3]\nroot output y = %4\n",
        "%1 = constant{3.0}() : real\n%2 = multiply(%0, %1) : real[2, 3]\nroot output y = %2\n",
    ),
    "1 + 2": (
        FoldConstants(),
        "%1 = constant{1.0}() : real\n%2 = constant{2.0}() : real\n%3 = add(%1, %2) : real\n"
        "%4 = multiply(%0, %3) : real[2, 3]\nroot output y = %4\n",
        "%1 = constant{3.0}() : real\n%2 = multiply(%0, %1) : real[2, 3]\nroot output y = %2\n",
    ),
    "exp(x) + exp(x)": (
        CommonSubexpressions(),
        "%1 = exp(%0) : real[2, 3]\n%2 = exp(%0) : real[2, 3]\n"
        "%3 = add(%1, %2) : real[2, 3]\nroot output y = %3\n",
        "%1 = exp(%0) : real[2, 3]\n%2 = add(%1, %1) : real[2, 3]\nroot output y = %2\n",
    ),
    "x*y and y*x": (
        CommonSubexpressions(),
        "%1 = exp(%0) : real[2, 3]\n%2 = multiply(%0, %1) : real[2, 3]\n"
        "%3 = multiply(%1, %0) : real[2, 3]\n%4 = subtract(%2, %3) : real[2, 3]\n"
        "root output y = %4\n",
        "%1 = exp(%0) : real[2, 3]\n%2 = multiply(%0, %1) : real[2, 3]\n"
        "%3 = subtract(%2, %2) : real[2, 3]\nroot output y = %3\n",
    ),
    "unread": (
        DeadCode(),
        "%1 = exp(%0) : real[2, 3]\n%2 = tanh(%0) : real[2, 3]\nroot output y = %2\n",
        "%1 = tanh(%0) : real[2, 3]\nroot output y = %1\n",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_before_and_after(name: str):
    step, before, after = PAIRS[name]
    assert run(LEAF + before, step) == LEAF + after
    graph, roots = parse_graph(LEAF + before)
    changed, new_roots = parse_graph(LEAF + after)
    key = ("output", "y")
    np.testing.assert_allclose(
        evaluate(graph, [roots[key]], SMALL)[0], evaluate(changed, [new_roots[key]], SMALL)[0]
    )


def test_constants_of_different_kinds_are_not_merged():
    text = (
        "%0 = constant{1}() : int\n%1 = constant{1.0}() : real\n%2 = constant{True}() : bool\n"
        "root output a = %0\nroot output b = %1\nroot output c = %2\n"
    )
    assert run(text, CommonSubexpressions()) == text


def value_of(program: Program, key, given, **options):
    return evaluate(program.graph, [program.roots[key]], given, dims={"n": 6}, **options)[0]


@pytest.mark.parametrize("training", [True, False])
def test_every_pass_keeps_the_value_and_fires(training: bool):
    """The objective and the gradients are the same after each pass of the full pipeline."""
    start = program()
    given = leaves(start)
    passes = [p for p in TRAINING if not isinstance(p, Project)]
    current = run_passes(start, (Regularize(), Project(training)))
    expected = value_of(current, ("objective", ""), given)
    gradients_before: dict = {}
    fired = set()
    for step in passes[1:]:
        text = print_graph(current.graph, current.roots)
        current = run_passes(current, (step,))
        if print_graph(current.graph, current.roots) != text:
            fired.add(step.name)
        assert value_of(current, ("objective", ""), given) == pytest.approx(expected, rel=1e-12)
        for name in current.named("gradient"):
            gradient = value_of(current, ("gradient", name), given)
            before = gradients_before.setdefault(name, gradient)
            np.testing.assert_allclose(gradient, before, rtol=1e-10, atol=1e-14)
    assert gradients_before.keys() == set(start.spec.learned)
    assert fired >= {"differentiate", "inline", "simplify", "common-subexpressions"}
    assert not any(isinstance(node.op, Call) for node in current.graph)


def test_gradients_of_the_pipeline_against_differences():
    start = program()
    given = leaves(start)
    programs = lower(start, fuse=False)
    for part in (programs.training, programs.evaluation):
        assert part is not None
        for name in start.spec.learned:
            gradient = value_of(part, ("gradient", name), given)
            direction = np.random.default_rng(3).normal(size=gradient.shape)
            sides = []
            for sign in (1, -1):
                moved = {**given, name: given[name] + sign * 1e-6 * direction}
                sides.append(float(value_of(part, ("objective", ""), moved)))
            numeric = (sides[0] - sides[1]) / 2e-6
            assert float(np.sum(gradient * direction)) == pytest.approx(numeric, rel=1e-6, abs=1e-8)


def test_dropout_is_spliced_inside_bodies_and_keeps_its_draws_apart():
    text = """model m
layer block(x) = x |> dense{4} |> relu
input x: real[n, 4]
h = x |> block |> block
loss l = mean(h^2)
regularize { dropout{0.5} after relu }
"""
    lowered = lower(program(text), fuse=False).training
    assert lowered is not None
    places = [n.op.place for n in lowered.graph if n.op.name == "draw_bernoulli"]
    assert len(places) == len(set(places)) == 2
    assert all("block" in place and "relu" in place for place in places)


def test_evaluation_has_no_draws():
    lowered = lower(program(), fuse=False).evaluation
    assert lowered is not None
    assert not [n for n in lowered.graph if n.op.name.startswith("draw")]


def test_penalties_are_only_in_the_objective_that_is_trained():
    programs = lower(program(), fuse=False)
    given = leaves(program())
    assert programs.evaluation is not None
    weights = [v for k, v in given.items() if k.endswith(".W")]
    first_layer = [v for k, v in given.items() if k.startswith("h.")]
    penalty = 0.05 * sum((w**2).sum() for w in weights) + 0.01 * sum(
        np.abs(w).sum() for w in first_layer
    )
    plain = value_of(programs.losses, ("objective", ""), given)
    assert value_of(programs.evaluation, ("objective", ""), given) == pytest.approx(plain + penalty)


def test_a_stated_derivative_is_used_and_differentiates_again():
    text = """model m
def square(x) = x * x
  derivative 3 * x
param w: real = 2.0
loss f = square(w)
"""
    lowered = lower(program(text), fuse=False).evaluation
    assert lowered is not None
    (gradient,) = evaluate(lowered.graph, [lowered.roots["gradient", "w"]], {"w": 2.0})
    assert gradient == 6.0
    builder = Builder(lowered.graph)
    w = next(n.id for n in lowered.graph if n.op.name == "parameter")
    second = gradients(builder, builder.value(lowered.roots["gradient", "w"]), [w])
    assert evaluate(lowered.graph, [second[w].id], {"w": 2.0}) == [3.0]


def test_hessian_of_a_network_through_calls():
    """Differentiation is closed under itself: calls of calls differentiate too."""
    text = """model m
input x: real[n, 3]
target y: real[n, 1]
h = x |> dense{4, init = xavier_normal} |> sigmoid |> dense{1, init = xavier_normal}
loss f = squared_error(h, y)
"""
    start = program(text)
    rng = np.random.default_rng(0)
    given = {k: rng.normal(size=p.type.shape) for k, p in start.spec.parameters.items()}
    given |= {"x": rng.normal(size=(6, 3)), "y": rng.normal(size=(6, 1))}
    current = Differentiate().apply(start)
    name = "h.dense1.W"
    builder = Builder(current.graph)
    gradient = builder.value(current.roots["gradient", name])
    direction = rng.normal(size=(3, 4))
    v = builder.constant(tuple(map(tuple, direction.tolist())))
    w = next(n.id for n in current.graph if n.name == name and n.op.name == "parameter")
    product = gradients(builder, (gradient * v).apply("sum", axis=(0, 1)), [w])[w]
    current.roots["output", "hv"] = product.id
    current = run_passes(current, (Inline(), FoldConstants(), Simplify(), CommonSubexpressions()))
    exact = value_of(current, ("output", "hv"), given)
    sides = [
        value_of(current, ("gradient", name), {**given, name: given[name] + s * 1e-5 * direction})
        for s in (1, -1)
    ]
    np.testing.assert_allclose(exact, (sides[0] - sides[1]) / 2e-5, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("update", "count"),
    [
        ("w - 3 * (g / t)", 2),
        ("w - t * (g * 3)", 2),
        ("w - (3 * g) / t", 2),
        ("w - (g / 3) / t", 2),
        ("w - 2 * (g * 3) * (g * 3)", 4),
        ("w - 0.1 * t^2 * g", 2),
    ],
)
def test_an_update_is_simplified(update: str, count: int):
    """Numbers meet before they touch an array: an update runs over all parameters."""
    text = (
        f"model m\noptimizer o(w, g) {{\n  w' = {update}\n}}\nparam w: real = 1\n"
        "loss f = w^2\ntrain {\n  optimizer = o\n}\n"
    )
    assert passes_over_arrays(text) == count


def test_adam_passes_over_the_parameters_ten_times():
    text = "model m\nparam w: real = 1\nloss f = w^2\ntrain {\n  optimizer = adam{1e-3}\n}\n"
    assert passes_over_arrays(text) == 10


def passes_over_arrays(text: str) -> int:
    diagnostics = Diagnostics()
    start = elaborate(Source("m.gc", text), diagnostics)
    assert not diagnostics.errors
    (group,) = lower(start, fuse=False).spec.groups
    return sum(bool(n.tensor.shape) and n.op.name != "operand" for n in group.body.graph)


def test_every_rule_has_a_sentence_and_an_operator():
    for name, rules in RULES.items():
        assert rules, name
        assert all(rule.__doc__ for rule in rules)


def test_text_form_parses_back_calls_included():
    start = program()
    text = print_graph(start.graph, start.roots)
    graph, roots = parse_graph(text)
    assert print_graph(graph, roots) == text
    verify(graph, roots.values())


def test_fan_out_is_summed_once():
    builder = Builder(Graph())
    x = builder.place(Input("x"), (), Type("real", (symbol("n"),)), "x")
    f = (x * x + x).apply("sum", axis=(0,))
    gradient = gradients(builder, f, [x.id])[x.id]
    (value,) = evaluate(builder.graph, [gradient.id], {"x": [1.0, 2.0]}, dims={"n": 2})
    np.testing.assert_array_equal(value, [3.0, 5.0])
