"""Rules for equations and arrangements: the same values, by fewer or cheaper operators."""

from __future__ import annotations

import random

import numpy as np
import pytest

from graphc.ir import Builder, Graph, Size, Type, Value, parse_graph, print_graph, symbol, verify
from graphc.model import Program
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.passes.simplify import Simplify

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2, "f": 3}


def equation(seed: int) -> tuple[list[str], str]:
    """Any terms over a few letters, any output of letters that they hold."""
    rng = random.Random(seed)
    letters = "abcdef"[: rng.randint(1, 6)]
    count = rng.choice((1, 2, 2, 2, 3))
    terms = ["".join(rng.sample(letters, rng.randint(0, len(letters)))) for _ in range(count)]
    used = sorted(set("".join(terms)))
    return terms, "".join(rng.sample(used, rng.randint(0, len(used))))


@pytest.mark.parametrize("seed", range(150))
def test_any_equation_becomes_sums_and_products(seed: int):
    """``a`` is symbolic, so shapes are products of symbols and numbers."""
    terms, output = equation(seed)
    rng = np.random.default_rng(seed)
    builder = Builder(Graph())
    operands, leaves = [], {}
    for i, term in enumerate(terms):
        shape: tuple[Size, ...] = tuple(symbol("n") if x == "a" else SIZES[x] for x in term)
        leaves[f"x{i}"] = rng.normal(size=[SIZES[x] for x in term])
        operands.append(builder.place(Input(f"x{i}"), (), Type("real", shape), f"x{i}"))
    text = f"{','.join(terms)}->{output}"
    result = operands[0].apply("einsum", *operands[1:], equation=text)
    program = simplified(builder, result)
    assert "einsum" not in names(program)
    np.testing.assert_allclose(
        value(program, leaves), np.einsum(text, *leaves.values()), rtol=1e-12, atol=1e-12
    )


def simplified(builder: Builder, result: Value) -> Program:
    program = Simplify().apply(Program(None, builder.graph, {("output", "y"): result.id}))  # type: ignore[arg-type]
    verify(program.graph, program.roots.values())
    return program


def names(program: Program) -> list[str]:
    return [node.op.name for node in program.graph.topological()]


def value(program: Program, leaves: dict) -> np.ndarray:
    (result,) = evaluate(program.graph, list(program.roots.values()), leaves, dims={"n": 2})
    return np.asarray(result)


PAIRS = {
    "weights are reshaped, never moved": (
        ["nhwc", "hwco"],
        "no",
        ["reshape", "reshape", "matmul"],
    ),
    "weights the other way are transposed last": (
        ["nc", "hwc"],
        "nhw",
        ["reshape", "transpose", "matmul", "reshape"],
    ),
    "operands change places for the output": (["ij", "nj"], "ni", ["transpose", "matmul"]),
    "products of batches": (["nij", "njk"], "nik", ["matmul"]),
    "no letter is summed": (["ij", "j"], "ij", ["reshape", "multiply"]),
}


@pytest.mark.parametrize(("terms", "output", "expected"), PAIRS.values(), ids=PAIRS)
def test_operators_of_an_equation(terms: list[str], output: str, expected: list[str]):
    sizes = dict(zip("nhwcoijk", range(2, 10), strict=True))
    builder = Builder(Graph())
    operands = [
        builder.place(Input(f"x{i}"), (), Type("real", tuple(sizes[x] for x in term)))
        for i, term in enumerate(terms)
    ]
    equation = f"{','.join(terms)}->{output}"
    program = simplified(builder, operands[0].apply("einsum", operands[1], equation=equation))
    assert sorted(n for n in names(program) if n != "input") == sorted(expected)


IMAGE = "%0 = input{'x'}() : real[2, 4, 6, 3]  # x\n"
ARRANGED = {
    "windows side by side": (
        IMAGE + "%1 = windows{(1, 2), (2, 3), (2, 3), (1, 1)}(%0) : real[2, 2, 2, 2, 3, 3]\n"
        "root output y = %1\n",
        IMAGE + "%1 = reshape{(2, 2, 2, 2, 3, 3)}(%0) : real[2, 2, 2, 2, 3, 3]\n"
        "%2 = transpose{(0, 1, 3, 2, 4, 5)}(%1) : real[2, 2, 2, 2, 3, 3]\n"
        "root output y = %2\n",
    ),
    "one window": (
        IMAGE + "%1 = windows{(1,), (4,), (7,), (1,)}(%0) : real[2, 1, 4, 6, 3]\n"
        "root output y = %1\n",
        IMAGE + "%1 = reshape{(2, 1, 4, 6, 3)}(%0) : real[2, 1, 4, 6, 3]\nroot output y = %1\n",
    ),
    "windows put back": (
        "%0 = input{'x'}() : real[2, 3, 2]  # x\n"
        "%1 = windows_adjoint{(1,), (2,), (2,), (1,), (2, 6)}(%0) : real[2, 6]\n"
        "root output y = %1\n",
        "%0 = input{'x'}() : real[2, 3, 2]  # x\n"
        "%1 = reshape{(2, 6)}(%0) : real[2, 6]\nroot output y = %1\n",
    ),
    "maximum of a transpose": (
        IMAGE + "%1 = transpose{(0, 2, 1, 3)}(%0) : real[2, 6, 4, 3]\n"
        "%2 = max{(1, 2), False}(%1) : real[2, 3]\nroot output y = %2\n",
        IMAGE + "%1 = max{(1, 2), False}(%0) : real[2, 3]\nroot output y = %1\n",
    ),
    "nothing joined, padded or left out": (
        IMAGE + "%1 = concat{2}(%0) : real[2, 4, 6, 3]\n"
        "%2 = pad{((0, 0), (0, 0), (0, 0), (0, 0)), 1.0}(%1) : real[2, 4, 6, 3]\n"
        "%3 = index{((None, None, None), (None, None, None), (None, None, None), "
        "(None, None, None))}(%2) : real[2, 4, 6, 3]\nroot output y = %3\n",
        IMAGE + "root output y = %0\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), ARRANGED.values(), ids=ARRANGED)
def test_arrangements(before: str, after: str):
    graph, roots = parse_graph(before)
    leaves = {"x": np.random.default_rng(0).normal(size=graph.topological()[0].tensor.shape)}
    expected = value(Program(None, graph, roots), leaves)  # type: ignore[arg-type]
    program = Simplify().apply(Program(None, graph.copy(), dict(roots)))  # type: ignore[arg-type]
    verify(program.graph, program.roots.values())
    assert print_graph(program.graph, program.roots) == after
    np.testing.assert_array_equal(value(program, leaves), expected)


@pytest.mark.parametrize(
    "overlapping", [((2,), (1,), (1,)), ((2,), (2,), (2,)), ((4,), (4,), (1,))]
)
def test_windows_that_overlap_or_leave_gaps_stay(overlapping: tuple[tuple[int, ...], ...]):
    builder = Builder(Graph())
    x = builder.place(Input("x"), (), Type("real", (2, 6)))
    sizes, strides, dilations = overlapping
    result = x.apply("windows", axes=(1,), sizes=sizes, strides=strides, dilations=dilations)
    assert "windows" in names(simplified(builder, result))
