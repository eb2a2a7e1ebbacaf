"""What pruning takes: whole processes of `graphc prune`, and the most memory that each took."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import ROOT, spread

__all__ = ["pruning_times"]

MONKS = ROOT / "models" / "monks1.gc"
LENET = ROOT / "models" / "lenet300.gc"


def pruning_times(mnist: str | None, repeat: int) -> list[str]:
    """OBS of MONK's problem 1, every deletion from a new Hessian; row-wise OBS of LeNet-300-100
    to 90% on MNIST's training part, where ``mnist`` names the folder of its files."""
    lines = ["| task, whole process | seconds | peak memory, MB |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        tables(Path(folder))
        lines.append(
            _row("MONK's problem 1 (58 weights), until accuracy drops", MONKS, folder, [], repeat)
        )
        if mnist is not None:
            lines.append(
                _row(
                    "LeNet-300-100 (266,200 weights) on MNIST, row-wise to 90%",
                    LENET,
                    mnist,
                    ["--sparsity", "90%"],
                    1,
                )
            )
    if mnist is None:
        lines += ["", "LeNet-300-100 is not measured without `--mnist FOLDER`."]
    return lines


def tables(folder: Path) -> None:
    """A training and a test part of MONK's problem 1 by its rule: a1 = a2 or a5 = 1."""
    import numpy as np

    rng = np.random.default_rng(0)
    whole = np.stack(np.meshgrid(*(np.arange(1, k + 1) for k in (3, 3, 2, 3, 4, 2))), -1)
    rows = whole.reshape(-1, 6)
    classes = (rows[:, 0] == rows[:, 1]) | (rows[:, 4] == 1)
    for part, chosen in (("train", rng.permutation(len(rows))[:124]), ("test", slice(None))):
        table = np.column_stack([classes[chosen].astype(int), rows[chosen]])
        text = "\n".join(",".join(map(str, row)) for row in table)
        header = "class,a1,a2,a3,a4,a5,a6\n"
        (folder / f"monks-1.{part}.csv").write_text(header + text + "\n", encoding="utf-8")


def _row(name: str, model: Path, data: str, options: list[str], repeat: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "graphc"]
        _process([*command, "train", str(model), "--data", os.path.abspath(data), "-q"], folder)
        run = f"runs/{model.stem}-1"
        found = [_process([*command, "prune", run, "-q", *options], folder) for _ in range(repeat)]
    peak = max(memory for _, memory in found)
    return f"| {name} | {spread([s for s, _ in found], 1, 1)} | {peak:.0f} |"


_MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)
"""
"""A small process that starts another: the memory of a child begins with its parent's."""


def _process(command: list[str], folder: str) -> tuple[float, float]:
    """Seconds and the most MB of a process in a folder."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    told = subprocess.run(
        [sys.executable, "-c", _MEASURE, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, memory = map(float, told.stdout.split())
    return seconds, memory
