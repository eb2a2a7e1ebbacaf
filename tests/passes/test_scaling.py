"""Numbers that meet before they touch an array, choices that meet, and states of optimizers in
units of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphc.diagnostics import Diagnostics, Source
from graphc.ir import parse_graph, print_graph, verify
from graphc.model import elaborate
from graphc.model.program import OptimizerGroup, Program
from graphc.ops import evaluate
from graphc.passes import lower
from graphc.passes.rescale import rescaled
from graphc.passes.simplify import Simplify

LEAVES = (
    "%0 = input{'x'}() : real[2, 3]\n%1 = input{'m'}() : bool[2, 3]\n%2 = clock{'t'}() : real\n"
)
X = np.array([[0.5, 1.5, 2.0], [3.0, 0.25, 1.0]])
GIVEN = {"x": X, "m": X > 1, "t": 3.0}

PAIRS = {
    "5·Σx + 5·Σy": (
        "%3 = sum{(0, 1), False}(%0) : real\n%4 = sum{(0, 1), False}(%1) : real\n"
        "%5 = constant{5.0}() : real\n%6 = multiply(%5, %3) : real\n"
        "%7 = multiply(%4, %5) : real\n%8 = add(%6, %7) : real\nroot output y = %8\n",
        ["sum", "sum", "constant", "add", "multiply"],
    ),
    "(x·m) / 0.8": (
        "%3 = constant{0.8}() : real\n%4 = multiply(%0, %1) : real[2, 3]\n"
        "%5 = divide(%4, %3) : real[2, 3]\nroot output y = %5\n",
        ["constant", "multiply", "multiply"],
    ),
    "(x / 0.8)·m": (
        "%3 = constant{0.8}() : real\n%4 = divide(%0, %3) : real[2, 3]\n"
        "%5 = multiply(%1, %4) : real[2, 3]\nroot output y = %5\n",
        ["constant", "multiply", "multiply"],
    ),
    "√(4·x)·t": (
        "%3 = constant{4.0}() : real\n%4 = multiply(%3, %0) : real[2, 3]\n"
        "%5 = sqrt(%4) : real[2, 3]\n%6 = multiply(%5, %2) : real[2, 3]\nroot output y = %6\n",
        ["constant", "sqrt", "multiply", "multiply"],
    ),
    "(x if m else 0)·exp(x)": (
        "%3 = constant{0.0}() : real\n%4 = where(%1, %0, %3) : real[2, 3]\n"
        "%5 = exp(%0) : real[2, 3]\n%6 = multiply(%5, %4) : real[2, 3]\nroot output y = %6\n",
        ["constant", "exp", "multiply", "where"],
    ),
    "(x if m else 0) + (0 if m else x)·exp(x)": (
        "%3 = constant{0.0}() : real\n%4 = where(%1, %0, %3) : real[2, 3]\n"
        "%5 = where(%1, %3, %0) : real[2, 3]\n%6 = exp(%0) : real[2, 3]\n"
        "%7 = multiply(%5, %6) : real[2, 3]\n%8 = add(%7, %4) : real[2, 3]\n"
        "root output y = %8\n",
        ["exp", "multiply", "where"],
    ),
    "(x·t) / (4·√x + t)": (
        "%3 = constant{4.0}() : real\n%4 = sqrt(%0) : real[2, 3]\n"
        "%5 = multiply(%3, %4) : real[2, 3]\n%6 = add(%5, %2) : real[2, 3]\n"
        "%7 = multiply(%0, %2) : real[2, 3]\n%8 = divide(%7, %6) : real[2, 3]\n"
        "root output y = %8\n",
        ["sqrt", "constant", "constant", "divide", "divide", "multiply", "add", "divide"],
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_numbers_meet(name: str) -> None:
    text, operators = PAIRS[name]
    graph, roots = parse_graph(LEAVES + text)
    before = evaluate(graph, [roots["output", "y"]], GIVEN)[0]
    program = Simplify().apply(Program(None, graph, roots))  # type: ignore[arg-type]
    program = Simplify().apply(program)  # what was read twice while it was rewritten
    verify(program.graph, program.roots.values())
    np.testing.assert_allclose(
        evaluate(program.graph, [program.roots["output", "y"]], GIVEN)[0], before, rtol=1e-14
    )
    made = [n.op.name for n in program.graph if n.op.name not in ("input", "clock")]
    assert sorted(made) == sorted(operators), print_graph(program.graph, program.roots)


@pytest.mark.parametrize(
    "text",
    [
        # a number below 0 stays inside: its root does not exist, the whole root may
        "%3 = constant{-4.0}() : real\n%4 = multiply(%3, %0) : real[2, 3]\n"
        "%5 = sqrt(%4) : real[2, 3]\nroot output y = %5\n",
        # a number of the run may be below 0 too
        "%3 = multiply(%0, %2) : real[2, 3]\n%4 = sqrt(%3) : real[2, 3]\nroot output y = %4\n",
        # a product that somebody else reads is there anyway
        "%3 = constant{4.0}() : real\n%4 = multiply(%3, %0) : real[2, 3]\n"
        "%5 = sqrt(%4) : real[2, 3]\n%6 = add(%5, %4) : real[2, 3]\nroot output y = %6\n",
    ],
)
def test_what_stays(text: str) -> None:
    graph, roots = parse_graph(LEAVES + text)
    before = print_graph(graph, roots)
    graph.keep_only(graph.ancestors(roots.values()))
    kept = print_graph(graph, roots)
    program = Simplify().apply(Program(None, graph, roots))  # type: ignore[arg-type]
    assert print_graph(program.graph, program.roots) == kept, before


# ---------------------------------------------------------------------------- rescaled states


def group_of(update: str, states: str = "m v") -> OptimizerGroup:
    """An optimizer's rule as it is written, constants folded."""
    declared = "".join(f"  state {name} = 2\n" for name in states.split())
    text = (
        f"model m\noptimizer o(w, g) {{\n{declared}{update}\n}}\nparam w: real[3] = 1\n"
        "loss f = sum(w^2)\ntrain {\n  optimizer = o\n}\n"
    )
    diagnostics = Diagnostics()
    program = elaborate(Source("m.gc", text), diagnostics)
    assert not diagnostics.errors
    (group,) = program.spec.groups
    graph = group.body.graph
    keys = {("result", str(i)): id for i, id in enumerate(group.body.results)}
    kept = {("operand", str(i)): id for i, id in enumerate(group.body.operands)}
    simple = Simplify().apply(Program(program.spec, graph.copy(), keys | kept))
    results = tuple(simple.roots[key] for key in keys)
    return replace(group, body=replace(group.body, graph=simple.graph, results=results))


