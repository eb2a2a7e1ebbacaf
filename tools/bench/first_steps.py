"""How long graphc, JAX and torch.compile take to the first training step of a deep network.

Each figure is from a process of its own, see first_step.py for what is done there.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from figures import ROOT, processor, spread

__all__ = ["first_steps"]

LIMIT = 300
"""Seconds after which a process is ended."""
LIBRARIES = ("graphc", "jax", "torch")
TITLES = {"graphc": "graphc", "jax": "JAX `jit`", "torch": "`torch.compile`"}
EXPLAINED = f"""\
Layers of `dense{{32}}` and ReLU, then `dense{{10}}` and cross-entropy; 32 examples, f32, Adam. Each
process is new, and ended after {LIMIT} s. The first call begins after the import of the library and
ends when the objective is known and the parameters are updated:

- graphc: check, compile, load, initial values, `Trainer`, a step; tables of grammar and prelude
  are kept from an earlier process
- JAX: first call of a `jit` of value, gradient and Adam; parameters are made before
- PyTorch: first call of network and loss under `torch.compile` (inductor, an empty cache folder),
  backward, fused Adam; parameters are made before, Python's recursion limit is raised, which 1,000
  layers need

The whole process is that with the start of the interpreter, imports and exit.
"""


@dataclass
class Case:
    """What the processes of one library took for one depth."""

    calls: list[float] = field(default_factory=list)
    processes: list[float] = field(default_factory=list)
    problem: str = ""


Cases = dict[str, Case]


def first_steps(depths: list[int], repeat: int) -> list[str]:
    """Lines of the results: the libraries in turn; torch.compile, the slowest by far, once."""
    # The first round warms the file cache.
    versions = [measure(library, depths[0], Case()) for library in LIBRARIES]
    by_depth = {depth: measured(depth, repeat) for depth in depths}
    libraries = ", ".join(version for version in versions if version)
    return [
        f"{processor()}; {libraries}. Median (range) of {repeat}, `torch.compile` once.",
        "",
        *EXPLAINED.splitlines(),
        "",
        *table("first call", {depth: figures(by_depth[depth], "calls") for depth in depths}),
        "",
        *table("whole process", {depth: figures(by_depth[depth], "processes") for depth in depths}),
    ]


def measured(depth: int, repeat: int) -> Cases:
    cases = {library: Case() for library in LIBRARIES}
    for round in range(repeat):
        for library, case in cases.items():
            if not case.problem and (round == 0 or library != "torch"):
                measure(library, depth, case)
    return cases


def figures(cases: Cases, kind: Literal["calls", "processes"]) -> list[str]:
    """Cells of a row: seconds of each library, then the peers' beside graphc's."""
    own = statistics.median(getattr(cases["graphc"], kind))
    seconds, ratios = [], []
    for library, case in cases.items():
        values = getattr(case, kind)
        seconds.append(case.problem or spread(values, 1, 2))
        if library != "graphc":
            ratios.append("" if case.problem else f"{statistics.median(values) / own:.1f}")
    return [*seconds, *ratios]


def table(what: str, rows: dict[int, list[str]]) -> list[str]:
    titles = [f"{TITLES[library]}, s" for library in LIBRARIES]
    ratios = [f"{TITLES[library]} ÷ graphc" for library in LIBRARIES[1:]]
    cells = [f"layers, {what}", *titles, *ratios]
    lines = [f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"]
    return lines + [f"| {depth} | {' | '.join(row)} |" for depth, row in rows.items()]


def measure(library: str, depth: int, case: Case) -> str:
    """Add the figures of one process to a case, or what went wrong; the library's version."""
    command = [sys.executable, str(Path(__file__).with_name("first_step.py")), library, str(depth)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        }
        start = time.perf_counter()
        found = run(command, environment, Path(folder) / "found.json")
        seconds = time.perf_counter() - start
    if "seconds" in found:
        case.calls.append(found["seconds"])
        case.processes.append(seconds)
    elif library == "graphc":
        raise SystemExit(f"graphc cannot train the deep network: {found['error']}")
    else:
        case.problem = str(found["error"]).replace("|", "/")
    return str(found.get("version", ""))


def run(command: list[str], environment: dict[str, str], output: Path) -> dict[str, Any]:
    """What the process prints; it and what it started are gone afterwards."""
    with (
        output.open("wb") as printed,
        subprocess.Popen(
            command,
            env=environment,
            stdout=printed,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process,
    ):
        try:
            status = process.wait(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return {"error": f"over {LIMIT} s"}
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if status:
        return {"error": f"exit status {status}"}
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8").splitlines()[-1])
    return found
