"""Stable formulas: each rule as a pair in the text form, and what has no better form."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.ir import parse_graph, print_graph, verify
from graphc.model import Program
from graphc.ops import evaluate
from graphc.passes.cleanup import DeadCode
from graphc.passes.stabilize import Stabilize

LEAVES = "%0 = input{'x'}() : real[2, 3]  # x\n%1 = constant{1.0}() : real\n"
SMALL = {"x": np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])}


def row(number: int, text: str, shape: str = "[2, 3]", name: str = "") -> str:
    return f"%{number} = {text} : real{shape}{f'  # {name}' if name else ''}\n"


PAIRS = {
    "log(exp(x))": (
        row(2, "exp(%0)") + row(3, "log(%2)"),
        "root output y = %0\n",
    ),
    "log(1 + exp(x))": (
        row(2, "exp(%0)") + row(3, "add(%1, %2)") + row(4, "log(%3)", name="l"),
        row(1, "call{@softplus}(%0)", name="l"),
    ),
    "log1p(exp(x))": (
        row(2, "exp(%0)") + row(3, "log1p(%2)"),
        row(1, "call{@softplus}(%0)"),
    ),
    "1 / (1 + exp(-x))": (
        row(2, "negative(%0)")
        + row(3, "exp(%2)")
        + row(4, "add(%1, %3)")
        + row(5, "divide(%1, %4)"),
        row(1, "call{@sigmoid}(%0)"),
    ),
    "exp(x) / (1 + exp(x))": (
        row(2, "exp(%0)") + row(3, "exp(%0)") + row(4, "add(%1, %3)") + row(5, "divide(%2, %4)"),
        row(1, "call{@sigmoid}(%0)"),
    ),
    "x / (1 + exp(x))": (
        row(2, "exp(%0)") + row(3, "add(%2, %1)") + row(4, "divide(%0, %3)"),
        row(1, "negative(%0)") + row(2, "call{@sigmoid}(%1)") + row(3, "multiply(%0, %2)"),
    ),
    "log(1 - 1/(1 + exp(-x)))": (
        row(2, "negative(%0)")
        + row(3, "exp(%2)")
        + row(4, "add(%1, %3)")
        + row(5, "divide(%1, %4)")
        + row(6, "subtract(%1, %5)")
        + row(7, "log(%6)"),
        row(1, "call{@softplus}(%0)") + row(2, "negative(%1)"),
    ),
    "log1p(-1/(1 + exp(-x)))": (
        row(2, "negative(%0)")
        + row(3, "exp(%2)")
        + row(4, "add(%1, %3)")
        + row(5, "divide(%1, %4)")
        + row(6, "negative(%5)")
        + row(7, "log1p(%6)"),
        row(1, "call{@softplus}(%0)") + row(2, "negative(%1)"),
    ),
    "log(sum(exp(x)))": (
        row(2, "exp(%0)") + row(3, "sum{(1,), False}(%2)", "[2]") + row(4, "log(%3)", "[2]"),
        row(1, "max{(1,), True}(%0)", "[2, 1]")
        + row(2, "stop_gradient(%1)", "[2, 1]")
        + row(3, "subtract(%0, %2)")
        + row(4, "exp(%3)")
        + row(5, "sum{(1,), True}(%4)", "[2, 1]")
        + row(6, "log(%5)", "[2, 1]")
        + row(7, "add(%6, %2)", "[2, 1]")
        + row(8, "reshape{(2,)}(%7)", "[2]"),
    ),
    "exp(x) / sum(exp(x))": (
        row(2, "exp(%0)") + row(3, "sum{(0,), True}(%2)", "[1, 3]") + row(4, "divide(%2, %3)"),
        row(1, "max{(0,), True}(%0)", "[1, 3]")
        + row(2, "stop_gradient(%1)", "[1, 3]")
        + row(3, "subtract(%0, %2)")
        + row(4, "exp(%3)")
        + row(5, "sum{(0,), True}(%4)", "[1, 3]")
        + row(6, "divide(%4, %5)"),
    ),
    "log(x * exp(x))": (
        row(2, "exp(%0)") + row(3, "multiply(%0, %2)") + row(4, "log(%3)"),
        row(1, "log(%0)") + row(2, "add(%1, %0)"),
    ),
    "log(1 + x)": (
        row(2, "add(%0, %1)") + row(3, "log(%2)"),
        row(1, "log1p(%0)"),
    ),
    "log(1 - x)": (
        row(2, "subtract(%1, %0)") + row(3, "log(%2)"),
        row(1, "negative(%0)") + row(2, "log1p(%1)"),
    ),
    "exp(x) - 1": (
        row(2, "exp(%0)") + row(3, "subtract(%2, %1)"),
        row(1, "expm1(%0)"),
    ),
    "1 - exp(x)": (
        row(2, "exp(%0)") + row(3, "subtract(%1, %2)"),
        row(1, "expm1(%0)") + row(2, "negative(%1)"),
    ),
}
"""The last node is the output."""


def parsed(text: str) -> Program:
    if "root" not in text:
        text += f"root output y = %{text.rstrip().splitlines()[-1].split(' ')[0][1:]}\n"
    return Program(None, *parse_graph(text))  # type: ignore[arg-type]


def without_bodies(text: str) -> str:
    """The nodes of the graph itself, calls by the names of their definitions."""
    top = text[text.rfind("}\n%") + 2 :] if text.startswith("body") else text
    for number in "123456789":
        top = top.replace(f"{number}}}(", "}(")
    return top


@pytest.mark.parametrize("name", PAIRS)
def test_before_and_after(name: str):
    before, after = PAIRS[name]
    program = parsed(LEAVES + before)
    (expected,) = evaluate(program.graph, list(program.roots.values()), SMALL)
    program = Stabilize().apply(program)
    verify(program.graph, program.roots.values())
    text = without_bodies(print_graph(program.graph, program.roots))
    last = after.rstrip().splitlines()[-1].split(" ")[0][1:]
    root = "" if after.startswith("root") else f"root output y = %{last}\n"
    assert text == LEAVES.splitlines(keepends=True)[0] + after + root
    (value,) = evaluate(program.graph, list(program.roots.values()), SMALL)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    again = Stabilize().apply(program)
    assert without_bodies(print_graph(again.graph, again.roots)) == text


STAYS = {
    "log(x)": row(2, "log(%0)"),
    "1 / (1 + x)": row(2, "add(%1, %0)") + row(3, "divide(%1, %2)"),
    "1 / (1 + 1)": row(2, "add(%1, %1)", "") + row(3, "divide(%1, %2)", ""),
    "log(exp(x) - x)": row(2, "exp(%0)") + row(3, "subtract(%2, %0)") + row(4, "log(%3)"),
    "log(sum(x * exp(x)))": row(2, "exp(%0)")
    + row(3, "multiply(%0, %2)")
    + row(4, "sum{(1,), False}(%3)", "[2]")
    + row(5, "log(%4)", "[2]"),
    "log1p(exp(-|x|))": row(2, "abs(%0)")
    + row(3, "negative(%2)")
    + row(4, "exp(%3)")
    + row(5, "log1p(%4)"),
    "exp(x) over the sums of the other axis": row(2, "exp(%0)")
    + row(3, "transpose{(1, 0)}(%2)", "[3, 2]")
    + row(4, "sum{(1,), True}(%2)", "[2, 1]")
    + row(5, "reshape{(2,)}(%4)", "[2]")
    + row(6, "divide(%3, %5)", "[3, 2]"),
    "shifted": row(2, "max{(1,), False}(%0)", "[2]")
    + row(3, "reshape{(2, 1)}(%2)", "[2, 1]")
    + row(4, "subtract(%0, %3)")
    + row(5, "exp(%4)")
    + row(6, "sum{(1,), False}(%5)", "[2]")
    + row(7, "log(%6)", "[2]"),
}


@pytest.mark.parametrize("name", STAYS)
def test_what_has_no_better_form_stays(name: str):
    program = DeadCode().apply(parsed(LEAVES + STAYS[name]))
    text = print_graph(program.graph, program.roots)
    program = Stabilize().apply(program)
    assert print_graph(program.graph, program.roots) == text
