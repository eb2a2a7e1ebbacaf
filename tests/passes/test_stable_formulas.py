"""Stable formulas in models: values and derivatives equal those of the formula as written, the pass
fires in the pipeline, through definitions too, and every rule is needed."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.diagnostics import Diagnostics, Source
from graphc.ir import Builder, Call, Graph, Type, flatten, print_graph
from graphc.model import Program, elaborate
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.passes import stabilize, stable_forms
from graphc.passes.differentiate import gradients
from graphc.passes.pipeline import lower, run_passes
from graphc.passes.project import Project
from graphc.passes.stabilize import Stabilize
from graphc.passes.stable_bodies import StableBodies

HEAD = """model m
{definitions}
input  x: real[n, 4]
target y: label{{4}}[n]
target t: real[n, 4]
param  w: real[4] = [0.5, -1.5, 0.7, 1.2]
z = w * x
q = sigmoid(z)
p = softmax(z)
loss f = {formula}
"""
DEFINITIONS = """
def nll(z, y) = -mean(log(pick(softmax(z), y)))
def probabilities(x) = softmax(x * 1.5)
def surprise(p, y) = -mean(log(pick(p, y)))
def twice(p, y) = surprise(p, y) + surprise(p, y)
def bce(p, t) = -mean(t * log(p) + (1 - t) * log(1 - p))
def entropy(p) = -sum(p * log(p))
def normalise(e) = e / sum{axis = -1, keep = true}(e)
def naive(x) = exp(x) / sum{axis = -1, keep = true}(exp(x))
def own_sigmoid(x) = 1 / (1 + exp(-x))
  derivative own_sigmoid * (1 - own_sigmoid)
def own_softplus(x) = log(1 + exp(x))
  derivative exp(x) / (1 + exp(x))
def parts(x) {
  e = exp(x)
  return e, sum{axis = -1, keep = true}(e)
}
def ratio(x) {
  e, s = parts(x)
  return e / s
}
"""
FORMULAS = [
    "sum(log(sum{axis = -1}(exp(z)))^2)",
    "sum(log(sum{axis = 0, keep = true}(exp(z)))^2)",
    "log(sum(exp(z)))^2",
    "sum((log(sum{axis = -1}(exp(z - 3))) + 3)^2)",
    "log(mean(exp(z)))",
    "sum(log(sum{axis = -1}(exp(z - max(z)))))",
    "sum(log(1 + exp(z)))",
    "sum(log(2 + exp(z)))",
    "sum(log1p(exp(z)))",
    "sum(log(1 + exp(-z)))",
    "sum(t / (1 + exp(-z)))",
    "sum(t * exp(z) / (1 + exp(z)))",
    "sum(z / (1 + exp(-z)))",
    "sum(t * log(sigmoid(z)) + (1 - t) * log(1 - sigmoid(z)))",
    "sum(log(where(t > 0.5, q, 1 - q)))",
    "sum(log(q^t * (1 - q)^(1 - t)))",
    "sum(log(max(q, 1e-30)) + log(min(q, 0.999)))",
    "sum(log(1 - q[:, 1:3]))",
    "sum(log(1 - (1 - q)))",
    "-mean(log(pick(softmax(z), y)))",
    "-sum(t * log(softmax{axis = 0}(z)))",
    "-sum(t * log(exp(z) / sum{axis = -1, keep = true}(exp(z))))",
    "sum((t - exp(z) / sum{axis = -1, keep = true}(exp(z)))^2)",
    "sum(t * exp(z) / expand{-1}(sum{axis = -1}(exp(z))))",
    "log(sum(p[:, 0] * exp(z[:, 1]) / 3))",
    "sum(log(p[:, 0] + p[:, 1]))",
    "log(sum(concat(exp(z), q)))",
    "sum(log(sqrt(p)))",
    "log(prod(q))",
    "sum(log(t / p))",
    "sum(log(1 + t * z^2) + exp(z) - (exp(-z) - 1) + (1 - exp(z)))",
    "nll(z, y)",
    "surprise(probabilities(z), y)",
    "twice(probabilities(z), y)",
    "entropy(naive(z))",
    "surprise(normalise(exp(z)), y)",
    "sum(log(own_sigmoid(z)) + log(1 - own_sigmoid(z)))",
    "sum(own_softplus(z))",
    "bce(own_sigmoid(z), t)",
    "sum(log(ratio(z)))",
    "binary_cross_entropy{from_logits = false}(sigmoid(z), t)",
]


def model(formula: str) -> Program:
    text = HEAD.format(definitions=DEFINITIONS, formula=formula)
    return elaborate(Source("m.gc", text), Diagnostics())


def given(scale: float = 1.0) -> dict:
    rng = np.random.default_rng(0)
    return {
        "w": np.array([0.5, -1.5, 0.7, 1.2]),
        "x": scale * rng.normal(size=(5, 4)),
        "y": rng.integers(0, 4, 5),
        "t": rng.uniform(0.1, 0.9, (5, 4)),
    }


def derivatives(formula: str, passes: tuple, scale: float = 1.0, real=np.float64) -> list:
    """The objective, its gradient and a Hessian-vector product by w, after some passes."""
    program = run_passes(model(formula), passes)
    builder = Builder(program.graph)
    objective = builder.value(program.roots["objective", ""])
    (w,) = (n.id for n in program.graph if n.op.name == "parameter")
    first = gradients(builder, objective, [w])[w]
    slope = (first * builder.constant((0.3, -0.2, 0.9, -0.4))).apply("sum", axis=(0,))
    second = gradients(builder, slope, [w])[w]
    ids = [objective.id, first.id, second.id]
    return evaluate(program.graph, ids, given(scale), dims={"n": 5}, real=real)


@pytest.mark.parametrize("formula", FORMULAS)
def test_equal_values_and_derivatives(formula: str):
    head = (Project(training=False),)
    expected = derivatives(formula, head)
    stable = derivatives(formula, (*head, Stabilize()))
    for value, right in zip(stable, expected, strict=True):
        assert np.all(np.isfinite(right))
        np.testing.assert_allclose(value, right, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("formula", FORMULAS)
def test_fires_in_the_pipeline(formula: str):
    """The pass changes the graph, and what is lowered keeps the lines of the model."""
    seen: dict[str, str] = {}

    def observe(part: str, passed: str, program: Program) -> None:
        if part == "training" and passed in ("project", "stabilize", "differentiate"):
            seen[passed] = print_graph(program.graph, program.roots)

    training = lower(model(formula), observe, fuse=False).training
    assert seen["project"] != seen["stabilize"]
    assert training is not None
    step = training.graph.ancestors(
        id for (role, _), id in training.roots.items() if role != "update"
    )
    nodes = [training.graph[id] for id in step]
    assert all(node.origin.span for node in nodes if node.op.name != "constant")


def test_every_rule_fires(monkeypatch: pytest.MonkeyPatch):
    """Each rule and each form is what some formula above needs, and has a docstring."""
    fired: set[str] = set()
    rules: set[str] = set()

    def recorded(rule):
        assert rule.__doc__
        rules.add(rule.__name__)

        def run(forms, node):
            value = rule(forms, node)
            if value is not None:
                fired.add(rule.__name__)
            return value

        run.__name__ = rule.__name__
        return run

    for name, each in stabilize.RULES.items():
        monkeypatch.setitem(stabilize.RULES, name, tuple(map(recorded, each)))
    for table in (stable_forms.LOG, stable_forms.LOGIT):
        for name, form in table.items():
            monkeypatch.setitem(table, name, recorded(form))
    for formula in FORMULAS:
        run_passes(model(formula), (Project(training=False), Stabilize()))
    assert fired == rules


def test_the_bodies_are_the_preludes():
    """σ and softplus that a rewrite makes are the graphs of the prelude's definitions."""
    builder = Builder(Graph())
    type = Type("real", (2, 3))
    x = builder.place(Input("x"), (), type, "x")
    bodies = StableBodies()
    bodies.sigmoid(x)
    bodies.softplus(x)
    written = elaborate(
        Source(
            "m.gc", "model m\ninput x: real[2, 3]\noutput a = sigmoid(x)\noutput b = softplus(x)\n"
        ),
        Diagnostics(),
    )
    texts = []
    for graph in (builder.graph, written.graph):
        calls = [node.op.body for node in graph if isinstance(node.op, Call)]
        assert [body.definition for body in calls] == ["sigmoid", "softplus"]
        texts.append([body_text(body) for body in calls])
    assert texts[0] == texts[1]


