"""Optimizers' updates in the graph: one group each over flat arrays, weight decay part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.diagnostics import Diagnostics, Source
from graphc.ir import Builder, Group, Node, parse_graph, print_graph, verify
from graphc.model import Program, elaborate
from graphc.ops.leaves import Constant, Flat
from graphc.passes import TRAINING, run_passes
from graphc.passes.fuse import Fuse
from graphc.passes.updates import DECAY, Updates
from graphc.schedule.roots import slopes

MODELS = Path(__file__).resolve().parents[2] / "models"

HEAD = "model m\ninput x: real[n, 4]\ntarget y: real[n, 2]\n"
NETWORK = "h = x |> dense{3} |> tanh\nz = h |> dense{2}\n"
LOSS = "loss se = squared_error(z, y)\n"
W, B, V, C = "h.dense1.W", "h.dense1.b", "z.dense1.W", "z.dense1.b"


def text(
    penalties: str = "",
    train: str = "",
    *,
    before: str = "",
    network: str = NETWORK,
    loss: str = LOSS,
) -> str:
    """A model; penalties and keys of the train section with a semicolon between."""
    sections = [("regularize", penalties), ("train", train)]
    ends = [f"{name} {{\n{keys.replace(';', chr(10))}\n}}\n" for name, keys in sections if keys]
    return "".join([HEAD, before, network, loss, *ends])


def optimizer(body: str) -> str:
    """An optimizer of the model's own."""
    return f"optimizer own{{lr = 0.1}}(w, g) {{\n{body}\n}}\n"


def learning(model: str, *passes: Any) -> Program:
    """The training program of a text; without other passes, as the pipeline makes it."""
    program = elaborate(Source("m.gc", model), Diagnostics())
    program.roots = {k: id for k, id in program.roots.items() if k[0] in ("objective", "next")}
    return run_passes(program, passes or TRAINING)


def before_updates(model: str) -> Program:
    return learning(model, *(p for p in TRAINING if not isinstance(p, Updates | Fuse)))


def updates(program: Program) -> list[Node]:
    return [program.graph[id] for id in program.named("update").values()]


def flats(program: Program, group: Node) -> dict[str, Node]:
    """What a group reads, by what it is."""
    nodes = [program.graph[id] for id in group.inputs]
    assert all(isinstance(node.op, Flat) for node in nodes)
    return {node.op.what: node for node in nodes}  # type: ignore[attr-defined]


def names(program: Program, group: Node) -> list[str]:
    """The parameters that a group updates."""
    graph = program.graph
    return [graph[id].name for id in flats(program, group)["parameter"].inputs]


def decays(program: Program, group: Node) -> dict[str, float]:
    """The factor of weight decay that a group adds to the gradient of each parameter."""
    assert isinstance(group.op, Group)
    updated, known = names(program, group), flats(program, group)
    if DECAY in known:
        numbers = [program.graph[id].op for id in known[DECAY].inputs]
    else:
        numbers = [_common_decay(group.op)] * len(updated)
    found = {}
    for name, op in zip(updated, numbers, strict=True):
        assert isinstance(op, Constant)
        if op.value:
            found[name] = op.value
    return found


def _common_decay(group: Group) -> Constant:
    """The factor in ``w * factor + g``, 0 where the rule reads the gradient as it is."""
    graph, (w, g, *_) = group.body.graph, group.body.operands
    for id in graph.users(g):
        for term in graph[id].inputs:
            if graph[id].op.name == "add" and graph[term].origin.made_by == Updates.name:
                assert graph[term].inputs[0] == w
                op = graph[graph[term].inputs[1]].op
                assert isinstance(op, Constant)
                return op
    return Constant(0.0)


# ------------------------------------------------------------------------------- one group each


def test_one_group_over_the_flat_arrays_of_all_parameters() -> None:
    training = graphc.compile(MODELS / "digits.gc").generated.programs.training
    assert training is not None
    (group,) = updates(training)
    assert isinstance(group.op, Group)
    assert group.op.body.title == "adam{lr = rate * cosine(epoch / epochs)}"
    known = flats(training, group)
    assert list(known) == ["parameter", "gradient", "m", "v", DECAY]
    count = 64 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10
    assert {node.op.count for node in known.values()} == {count}  # type: ignore[attr-defined]
    assert names(training, group) == training.spec.learned
    gradients = list(slopes(training, group).values())
    assert gradients == list(known["gradient"].inputs)
    shapes = [training.graph[id].tensor.shape for id in gradients]
    assert shapes == [training.spec.parameters[name].type.shape for name in training.spec.learned]


