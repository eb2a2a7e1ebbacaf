"""Data files: what is in one, and all of it as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graphc.runtime.csv_file import read_csv
from graphc.runtime.errors import RunError
from graphc.runtime.npz_file import describe_npz, read_npz
from graphc.runtime.table import ColumnInfo, Table, table_from_arrays
from graphc.runtime.wording import listing

__all__ = ["ColumnInfo", "Table", "describe", "read", "table_from_arrays"]


@dataclass(frozen=True)
class _Format:
    read: Callable[[Path], Table]
    describe: Callable[[Path], dict[str, ColumnInfo]]


_FORMATS = {
    ".npz": _Format(read_npz, describe_npz),
    ".csv": _Format(read_csv, lambda path: read_csv(path).describe()),
}


def read(path: str | Path) -> Table:
    """All columns of a data file. RunError for one that is missing, unknown, damaged or empty."""
    path = Path(path)
    return _format(path).read(path)


def describe(path: str | Path) -> dict[str, ColumnInfo]:
    """The kinds and shapes of the columns, read from headers where the format has them."""
    path = Path(path)
    return _format(path).describe(path)


def _format(path: Path) -> _Format:
    known = _FORMATS.get(path.suffix.lower())
    if known is None:
        raise RunError(
            f"unknown kind of data file: {path}",
            help=f"known are files that end in {listing(_FORMATS)}",
        )
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as problem:
        raise RunError(
            f"there is no data file {path}", help="check the path; it is relative to the model file"
        ) from problem
    if path.is_dir():
        raise RunError(f"{path} is a folder, not a data file", help="give the path of the file")
    if not path.is_file():
        raise RunError(f"{path} is not a regular file", help="save the data as a file")
    if size == 0:
        raise RunError(f"{path} is empty", help="write it again")
    return known
