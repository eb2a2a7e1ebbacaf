"""Items in processes of their own, within the time of their part.

An illegal access spoils the CUDA context of its process, and a kernel that never ends cannot be
interrupted: with a process an item neither takes the others along. What an item told before it was
stopped counts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gpu_check.rows import Row, read_rows

__all__ = ["Command", "Part", "run_part", "shares"]

Command = Callable[[str, str, Path, float], list[str]]
"""The command for an item of a part that writes rows into a file and has so many seconds."""

LEAST = 5.0
"""Seconds under which no item is started."""


@dataclass(frozen=True)
class Part:
    """``weight`` is its share of the time, ``workers`` how many items run at once, ``limit`` the
    most seconds that one item may take."""

    name: str
    items: tuple[str, ...]
    weight: float
    workers: int = 1
    limit: float = 600.0


def shares(parts: Sequence[Part], remaining: float) -> float:
    """The seconds of the first part; what it does not need goes to the others."""
    total = sum(part.weight for part in parts)
    return remaining * parts[0].weight / total


def run_part(
    part: Part, seconds: float, command: Command, told: Callable[[Sequence[Row]], None]
) -> None:
    """Run every item; ``told`` is called with the rows of each as it ends, one at a time."""
    ends = time.monotonic() + seconds
    lock = threading.Lock()
    waiting = list(part.items)

    def work(item: str) -> None:
        with lock:
            waiting.remove(item)
            later = len(waiting) // part.workers
        left = ends - time.monotonic()
        mine = min(part.limit, left if part.workers > 1 else left / (later + 1))
        if mine < LEAST:
            rows = [Row(part.name, item, "all of it", "left out", "no time was left")]
        else:
            rows = _run(part.name, item, mine, command)
        with lock:
            told(rows)

    with ThreadPoolExecutor(part.workers) as pool:
        futures = [pool.submit(work, item) for item in part.items]
        try:
            for future in futures:
                future.result()
        except BaseException:  # Ctrl-C: what runs has a session of its own and does not hear of it
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(_running):
                _stop(process)
            raise


_running: set[subprocess.Popen[bytes]] = set()


def _run(part: str, item: str, seconds: float, command: Command) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        path, log = Path(folder) / "rows.jsonl", Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(part, item, path, seconds),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            status = _end(process, seconds)
        rows = read_rows(path)
        if status is None:
            said = f"not finished after {seconds:.0f} s"
            return [*rows, Row(part, item, "the rest", "left out", said)]
        if status:
            return [*rows, Row(part, item, "the rest", "failed", _death(status, log))]
        return rows


def _end(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit status; None for a process that had to be stopped, with all that it started."""
    _running.add(process)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _running.discard(process)
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the session of a process: compilers that it started outlive it otherwise."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _death(status: int, log: Path) -> str:
    """How a process ended, and the last that it said."""
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{how}: {lines[-1]}" if lines else how
