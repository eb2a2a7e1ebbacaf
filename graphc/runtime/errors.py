"""The one error that the runtime raises for what a person can put right."""

from __future__ import annotations

__all__ = ["RunError"]


class RunError(Exception):
    """Something is wrong with the data, a checkpoint, a run folder or the training itself.

    ``message`` says what is wrong and where, ``help`` what to do about it (it may be empty).
    """

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help
