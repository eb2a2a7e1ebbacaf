"""Predictions as arrays, for whoever goes on computing with them, and as text."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from graphc.runtime import Arrays, Module, Raw, Record, computing, write_csv, write_json
from graphc.runtime.device import state_for_evaluation
from graphc.runtime.examples import load_examples
from graphc.runtime.face import row_wise

__all__ = ["predict_arrays", "records_text"]

_BATCH = 1024


def predict_arrays(module: Module, state: Arrays, raw: Raw) -> Arrays:
    """Outputs by name, a row an example; an output that has none is that of the last batch."""
    examples = load_examples(module, state, raw, part="the data", need_targets=False)
    single = module.signature["batch"] is None
    rows = set(row_wise(module.signature, "outputs"))
    restore: Callable[[Arrays, Arrays], Arrays] | None = getattr(module, "restore", None)
    pieces: dict[str, list[np.ndarray]] = {}
    there = state_for_evaluation(module, state)
    for batch, _ in examples.batches(_BATCH):
        with computing():
            outputs = module.predict(there, batch)
        outputs = outputs if restore is None else restore(outputs, state)
        for name, value in outputs.items():
            array = np.asarray(value)
            pieces.setdefault(name, []).append(array[None] if single else array)
    return {
        name: np.concatenate(parts) if name in rows else parts[-1] for name, parts in pieces.items()
    }


def records_text(records: Sequence[Record], kind: Literal["csv", "json"]) -> str:
    """Predictions as the text of a CSV or JSON file."""
    stream = io.StringIO(newline="")
    (write_json if kind == "json" else write_csv)(records, stream)
    return stream.getvalue()
