"""Every optimizer of the prelude: ten steps in place against PyTorch's gradients and the update
rule as it is written. ``test_torch`` compares with PyTorch's own optimizers."""

from __future__ import annotations

import numpy as np
import pytest
from comparison import agree, random_state
from forward_graph import Forward
from peer_modules import peer_module
from prelude_uses import names
from witness import Witness

import graphc
from graphc.ir import flatten
from graphc.model.program import OptimizerGroup

TEXT = """model m
input x: real[n, 3]
target y: label{4}[n]
logits = x |> dense{5} |> tanh |> dense{4}
loss ce = cross_entropy(logits, y)
regularize { l2{0.01} on weights }
train { optimizer = %s }
"""


@pytest.mark.peers
@pytest.mark.parametrize("name", names("optimizer", 2))
def test_ten_steps(name: str) -> None:
    library = peer_module("torch")
    model = graphc.compile(TEXT % f"{name}{{}}", precision="f64")
    state = random_state(model, 0, 0.3)
    trainer = model.module.Trainer(state, 6)
    for step in range(10):
        rng = np.random.default_rng(step)
        count = 6 if step % 3 else 4
        batch = {"x": rng.normal(size=(count, 3)), "y": rng.integers(0, 4, count)}
        witness = Witness(library, model, state, batch, training=True)
        objective, gradients = witness.value_and_gradients()
        assert trainer.step(batch) == pytest.approx(objective, rel=1e-9)
        for group in model.spec.groups:
            state |= updated(library, group, state, gradients)
        state["step"] = np.array(step + 1)
    units = {name: entry.get("unit", 1) for name, entry in model.module.signature["state"].items()}
    after = trainer.state()
    final = {name: after[name] * units.get(name, 1) for name in state}  # as the rule writes them
    agree(name, final, state)


def updated(library, group: OptimizerGroup, state: dict, gradients: dict) -> dict:
    """The group's rule, by the peer's table, parameter by parameter."""
    body, real = flatten(group.body), library.REAL["f64"]
    graph, new = Forward(body.graph, {}), {}
    clocks = {"t": library.tensor(np.array(float(state["step"]) + 1), real)}
    for name in group.parameters:
        keys = [f"{name}:{own.name}" for own in group.states]
        given = [state[name], gradients[name], *(state[key] for key in keys)]
        known = {
            id: library.tensor(np.asarray(value).reshape(-1), real)
            for id, value in zip(body.operands, given, strict=True)
        }
        results = graph.evaluate(
            library.TABLE,
            clocks,
            real=real,
            dims={"size": np.size(state[name])},
            wanted=list(body.results),
            known=known,
        )
        for key, value in zip((name, *keys), results, strict=True):
            new[key] = library.array(value).reshape(np.shape(state[name]))
    return new
