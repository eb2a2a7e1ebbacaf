"""What a module's functions raise on data that do not fit, as an error that a person can act on.

Most misfits are found before anything is computed; what is left are indices that come from the
data, and dimensions known only then.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from contextlib import contextmanager

from graphc.runtime.errors import RunError

__all__ = ["cannot_compute", "computing"]


@contextmanager
def computing() -> Iterator[None]:
    """Around calls of a module's functions: an array operation that is refused is a RunError."""
    try:
        yield
    except (IndexError, ValueError) as problem:
        raise cannot_compute(problem) from problem


def cannot_compute(problem: Exception) -> RunError:
    """The RunError for what NumPy says, with the line of the model where that is known."""
    return RunError(
        f"the model cannot be computed on these examples{_place(problem)}: {problem}",
        help="an index or a dimension that comes from the data is out of range",
    )


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
