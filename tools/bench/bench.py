"""Measure graphc beside its peers and write RESULTS.md.

    python tools/bench/bench.py [--quick] [--deep] [--mnist FOLDER] [-o tools/bench/RESULTS.md]

Start-up and compile times are whole processes; training steps of graphc and of PyTorch (where it
is installed) alternate within one process on the same data. Figures are medians; a ratio is
that of medians, with the range over repetitions. Nothing here asserts anything.

With --deep the first training step of deep networks is measured beside JAX and torch.compile,
which takes minutes; without, that section of the file stays as it is.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from curvature import curvature_times
from drawing import drawing
from figures import ROOT, processor, spread
from first_step import model_text
from first_steps import first_steps
from pruning import pruning_times
from step_memory import step_memory

STEP_MODEL = """model bench
input x: real[n, {inputs}]
target y: label{{{classes}}}[n]
logits = x {layers} |> dense{{{classes}}}
loss ce = cross_entropy(logits, y)
train {{ optimizer = adam{{1e-3}} }}
"""

DEEP = "First training step of a deep network"

NETWORKS = [((64, 32, 10), 32), ((64, 128, 64, 10), 64), ((784, 128, 10), 64)]


def seconds(
    command: list[str], repeat: int, forgetful: bool = False, path: str | None = None
) -> list[float]:
    """Wall-clock seconds of a whole process, after one run that warms the file cache.

    A ``forgetful`` one finds nothing that graphc keeps between two starts; ``path`` is where it
    looks for programs.
    """
    times = []
    for _ in range(repeat + 1):
        with tempfile.TemporaryDirectory() as empty:
            more = {"XDG_CACHE_HOME": empty} if forgetful else {}
            more |= {} if path is None else {"PATH": path}
            start = time.perf_counter()
            subprocess.run(
                command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, **more}
            )
            times.append(time.perf_counter() - start)
    return times[1:]


def processes(repeat: int) -> list[str]:
    """Start-up, and the empty interpreter beside it."""
    python = sys.executable
    check = [python, "-m", "graphc", "check", "models/digits.gc"]
    rows = [
        ("`python -c pass`", [python, "-c", "pass"]),
        ("`python -c 'import numpy'`", [python, "-c", "import numpy"]),
        ("`graphc --help`", [python, "-m", "graphc", "--help"]),
        ("`graphc check models/digits.gc`", check),
        *(
            (
                f"`graphc compile models/{model}.gc`",
                [python, "-m", "graphc", "compile", f"models/{model}.gc"],
            )
            for model in ("digits", "lenet5", "transformer", "lstm")
        ),
    ]
    lines = ["| process | ms, median (range) |", "|---|---|"]
    for name, command in rows:
        lines.append(f"| {name} | {spread(seconds(command, repeat), 1e-3)} |")
    first = spread(seconds(check, repeat, forgetful=True), 1e-3)
    lines.append(
        f"| `graphc check models/digits.gc`, nothing kept from an earlier start | {first} |"
    )
    return lines


def compile_times(depths: list[int], repeat: int) -> list[str]:
    """`graphc compile` of a `repeat` of dense layers, as a whole process."""
    lines = ["| layers | s, median (range) | ms a layer over the shallowest |", "|---|---|---|"]
    shallow = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for depth in depths:
            path = Path(folder) / f"deep{depth}.gc"
            path.write_text(model_text(depth), encoding="utf-8")
            command = [sys.executable, "-m", "graphc", "compile", str(path), "-o", f"{path}.py"]
            times = seconds(command, repeat)
            middle = statistics.median(times)
            extra = ""
            if shallow:
                extra = f"{(middle - shallow) / (depth - depths[0]) * 1e3:.2f}"
            else:
                shallow = middle
            lines.append(f"| {depth} | {spread(times, 1, 2)} | {extra} |")
    return lines


Step = Callable[[], object]


def graphc_step(sizes: tuple[int, ...], batch: int) -> Step:
    import numpy as np

    import graphc

    layers = " ".join(f"|> dense{{{size}}} |> relu" for size in sizes[1:-1])
    text = STEP_MODEL.format(inputs=sizes[0], layers=layers, classes=sizes[-1])
    module = graphc.compile(text, precision="f32").module
    rng = np.random.default_rng(0)
    data = {
        "x": rng.normal(size=(batch, sizes[0])).astype(np.float32),
        "y": rng.integers(0, sizes[-1], batch),
    }
    trainer = module.Trainer(module.init(0), batch)
    return lambda: trainer.step(data)


def torch_step(sizes: tuple[int, ...], batch: int) -> Step | None:
    try:
        import torch
    except ImportError:
        return None
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    x = torch.randn(batch, sizes[0])
    y = torch.randint(0, sizes[-1], (batch,))

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def products(sizes: tuple[int, ...], batch: int) -> Step:
    """The matrix products of a training step alone: one forward and two backward a layer."""
    import numpy as np

    rng = np.random.default_rng(0)
    calls = []
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        x = rng.normal(size=(batch, fan_in)).astype(np.float32)
        w = rng.normal(size=(fan_in, fan_out)).astype(np.float32)
        d = rng.normal(size=(batch, fan_out)).astype(np.float32)
        calls += [(x, w, x @ w), (x.T, d, x.T @ d)]
        if layer:
            calls.append((d, w.T, d @ w.T))

    def run() -> None:
        for a, b, out in calls:
            np.dot(a, b, out=out)

    return run


def rate(step: Step, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def step_times(repeat: int, count: int) -> list[str]:
    """Training steps, graphc and PyTorch in turn."""
    lines = [
        "| network, batch | graphc, µs | in matrix products | PyTorch eager, fused Adam, µs "
        "| PyTorch ÷ graphc |",
        "|---|---|---|---|---|",
    ]
    for sizes, batch in NETWORKS:
        own, peer, bare = (
            graphc_step(sizes, batch),
            torch_step(sizes, batch),
            products(sizes, batch),
        )
        times: list[float] = []
        peers: list[float] = []
        inner: list[float] = []
        for _ in range(repeat + 1):
            times.append(rate(own, count))
            inner.append(rate(bare, count))
            if peer is not None:
                peers.append(rate(peer, count))
        times, peers = times[1:], peers[1:]
        share = f"{statistics.median(inner[1:]) / statistics.median(times):.0%}"
        name = f"{'-'.join(map(str, sizes))}, {batch}"
        if not peers:
            lines.append(f"| {name} | {spread(times, 1e-6, 1)} | {share} | not installed | |")
            continue
        ratio = statistics.median(peers) / statistics.median(times)
        each = [b / a for a, b in zip(times, peers, strict=True)]
        lines.append(
            f"| {name} | {spread(times, 1e-6, 1)} | {share} | {spread(peers, 1e-6, 1)} "
            f"| {ratio:.1f} ({min(each):.1f}–{max(each):.1f}) |"
        )
    return lines


def epoch_from_cold() -> list[str]:
    """One epoch of the digits example, process start and evaluation included."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "graphc", "train", "models/digits.gc",
            "--set", "train.epochs=1", "--out", str(Path(folder) / "run"),
        ]  # fmt: skip
        times = []
        for k in range(4):
            command[-1] = str(Path(folder) / f"run{k}")
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
            times.append(time.perf_counter() - start)
    return [
        f"`graphc train models/digits.gc` for one epoch, cold: {spread(times[1:], 1, 2)} s.",
        f"Largest peak memory of all processes above: {peak_memory():.0f} MB.",
    ]


