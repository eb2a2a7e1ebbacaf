"""Networks drawn at random from the language train alike with groups and reuse of memory, and
without, to the last bit; and the objective is that of the plain functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import draw_network

import graphc

SEEDS = range(8)
MORE = range(8, 108)
LARGEST_BATCH = 64


def steps(module: Any, batch: dict[str, Any]) -> list[dict[str, np.ndarray]]:
    """Objective and state after each of three steps, or as many as there are before it diverges."""
    trainer = module.Trainer(module.init(3), LARGEST_BATCH, steps_per_epoch=3, epochs=2)
    found = []
    for _ in range(3):
        try:
            objective = trainer.step(batch)
        except FloatingPointError:
            break
        found.append({"objective": np.array(objective), **trainer.state()})
    return found


def check(seed: int) -> None:
    network = draw_network(seed)
    print(network.text)
    modules = [
        graphc.compile(network.text, precision="f64", fuse=fuse, reuse=reuse).module
        for fuse in (True, False)
        for reuse in (True, False)
    ]
    expected, *others = [steps(module, network.batch) for module in modules]
    for other in others:
        assert len(other) == len(expected)
        for values, known in zip(other, expected, strict=True):
            assert list(values) == list(known)
            for name, value in known.items():
                assert values[name].tobytes() == value.tobytes(), name
    check_objective(modules[0], network.batch, expected)


def check_objective(module: Any, batch: dict[str, Any], found: list[dict[str, Any]]) -> None:
    with np.errstate(all="ignore"):
        objective = module.loss_and_gradients(module.init(3), batch, training=True)[0]
    assert len(found) > 0 or not np.isfinite(objective)
    if found:
        assert float(found[0]["objective"]) == pytest.approx(objective, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_network(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MORE)
def test_more_networks(seed: int) -> None:
    check(seed)
