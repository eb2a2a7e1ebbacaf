"""Numbers, parentheses and names in both notations."""

from __future__ import annotations

import pytest

from graphc.ir import LATEX, UNICODE

X, Y, N = (UNICODE.symbol(name) for name in "xyn")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (0.1, "0.1"),
        (-1.5, "−1.5"),
        (1 / 3, "0.333333"),
        (2e-9, "2·10⁻⁹"),
        (1e-37, "10⁻³⁷"),
        (float("-inf"), "−∞"),
        (float("nan"), "NaN"),
        (True, "true"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert UNICODE.number(value).text == text


def test_sums_over_axes_are_told_from_products() -> None:
    total = UNICODE.total("sum", X)
    assert UNICODE.multiply(total, Y).text == "(Σ x)·y"
    assert UNICODE.multiply(Y, total).text == "y·Σ x"
    assert UNICODE.multiply(UNICODE.multiply(Y, total), X).text == "(y·Σ x)·x"
    assert UNICODE.divide(total, N).text == "(Σ x) / n"
    assert UNICODE.total("sum", UNICODE.multiply(X, Y)).text == "Σ x·y"
    assert UNICODE.total("sum", UNICODE.divide(X, Y)).text == "Σ (x/y)"


def test_definitions_with_attributes() -> None:
    assert UNICODE.call("dense{64}", X).text == "dense{64}(x)"
    assert UNICODE.call("sigmoid", X).text == "σ(x)"
    assert UNICODE.call("mean{axis = 0, keep = true}", X).text == "mean{axis = 0}(x)"
    assert UNICODE.call("sum{keep = true}", X).text == "sum(x)"
    assert UNICODE.call("elu{1.6732632423543772}", X).text == "elu{1.67326}(x)"
    shown = LATEX.call("dense{64}", LATEX.symbol("x")).text
    assert shown == r"\operatorname{dense}\mathrm{\{64\}}\left(x\right)"


def test_choices_and_conditions() -> None:
    condition = UNICODE.truth(X, ">", N)
    assert condition.text == "[x > n]"
    assert UNICODE.choice(condition, X, Y).text == "(x if x > n else y)"
    assert UNICODE.opposite(condition).text == "[¬[x > n]]"
    latex = LATEX.choice(LATEX.truth(X, ">", N), X, Y).text
    assert latex == r"\begin{cases} x & x > n \\ y & \text{otherwise} \end{cases}"


def test_gradients_by_their_names() -> None:
    assert UNICODE.adjoint("x").text == "x̄"
    assert UNICODE.adjoint("logits").text == "∂logits"
    assert LATEX.adjoint("x").text == r"\bar{x}"
    assert LATEX.adjoint("sigma").text == r"\partial \sigma"


def test_latex_is_plain_ascii() -> None:
    assert LATEX.symbol("…").text == r"\dots"
    assert LATEX.symbol("v′").text == "v'"
    assert LATEX.symbol("step′").text == r"\mathit{step}'"
    assert LATEX.outer(LATEX.symbol("x"), LATEX.adjoint("z")).text == r"x \otimes \bar{z}"
