"""The page of every definition of the prelude: a new definition is covered at once.

Formulas are there and well formed; derivatives are compared, as the terms that are printed, with
the gradients that training computes.
"""

from __future__ import annotations

import numpy as np
import pytest
from term_values import TermValues, bodies_in
from test_local import balanced

from graphc.ir import OPERATORS, Graph, is_real
from graphc.model.builtins import BUILTINS
from graphc.model.nodes import draws
from graphc.model.prelude import load_prelude
from graphc.ops import evaluate
from graphc.passes.project import has_choice
from graphc.rendering.definitions import Elaborated, example
from graphc.rendering.layout import WIDTH, width
from graphc.rendering.local import adjoints, local_derivatives
from graphc.rendering.reference import definition_page, named_parts, primitive_page
from graphc.rendering.reference_text import page_text
from graphc.session.documenting import contents, page

HOME = load_prelude()
DIMS = {"n": 5, "m": 6}


@pytest.mark.parametrize("name", HOME.definitions)
def test_every_definition_has_a_page(name: str) -> None:
    found = definition_page(HOME.definitions[name])
    assert found.doc
    assert found.signature.startswith(name)
    assert found.text.startswith(found.kind)
    assert found.shown, "no operand types were found that the definition takes"
    for shown in found.shown:
        assert shown.formulas
        for left, right in shown.formulas:
            assert left.unicode.strip()
            assert right.unicode.strip()
            assert balanced(left.latex)
            assert balanced(right.latex)
        for item in shown.derivatives:
            assert item.formula is None or (item.formula.unicode and balanced(item.formula.latex))


def differentiable(name: str) -> Elaborated | None:
    """A definition of one result without a draw or a choice by projection."""
    found = example(HOME.definitions[name])
    if found is None or len(found.results) != 1 or HOME.definitions[name].tree.kind == "optimizer":
        return None
    plain = not any(map(draws, found.graph)) and not has_choice(found.graph)
    fitted = any(node.op.name == "fitted" for node in found.graph)
    real = is_real(found.graph[found.results[0][1]].type)
    return found if plain and not fitted and found.operands and real else None


WITHOUT = {name for name in HOME.definitions if differentiable(name) is None}
"""Draws, choices by projection, optimizers, several results, metrics that are no real numbers."""


@pytest.mark.parametrize("name", [name for name in HOME.definitions if name not in WITHOUT])
def test_every_derivative_is_true(name: str) -> None:
    """In terms of the operands alone, and with names for the values inside."""
    found = differentiable(name)
    assert found is not None
    check_derivatives(found, {})
    parts = named_parts(found, found.graph, found.results, places=True)
    if parts:
        found = differentiable(name)  # the check adds to the graph
        assert found is not None
        check_derivatives(found, named_parts(found, found.graph, found.results, places=True))


def test_only_a_few_definitions_have_no_derivative_to_check() -> None:
    assert len(WITHOUT) <= 30


def check_derivatives(found: Elaborated, parts: dict[int, str]) -> None:
    (_, result) = found.results[0]
    graph, names = found.graph, found.names
    passed = adjoints(graph, names, result, "out", parts)
    given = arrays(graph, names)
    upstream = np.asarray(np.random.default_rng(5).normal(size=sizes(graph, result)))
    leaves = {**{names[id]: a for id, a in given.items()}, "∂out": upstream, **DIMS}
    values = evaluate(graph, parts, operands=given, dims=DIMS)
    leaves |= dict(zip(parts.values(), values, strict=True))
    types = {label: graph[id].tensor for id, label in {**parts, **names}.items()}
    terms = TermValues(passed.terms, leaves, types, DIMS, bodies_in(graph))
    for id, (node, term) in passed.found.items():
        operands = {**given, passed.upstream: upstream}
        (expected,) = evaluate(passed.graph, [node], operands=operands, dims=DIMS)
        actual = np.broadcast_to(terms.value(term), sizes(graph, id))
        np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-10)


def sizes(graph: Graph, id: int) -> tuple[int, ...]:
    shape = graph[id].tensor.shape
    return tuple(size if isinstance(size, int) else size.bind(DIMS) for size in shape)


def arrays(graph: Graph, names: dict[int, str]) -> dict[int, np.ndarray]:
    """Numbers in 0.1 to 0.9, which every definition takes; labels within their classes."""
    rng = np.random.default_rng(6)
    made = {}
    for id in names:
        type, shape = graph[id].tensor, sizes(graph, id)
        if type.kind == "real":
            made[id] = rng.uniform(0.1, 0.9, shape)
        elif type.kind == "bool":
            made[id] = rng.random(shape) < 0.5
        else:
            made[id] = rng.integers(0, type.classes or 2, shape)
    return made


