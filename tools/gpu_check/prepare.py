"""Compile every model for the CPU and for the GPU: plain modules that need graphc no more.

This is the only part of the check that imports the compiler.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gpu_check.prepared import NETWORKS, ROOT, Entry, fingerprint, write_manifest
from gpu_check.rows import first_line

__all__ = ["SLOW", "Job", "jobs", "missing", "prepare"]

NEEDS = ("lark", "networkx", "numpy", "safetensors")
"""What compiling imports."""

CUTS = {"custom": "logits", "diabetes": "prediction", "circuit": "q", "logistic": "y"}
"""Where to cut models whose loss is none of the prelude's, for Gauss-Newton products."""

BATCHES = {"784-1024-1024-10": 256, "784-4096-4096-10": 8192, "64-32-10": 32, "lenet5": 256}
"""Of the networks that are benchmarks."""

SLOW = ("lstm", "transformer")
"""Models that take longest to compile and to run; with others beside them they go first."""

Job = tuple[str, str, str]
"""A model file, a precision, and its kind: ``model`` or ``benchmark``."""


def missing() -> list[str]:
    """The packages that compiling needs and that are not installed."""
    return [name for name in NEEDS if importlib.util.find_spec(name) is None]


def jobs(names: Iterable[str] = ()) -> list[Job]:
    """All of them, or those of these names; those that take longest come first."""
    models = [*sorted(ROOT.glob("models/*.gc")), NETWORKS / "draws.gc"]
    found = [(str(path), precision, "model") for path in models for precision in ("f64", "f32")]
    found += [(str(NETWORKS / f"{name}.gc"), "f32", "benchmark") for name in BATCHES]
    chosen = [job for job in found if not names or Path(job[0]).stem in names]
    return sorted(chosen, key=lambda job: Path(job[0]).stem not in SLOW)


def prepare(
    folder: Path, names: Iterable[str] = (), *, target: str = "cupy", workers: int | None = None
) -> list[Entry]:
    """Write the modules and their manifest; what cannot be compiled is an entry with a problem.

    ``target`` is what stands for the GPU's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    of = fingerprint()
    todo = [(job, folder, target) for job in jobs(names)]
    count = min(len(todo), workers or os.cpu_count() or 1)
    if count <= 1:
        entries = [_entry(*each) for each in todo]
    else:
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            entries = list(pool.map(_entry, *zip(*todo, strict=True)))
    entries.sort(key=lambda entry: (entry.kind, entry.name, entry.precision))
    write_manifest(folder, entries, of)
    return entries


def _entry(job: Job, folder: Path, target: str) -> Entry:
    path, precision, kind = Path(job[0]), job[1], job[2]
    entry = Entry(path.stem, precision, kind)
    try:
        return _compiled(entry, path, folder, target)
    except Exception as problem:  # one that cannot be compiled must not hide the others
        return replace(entry, problem=first_line(problem))


def _compiled(entry: Entry, path: Path, folder: Path, target: str) -> Entry:
    precision: Any = entry.precision
    products: list[str] = []
    lacking: dict[str, str] = {}
    if entry.kind == "model":
        products, lacking = _products(path)
    files = {}
    for name, made_by in (("numpy", "numpy"), ("cupy", target)):
        model = _compile(path, precision, products, made_by)
        file = f"{entry.kind}-{entry.name}-{precision}-{name}.py"
        (folder / file).write_text(model.source, encoding="utf-8")
        files[name] = file
    train = model.spec.train
    batch = BATCHES[entry.name] if entry.kind == "benchmark" else train.batch or 16
    driver = model.spec.driver
    return replace(
        entry,
        files=files,
        products=products,
        lacking=lacking,
        batch=batch,
        driver="" if driver is None else driver.name,
        device_bytes=_device_bytes(model, batch, target),
    )


def _compile(path: Path, precision: Any, products: list[str], target: str) -> Any:
    import graphc

    more: dict[str, Any] = {} if target == "numpy" else {"target": target}
    return graphc.compile(
        path, precision=precision, products=products, cut=CUTS.get(path.stem, ()), **more
    )


@cache
def _products(path: Path) -> tuple[list[str], dict[str, str]]:
    """Those functions on request that the model can have, and why it cannot have the others."""
    import graphc
    from graphc.model import PRODUCTS

    products: list[str] = []
    lacking: dict[str, str] = {}
    for name in PRODUCTS:
        try:
            _compile(path, "f64", [name], "numpy").generated.programs  # noqa: B018
        except graphc.RunError as problem:
            lacking[name] = str(problem)
        else:
            products.append(name)
    return products, lacking


def _device_bytes(model: Any, batch: int, target: str) -> int | None:
    """What training is predicted to take; None where a dimension beside the batch is open."""
    from graphc.backends.targets import load_target

    spec = model.spec
    if any(symbol != spec.batch for symbol in spec.symbols):
        return None
    dims = {} if spec.batch is None else {spec.batch: batch}
    return load_target(target).device_bytes(model.generated.programs, dims)