def peak_memory() -> float:
    """Of the largest child process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def machine() -> list[str]:
    import numpy as np

    try:
        import torch

        peer = f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    except ImportError:
        peer = "no PyTorch"
    return [f"{processor()}, NumPy {np.__version__}, {peer}."]


def section(text: str, title: str) -> list[str]:
    """Lines of a section of a file of results; none where it has no such section."""
    _, found, rest = text.partition(f"\n## {title}\n\n")
    return rest.split("\n## ")[0].strip().splitlines() if found else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("-o", "--output", default=str(ROOT / "tools/bench/RESULTS.md"))
    parser.add_argument("--deep", action="store_true", help="deep networks beside JAX and PyTorch")
    parser.add_argument("--mnist", metavar="FOLDER", help="prune LeNet-300-100 on these files too")
    options = parser.parse_args()
    repeat = 3 if options.quick else 9
    output, depths = Path(options.output), [10, 100, 1000]
    sections = [
        ("Machine", machine()),
        ("Start-up", processes(repeat)),
        ("Compile time", compile_times(depths, min(repeat, 3))),
        ("Training step, f32", step_times(repeat, 300 if options.quick else 1500)),
        ("Memory of a training step", step_memory()),
        ("An epoch from a cold start", epoch_from_cold()),
        ("Curvature, f64", curvature_times(min(repeat, 5))),
        ("Pruning", pruning_times(options.mnist, min(repeat, 5))),
        ("Pictures", drawing(seconds, min(repeat, 5))),
    ]
    # After the memory of graphc's processes is known: the largest of all is looked at.
    if options.deep:
        deep = first_steps(depths, min(repeat, 3))
    else:
        deep = section(output.read_text(encoding="utf-8"), DEEP) if output.exists() else []
    sections.append((DEEP, deep))
    text = "# Results\n\nWritten by `python tools/bench/bench.py --deep`. Medians, with ranges.\n"
    for title, lines in sections:
        if lines:
            text += f"\n## {title}\n\n" + "\n".join(lines) + "\n"
    output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
