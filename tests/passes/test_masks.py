"""Masks in the optimizers' rules: what is added to a rule, and that it comes to what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import graphc
from graphc.diagnostics import Diagnostics, Source
from graphc.ir import print_graph
from graphc.model import Program, elaborate
from graphc.passes.masks import Masks
from graphc.passes.pipeline import lower

MODEL = """model m
input x: real[n, 4]
target y: real[n, 2]
z = x |> dense{3} |> tanh |> dense{2}
loss se = squared_error(z, y)
train { optimizer = RULE }
"""


def elaborated(rule: str, **changes: object) -> Program:
    program = elaborate(Source("m.gc", MODEL.replace("RULE", rule)), Diagnostics())
    program.spec = replace(program.spec, **changes)  # type: ignore[arg-type]
    return program


def rule_text(program: Program) -> str:
    (group,) = program.spec.groups
    body = group.body
    return print_graph(body.graph, {("", str(i)): id for i, id in enumerate(body.results)})


def test_every_result_of_a_rule_is_multiplied_by_the_mask() -> None:
    program = elaborated("momentum{0.5, 0.75}")
    before = rule_text(program)
    after = rule_text(Masks().apply(program))
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert before.count("multiply") == 2
    assert after.count("multiply") == 4
    assert any("mask" in line and "operand" in line for line in added)
    (group,) = program.spec.groups
    assert [state.name for state in group.states] == ["v", "mask"]
    assert group.states[-1].initial == 1
    assert group.states[-1].unit == 1
    # The mask itself is left as it is.
    assert group.body.results[-1] == group.body.operands[-1]
    assert len(group.body.results) == 3


def test_the_rule_that_others_share_is_left_alone() -> None:
    program = elaborated("momentum")
    before = rule_text(program)
    (old,) = program.spec.groups
    Masks().apply(program)
    program.spec = replace(program.spec, groups=(old,))
    assert rule_text(program) == before


def test_without_masks_nothing_changes() -> None:
    plain = lower(elaborated("adam"))
    assert all(state.name != "mask" for group in plain.spec.groups for state in group.states)


def test_units_of_states_are_those_without_masks() -> None:
    plain, masked = (lower(elaborated("adam", masked=given)).spec for given in (False, True))
    units = [[s.unit for s in spec.groups[0].states] for spec in (plain, masked)]
    assert units[1] == [*units[0], 1.0]
    assert any(unit != 1 for unit in units[0])


@pytest.mark.parametrize("fuse", [True, False])
def test_it_fires_in_the_whole_pipeline(fuse: bool) -> None:
    programs = lower(elaborated("adam", masked=True), fuse=fuse)
    assert programs.training is not None
    (id,) = programs.training.named("update").values()
    flats = [programs.training.graph[i].op for i in programs.training.graph[id].inputs]
    assert "mask" in [flat.what for flat in flats]  # type: ignore[attr-defined]


def test_a_rule_that_sets_a_number_is_masked_element_by_element() -> None:
    text = MODEL.replace("RULE", "one").replace(
        "input x", "optimizer one(w, g) {\n  w' = 2\n}\ninput x"
    )
    model = graphc.compile(text).with_masks()
    state = model.init()
    state["z.dense1.W:mask"][0] = 0
    gradients = {name: np.zeros_like(state[name]) for name in model.spec.learned}
    new = model.module._updated(state, gradients)  # type: ignore[attr-defined]
    assert (new["z.dense1.W"][0] == 0).all()
    assert (new["z.dense1.W"][1:] == 2).all()
