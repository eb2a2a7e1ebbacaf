"""What a model scores on a part of the data.

Losses are means over batches weighted by examples. A metric is computed on the whole part as one
batch, because AUC or F1 of a part is not the mean of its batches'; a model without a batch takes
one example at a time, so there its metrics are means over examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.runtime.computing import computing, on_machine
from graphc.runtime.device import state_for_evaluation
from graphc.runtime.examples import Examples, load_examples, on_device
from graphc.runtime.face import Arrays, Module, Raw
from graphc.runtime.records import Evaluation

__all__ = ["evaluate", "evaluate_examples"]


def evaluate(
    module: Module, state: Arrays, raw: Raw, batch: int | None = None, *, part: str = "the data"
) -> Evaluation:
    """Objective (without penalties), losses and metrics on raw columns.

    ``batch`` bounds the memory that the losses take, None for all at once.
    """
    examples = on_device(module, load_examples(module, state, raw, part=part))
    return evaluate_examples(module, state, examples, batch)


def evaluate_examples(
    module: Module, state: Arrays, examples: Examples, batch: int | None
) -> Evaluation:
    """The same for examples that are loaded already; the state goes to the module's device once."""
    with on_machine():
        there = state_for_evaluation(module, state)
        objective, losses = _losses(module, there, examples, batch)
        metrics = _metrics(module, there, examples)
    return {"objective": objective, "losses": losses, "metrics": metrics}


def _losses(
    module: Module, state: Arrays, examples: Examples, batch: int | None
) -> tuple[float, dict[str, float]]:
    objective = 0.0
    losses = dict.fromkeys(module.signature["losses"], 0.0)
    for arrays, count in examples.batches(batch or examples.count):
        with computing():
            value, parts = module.losses(state, arrays)
        objective += float(value) * count
        for name, part in parts.items():
            losses[name] += float(part) * count
    return objective / examples.count, {n: total / examples.count for n, total in losses.items()}


def _metrics(module: Module, state: Arrays, examples: Examples) -> dict[str, Any]:
    if not module.signature["metrics"]:
        return {}
    if module.signature["batch"] is not None:
        with computing():
            return _plain(module.metrics(state, examples.whole()))
    totals: dict[str, Any] = dict.fromkeys(module.signature["metrics"], 0.0)
    for arrays, _ in examples.batches(1):
        with computing():
            values = module.metrics(state, arrays)
        for name, value in values.items():
            totals[name] = totals[name] + np.asarray(value, dtype=np.float64)
    return _plain({name: total / examples.count for name, total in totals.items()})


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Single numbers as floats, the rest as arrays."""
    return {
        name: float(value) if np.ndim(value) == 0 else np.asarray(value)
        for name, value in values.items()
    }