QUARTIC = """model m
param w: real[3] = 1
loss f = sum(w^4)
regularize {
  l2{0.5} on w
}
train {
  optimizer = sgd{0.1}
}
"""
BODY = """body @update1 'update' 'sgd{0.1}' (%0, %1) {
  %0 = operand{0, 'w'}() : real[size]  # w
  %1 = operand{1, 'g'}() : real[size]  # g
  %2 = constant{0.1}() : real
  %3 = constant{0.5}() : real
  %4 = multiply(%0, %3) : real[size]
  %5 = add(%4, %1) : real[size]
  %6 = multiply(%2, %5) : real[size]
  %7 = subtract(%0, %6) : real[size]
  return %7
}
"""
NODES = """%0 = parameter{'w'}() : real[3]  # w
%1 = constant{4.0}() : real
%2 = power(%0, %1) : real[3]
%3 = sum{(0,), False}(%2) : real  # f
%4 = constant{3.0}() : real
%5 = power(%0, %4) : real[3]
%6 = multiply(%1, %5) : real[3]
%7 = constant{0.25}() : real
%8 = multiply(%0, %0) : real[3]
%9 = sum{(0,), False}(%8) : real
%10 = multiply(%7, %9) : real
%11 = add(%3, %10) : real
%12 = constant{0.5}() : real
%13 = multiply(%0, %12) : real[3]
%14 = add(%13, %6) : real[3]
"""
UPDATE = """%15 = flat{'parameter', 0, 3, '$size'}(%0) : real[size]
%16 = flat{'gradient', 0, 3, '$size'}(%6) : real[size]
%17 = group{@update1}(%15, %16) : real[size]
"""
ROOTS = """root objective - = %11
root penalty - = %10
root gradient w = %14
"""


def test_before_and_after() -> None:
    """The update reads the gradient of w^4 alone, and adds the decay itself."""
    program = before_updates(QUARTIC)
    assert print_graph(program.graph, program.roots) == NODES + ROOTS
    program = run_passes(program, (Updates(),))
    printed = print_graph(program.graph, program.roots)
    assert printed == BODY + NODES + UPDATE + ROOTS + "root update 0 = %17\n"
    graph, roots = parse_graph(printed)
    verify(graph, roots.values())
    assert print_graph(graph, roots) == printed


def test_selectors_are_respected() -> None:
    train = "optimizer = [sgd{0.1} on z.*, adam{1e-3} on params]"
    program = learning(text("l2{0.2} on weights", train))
    first, second = updates(program)
    assert [g.op.body.title for g in (first, second)] == ["sgd{0.1}", "adam{0.001}"]  # type: ignore[attr-defined]
    assert names(program, first) == [V, C]
    assert names(program, second) == [W, B]
    assert list(slopes(program, first)) == [("gradient", V), ("gradient", C)]
    assert list(flats(program, first)) == ["parameter", "gradient", DECAY]
    assert list(flats(program, second)) == ["parameter", "gradient", "m", "v", DECAY]
    assert decays(program, first) == {V: 0.2}
    assert decays(program, second) == {W: 0.2}


def test_what_is_frozen_is_in_no_group() -> None:
    program = learning(text("l2{0.2} on params", "frozen on h.*"))
    (group,) = updates(program)
    assert names(program, group) == [V, C]
    assert decays(program, group) == {V: 0.2, C: 0.2}


# ------------------------------------------------------------------------------- weight decay

WITH_W = "param w: real[3] = 0.5\n"
SHARED = "enc = dense{4}\nz = (tanh(enc(tanh(enc(x)))))[:, :2]\n"
OWN_STATES = optimizer(
    "state decay = 0\nstate weight_decay = 0\ndecay' = 0.9 * decay + g\n"
    "weight_decay' = weight_decay + w\nw' = w - lr * decay' - 0.01 * weight_decay"
)
KEEPS_G = optimizer("state last = 0\nlast' = g\nw' = w - lr * g - 0.01 * last")
KEEPS_G_TWICE = optimizer("state a = 0\nstate b = 0\na' = g\nb' = g\nw' = w - lr * a")
IGNORES_G = optimizer("w' = 0.9 * w")

