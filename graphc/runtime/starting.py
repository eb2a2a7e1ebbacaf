"""What a training starts with: its terms, and the state that it goes on from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from graphc.runtime.check import check_raw
from graphc.runtime.checkpoint import load_checkpoint
from graphc.runtime.computing import on_machine
from graphc.runtime.errors import RunError
from graphc.runtime.face import Arrays, Module, Raw, Signature
from graphc.runtime.folder import RunFolder
from graphc.runtime.records import Best

__all__ = ["ResumePoint", "TrainConfig", "initial_state", "resume_point", "step_sizes"]


@dataclass(frozen=True)
class TrainConfig:
    """How long and on what terms.

    ``batch`` None takes all examples at once; ``patience`` None never stops early. The watched
    value is the validation objective without penalties, or the loss or metric named ``watch``;
    ``mode`` tells which direction is better. ``device_bytes`` is what training takes of a device's
    memory, without the data: so much is left free of them.
    """

    epochs: int
    batch: int | None = None
    seed: int = 0
    patience: int | None = None
    watch: str | None = None
    mode: Literal["min", "max"] = "min"
    device_bytes: int = 0

    def __post_init__(self) -> None:
        _at_least("epochs", self.epochs, 0)
        _at_least("batch", self.batch, 1)
        _at_least("patience", self.patience, 1)


@dataclass(frozen=True)
class ResumePoint:
    """Where a stopped run goes on: after ``epoch`` whole epochs, from ``state``."""

    state: Arrays
    epoch: int
    best: Best | None


def initial_state(module: Module, raw_train: Raw, seed: int) -> Arrays:
    """A fresh state, the data section's constants fitted on the training part."""
    # One NaN would spoil every fitted constant, and then no message could name its row.
    check_raw(raw_train, module, part="the training part")
    fit: Callable[[Raw, Arrays], Arrays] | None = getattr(module, "fit", None)
    with on_machine():
        state = module.init(seed=seed)
        return state if fit is None else fit(raw_train, state)


def resume_point(folder: RunFolder, module: Module) -> ResumePoint:
    """Where the run in a folder goes on. RunError when its checkpoints do not fit the model."""
    state, info = load_checkpoint(folder.last, module.signature)
    best = None
    if info.best_value is not None:
        kept, _ = load_checkpoint(folder.best, module.signature)
        best = Best(info.best_epoch, info.best_value, kept)
    return ResumePoint(state, info.epoch, best)


def step_sizes(signature: Signature, count: int, batch: int | None) -> tuple[int, int]:
    """Examples in a step, and steps in an epoch of ``count`` examples."""
    size = 1 if signature["batch"] is None else min(batch or count, count)
    return size, math.ceil(count / size)


def _at_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise RunError(f"{name} = {value} is too small", help=f"give {name} = {least} or more")
