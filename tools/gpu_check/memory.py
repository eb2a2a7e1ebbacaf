"""The device memory that training takes, beside what was predicted, and what it transfers.

The memory is counted by the allocations of CuPy's pool: what a trainer, its batch and its steps
hold at most. The transfers are counted by PyTorch's profiler, which sees everything that the
process asks of CUDA, CuPy's copies among it; that it sees them is tried first.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from gpu_check.inputs import batch_for
from gpu_check.prepared import Entry
from gpu_check.rows import Emit, first_line

__all__ = ["Meter", "Seen", "check_memory", "counted", "pool_meter", "profiled"]

STEPS = (10, 200)
"""Nothing more may be held after the second number of steps than after the first."""

WATCHED = 20
"""Steps whose transfers are counted."""

MORE, ROUNDING = 1.05, 2**20
"""So many times what was predicted may be held, and so many bytes more: the pool rounds every
array to 512 bytes."""

LESS, SPARE = 2, 2**26
"""So many times what is held may be predicted, and so many bytes more: a prediction counts the
workspaces of CUDA's libraries, which are not of the pool."""


class Meter(Protocol):
    """Bytes that are held at most while it is open, and now, counted from its opening."""

    peak: int
    held: int


Transfers = Callable[[Callable[[], object]], "Seen"]


@dataclass(frozen=True)
class Seen:
    """Copies and kernels that were seen while a function ran."""

    to_device: int
    to_host: int
    kernels: int


def check_memory(
    module: Any,
    entry: Entry,
    emit: Emit,
    meter: Callable[[], AbstractContextManager[Meter]],
    transfers: Transfers | None,
    *,
    steps: tuple[int, int] = STEPS,
    watched: int = WATCHED,
) -> None:
    """Rows for a model with an optimizer, at the batch of its train section, in f32."""
    host, state = batch_for(module, entry.batch), module.init(seed=1)
    with meter() as bytes_of:
        batch = module.place(host)
        trainer = module.Trainer(state, entry.batch, steps_per_epoch=1000, epochs=1)
        early, late = _held_after(trainer, batch, bytes_of, steps)
        _tell_peak(emit, entry, bytes_of.peak)
        _tell_growth(emit, early, late, steps)
    trainer.state()  # raises if a step went wrong on the device
    if transfers is None:
        emit("transfers", "left out", "PyTorch, whose profiler counts them, is not installed")
        return
    try:
        seen = transfers(lambda: [trainer.step(batch) for _ in range(watched)])
    except Exception as problem:  # of the profiler
        emit("transfers", "failed", first_line(problem))
        return
    copies = seen.to_device + seen.to_host
    said = f"{seen.to_device} to the device and {seen.to_host} to the host in {watched} steps"
    emit("transfers", "failed" if copies else "ok", said if copies else "", copies=copies)
    emit("kernels a step", "told", "", kernels=seen.kernels / watched)


def _held_after(
    trainer: Any, batch: Any, bytes_of: Meter, steps: tuple[int, int]
) -> tuple[int, int]:
    held = []
    done = 0
    for until in steps:
        while done < until:
            trainer.step(batch)
            done += 1
        held.append(bytes_of.held)
    return held[0], held[1]


def _tell_peak(emit: Emit, entry: Entry, peak: int) -> None:
    predicted = entry.device_bytes
    if predicted is None:
        emit("peak", "told", "nothing is predicted", held=peak, batch=entry.batch)
        return
    detail = ""
    if peak > predicted * MORE + ROUNDING:
        detail = f"{peak:,} bytes are held, {predicted:,} were predicted"
    elif predicted > LESS * peak + SPARE:
        detail = f"{predicted:,} bytes were predicted, {peak:,} are held"
    status = "failed" if detail else "ok"
    emit("peak", status, detail, held=peak, predicted=predicted, batch=entry.batch)


def _tell_growth(emit: Emit, early: int, late: int, steps: tuple[int, int]) -> None:
    grown = late - early
    said = f"{grown:,} bytes more after {steps[1]} steps than after {steps[0]}"
    emit("growth", "failed" if grown > 0 else "ok", said if grown > 0 else "", grown=grown)


# ------------------------------------------------------------------------- of a real GPU


def pool_meter(cp: Any) -> AbstractContextManager[Meter]:
    """Counts the allocations of CuPy's memory pool, in the sizes that the pool gives."""
    base: Any = cp.cuda.MemoryHook

    class Counting(base):  # type: ignore[misc]
        """A hook: it is called at every allocation and release of the pool."""

        name = "held bytes"

        def __init__(self) -> None:
            super().__init__()
            self.held = self.peak = 0
            self._sizes: dict[int, int] = {}

        def malloc_postprocess(self, **given: Any) -> None:
            self._sizes[given["mem_ptr"]] = given["mem_size"]
            self.held += given["mem_size"]
            self.peak = max(self.peak, self.held)

        def free_postprocess(self, **given: Any) -> None:
            self.held -= self._sizes.pop(given["mem_ptr"], 0)

    return _Opened(cp, Counting())


class _Opened:
    """A hook that is open once the device has done what was asked before, and its pool is empty."""

    def __init__(self, cp: Any, hook: Any) -> None:
        self._cp, self._hook = cp, hook

    def __enter__(self) -> Meter:
        self._cp.cuda.Device().synchronize()
        self._cp.get_default_memory_pool().free_all_blocks()
        self._hook.__enter__()
        meter: Meter = self._hook
        return meter

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hook.__exit__(kind, problem, trace)


def profiled(cp: Any, torch: Any) -> Transfers:
    """Counts by PyTorch's profiler. RuntimeError where it does not see a copy that is made."""

    def run(function: Callable[[], object]) -> Seen:
        cp.cuda.Device().synchronize()
        activities = [torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as profile:
            function()
            cp.cuda.Device().synchronize()
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "trace.json"
            profile.export_chrome_trace(str(trace))
            return counted(json.loads(trace.read_text(encoding="utf-8")))

    def tried(function: Callable[[], object]) -> Seen:
        torch.zeros(1, device="cuda")  # PyTorch is ready before it watches
        host = [1.0] * 64
        run(lambda: cp.asnumpy(cp.asarray(host) + 1))  # the first profile starts up
        known = run(lambda: cp.asnumpy(cp.asarray(host) + 1))
        if known.to_device < 1 or known.to_host < 1 or known.kernels < 1:
            raise RuntimeError(f"PyTorch's profiler does not see CuPy's copies: {known}")
        return run(function)

    return tried


def counted(trace: Mapping[str, Any]) -> Seen:
    """What a trace of PyTorch's profiler holds of the device."""
    found = [(e.get("cat", ""), e.get("name", "")) for e in trace["traceEvents"]]
    copies = [name for category, name in found if category == "gpu_memcpy"]
    return Seen(
        to_device=sum("HtoD" in name for name in copies),
        to_host=sum("DtoH" in name for name in copies),
        kernels=sum(category == "kernel" for category, _ in found),
    )
