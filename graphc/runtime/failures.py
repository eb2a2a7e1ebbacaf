"""Trainings that end before their time, with what they reached until then."""

from __future__ import annotations

from graphc.runtime.errors import RunError
from graphc.runtime.records import TrainResult

__all__ = ["DivergedError", "FailedError"]


class DivergedError(RunError):
    """Training ran into NaN or infinity. ``result`` is the run up to the last whole epoch."""

    def __init__(self, message: str, help: str, result: TrainResult) -> None:
        super().__init__(message, help)
        self.result = result


class FailedError(RunError):
    """Memory ran out in training, or the device failed; the model and its data may be right.
    ``result`` is the run up to the last whole epoch, on the host."""

    def __init__(self, message: str, help: str, result: TrainResult) -> None:
        super().__init__(message, help)
        self.result = result
