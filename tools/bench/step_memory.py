"""The memory of a training step: what the plan says before anything runs, and what NumPy asks for.

Bytes of arrays, counted exactly, from the making of a ``Trainer`` through two steps of its batch.
"""

from __future__ import annotations

import sys
from typing import Any

from figures import ROOT

__all__ = ["step_memory"]

MODELS = ("digits", "lenet300", "lenet5", "transformer", "lstm")


def step_memory() -> list[str]:
    """A row a model."""
    sys.path.append(str(ROOT / "tests"))
    from allocations import counted_allocations

    import graphc

    lines = [
        "| model, batch | planned, bytes | measured, bytes | with 70% of it allowed |",
        "|---|---|---|---|",
    ]
    for name in MODELS:
        model = graphc.compile(ROOT / "models" / f"{name}.gc")
        report, module, state = model.report(), model.module, model.init()
        batch = _batch(module, model.spec.train.batch or 1)
        with counted_allocations() as found:
            trainer = module.Trainer(state, model.spec.train.batch, steps_per_epoch=2, epochs=1)
            for _ in range(2):
                trainer.step(batch)
        planned = report.peak.total
        less = _less(ROOT / "models" / f"{name}.gc", int(0.7 * planned), report.flops)
        lines.append(
            f"| {name}, {model.spec.train.batch} | {planned:,} | {found.peak:,} | {less} |"
        )
    return lines


def _less(path: Any, budget: int, flops: int) -> str:
    """What a budget costs."""
    import graphc

    try:
        report = graphc.compile(path, set={"train.memory": str(budget)}).report()
    except graphc.RunError:
        return "not possible"
    return f"{report.peak.total:,} bytes for {report.flops / flops:.2f} of the operations"


def _batch(module: Any, rows: int) -> dict[str, Any]:
    import numpy as np

    draw, signature, batch = np.random.default_rng(0), module.signature, {}
    for name, entry in {**signature["inputs"], **signature["targets"]}.items():
        shape = [rows if isinstance(size, str) else size for size in entry["shape"]]
        if entry["kind"] == "real":
            batch[name] = draw.random(shape).astype(module.REAL)
        else:
            batch[name] = draw.integers(0, entry.get("classes", 2), shape)
    return batch
