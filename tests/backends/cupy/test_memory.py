"""The device memory that is predicted for training is what training holds, for every model.

What cuBLAS takes for itself is no array and does not appear here; what CuPy allocates within a call
the stand-in does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import synthetic
from both_targets import loaded
from idle import idle_kernels
from shorter_models import MODELS, NAMES

import graphc
from graphc import RunError
from graphc.backends.cupy.memory import WORKSPACE, device_bytes

DRIVEN = {"monks1", "monks2", "monks3", "xor221"}
STEPPED = [name for name in NAMES if name not in DRIVEN]
SIZES = (1, 200)
MORE, FEW = 1.05, 4096
"""So many times what is held may be predicted, and so many bytes more: notes of what goes wrong are
counted where there are none."""

Compiled = Callable[..., graphc.Model]


@pytest.fixture
def idle(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    idle_kernels(monkeypatch)
    return cupy


def predicted(model: graphc.Model, size: int) -> int:
    """Bytes of arrays, every symbolic dimension being ``size``."""
    dims = dict.fromkeys(model.spec.symbols, size)
    return device_bytes(model.generated.programs, dims) - WORKSPACE


def held_at_most(cupy: Any) -> int:
    """What the pool has taken of the device, in pieces of 512 bytes."""
    return cupy.get_default_memory_pool().total_bytes()


def fed(
    module: Any, size: int, monkeypatch: pytest.MonkeyPatch, *, steps: int = 3
) -> Iterator[Any]:
    """A trainer and batches of the host that are copied ahead; gives the trainer after each."""
    monkeypatch.setattr(synthetic, "SIZES", size)
    trainer = module.Trainer(module.init(0), size, steps_per_epoch=2, epochs=2)
    batch = synthetic.batch(module)
    for there, _ in module.ahead((batch, size) for _ in range(steps)):
        trainer.step(there)
        yield trainer


@pytest.mark.parametrize("name", STEPPED)
def test_what_is_predicted_is_held_and_nothing_grows(
    name: str, idle: Any, compiled_model: Compiled, monkeypatch: pytest.MonkeyPatch
):
    model = compiled_model(name, False)
    module, pool = loaded(model), idle.get_default_memory_pool()
    for size in SIZES:
        pool.free_all_blocks()
        used, peaks = [], []
        for trainer in fed(module, size, monkeypatch, steps=4):
            used.append(pool.used_bytes())
            peaks.append(held_at_most(idle))
            trainer.state()
        assert used[1:] == used[1:2] * 3
        assert peaks[1:] == peaks[1:2] * 3
        assert held_at_most(idle) == peaks[-1], "a state is read without a copy on the device"
        assert peaks[-1] <= predicted(model, size) <= MORE * peaks[-1] + FEW
        del trainer


@pytest.mark.parametrize("name", ["monks1", "xor221"])
def test_what_is_predicted_of_a_line_search(
    name: str, cupy: Any, compiled_model: Compiled, monkeypatch: pytest.MonkeyPatch
):
    model = compiled_model(name, False)
    for _ in fed(loaded(model), 200, monkeypatch):
        pass
    held, told = held_at_most(cupy), predicted(model, 200)
    assert held <= told <= MORE * held + FEW


def test_an_array_that_is_kept_is_found(
    idle: Any, compiled_model: Compiled, monkeypatch: pytest.MonkeyPatch
):
    """Arrays that no statement lets go, and one more in each step: the tests above would fail."""
    model = compiled_model("digits", False)
    kept = loaded(model, lambda source: re.sub(r"\n    del .*", "", source))
    for _ in fed(kept, 200, monkeypatch):
        pass
    assert held_at_most(idle) > predicted(model, 200)
    pool, used = idle.get_default_memory_pool(), []
    line = "        self._update()\n"
    growing = loaded(
        model,
        lambda source: source.replace(
            line, f"{line}        self._all = [*getattr(self, '_all', []), objective]\n"
        ),
    )
    for _ in fed(growing, 6, monkeypatch):
        used.append(pool.used_bytes())
    assert used[0] < used[1] < used[2]


# ------------------------------------------------------------------------- a whole training


def data_bytes(model: graphc.Model) -> int:
    """What training and validation part take on the device, the order of an epoch included."""
    module, parts = model.host.module, model.host.parts()[1]
    held = [parts.train, *([parts.validation] if parts.validation else [])]
    arrays = [a for raw in held for a in module.prepare(raw, module.init(0)).values()]
    rows = len(next(iter(parts.train.values())))
    return sum(-(-a.nbytes // 512) * 512 for a in arrays) + -(-8 * rows // 512) * 512


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("name", ["digits", "wine", "diabetes"])
def test_a_training_with_validation_holds_no_more(
    name: str, resident: bool, cupy: Any, monkeypatch: pytest.MonkeyPatch
):
    """Parameters that go there once more, and metrics that take a part as one batch, included."""
    monkeypatch.setattr("graphc.runtime.examples._SHARE", 0.5 if resident else 0.0)
    model = graphc.compile(MODELS / f"{name}.gc", target="cupy")
    model = model.with_sets({"train.epochs": 2})
    told = []
    real = device_bytes

    def asked(*args: Any, **options: Any) -> int:
        told.append(real(*args, **options))
        return told[-1]

    monkeypatch.setattr("graphc.backends.cupy.device_bytes", asked)
    peaks = []
    model.train(folder=False, report=lambda _: peaks.append(held_at_most(cupy)))
    data = data_bytes(model) if resident else 0
    assert peaks[-1] <= max(told) - WORKSPACE + data
    if not resident:
        assert max(told) - WORKSPACE <= 1.3 * peaks[-1] + FEW


def test_too_little_memory_is_said_with_the_batch_that_fits(cupy: Any, here: Any):
    """A device of so much memory: training with the batch that is advised stays within it."""
    model = graphc.compile(MODELS / "lenet300.gc", target="cupy").with_sets({"train.epochs": 1})
    enough = device_bytes(model.generated.programs, {"n": 1024}, scored=150)
    draw = np.random.default_rng(0)
    data = {"x": draw.random((1500, 28, 28)), "y": draw.integers(0, 10, 1500)}
    cupy.set_memory(enough - 2**20)
    with pytest.raises(RunError) as found:
        model.train(data, batch=1024, folder=False)
    assert "training lenet300 with batches of 1,024 takes" in found.value.message
    assert found.value.message.endswith("free on Stand-in")
    assert found.value.help == "batches of 512 fit: --set train.batch=512"
    assert not list(here.glob("runs/*"))
    run = model.train(data, batch=512, folder=False)
    assert run.summary["stopped"] == "finished"