@pytest.mark.parametrize(
    ("name", "operand", "formula"),
    [
        ("sigmoid", "x", "ȳ·σ(x)·(1−σ(x))"),
        ("relu", "x", "ȳ·[x > 0]"),
        ("logsumexp", "x", "ȳ·softmax(x)"),
        ("softmax", "z", "(ȳ−Σ₁ ȳ·softmax(z))·softmax(z)"),
        ("cross_entropy", "logits", "f̄·(softmax(logits)−one_hot(y)) / n"),
        ("dense", "x", "ȳ·Wᵀ"),
        ("dense", "W", "xᵀ·ȳ"),
        ("dense", "b", "Σ₀ ȳ"),
        ("squared_error", "prediction", "f̄·2·(prediction−y) / (m·n)"),
    ],
)
def test_derivatives_read_as_in_a_textbook(name: str, operand: str, formula: str) -> None:
    (shown, *_) = definition_page(HOME.definitions[name]).shown
    found = {item.operand: item.formula for item in shown.derivatives}
    assert found[operand] is not None
    assert found[operand].unicode == formula


@pytest.mark.parametrize("name", [*HOME.definitions, *BUILTINS, *OPERATORS])
def test_a_page_fits_a_terminal(name: str) -> None:
    found = page(name)
    own = {line.strip() for line in found.text.split("\n")}
    long = [line for line in page_text(found).split("\n") if width(line) > WIDTH]
    assert all(line.strip() in own for line in long)


def test_long_derivatives_speak_of_named_values() -> None:
    (shown,) = definition_page(HOME.definitions["gru_step"]).shown
    found = {item.operand: item.formula.unicode for item in shown.derivatives if item.formula}
    assert found["b_h"] == "Σ₀ ȳ·(1−update)·(1−candidate²)·gates[:, :2]"
    (shown,) = definition_page(HOME.definitions["attention"]).shown
    found = {item.operand: item.formula.unicode for item in shown.derivatives if item.formula}
    assert found["v"] == "softmax(q·kᵀ / √m)ᵀ·ȳ"


def test_states_take_no_gradient_and_counts_pass_none_on() -> None:
    for shown in definition_page(HOME.definitions["batch_norm"]).shown:
        assert [item.operand for item in shown.derivatives] == ["x", "gain", "shift"]
    assert "no gradient flows to scores and y" in page_text(page("auc"))


def test_every_value_that_a_definition_returns_is_shown() -> None:
    (shown,) = definition_page(HOME.definitions["class_counts"]).shown
    assert [left.unicode for left, _ in shown.formulas] == [
        f"class_counts(scores, y)[{i}]" for i in range(3)
    ]
    assert shown.formulas[0][1].unicode == "Σ₀ one_hot(y)·one_hot(argmax₁ scores)"


def test_images_are_images() -> None:
    assert definition_page(HOME.definitions["global_avg_pool"]).shown[0].when == "x: real[n, 8, 4]"
    assert definition_page(HOME.definitions["max_pool2d"]).shown[0].when == "x: real[n, 8, 8, 4]"


def test_formulas_speak_of_attributes() -> None:
    (shown,) = definition_page(HOME.definitions["leaky_relu"]).shown
    assert [right.unicode for _, right in shown.formulas] == ["(x if x > 0 else slope·x)"]


def test_an_optimizer_shows_its_updates() -> None:
    (shown,) = definition_page(HOME.definitions["momentum"]).shown
    rows = [(left.unicode, right.unicode) for left, right in shown.formulas]
    assert rows == [("v′", "mu·v + g"), ("w′", "w − lr·v′")]


def test_what_differs_by_projection_is_shown_twice() -> None:
    training, evaluation = definition_page(HOME.definitions["dropout"]).shown
    assert training.when.endswith("in training")
    assert evaluation.when.endswith("in evaluation")
    assert [right.unicode for _, right in evaluation.formulas] == ["x"]


def test_every_name_of_the_language_is_in_the_list() -> None:
    entries = contents()
    named = {entry.signature.partition("{")[0].partition("(")[0] for entry in entries}
    assert set(HOME.definitions) <= named
    assert all(entry.summary for entry in entries)
    for entry in entries:
        if entry.place == "primitives":
            assert primitive_page(entry.signature) is not None


def test_definitions_of_a_model_file(models) -> None:
    found = page("swish_like", models / "custom.gc")
    assert found.place.endswith("custom.gc:6")
    assert found.shown[0].derivatives


def test_local_derivatives_need_a_real_result() -> None:
    found = example(HOME.definitions["accuracy"])
    assert found is not None
    passed = local_derivatives(found.graph, found.names, found.results[0][1])
    assert all(item.formula is None for item in passed)
