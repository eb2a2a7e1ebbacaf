"""What a module's functions raise on data that do not fit, or where the machine gives out, as an
error that a person can act on.

Most misfits are found before anything is computed; what is left are indices that come from the
data, and dimensions known only then. A device is known here by the names of what it raises.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from contextlib import contextmanager

from graphc.runtime.errors import RunError

__all__ = ["MachineError", "cannot_compute", "computing", "on_machine"]

_DEVICE_LIBRARIES = ("cupy", "cupy_backends")
"""Packages whose exceptions tell of a device."""
_FULL = ("cudaErrorMemoryAllocation", "STATUS_ALLOC_FAILED")
"""What those say, beside MemoryError, where its memory is full: CUDA itself, and its libraries."""


class MachineError(RunError):
    """Memory ran out, or a device failed. ``memory`` tells which: after the latter nothing can be
    asked of the device again."""

    def __init__(self, message: str, help: str, *, memory: bool) -> None:
        super().__init__(message, help)
        self.memory = memory


@contextmanager
def computing() -> Iterator[None]:
    """Around calls of a module's functions: an array operation that is refused is a RunError."""
    try:
        yield
    except (IndexError, ValueError) as problem:
        raise cannot_compute(problem) from problem
    except Exception as problem:
        _raise_of_machine(problem)
        raise


@contextmanager
def on_machine() -> Iterator[None]:
    """Around whatever needs much memory or a device: a MachineError where one of them gives out."""
    try:
        yield
    except Exception as problem:
        _raise_of_machine(problem)
        raise


def cannot_compute(problem: Exception) -> RunError:
    """The RunError for what NumPy says, with the line of the model where that is known."""
    return RunError(
        f"the model cannot be computed on these examples{_place(problem)}: {problem}",
        help="an index or a dimension that comes from the data is out of range",
    )


def _raise_of_machine(problem: Exception) -> None:
    """Raise the MachineError for a problem, where it is one of memory or of a device."""
    said = str(problem).strip().partition("\n")[0]
    device = _tells_of_device(problem)
    if isinstance(problem, MemoryError) or (device and any(word in said for word in _FULL)):
        raise _out_of_memory(said, device=device) from problem
    if device:
        raise MachineError(
            f"the device failed: {said or type(problem).__name__}",
            help="try again in a new process; nvidia-smi shows the state of the device, and "
            "--target numpy does without it",
            memory=False,
        ) from problem


def _out_of_memory(said: str, *, device: bool) -> MachineError:
    where = " on the device" if device else ""
    others = "nvidia-smi shows what else is there" if device else "close what else takes memory"
    return MachineError(
        f"there is not enough memory{where}{f': {said}' if said else ''}",
        help=f"use a smaller batch, model or data file; {others}",
        memory=True,
    )


def _tells_of_device(problem: Exception) -> bool:
    kinds = type(problem).__mro__
    return any(kind.__module__.partition(".")[0] in _DEVICE_LIBRARIES for kind in kinds)


def _place(problem: Exception) -> str:
    """``, at model.gc:7``, from the end of the comment behind the statement that failed."""
    trace = problem.__traceback__
    place = ""
    while trace is not None:
        line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        _, _, comment = line.rstrip().rpartition("  # ")
        last = comment.rpartition("  ")[2]
        if trace.tb_frame.f_code.co_filename.startswith("<graphc ") and _is_place(last):
            place = f", at {last}"
        trace = trace.tb_next
    return place


def _is_place(text: str) -> bool:
    """Whether a text ends with the number of a line."""
    name, _, number = text.rpartition(":")
    return bool(name) and number.isdecimal()
