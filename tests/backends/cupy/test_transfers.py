"""Nothing crosses the bus that nobody asked for: counted on the stand-in, for every model.

Kernels do nothing here but where a run must learn, see ``idle``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import synthetic
from both_targets import loaded
from idle import idle_kernels
from shorter_models import NAMES

import graphc

DRIVEN = {"monks1", "monks2", "monks3", "xor221"}
"""Models that a line search trains: it decides on the host."""
STEPPED = [name for name in NAMES if name not in DRIVEN]

Compiled = Callable[..., graphc.Model]


@pytest.fixture
def idle(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in, kernels of modules that are made from now on doing nothing."""
    idle_kernels(monkeypatch)
    return cupy


def started(module: Any) -> Any:
    """A trainer that has done a step, so that everything is there."""
    trainer = module.Trainer(module.init(0), synthetic.SIZES, steps_per_epoch=2, epochs=2)
    trainer.step(module.place(synthetic.batch(module)))
    return trainer


def crossed(cupy: Any) -> list[str]:
    """What went over the bus in either direction, and the lines that asked."""
    counts = cupy.counts
    return list(map(str, [*counts.to_device, *counts.ahead, *counts.to_host]))


# ---------------------------------------------------------------------------------------- a step


@pytest.mark.parametrize("name", STEPPED)
def test_a_step_transfers_its_batch_and_nothing_else(
    name: str, idle: Any, compiled_model: Compiled
):
    module = loaded(compiled_model(name, False))
    trainer, host = started(module), synthetic.batch(module)
    there = module.place(host)
    idle.counts.clear()
    objectives = [trainer.step(there) for _ in range(3)]
    assert not crossed(idle)
    assert all(isinstance(o, idle.ndarray) and o.dtype == np.float64 for o in objectives)
    trainer.step(host)
    sent = Counter(transfer.bytes for transfer in idle.counts.to_device)
    assert sent == Counter(array.nbytes for array in host.values())
    assert not idle.counts.to_host


HIDDEN = {
    "a read": ("        self._update()\n", "        self._update()\n        float(objective)\n"),
    "a number sent each time": ("d_ce_3 = ", "d_ce_3 = cp.asarray(np.ones(1, real)) * "),
    "an index of the host": ("    h_5 = cp.empty(", "    x[np.array([0])]\n    h_5 = cp.empty("),
    "a parameter fetched": (
        '_device(state["h.dense1.b"])',
        '_device(_host(state["h.dense1.b"]))',
    ),
}


@pytest.mark.parametrize("what", HIDDEN)
def test_a_hidden_transfer_is_found(what: str, idle: Any, compiled_model: Compiled):
    right, wrong = HIDDEN[what]

    def change(source: str) -> str:
        assert right in source
        return source.replace(right, wrong)

    module = loaded(compiled_model("digits", False), change)
    trainer, there = started(module), module.place(synthetic.batch(module))
    idle.counts.clear()
    trainer.step(there)
    assert crossed(idle)


@pytest.mark.parametrize("name", ["xor221"])
def test_a_line_search_transfers_parameters_and_gradients(
    name: str, cupy: Any, compiled_model: Compiled
):
    """For each point that it looks at: the parameters there, the objective and gradients back."""
    module = loaded(compiled_model(name, False))
    trainer, there = started(module), module.place(synthetic.batch(module))
    cupy.counts.clear()
    trainer.step(there)
    state = module.init(0)
    sizes = [state[name].nbytes for names in module.GROUPS for name in names]
    points, rest = divmod(len(cupy.counts.to_device), len(sizes))
    assert points >= 1
    assert rest == 0
    sent, read = [
        Counter(t.bytes for t in ts) for ts in (cupy.counts.to_device, cupy.counts.to_host)
    ]
    assert sent == Counter(sizes * points)
    assert read == Counter([*sizes, np.dtype(module.REAL).itemsize] * points)


# ------------------------------------------------------------------------------------- launches

LAUNCHES = {"digits": (17, 33), "lenet300": (10, 26)}
"""Launches of kernels, and calls of CuPy, in a step: more of them make it slower."""


@pytest.mark.parametrize("name", LAUNCHES)
def test_a_step_takes_so_many_launches(name: str, idle: Any, compiled_model: Compiled):
    module = loaded(compiled_model(name, False))
    trainer, there = started(module), module.place(synthetic.batch(module))
    idle.counts.clear()
    trainer.step(there)
    counts = idle.counts
    assert (counts.launches.total(), counts.operations.total()) == LAUNCHES[name], counts
