"""Training steps beside PyTorch's: the same network, batch, initial values, precision, optimizer.

graphc and one peer take turns in rounds; both dispatch a number of steps and then wait for the
device. A ratio is the median of the rounds' ratios, PyTorch over graphc: above 1 graphc is faster.
What a first call takes, compiling included, is told apart.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from gpu_check.inputs import batch_for
from gpu_check.peers import Network, Step, torch_step
from gpu_check.rows import Emit, first_line

__all__ = ["PEERS", "check_network", "graphc_step"]

PEERS = {
    "PyTorch eager": "eager",
    "torch.compile": "default",
    "torch.compile, CUDA graphs": "reduce-overhead",
}
"""The mode of each."""

ROUNDS = 9
ROUND = 0.1
"""Seconds that a round of one of the two takes, about."""

WARM = 10
"""Steps before anything is measured."""

AGREE = 1e-3
"""How far the losses of both may lie apart after the steps that are compared, relatively."""

COMPARED = 3

COMPILING = 25.0
"""Seconds that must be left for a peer that compiles."""


def graphc_step(module: Any, batch: Any, rows: int) -> Step:
    """A training step; ``batch`` is on the device."""
    trainer = module.Trainer(module.init(seed=0), rows)
    return lambda: trainer.step(batch)


def check_network(
    module: Any,
    network: Network,
    emit: Emit,
    torch: Any | None,
    wait: Callable[[], None],
    *,
    seconds: float,
    rounds: int = ROUNDS,
    round_of: float = ROUND,
    device: str = "cuda",
) -> None:
    """Rows for graphc alone, then for each peer; ``wait`` returns when the device is done."""
    ends = time.monotonic() + seconds
    host = batch_for(module, network.batch)
    batch = module.place(host)
    start = time.perf_counter()
    own = graphc_step(module, batch, network.batch)
    losses = [float(own()) for _ in range(COMPARED)]
    first = time.perf_counter() - start
    count = _warm(own, wait, round_of)
    times = [_round(own, wait, count) for _ in range(rounds)]
    emit("graphc", "told", "", times=times, first=first, steps=count)
    if torch is None:
        for name in PEERS:
            emit(name, "left out", "PyTorch is not installed")
        return
    state, names = module.init(seed=0), list(module.signature["parameters"])
    for name, mode in PEERS.items():
        if mode != "eager" and time.monotonic() > ends - COMPILING:
            emit(name, "left out", "no time was left")
            continue
        try:
            start = time.perf_counter()
            peer = torch_step(torch, network, state, names, host, mode=mode, device=device)
            found = [float(peer()) for _ in range(COMPARED)]
            wait()
            first = time.perf_counter() - start
            _against(emit, name, own, peer, wait, rounds, round_of, first)
        except Exception as problem:  # of one peer: no compiler, no memory
            emit(name, "failed", first_line(problem))
            continue
        _same_work(emit, name, losses, found)


def _against(
    emit: Emit,
    name: str,
    own: Step,
    peer: Step,
    wait: Callable[[], None],
    rounds: int,
    round_of: float,
    first: float,
) -> None:
    """Rounds in turn."""
    counts = _warm(own, wait, round_of), _warm(peer, wait, round_of)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_round(own, wait, counts[0]))
        theirs.append(_round(peer, wait, counts[1]))
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    emit(name, "told", "", times=theirs, graphc=ours, ratios=ratios, first=first)


def _same_work(emit: Emit, name: str, ours: list[float], theirs: list[float]) -> None:
    """Losses of the first steps agree: both learn the same from the same start."""
    apart = max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(ours, theirs, strict=True))
    if apart <= AGREE:
        emit(f"{name}: same losses", "ok", error=apart)
    else:
        said = f"losses of {ours} by graphc, of {theirs} by the peer"
        emit(f"{name}: same losses", "failed", said, error=apart)


def _warm(step: Step, wait: Callable[[], None], round_of: float) -> int:
    """Some steps, and how many make a round."""
    for _ in range(WARM):
        step()
    wait()
    once = statistics.median(_round(step, wait, 3) for _ in range(3))
    return max(3, min(2000, round(round_of / once)))


def _round(step: Step, wait: Callable[[], None], count: int) -> float:
    """Seconds a step."""
    wait()
    start = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return (time.perf_counter() - start) / count
