"""Exact second derivatives of whole networks, beside ``torch.func.hessian``; both in f64.

PyTorch's Hessian is of a flat vector of parameters, through ``functional_call``. The two alternate
on the same numbers; each is warmed up once.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from itertools import pairwise
from typing import Any

from figures import spread

__all__ = ["curvature_times"]

EXAMPLES = 256
SIZES = (40, 64, 32, 10)
LARGE = (784, 300, 100, 10)
TEXT = """model curved
input x: real[n, {inputs}]
target y: label{{{classes}}}[n]
z = x {layers} |> dense{{{classes}}}
loss ce = cross_entropy(z, y)
"""


def curvature_times(repeat: int) -> list[str]:
    """A row a task: the Hessian as it is made, by unit tangents alone, and a large diagonal."""
    from graphc.numerics.hessian import dense

    found, data = _curvature(SIZES)
    problem, at = found.problem, found.point
    peer = _peer(SIZES, found, data)
    own, plain, other = [], [], []
    for _ in range(repeat + 1):
        own.append(_seconds(found.hessian))
        plain.append(_seconds(lambda: dense(lambda rows: problem.hessian(at, rows), found.size)))
        if peer is not None:
            other.append(_seconds(peer))
    name = f"{'-'.join(map(str, SIZES))} tanh, {found.size:,} parameters, {EXAMPLES} examples"
    lines = [
        "| task | graphc, s | arrays beside the result, MB | `torch.func.hessian`, s "
        "| PyTorch ÷ graphc |",
        "|---|---|---|---|---|",
        _row(f"exact Hessian, {name}", own[1:], _peak(found.hessian), other[1:]),
        _row("the same by unit tangents alone", plain[1:], "", other[1:]),
    ]
    large, _ = _curvature(LARGE)
    times = [_seconds(large.diagonal) for _ in range(min(repeat, 3) + 1)][1:]
    name = f"{'-'.join(map(str, LARGE))} tanh, {large.size:,} parameters, {EXAMPLES} examples"
    lines.append(_row(f"exact diagonal, {name}", times, _peak(large.diagonal), None))
    return lines


def _row(name: str, own: list[float], peak: str, other: list[float] | None) -> str:
    beside = "does not fit in memory | |" if other is None else "not installed | |"
    if other:
        each = [b / a for a, b in zip(own, other, strict=True)]
        ratio = statistics.median(other) / statistics.median(own)
        beside = f"{spread(other, 1, 2)} | {ratio:.1f} ({min(each):.1f}–{max(each):.1f}) |"
    return f"| {name} | {spread(own, 1, 2)} | {peak} | {beside}"


def _seconds(task: Any) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def _peak(task: Any) -> str:
    """MB of arrays that are there at one time, without what the task returns."""
    tracemalloc.start()
    result = task()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return f"{(peak - result.nbytes) / 1e6:.0f}"


def _curvature(sizes: tuple[int, ...]) -> tuple[Any, dict[str, Any]]:
    import numpy as np

    import graphc

    layers = " ".join(f"|> dense{{{size}}} |> tanh" for size in sizes[1:-1])
    text = TEXT.format(inputs=sizes[0], layers=layers, classes=sizes[-1])
    rng = np.random.default_rng(0)
    data = {
        "x": rng.normal(size=(EXAMPLES, sizes[0])),
        "y": rng.integers(0, sizes[-1], EXAMPLES),
    }
    model = graphc.compile(text, precision="f64")
    return graphc.curvature(model, state=model.init(), data=data), data


def _peer(sizes: tuple[int, ...], found: Any, data: dict[str, Any]) -> Any:
    """PyTorch's Hessian at the same parameters, which is the same matrix up to the order."""
    try:
        import torch
    except ImportError:
        return None
    layers: list[Any] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out, dtype=torch.float64), torch.nn.Tanh()]
    network = torch.nn.Sequential(*layers[:-1])
    arrays = found.layout.unpack(found.point)
    given = [a.T if a.ndim == 2 else a for a in arrays.values()]
    names = [name for name, _ in network.named_parameters()]
    shapes = [array.shape for array in given]
    sizes_of = [array.size for array in given]
    flat = torch.cat([torch.tensor(array).reshape(-1) for array in given])
    x, y = torch.tensor(data["x"]), torch.tensor(data["y"])

    def objective(vector: Any) -> Any:
        parts = vector.split(sizes_of)
        parameters = {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        logits = torch.func.functional_call(network, parameters, (x,))
        return torch.nn.functional.cross_entropy(logits, y)

    assert abs(float(objective(flat)) - found.objective) < 1e-12, "not the same network"
    return lambda: torch.func.hessian(objective)(flat)
