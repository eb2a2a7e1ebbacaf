"""Formulas and local derivatives of every operator: there, well formed, and true.

A new operator is covered by its samples. That a formula is true is shown by computing the term that
is printed and comparing it with the gradient that training computes.
"""

from __future__ import annotations

import numpy as np
import pytest
from term_values import TermValues

import graphc.ops  # noqa: F401
from graphc.ir import LATEX, OPERATORS, UNICODE, Sample
from graphc.ops import evaluate
from graphc.rendering.formulas import Leaf, compose
from graphc.rendering.local import adjoints, build_sample, local_derivatives

SAMPLES = [
    pytest.param(sample, id=f"{name}-{i}")
    for name, operator in OPERATORS.items()
    for i, sample in enumerate(operator.samples())
]


def balanced(text: str) -> bool:
    """Whether braces and \\left, \\right come in pairs."""
    plain = text.replace("\\{", "").replace("\\}", "")
    depth = 0
    for letter in plain:
        depth += (letter == "{") - (letter == "}")
        if depth < 0:
            return False
    return depth == 0 and plain.count("\\left") == plain.count("\\right")


def arrays(sample: Sample) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    made = []
    for type in sample.types:
        if type.kind == "label":
            made.append(rng.integers(0, type.classes, type.shape))
        elif type.kind == "int":
            made.append(rng.integers(0, 2, type.shape))
        elif type.kind == "bool":
            made.append(rng.random(type.shape) < 0.5)
        else:
            made.append(rng.uniform(sample.low, sample.high, type.shape))
    return made


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_operator_has_a_formula(sample: Sample) -> None:
    graph, names, result = build_sample(sample)
    leaves = {id: Leaf(name) for id, name in names.items()}
    assert compose(graph, result, leaves, UNICODE).text.strip()
    latex = compose(graph, result, leaves, LATEX).text
    assert latex.strip()
    assert balanced(latex)


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_local_derivative_has_a_formula(sample: Sample) -> None:
    graph, names, result = build_sample(sample)
    for item in local_derivatives(graph, names, result):
        if item.formula is not None:
            assert item.formula.unicode.strip()
            assert item.formula.latex.strip()
            assert balanced(item.formula.latex)


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_local_derivative_is_true(sample: Sample) -> None:
    graph, names, result = build_sample(sample)
    passed = adjoints(graph, names, result, "y")
    values = dict(zip(names, arrays(sample), strict=True))
    leaves = {names[id]: array for id, array in values.items()}
    shape = graph[result].tensor.shape
    upstream = np.random.default_rng(4).normal(size=shape)
    types = {names[id]: graph[id].tensor for id in names}
    terms = TermValues(passed.terms, {**leaves, "∂y": upstream}, types, {}, {})
    for id, (node, term) in passed.found.items():
        given = {**values, passed.upstream: upstream}
        (expected,) = evaluate(passed.graph, [node], operands=given)
        actual = np.broadcast_to(terms.value(term), graph[id].tensor.shape)
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "operand", "formula"),
    [
        ("exp", "x", "ȳ·exp(x)"),
        ("tanh", "x", "ȳ·(1−tanh(x)²)"),
        ("sqrt", "x", "ȳ / (2·√x)"),
        ("abs", "x", "ȳ·sign(x)"),
        ("divide", "w", "−ȳ·x / w²"),
        ("maximum", "x", "ȳ·[x > w]"),
        ("matmul", "x", "ȳ·wᵀ"),
        ("matmul", "w", "xᵀ·ȳ"),
        ("sum", "x", "ȳ"),
    ],
)
def test_local_derivatives_read_as_in_a_textbook(name: str, operand: str, formula: str) -> None:
    graph, names, result = build_sample(OPERATORS[name].samples()[0])
    found = {item.operand: item.formula for item in local_derivatives(graph, names, result)}
    assert found[operand] is not None
    assert found[operand].unicode == formula


def test_a_matrix_product_in_latex() -> None:
    graph, names, result = build_sample(OPERATORS["matmul"].samples()[0])
    (_, by_w) = local_derivatives(graph, names, result)
    assert by_w.formula is not None
    assert by_w.formula.latex == r"{x}^{\top} \cdot \bar{y}"


def test_the_truth_of_formulas_is_no_rubber_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    """A term that is 0.1% off fails the test above."""
    from graphc.ops.functions import Tanh
    from graphc.rendering import reading

    sample = Tanh.samples()[0]
    wrong = {"multiply": lambda t, args, node: t.product([(i, 1) for i in args], 1.001)}
    monkeypatch.setattr(reading, "RULES", {**reading.RULES, **wrong})
    with pytest.raises(AssertionError):
        test_every_local_derivative_is_true(sample)
