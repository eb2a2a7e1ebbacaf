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
from shorter_models import MODELS, NAMES

import graphc

DRIVEN = {"monks1", "monks2", "monks3", "xor221"}
"""Models that a line search trains: it decides on the host."""
DIGITS = MODELS / "digits.gc"
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


# ------------------------------------------------------------------------------------- an epoch


def epochs_of(model: graphc.Model, cupy: Any) -> list[tuple[Counter[int], Counter[int], int]]:
    """Bytes sent and read in each epoch of a training, by transfer, and how many were ahead."""
    found = []

    def report(_: object) -> None:
        counts = cupy.counts
        sent = Counter(t.bytes for t in [*counts.to_device, *counts.ahead])
        found.append((sent, Counter(t.bytes for t in counts.to_host), len(counts.ahead)))
        counts.clear()

    model.with_sets({"train.epochs": 3}).train(folder=False, report=report)
    return found


def expected_of_validation(model: graphc.Model) -> tuple[Counter[int], Counter[int]]:
    """What a validation sends, parameters, and reads: a loss a batch, and the metrics, each with a
    look at what went wrong."""
    module, parts = model.host.module, model.host.parts()[1]
    state, real = module.init(0), np.dtype(module.REAL).itemsize
    batches = -(-len(parts.validation["labels"]) // model.spec.train.batch)
    sent = Counter(state[name].nbytes for name in module.signature["parameters"])
    read = Counter({real: batches + len(module.signature["metrics"]), TROUBLE: batches + 1})
    return sent, read


TROUBLE = 256 * 8
"""Bytes of what kernels write down."""


def test_an_epoch_reads_what_it_shows(cupy: Any):
    """The state for the checkpoint, the sum of objectives, whether a step failed, and what the
    validation scores. The data lie on the device; the order of an epoch goes there."""
    model = graphc.compile(DIGITS, target="cupy")
    state = model.host.module.init(0)
    arrays = Counter(array.nbytes for array in state.values() if array.ndim)
    sent, read = expected_of_validation(model)
    rows = len(model.host.parts()[1].train["labels"])
    for epoch in epochs_of(model, cupy)[1:]:
        assert epoch == (
            sent + Counter({8 * rows: 1}),
            read + arrays + Counter({8: 2, TROUBLE: 1}),
            0,
        )


def test_batches_of_data_that_do_not_fit_are_copied_ahead(
    cupy: Any, monkeypatch: pytest.MonkeyPatch
):
    """Beside an epoch's reads nothing but its batches goes over, on a stream of their own."""
    monkeypatch.setattr("graphc.runtime.examples._SHARE", 0.0)
    model = graphc.compile(DIGITS, target="cupy")
    module, parts = model.host.module, model.host.parts()[1]
    batch, size = module.prepare(parts.train, module.init(0)), model.spec.train.batch
    row = {name: array[:1].nbytes for name, array in batch.items()}
    sent, _ = expected_of_validation(model)
    rows, held = (len(part["labels"]) for part in (parts.train, parts.validation))
    counts = [min(size, n - at) for n in (rows, held) for at in range(0, n, size)]
    ahead = [count * each for count in counts for each in row.values()]
    whole = [held * each for each in row.values()]  # for the metrics
    for epoch in epochs_of(model, cupy)[1:]:
        assert epoch[0] == sent + Counter([*ahead, *whole])
        assert epoch[2] == len(ahead)


def test_a_read_in_each_step_is_found_in_an_epoch(cupy: Any, monkeypatch: pytest.MonkeyPatch):
    """As a reporter that shows each step's objective makes one."""
    monkeypatch.setattr("graphc.runtime.progress.CallReporter.each_step", True, raising=False)
    monkeypatch.setattr(
        "graphc.runtime.progress.CallReporter.step",
        lambda self, number, objective: float(objective),
        raising=False,
    )
    model = graphc.compile(DIGITS, target="cupy")
    rows = len(model.host.parts()[1].train["labels"])
    steps = -(-rows // model.spec.train.batch)
    _, read, _ = epochs_of(model, cupy)[1]
    assert read[8] == 2 + steps
