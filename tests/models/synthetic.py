"""Batches and data files made up from what a model declares, for those whose data are not there."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
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


def files(model: Any, folder: Path, write_idx: Callable[[Path, np.ndarray], Path]) -> Path:
    """Made-up files under the names that the data section gives, side by side in ``folder``."""
    for seed, named in enumerate(model.spec.data.files.values()):
        columns = raw_columns(model, seed)
        if isinstance(named, dict):
            for column, name in named.items():
                write_idx(folder / Path(name).name, columns[column])
        elif Path(named).suffix == ".npz":
            np.savez(folder / Path(named).name, **columns)
        else:
            with (folder / Path(named).name).open("w", newline="") as file:
                rows = zip(*(array.tolist() for array in columns.values()), strict=True)
                csv.writer(file).writerows([list(columns), *rows])
    return folder


def raw_columns(model: Any, seed: int) -> dict[str, np.ndarray]:
    """Bytes for reals, and labels in turn, of the shapes that the equations take columns to have;
    as many rows as any split needs."""
    draw, spec = np.random.default_rng(seed), model.spec
    classes = {name: info.type.classes or 5 for name, info in spec.inputs.items()}
    split = spec.data.split or {"validation": 0, "test": 0}
    held = sum(int(split[part]) for part in ("validation", "test"))
    count = 40 + held + 5 * max(classes.values())
    columns = {}
    for node in spec.prepare.graph.topological():
        if node.op.name != "column":
            continue
        shape = (count, *(s if isinstance(s, int) else SIZES for s in node.tensor.shape[1:]))
        most = 256 if node.tensor.kind == "real" else classes[spec.data.columns[node.name][0]]
        in_turn = np.arange(np.prod(shape)).reshape(shape)
        values = draw.integers(0, 256, shape) if most == 256 else in_turn % most
        columns[node.name] = values.astype(np.uint8)
    return columns