def body_text(body) -> str:
    """A body and its derivative as text, calls below inlined, without what nothing reads."""
    flat = flatten(body)
    flat.graph.keep_only(flat.graph.ancestors([*flat.results, *flat.operands]))
    text = print_graph(flat.graph, {("result", "r"): flat.results[0]})
    return text + (body_text(body.derivative) if body.derivative else "")


def test_a_stated_derivative_of_the_user_is_kept():
    """A definition that states another derivative than its formula's is not looked through."""
    text = """model m
def straight(x) = 1 / (1 + exp(-x))
  derivative 1
def floored(p) = log(p)
  derivative 7
param w: real = 0.5
loss f = log(straight(w)) + 0 * floored(sigmoid(w))
loss g = floored(sigmoid(w))
minimize f + g
"""
    lowered = lower(elaborate(Source("m.gc", text), Diagnostics()), fuse=False).evaluation
    assert lowered is not None
    (slope,) = evaluate(lowered.graph, [lowered.roots["gradient", "w"]], {"w": 0.5})
    s = 1 / (1 + np.exp(-0.5))
    assert slope == pytest.approx(1 / s + 7 * s * (1 - s))


def test_shared_probabilities_stay_for_their_other_uses():
    text = HEAD.format(definitions="", formula="-mean(log(pick(p, y)))") + "output probs = p\n"
    programs = lower(elaborate(Source("m.gc", text), Diagnostics()), fuse=False)
    values = given()
    (p,) = evaluate(
        programs.prediction.graph,
        [programs.prediction.roots["output", "probs"]],
        values,
        dims={"n": 5},
    )
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    (f,) = evaluate(
        programs.losses.graph, [programs.losses.roots["loss", "f"]], values, dims={"n": 5}
    )
    assert f == pytest.approx(-np.mean(np.log(p[np.arange(5), values["y"]])))


def test_a_cut_stays_where_it_is():
    """A Gauss-Newton product cut at probabilities needs them, whatever is done with them."""
    text = HEAD.format(definitions="", formula="-mean(log(pick(p, y)))")
    plain = graphc.compile(text, precision="f64", products=("gauss_newton_products",), cut=("p",))
    assert plain.source
    program = run_passes(
        elaborate(Source("m.gc", text), Diagnostics()),
        (Project(training=False), Stabilize(keep=("p",), open_calls=False)),
    )
    assert "p" in {node.name for node in program.graph}
