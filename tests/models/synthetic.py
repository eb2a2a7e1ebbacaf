"""Batches made up from a module's signature, for models whose data are not there."""

from __future__ import annotations

from typing import Any

import numpy as np

SIZES = 6


def batch(module: Any, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs and targets of the declared kinds and shapes; each symbolic dimension is SIZES."""
    draw = np.random.default_rng(seed)
    entries = {**module.signature["inputs"], **module.signature["targets"]}
    return {name: values(draw, entry, module.REAL) for name, entry in entries.items()}


def values(draw: np.random.Generator, entry: dict[str, Any], real: Any) -> np.ndarray:
    shape = [size if isinstance(size, int) else SIZES for size in entry["shape"]]
    if entry["kind"] == "real":
        return np.asarray(draw.random(shape)).astype(real)
    if entry["kind"] == "bool":
        return np.asarray(draw.integers(0, 2, shape)).astype(bool)
    return np.asarray(draw.integers(0, entry.get("classes", 5), shape))
