"""Values that are computed again: the same numbers, in less memory."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_plan import check

import graphc
from graphc.ir import verify
from graphc.model.program import Program
from graphc.ops.evaluate import evaluate
from graphc.schedule import (
    BudgetError,
    Peak,
    TrainingPlan,
    backward_part,
    flops,
    is_backward,
    opened,
    ordered,
    plan_training,
    size_value,
)
from graphc.schedule.order import is_repeated
from graphc.schedule.peak import peak
from graphc.schedule.rematerialise import Lifetimes, cheap_drops, rematerialised, stretches
from graphc.schedule.roots import step_roots
from graphc.schedule.training import plan_step


def deep(layers: int, activation: str, batch: int, width: int = 16, memory: str = "") -> str:
    """A network of equal layers."""
    numbers = range(1, layers + 1)
    lines = (f"h{i} = h{i - 1} |> dense{{{width}}} |> {activation}" for i in numbers)
    hidden = "\n".join(lines)
    return f"""
model deep
input x: real[n, {width}]
target y: label{{4}}[n]
h0 = x |> dense{{{width}}}
{hidden}
loss ce = cross_entropy(dense{{4}}(h{layers}), y)
train {{
  batch = {batch}
  {memory}
}}
"""


MIXED = """
model mixed
input x: real[n, 12]
target y: real[n, 3]
a = x |> dense{12} |> layer_norm |> gelu |> dropout{0.2}
b = a + a |> dense{12} |> tanh
c = softmax(b) * a |> dense{12} |> relu |> dropout{0.4}
p = concat{axis = 1}(c[:, :6], b[:, 6:]) |> dense{3}
loss l = mean((p - y)^2) + 0.01 * sum(a * exp(c)) / 100
train { batch = 40 }
"""
TEXTS = {
    "tanh": deep(6, "tanh", 192),
    "dropout": deep(6, "relu |> dropout{0.2}", 192),
    "mixed": MIXED,
}
EACH = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def training(text: str) -> Program:
    program = graphc.compile(text).generated.programs.training
    assert program is not None
    return program


def sizes(program: Program) -> dict[str, int]:
    spec = program.spec
    assert spec.batch is not None
    assert spec.train.batch is not None
    return {spec.batch: spec.train.batch}


def planned(program: Program, budget: int | None) -> TrainingPlan:
    spec = program.spec
    program = program.copy()
    program.spec = replace(spec, train=replace(spec.train, memory=budget))
    dims = sizes(program)
    return plan_training(program, symbols=list(dims), dims=dims)


def peak_of(program: Program, plan: TrainingPlan) -> Peak:
    return peak(plan, program.spec, sizes(program))


def flops_of(plan: TrainingPlan, dims: dict[str, int]) -> int:
    passes = plan.passes
    return sum(size_value(flops(s.node, passes.graph, s.how), dims) for s in passes.steps)


def leaves(program: Program, seed: int) -> dict[str, Any]:
    """Numbers for everything that a graph reads from outside."""
    draw, dims = np.random.default_rng(seed), sizes(program)
    found: dict[str, Any] = {}
    for node in program.graph:
        label = getattr(node.op, "label", None)
        if label is None or node.op.name == "flat":
            continue
        shape = [size_value(size, dims) for size in node.tensor.shape]
        label_kind = node.tensor.kind == "label"
        values = draw.integers(0, 3, shape) if label_kind else draw.standard_normal(shape)
        found.setdefault(label, values)
    return found


def values(program: Program, given: dict[str, Any]) -> list[bytes]:
    roots = step_roots(program).values()
    dims = sizes(program)
    found = evaluate(program.graph, roots, given, dims=dims, real=np.float32, seed=3, step=5)
    return [np.asarray(value).tobytes() for value in found]


# ------------------------------------------------------------------------------ the graph


@EACH
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_dropped_the_values_are_the_same(text: str, seed: int) -> None:
    draw = random.Random(seed)
    program = opened(training(text))
    given = leaves(program, seed)
    expected = values(program, given)
    dims = sizes(program)
    for _ in range(2):  # the second time with copies among what is dropped
        lifetimes = Lifetimes(program, dims)
        kept = {id for id in lifetimes.kept if draw.random() < 0.5}
        before = len(program.graph)
        again = rematerialised(lifetimes, kept)
        assert len(program.graph) == before
        assert sum(map(is_repeated, again.graph)) > sum(map(is_repeated, program.graph))
        verify(again.graph, step_roots(again).values())
        assert values(again, given) == expected
        check(plan_step(again, symbols=list(dims), dims=dims, pack=bool(seed % 2)).passes)
        program = again


@EACH
def test_with_all_kept_nothing_changes(text: str) -> None:
    program = opened(training(text))
    lifetimes = Lifetimes(program, sizes(program))
    again = rematerialised(lifetimes, lifetimes.kept)
    assert not any(map(is_repeated, again.graph))
    assert len(again.graph) == len(program.graph)


@EACH
def test_what_is_computed_again_belongs_to_the_backward_pass(text: str) -> None:
    program = opened(training(text))
    lifetimes = Lifetimes(program, sizes(program))
    again = rematerialised(lifetimes, lifetimes.held)
    roots = step_roots(again).values()
    behind = backward_part(again.graph, roots)
    order = ordered(again.graph, roots, again.groups)
    copies = [node for node in order if is_repeated(node)]
    assert copies
    for node in copies:
        assert is_backward(node)
        assert node.id in behind
        if node.id in again.groups:
            assert again.groups[node.id].body.title.startswith("again: ")
        if node.name:
            assert node.name.endswith(" again")


BARE = """
model bare
input x: real[n, 64]
target y: real[n, 64]
param A: real[64, 64] ~ normal{0, 0.2}
param B: real[64, 64] ~ normal{0, 0.2}
param C: real[64, 64] ~ normal{0, 0.2}
h = x @ A |> relu |> dropout{0.2}
k = h @ B |> relu |> dropout{0.2}
loss l = mean((k @ C - y)^2)
train { batch = 64 }
"""


@pytest.mark.parametrize("fuse", [True, False])
def test_a_copy_waits_for_the_adjoint_that_it_meets(fuse: bool) -> None:
    program = graphc.compile(BARE, fuse=fuse).generated.programs.training
    assert program is not None
    program = opened(program)
    lifetimes = Lifetimes(program, sizes(program))
    cheap = {drop.id for drop in cheap_drops(lifetimes)}
    graph = (again := rematerialised(lifetimes, lifetimes.kept - cheap)).graph
    order = ordered(graph, step_roots(again).values(), again.groups)
    place = {node.id: i for i, node in enumerate(order)}
    met = 0
    for node in order:
        if node.op.name != "matmul" or is_repeated(node):
            continue
        sources = [graph[i].inputs[0] if graph[i].op.view else i for i in node.inputs]
        copies = [i for i in sources if is_repeated(graph[i])]
        for copy in copies:
            met += 1
            assert all(place[i] < place[copy] for i in sources if i != copy)
    assert met == 2


def test_what_is_cheap() -> None:
    program = opened(training(deep(3, "relu |> dropout{0.2}", 8, width=64)))
    lifetimes = Lifetimes(program, sizes(program))
    dropped = {lifetimes.graph[drop.id].op.name for drop in cheap_drops(lifetimes)}
    assert "multiply" in dropped
    assert not dropped & {"matmul", "add"}
    costs = [drop.cost for drop in cheap_drops(lifetimes)]
    assert costs == sorted(costs)


def test_stretches_keep_their_borders_and_the_last_one() -> None:
    program = opened(training(deep(12, "tanh", 64)))
    lifetimes = Lifetimes(program, sizes(program))
    names = {node.id: node.name for node in lifetimes.order}
    total = sum(map(lifetimes.bytes, lifetimes.late))
    assert stretches(lifetimes, total) >= lifetimes.late
    stay = {names[id] for id in stretches(lifetimes, total // 4) if names[id].startswith("h")}
    last = {"h12", "h11", "h10"}
    assert last <= stay
    assert 2 <= len(stay - last) <= 4, stay


def test_borders_stay_when_cheap_values_go() -> None:
    """Copies are computed from them, so they are there anyway."""
    program = opened(training(deep(12, "tanh", 64, width=4)))
    lifetimes = Lifetimes(program, sizes(program))
    limit = sum(map(lifetimes.bytes, lifetimes.late)) // 4
    inside = Lifetimes(rematerialised(lifetimes, stretches(lifetimes, limit)), sizes(program))
    assert inside.sources & inside.late
    dropped = {drop.id for drop in cheap_drops(inside)}
    assert dropped
    assert not dropped & inside.sources


# ----------------------------------------------------------------------------- the budget


@EACH
def test_a_plan_fits_its_budget(text: str) -> None:
    program = training(text)
    dims = sizes(program)
    free = planned(program, None)
    needed = peak_of(program, free).total
    reached = []
    for percent in range(95, 40, -5):
        budget = needed * percent // 100
        try:
            plan = planned(program, budget)
        except BudgetError:
            break
        check(plan.passes)
        assert peak_of(program, plan).total <= budget
        assert flops_of(plan, dims) < 2 * flops_of(free, dims)  # forward: at most three times
        reached.append(percent)
    assert len(reached) >= 3


def test_the_last_value_that_fits_is_the_one_in_the_message() -> None:
    program = training(TEXTS["tanh"])
    with pytest.raises(BudgetError) as caught:
        planned(program, 1)
    assert "of batch 192 takes" in caught.value.message
    number = float(caught.value.message.split(" takes ")[1].split(" KB at least")[0])
    least = round(number * 1000)
    assert peak_of(program, planned(program, least)).total <= least
    with pytest.raises(BudgetError):
        planned(program, round(least * 0.98))


def test_deep_networks_need_memory_as_the_root_of_their_depth() -> None:
    """Chen et al. (2016): two roots of the number of layers, for at most one more forward pass,
    which is a third of all operations."""
    layers = 36
    program = training(deep(layers, "tanh", 4096))
    dims = sizes(program)
    free = planned(program, None)
    arena = peak_of(program, free).arena
    layer = 4 * 4096 * 16
    assert arena > layers * layer
    plan = planned(program, peak_of(program, free).total - arena + (2 * 6 + 3) * layer)
    assert peak_of(program, plan).arena <= (2 * 6 + 3) * layer
    assert flops_of(plan, dims) < 1.34 * flops_of(free, dims)


def test_cheap_values_go_first() -> None:
    """What dropout and ReLU keep is half of the memory and costs next to nothing."""
    program = training(deep(10, "relu |> dropout{0.2}", 1024, width=64))
    free = planned(program, None)
    whole = peak_of(program, free)
    plan = planned(program, whole.total - whole.arena // 2)
    again = [step.node for step in plan.passes.steps if is_repeated(step.node)]
    assert again
    assert not any(node.op.name == "matmul" for node in again)
    dims = sizes(program)
    assert flops_of(plan, dims) < 1.02 * flops_of(free, dims)


def test_operations_grow_as_memory_shrinks() -> None:
    program = training(deep(10, "relu |> dropout{0.2}", 1024))
    dims = sizes(program)
    whole = peak_of(program, planned(program, None))
    budgets = [whole.total - whole.arena * part // 10 for part in range(7)]
    counts = [flops_of(planned(program, budget), dims) for budget in budgets]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_a_dimension_that_nothing_gives() -> None:
    text = """
model m
input x: real[n, t]
param w: real = 1
loss l = mean((w * x)^2)
train { memory = 1 MB }
"""
    with pytest.raises(BudgetError) as caught:
        plan_training(training(text), symbols=["n", "t"], dims={"n": 32})
    assert caught.value.message.endswith("nothing gives the dimension t")
