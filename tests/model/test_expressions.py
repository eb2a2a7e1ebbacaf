"""Attributes and tensors, precedence, indexing, labels, lists."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from model_helpers import codes, compiled, errors, lowered, start, value, values

X = np.arange(12.0).reshape(3, 4)
X_INPUT = "input x: real[3, 4]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-2^2", -4),
        ("2^-1", 0.5),
        ("2^3^2", 512),
        ("2 + 3 * 4", 14),
        ("7 // 2 * 2", 6),
        ("8 / 4 / 2", 1),
        ("1 - 2 - 3", -4),
        ("80%", 0.8),
        ("200 MB", 200e6),
        ("1 if not 1 > 2 and true or false else 2", 1),
        ("1 if 2 + 1 == 3 else 2", 1),
        ("pi", math.pi),
        ("[1, 2, 3][1]", 2),
        ("[1, 2, 3][-1]", 3),
        ("min(3, 2) + max(1, 5)", 7),
        ("floor(-0.5)", -1),
        ("(1 |> max(4))", 4),
        ("1e-3", 1e-3),
    ],
)
def test_constants_follow_the_precedence_of_the_page(text: str, expected: float) -> None:
    assert value(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x^2", -(X**2)),
        ("x @ transpose(x)", X @ X.T),
        ("x[1]", X[1]),
        ("x[:, 1:3]", X[:, 1:3]),
        ("x[..., -1]", X[..., -1]),
        ("x[::2]", X[::2]),
        ("x[:, ::-1]", X[:, ::-1]),
        ("max{0}(x)", X.max(0)),
        ("max{axis = 0, keep = true}(x)", X.max(0, keepdims=True)),
        ("max(x, 5)", np.maximum(X, 5)),
        ("min(x, 5, 3)", np.minimum(X, 3)),
        ("max(x)", X.max()),
        ("sum{[0, 1]}(x)", X.sum()),
        ("where(x > 3, x, 0)", np.where(X > 3, X, 0)),
        ("x + [1, 2, 3, 4]", X + np.arange(1, 5)),
        ("sum(x) / dim{0}(x)", X.sum() / 3),
        ("count(x) * rank(x)", 24),
        ("x |> relu |> softmax{axis = -1}", np.exp(X - 3) / np.exp(X - 3).sum(-1, keepdims=True)),
        ("reshape{[-1, 6]}(x)", X.reshape(-1, 6)),
        ("concat{0}(x, x)", np.concatenate([X, X])),
        ("expand{0}(x)", X[None]),
        ("[x[0, 0], x[1, 1]]", [0.0, 5.0]),
        ("(x |> leaky_relu{slope = 0.5})", X),
        ("squared_error(y = x, prediction = 2 * x)", (X**2).mean()),
        ("squared_error(x, y = 2 * x)", (X**2).mean()),
    ],
)
def test_tensors_follow_numpy(text: str, expected: Any) -> None:
    if "relu |> softmax" in text:
        expected = np.exp(X - X.max(-1, keepdims=True))
        expected = expected / expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(value(text, {"x": X}, setup=X_INPUT), expected)


def test_pipe_is_the_first_argument_and_lines_may_start_with_it() -> None:
    text = "input x: real[3, 4]\noutput a = x\n  |> squared_error(0 * x)\n  |> sqrt\n"
    assert values(text, {"x": X})["a"] == pytest.approx(math.sqrt((X**2).mean()))


def test_labels_have_equality_pick_one_hot_and_indexing() -> None:
    text = (
        "input x: real[n, 3]\ninput y: label{3}[n]\n"
        "output a = y == 2\noutput b = pick(x, y)\noutput c = one_hot(y)\n"
        "table = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]\noutput d = table[y]\n"
        "output e = y != argmax(x)\n"
    )
    x, y = np.eye(3) * 2 + 1, np.array([2, 1, 0])
    got = values(text, {"x": x, "y": y}, n=3)
    assert got["a"].tolist() == [True, False, False]
    assert got["b"].tolist() == [1, 3, 1]
    np.testing.assert_array_equal(got["c"], np.eye(3)[y])
    assert got["d"].tolist() == [[5, 6], [3, 4], [1, 2]]
    assert got["e"].tolist() == [True, False, True]
    head = "input x: real[n, 4]\ntarget y: label{3}[n]\n"
    for wrong, code in [
        ("y + 1", "E206"),
        ("y < 1", "E206"),
        ("-y", "E206"),
        ("pick(x, y)", "E207"),
        ("argmax(x) == y", "E207"),
        ("[1.0, 2.0][y]", "E207"),
        ("pick(x, x)", "E202"),
    ]:
        assert errors(f"{head}z = {wrong}\n") == [code], wrong


def test_a_symbolic_dimension_is_a_number_but_decides_nothing() -> None:
    text = "input x: real[n, 4]\noutput a = sum(x) / n\noutput b = n * 2 + sum(x)\n"
    got = values(text, {"x": X}, n=3)
    assert got["a"] == pytest.approx(X.sum() / 3)
    assert got["b"] == pytest.approx(X.sum() + 6)
    head = "input x: real[n, 4]\n"
    assert errors(head + "if n == 4 { a = 1 } else { a = 2 }") == ["E309"]
    assert errors(head + "if n > 4 { a = 1 } else { a = 2 }") == ["E309"]
    assert errors(head + "repeat i in 1..n { a = 1 }") == ["E309"]
    assert errors(head + "param w: real[n] = 0") == ["E217"]
    assert errors(head + "param w: real[k] = 0") == ["E222"]


def test_a_name_in_a_dimension_is_the_attribute_of_that_name() -> None:
    program = compiled("hyper n = 5\ninput x: real[n, 2]\noutput y = x\n")
    assert program.spec.inputs["x"].type.shape == (5, 2)
    assert program.spec.batch is None


def test_attributes_are_constants_of_the_precision_in_a_tensor_expression() -> None:
    assert value("x * scale + [scale, 1, 1, 1]", {"x": X}, setup=f"{X_INPUT}\nscale = 1 / 4").shape
    text = (
        "def f{a, b = 2 * a}(x) = a * x + b\ninput x: real\n"
        "output p = f{3}(x)\noutput q = f{b = 1, a = 2}(x)\n"
    )
    got = values(text, {"x": 10.0})
    assert (got["p"], got["q"]) == (36, 21)


def test_definitions_are_attributes_too() -> None:
    text = (
        "input x: real[n, 4]\n"
        "layer block{units, activation = relu, inner = dense{units}}(x) = "
        "x |> inner |> activation\n"
        "a = block{3}(x)\n"
        "b = block{3, activation = leaky_relu{0.5}, inner = dense{2, init = normal{0, 0.01}}}(x)\n"
        "output c = sum(a) + sum(b)\n"
    )
    spec = compiled(text).spec
    shapes = {name: info.type.shape for name, info in spec.parameters.items()}
    assert shapes == {
        "a.block1.dense1.W": (4, 3),
        "a.block1.dense1.b": (3,),
        "b.block1.dense1.W": (4, 2),
        "b.block1.dense1.b": (2,),
    }


def test_values_and_definitions_live_apart() -> None:
    text = (
        "input x: real[n, 3]\ntarget y: label{3}[n]\naccuracy = 3\n"
        "metric relu = accuracy(x, y)\noutput z = relu(x) * accuracy\n"
    )
    assert errors(text) == []


def test_words_stay_free_as_names() -> None:
    text = (
        "loss = 3\noptimizer = 2\ndata = 1\nmodel = 4\n"
        "output z = loss + optimizer + data + model + 0.0\n"
    )
    assert values(text)["z"] == 10


def test_shadowing_the_prelude_is_a_warning() -> None:
    text = "def relu(x) = 2 * x\ninput x: real\noutput y = relu(x)\n"
    assert codes(text) == ["W101"]
    assert values(text, {"x": 3.0})["y"] == 6


def test_unused_things_are_warnings() -> None:
    text = (
        "hyper h = 1\ninput x: real\na = 2 * x\ndef f(x) = x\nparam w: real = 0\n"
        "loss l = 3 * w\nparam v: real = 1\n"
    )
    assert sorted(codes(text)) == ["W102", "W102", "W103", "W104"]


def test_integers_become_reals_beside_reals() -> None:
    got = values("input k: int[n]\noutput a = sigmoid(k)\noutput b = relu(k)\n", {"k": [0, 1]}, n=2)
    np.testing.assert_allclose(got["a"], [0.5, 1 / (1 + math.exp(-1))])
    assert got["b"].tolist() == [0, 1]


def test_initialisers_know_the_shape_and_the_fans() -> None:
    text = (
        "def fans() = fan_in * 100 + fan_out\n"
        "param a: real[5, 7] ~ fans\nparam k: real[3, 3, 2, 4] ~ fans\nparam b: real[6] ~ fans\n"
        "param u: real[40, 50] ~ uniform{-1, 1}\nparam h: real[400, 50] ~ he_normal\n"
        "output s = sum(a) + sum(k) + sum(b) + sum(u) + sum(h)\n"
    )
    programs = lowered(text)
    first = start(programs)
    assert np.unique(first["a"]).tolist() == [507]
    assert np.unique(first["k"]).tolist() == [18 * 100 + 36]
    assert np.unique(first["b"]).tolist() == [606]
    assert abs(first["u"]).max() <= 1
    assert first["h"].std() == pytest.approx(math.sqrt(2 / 400), rel=0.05)
    infos = programs.spec.parameters
    assert {name for name, info in infos.items() if info.random} == {"u", "h"}


def test_lists_that_are_equal_are_not_of_one_kind():
    """A definition is expanded once for equal attributes; 1 and 1.0 are equal as numbers only."""
    text = (
        "input x: real\ndef listed{a}(x) = a\noutput ints = listed{[1, 2]}(x)\n"
        "output reals = listed{[1.0, 2.0]}(x)\noutput truths = listed{[[true], [true]]}(x)\n"
        "output ones = listed{[[1], [1]]}(x)\n"
    )
    kinds = {name: array.dtype.kind for name, array in values(text, {"x": 0.0}).items()}
    assert kinds == {"ints": "i", "reals": "f", "truths": "b", "ones": "i"}


def test_a_probability_may_depend_on_training():
    text = "input x: real[3]\noutput y = x * bernoulli{1 if training else 0}(x)\n"
    leaves = {"x": np.array([1.0, 2.0, 3.0])}
    np.testing.assert_array_equal(values(text, leaves)["y"], np.zeros(3))