CASES: dict[str, tuple[str, dict[str, float]]] = {
    "every parameter": (text("l2{0.1} on params"), {W: 0.1, B: 0.1, V: 0.1, C: 0.1}),
    "weights": (text("l2{0.1} on weights"), {W: 0.1, V: 0.1}),
    "two strengths": (text("l2{0.1} on h.*; l2{0.3} on z.*"), {W: 0.1, B: 0.1, V: 0.3, C: 0.3}),
    "l1 beside it": (text("l1{0.2} on h.*; l2{0.1} on z.dense1.W"), {V: 0.1}),
    "in the model's own words": (
        text(
            before="param w: real[4, 2] = 0.5\n",
            network="z = tanh(x @ w)\n",
            loss=LOSS + "minimize se + 0.05 * sum(w^2)\n",
        ),
        {"w": 0.1},
    ),
    "rmsprop": (text("l2{0.1} on weights", "optimizer = rmsprop{1e-3}"), {W: 0.1, V: 0.1}),
    "names of states": (
        text("l2{0.1} on weights", "optimizer = own", before=OWN_STATES), {W: 0.1, V: 0.1},
    ),
    "the gradient is a state": (
        text("l2{0.1} on weights", "optimizer = own", before=KEEPS_G), {W: 0.1, V: 0.1},
    ),
    "the gradient is two states": (
        text("l2{0.1} on params", "optimizer = own", before=KEEPS_G_TWICE),
        {W: 0.1, B: 0.1, V: 0.1, C: 0.1},
    ),
    "the gradient is not read": (
        text("l2{0.1} on weights", "optimizer = own", before=IGNORES_G), {W: 0.1, V: 0.1},
    ),
    "not in the objective": (
        text("l2{0.1} on h.*", before=WITH_W, loss=LOSS + "minimize se + sum(stop_gradient(w))\n"),
        {W: 0.1, B: 0.1},
    ),
    # What stays in the gradient:
    "l1": (text("l1{0.1} on weights"), {}),
    "nothing but the decay": (
        text("l2{0.1} on w", before=WITH_W, loss=LOSS + "minimize se + sum(stop_gradient(w))\n"),
        {},
    ),
    "a rest that is one number": (
        text("l2{0.1} on params", before=WITH_W, loss=LOSS + "minimize se + sum(w) * sum(y)\n"),
        {W: 0.1, B: 0.1, V: 0.1, C: 0.1},
    ),
    "two penalties on one parameter": (
        text("l2{0.1} on weights; l2{0.3} on z.*"), {W: 0.1, C: 0.3},
    ),
    "decay towards another parameter": (
        text(
            before="param w: real[4, 2] = 0.5\nparam u: real[4, 2] = 0.3\n",
            network="z = tanh(x @ w)\n",
            loss=LOSS + "minimize se + 0.1 * sum(w * u)\n",
        ),
        {},
    ),
    "shared by two layers": (text("l2{0.1} on params", network=SHARED), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_weight_decay_moves_into_the_update(name: str) -> None:
    model, expected = CASES[name]
    program = learning(model)
    (group,) = updates(program)
    assert decays(program, group) == pytest.approx(expected)


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_the_plain_functions(name: str) -> None:
    """With the decay in the update and in the gradient, and from the gradients of the model."""
    model, _ = CASES[name]
    fused, plain = (
        graphc.compile(model, precision="f64", fuse=fuse).module for fuse in (True, False)
    )
    random = np.random.default_rng(0)
    state = fused.init(1)
    trainers = [module.Trainer(state, 5) for module in (fused, plain)]
    for _ in range(3):
        batch = {"x": random.normal(size=(5, 4)), "y": random.normal(size=(5, 2))}
        objectives = [trainer.step(batch) for trainer in trainers]
        expected, state = plain._stepped(state, batch)
        assert objectives == pytest.approx([expected] * 2, rel=1e-13)
        for trainer in trainers:
            found = trainer.state()
            assert found.keys() == state.keys()
            for key, value in state.items():
                np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-14)


def test_a_gradient_that_somebody_else_reads_stays() -> None:
    program = before_updates(text("l2{0.1} on weights"))
    reader = Builder(program.graph).value(program.roots["gradient", W]).apply("exp")
    program.roots["next", "kept"] = reader.id
    program = run_passes(program, (Updates(),))
    (group,) = updates(program)
    assert decays(program, group) == {V: 0.1}
    read = slopes(program, group)
    assert read["gradient", W] == program.roots["gradient", W]
    assert read["gradient", V] != program.roots["gradient", V]


def test_the_gradient_of_the_model_keeps_its_decay() -> None:
    """What the plain functions give is the whole gradient."""
    program = before_updates(text("l2{0.1} on weights"))
    roots = dict(program.roots)
    program = run_passes(program, (Updates(),))
    assert {key: program.roots[key] for key in roots} == roots


def test_without_decay_the_update_reads_the_whole_gradient() -> None:
    program = run_passes(before_updates(text("l2{0.1} on weights")), (Updates(decay=False),))
    (group,) = updates(program)
    assert decays(program, group) == {}
    assert slopes(program, group) == {
        ("gradient", name): program.roots["gradient", name] for name in (W, B, V, C)
    }