def steps(group: OptimizerGroup, count: int = 4) -> list[np.ndarray]:
    """Parameter and states after some steps, the states as the rule writes them."""
    random = np.random.default_rng(0)
    arrays = [np.ones(3), *(np.full(3, state.initial) for state in group.states)]
    for step in range(count):
        values = [arrays[0], random.standard_normal(3), *arrays[1:]]
        given = dict(zip(group.body.operands, values, strict=True))
        clocks = {"t": step + 1.0}
        arrays = evaluate(group.body.graph, group.body.results, clocks, operands=given)
    return [arrays[0], *(a * s.unit for a, s in zip(arrays[1:], group.states, strict=True))]


ADAM = "  m' = 0.9 * m + 0.1 * g\n  v' = 0.999 * v + 0.001 * g^2\n  w' = w - m' / (sqrt(v') + 1)"


@pytest.mark.parametrize(
    ("update", "states", "units"),
    [
        (ADAM, "m v", [0.1, 0.001]),
        ("  v' = g * 0.25 + v * 0.5\n  w' = w - v' * v'", "v", [0.25]),
        # no mean of its own: read elsewhere, not linear, factor 0, both terms the state
        ("  v' = 0.5 * v + 0.25 * g\n  w' = w - v * v'", "v", [1.0]),
        ("  v' = 0.5 * v^2 + 0.25 * g\n  w' = w - v'", "v", [1.0]),
        ("  v' = 0.5 * v + g\n  w' = w - v'", "v", [1.0]),
        ("  v' = 0.5 * v - 0.25 * v\n  w' = w - v' * g", "v", [1.0]),
        ("  v' = 0.5 * v + 0.25 * v\n  w' = w - v' * g", "v", [1.0]),
        ("  v' = 0.5 * v + 0.25 * t\n  w' = w - v' * g", "v", [1.0]),
    ],
)
def test_running_means_are_rescaled(update: str, states: str, units: list[float]) -> None:
    group = group_of(update, states)
    changed = rescaled(group)
    verify(changed.body.graph, changed.body.results)
    assert [state.unit for state in changed.states] == units
    assert [state.initial for state in changed.states] == [2 / unit for unit in units]
    for new, old in zip(steps(changed), steps(group), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-13)


def test_the_prelude_adam_keeps_both_moments_in_units() -> None:
    text = "model m\nparam w: real = 1\nloss f = w^2\ntrain {\n  optimizer = adam{}\n}\n"
    (group,) = lower(elaborate(Source("m.gc", text), Diagnostics())).spec.groups
    assert [(s.name, s.unit) for s in group.states] == [
        ("m", pytest.approx(0.1)),
        ("v", pytest.approx(0.001)),
    ]
