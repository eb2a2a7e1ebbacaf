"""`train { memory = … }`: the same training in less memory, or an error that says what it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from allocations import counted_allocations

import graphc

MODELS = Path(__file__).resolve().parents[2] / "models"

DEEP = """
model deep
input  x: real[n, 32]
target y: label{5}[n]
h = x
repeat i in 1..12 { h = h |> dense{32} |> relu |> dropout{0.1} }
loss ce = cross_entropy(dense{5}(h), y)
train { batch = 512 }
"""
# In "exp" the gradient of the first term is the product that the loss sums. NumPy sums a product
# that nobody else reads by an inner product, with other roundings: the second, never the first.
TEXTS = {
    "deep": DEEP,
    "tanh": DEEP.replace("relu |> dropout{0.1}", "tanh"),
    "exp": """
model poisson
input x: real[n, 64]
target y: real[n, 64]
u = x
repeat i in 1..6 { u = u |> dense{64} |> gelu }
loss l = sum(y * exp(u)) + sum(y * cos(u))
train { batch = 1024 }
""",
    "lenet5": MODELS / "lenet5.gc",
}
EACH = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def compiled(text: str | Path, **sets: Any) -> graphc.Model:
    return graphc.compile(text, set={f"train.{key}": value for key, value in sets.items()})


def batch_of(module: Any, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    batch = {}
    for name, entry in {**module.signature["inputs"], **module.signature["targets"]}.items():
        shape = [size if isinstance(size, int) else rows for size in entry["shape"]]
        if entry["kind"] == "real":
            batch[name] = draw.random(shape).astype(module.REAL)
        else:
            batch[name] = draw.integers(0, entry["classes"], shape)
    return batch


def measured(model: graphc.Model, steps: int = 2) -> tuple[int, list[float], dict[str, bytes]]:
    """Peak bytes of a trainer, its objectives, and its state at the end."""
    module, rows = model.module, model.spec.train.batch
    assert rows is not None
    state = module.init(seed=2)
    batches = [batch_of(module, rows, seed) for seed in range(steps)]
    batches.append({name: array[: rows // 3] for name, array in batches[0].items()})
    with counted_allocations() as found:
        trainer = module.Trainer(state, rows, steps_per_epoch=5, epochs=2)
        objectives = [trainer.step(batch) for batch in batches]
        peak = found.peak
    return peak, objectives, {name: array.tobytes() for name, array in trainer.state().items()}


def forward_pass(source: str) -> str:
    """The statements of a trainer's forward pass."""
    return source.split("class Trainer:")[1].split("# forward\n")[1].split("# backward\n")[0]


def least(model: graphc.Model) -> int:
    """The smallest budget, by the error that a smaller one gives."""
    with pytest.raises(graphc.RunError) as caught:
        _ = model.with_sets({"train.memory": 1}).source
    number, unit = caught.value.message.split(" takes ")[1].split()[:2]
    return round(float(number) * {"KB": 1e3, "MB": 1e6}[unit])


@EACH
def test_training_is_the_same_to_the_last_bit_and_fits(text: str | Path) -> None:
    free = compiled(text)
    peak, objectives, state = measured(free)
    smallest = least(free)
    assert smallest < 0.85 * peak
    for budget in (smallest, (smallest + peak) // 2):
        model = compiled(text, memory=budget)
        assert model.source != free.source
        assert forward_pass(model.source) == forward_pass(free.source)
        taken, found, ended = measured(model)
        assert found == objectives
        assert ended == state
        assert taken <= budget


def test_a_budget_that_is_no_limit_changes_nothing() -> None:
    for text in TEXTS.values():
        assert compiled(text, memory=10**9).source == compiled(text).source


def test_plain_functions_are_the_same() -> None:
    """The budget is for a trainer; the rest of the module does not know of it."""
    free = compiled(DEEP)
    tight = compiled(DEEP, memory=least(free))
    before, after = (model.source.split("class Trainer:") for model in (free, tight))
    assert before[0] == after[0]


def test_the_source_says_what_is_computed_again_and_passes_its_self_test(tmp_path: Path) -> None:
    free = compiled(DEEP)
    model = compiled(DEEP, memory=least(free))
    backward = model.source.split("# backward\n")[-1]
    assert "# again: " in backward
    assert "_again" in backward
    path = tmp_path / "deep.py"
    model.save(path)
    run = subprocess.run(
        [sys.executable, str(path), "--selftest"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_without_reuse_memory_is_no_limit() -> None:
    apart = graphc.compile(DEEP, set={"train.memory": 1}, reuse=False)
    assert apart.source == graphc.compile(DEEP, reuse=False).source


def test_a_batch_that_fits_is_named_and_fits() -> None:
    free = compiled(DEEP)
    budget = least(free) * 2 // 3
    with pytest.raises(graphc.RunError) as caught:
        _ = compiled(DEEP, memory=budget).source
    assert caught.value.message.startswith("a training step of batch 512 takes ")
    assert caught.value.help is not None
    words = caught.value.help.split()
    assert words[:3] == ["a", "batch", "of"]
    assert words[4:6] == ["fits;", "or"]
    batch = int(words[3])
    assert 100 < batch < 512
    assert measured(compiled(DEEP, memory=budget, batch=batch))[0] <= budget


def test_a_budget_below_the_parameters() -> None:
    with pytest.raises(graphc.RunError) as caught:
        _ = compiled(DEEP, memory="20 KB").source
    assert caught.value.message.endswith("at least, `memory` is 20 KB")
    assert "parameters, gradients and the optimizer's state are 205.3 KB of it" in str(
        caught.value.help
    )
