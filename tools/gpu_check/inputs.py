"""States, batches and tangents for a module, made up from what its signature declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["batch_for", "first_rows", "moved_state", "tangents_for"]

OTHER = 6
"""Size of an open dimension that is not the batch."""


def batch_for(module: Any, rows: int, seed: int = 0) -> dict[str, Any]:
    """Inputs and targets for so many examples: reals between 0 and 1, labels of all classes."""
    draw, signature = np.random.default_rng(seed), module.signature
    entries = {**signature["inputs"], **signature["targets"]}
    return {name: _values(draw, entry, module, rows) for name, entry in entries.items()}


def _values(draw: Any, entry: Mapping[str, Any], module: Any, rows: int) -> Any:
    batch = module.signature["batch"]
    shape = [
        size if isinstance(size, int) else rows if size == batch else OTHER
        for size in entry["shape"]
    ]
    if entry["kind"] == "real":
        return np.asarray(draw.random(shape)).astype(module.REAL)
    if entry["kind"] == "bool":
        return np.asarray(draw.integers(0, 2, shape)).astype(bool)
    return np.asarray(draw.integers(0, entry.get("classes", 5), shape))


def first_rows(module: Any, batch: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The first examples of a batch."""
    signature = module.signature
    entries = {**signature["inputs"], **signature["targets"]}
    part = dict(batch)
    for name in part:
        if list(entries[name]["shape"][:1]) == [signature["batch"]]:
            part[name] = batch[name][:count]
    return part


def moved_state(module: Any, seed: int = 3) -> dict[str, Any]:
    """A fresh state whose parameters are moved a little: no bias is left at zero."""
    state, draw = module.init(seed=seed), np.random.default_rng(seed)
    for name in module.signature["parameters"]:
        noise = 0.05 * np.asarray(draw.standard_normal(state[name].shape))
        state[name] = np.asarray(state[name] + noise).astype(state[name].dtype)
    return dict(state)


def tangents_for(
    shapes: Mapping[str, tuple[int, ...]], state: Mapping[str, Any], count: int
) -> dict[str, Any]:
    """Normal numbers ``[count, …]`` by name, in the precision of the state."""
    draw = np.random.default_rng(11)
    real = next(array.dtype for array in state.values() if array.dtype.kind == "f")
    return {
        name: np.asarray(draw.standard_normal((count, *shape))).astype(np.float32).astype(real)
        for name, shape in shapes.items()
    }
