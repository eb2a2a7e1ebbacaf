"""One item of a part: what a process of its own does, and tells in rows."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpu_check import device, gpu_tests
from gpu_check.benchmarks import check_network
from gpu_check.memory import check_memory, pool_meter, profiled
from gpu_check.parity import check_model, device_side
from gpu_check.peers import NETWORKS
from gpu_check.prepared import Entry, load_module, read_manifest
from gpu_check.rows import Emit

__all__ = ["run_item"]

By = Mapping[tuple[str, str], list[Entry]]


def run_item(part: str, item: str, folder: Path, emit: Emit, seconds: float) -> None:
    """Rows of one item; ``folder`` is where its modules lie, ``seconds`` are left for it."""
    PARTS[part](item, folder, emit, seconds)


def _device(item: str, folder: Path, emit: Emit, seconds: float) -> None:
    problem = device.problem()
    if problem:
        emit("GPU", "failed", problem)
    else:
        device.describe(emit)


def _parity(item: str, folder: Path, emit: Emit, seconds: float) -> None:
    cp = importlib.import_module("cupy")
    entries = {e.precision: e for e in _entries(folder, item, "model")}
    check_model(folder, entries, emit, lambda module: device_side(module, cp))


def _memory(item: str, folder: Path, emit: Emit, seconds: float) -> None:
    cp: Any = importlib.import_module("cupy")
    entry = _single(folder, item, emit)
    if entry is None:
        return
    torch = _torch()
    module = load_module(folder / entry.files["cupy"])
    transfers = None if torch is None else profiled(cp, torch)
    check_memory(module, entry, emit, lambda: pool_meter(cp), transfers)


def _tests(item: str, folder: Path, emit: Emit, seconds: float) -> None:
    gpu_tests.run_tests(emit)


def _benchmarks(item: str, folder: Path, emit: Emit, seconds: float) -> None:
    cp: Any = importlib.import_module("cupy")
    entry = _single(folder, item, emit)
    if entry is None:
        return
    module = load_module(folder / entry.files["cupy"])
    wait = cp.cuda.Device().synchronize  # for all streams, PyTorch's too
    check_network(module, NETWORKS[item], emit, _torch(), wait, seconds=seconds)


def _entries(folder: Path, item: str, kind: str) -> list[Entry]:
    """Of a folder that was found to be current when the check began."""
    entries = read_manifest(folder, current=False)
    return [e for e in entries if (e.name, e.kind) == (item, kind)]


def _single(folder: Path, item: str, emit: Emit) -> Entry | None:
    """The entry in f32; of a benchmark's network where its name is one's. None if it failed."""
    kind = "benchmark" if item in NETWORKS else "model"
    entry = next(e for e in _entries(folder, item, kind) if e.precision == "f32")
    if entry.problem:
        emit("compiling", "failed", entry.problem)
        return None
    return entry


def _torch() -> Any | None:
    try:
        return importlib.import_module("torch")
    except ImportError:
        return None


PARTS: dict[str, Callable[[str, Path, Emit, float], None]] = {
    "device": _device,
    "parity": _parity,
    "memory": _memory,
    "tests": _tests,
    "benchmarks": _benchmarks,
}
