"""The normal form of terms, and definitions found again in it."""

from __future__ import annotations

import pytest

from graphc.ir import UNICODE, Builder, Graph, Type
from graphc.ops.einsum import Einsum
from graphc.ops.leaves import Input
from graphc.rendering.folding import folded
from graphc.rendering.formulas import Leaf, compose
from graphc.rendering.reading import read
from graphc.rendering.terms import Terms
from graphc.rendering.writing import write

VECTOR = Type("real", (3,))


def formula(make, *, fold: bool = False) -> str:
    """The normal form of what ``make(x, y)`` builds on two vectors."""
    builder = Builder(Graph())
    x, y = (builder.place(Input(name), (), VECTOR, name) for name in "xy")
    result = make(x, y)
    terms = Terms()
    (term,) = read(terms, builder.graph, [result.id], {})
    return write(terms, folded(terms, term) if fold else term, UNICODE).text


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda x, y: 1.0 * x + 0.0, "x"),
        (lambda x, y: x * x, "x²"),
        (lambda x, y: x - y + y, "x"),
        (lambda x, y: -x * -y, "x·y"),
        (lambda x, y: -(x - y) * y, "−y·(x−y)"),
        (lambda x, y: x * y + x * x, "x·(x+y)"),
        (lambda x, y: 0.5 / (x * y), "1 / (2·x·y)"),
        (lambda x, y: (x / y) / x, "1 / y"),
        (lambda x, y: x.apply("sqrt") * x.apply("sqrt"), "x"),
        (lambda x, y: x.apply("expm1") + 1.0, "exp(x)"),
        (lambda x, y: x.apply("greater", 0.0) * y, "y·[x > 0]"),
        (lambda x, y: x.apply("greater", 0.0).apply("where", y, 0.0), "y·[x > 0]"),
        (lambda x, y: x.apply("greater", 0.0).apply("where", 0.0, y), "y·[x ≤ 0]"),
        (lambda x, y: x / 0.0, "x / 0"),
        (lambda x, y: x * x.builder.constant(-1.0).apply("sqrt"), "x·√(−1)"),
        (lambda x, y: x * x.builder.constant(1e200) ** 9.0, "x·(10²⁰⁰)⁹"),
        (lambda x, y: x ** float("inf"), "x^∞"),
        (lambda x, y: x * float("inf") - y * float("nan"), "∞·x + NaN·y"),
        (lambda x, y: (2.0 * x).apply("sum", axis=(0,)), "2·Σ x"),
        (lambda x, y: x.apply("reshape", shape=(3, 1)) * 1.0, "x"),
    ],
)
def test_normal_form(make, text: str) -> None:
    assert formula(make) == text


def test_a_sum_of_what_is_repeated_is_a_product() -> None:
    def repeated(x, y):
        return x.builder.zeros(VECTOR).apply("exp").apply("sum", axis=(0,))

    assert formula(repeated) == "3·exp(0)"
    assert formula(lambda x, y: (x / x).apply("sum", axis=(0,))) == "3"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda x, y: y / ((-x).apply("exp") + 1.0), "y·σ(x)"),
        (lambda x, y: y * x.apply("sum", axis=(0,)) / 3.0, "y·mean(x)"),
        (lambda x, y: y * x.apply("sum", axis=(0,)), "y·Σ x"),
        (lambda x, y: y * x.apply("sum", axis=(0,)) / 6.0, "0.5·y·mean(x)"),
    ],
)
def test_a_definition_is_found_as_some_factors_of_a_product(make, text: str) -> None:
    assert formula(make, fold=True) == text


def test_a_softmax_along_another_axis_is_none() -> None:
    """Broadcasting the wrong way is no softmax, however alike the formulas look."""

    def build(axis: int) -> str:
        builder = Builder(Graph())
        z = builder.place(Input("z"), (), Type("real", (3, 3)), "z")
        largest = z.apply("max", axis=(1,), keep=True).apply("stop_gradient")
        e = (z - largest).apply("exp")
        result = e / e.apply("sum", axis=(axis,), keep=axis == 1)
        terms = Terms()
        (term,) = read(terms, builder.graph, [result.id], {})
        return write(terms, folded(terms, term), UNICODE).text

    assert build(1) == "softmax(z)"
    assert "softmax" not in build(0)


def test_long_formulas_are_shortened_and_no_recursion_limits_them() -> None:
    builder = Builder(Graph())
    x = value = builder.place(Input("x"), (), VECTOR, "x")
    for _ in range(5000):
        value = (value * x).apply("tanh")
    text = compose(builder.graph, value.id, {x.id: Leaf("x")}, UNICODE).text
    assert "…" in text
    assert len(text) <= 3 * UNICODE.longest
    terms = Terms()
    (term,) = read(terms, builder.graph, [value.id], {})
    assert "…" in write(terms, term, UNICODE).text


def test_products_of_matrices_stand_apart_from_products_of_elements() -> None:
    builder = Builder(Graph())
    square = Type("real", (3, 3))
    a, b, c = (builder.place(Input(name), (), square, name) for name in "abc")
    names = {value.id: Leaf(name) for value, name in ((a, "a"), (b, "b"), (c, "c"))}
    for value, text in (((a @ b) * c, "(a·b)·c"), ((a * b) @ c, "(a·b)·c"), (a @ b @ c, "a·b·c")):
        assert compose(builder.graph, value.id, names, UNICODE).text == text


def test_products_by_letters_read_as_products_of_matrices() -> None:
    builder = Builder(Graph())
    q = builder.place(Input("q"), (), Type("real", (2, 3, 4)), "q")
    k = builder.place(Input("k"), (), Type("real", (2, 5, 4)), "k")
    names = {q.id: Leaf("q"), k.id: Leaf("k")}
    for equation, text in (
        ("btd,bsd->bts", "q·kᵀ"),
        ("btd,bsd->bst", "Σ q[b, t, d]·k[b, s, d]"),
        ("btd,bsd->ts", "Σ q[b, t, d]·k[b, s, d]"),
    ):
        value = builder.emit(Einsum(equation), q, k)
        assert compose(builder.graph, value.id, names, UNICODE).text == text
