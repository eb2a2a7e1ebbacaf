"""Data files: what is in one, or in several that belong together, and all of it as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from graphc.runtime.csv_file import read_csv
from graphc.runtime.errors import RunError
from graphc.runtime.idx_file import describe_idx, is_idx, read_idx
from graphc.runtime.npz_file import describe_npz, read_npz
from graphc.runtime.table import (
    ColumnInfo,
    Table,
    common_length,
    dtype_kind,
    dtype_name,
    make_table,
    table_from_arrays,
)
from graphc.runtime.wording import listing

__all__ = [
    "ColumnInfo",
    "Table",
    "describe",
    "describe_columns",
    "read",
    "read_columns",
    "table_from_arrays",
]


@dataclass(frozen=True)
class _Format:
    read: Callable[[Path], Table]
    describe: Callable[[Path], dict[str, ColumnInfo]]


_FORMATS = {
    ".npz": _Format(read_npz, describe_npz),
    ".csv": _Format(read_csv, lambda path: read_csv(path).describe()),
}


def read(path: str | Path, column: str | None = None) -> Table:
    """All columns of a data file. RunError for one that is missing, unknown, damaged or empty.

    An IDX file holds one array without a name: ``column`` is what to call it.
    """
    path = Path(path)
    _expect_file(path)
    if column is not None and path.suffix.lower() not in _FORMATS and is_idx(path):
        return read_columns({column: path})
    return _format(path).read(path)


def describe(path: str | Path) -> dict[str, ColumnInfo]:
    """The kinds and shapes of the columns, read from headers where the format has them."""
    path = Path(path)
    _expect_file(path)
    return _format(path).describe(path)


def read_columns(files: Mapping[str, Path]) -> Table:
    """Columns that lie in an IDX file each, as one table. Bytes stay bytes."""
    for path in files.values():
        _expect_file(path)
    # The headers tell whether the files belong together before much is read.
    describe_columns(files)
    return make_table({name: read_idx(path) for name, path in files.items()}, _origin(files))


def describe_columns(files: Mapping[str, Path]) -> dict[str, ColumnInfo]:
    """The same columns by their headers."""
    described: dict[str, ColumnInfo] = {}
    lengths: dict[str, tuple[int, ...]] = {}
    for name, path in files.items():
        _expect_file(path)
        shape, dtype = describe_idx(path)
        lengths[name] = shape
        kind = dtype_kind(name, dtype, str(path))
        described[name] = ColumnInfo(kind, dtype_name(dtype), shape[1:])
    common_length(lengths, _origin(files))
    return described


def _origin(files: Mapping[str, Path]) -> str:
    return listing(str(path) for path in files.values())


def _format(path: Path) -> _Format:
    known = _FORMATS.get(path.suffix.lower())
    if known is not None:
        return known
    if is_idx(path):
        raise RunError(
            f"{path} is an IDX file, which holds one array without a name",
            help='name the columns in the data section: train = idx{images = "…", labels = "…"}',
        )
    raise RunError(
        f"unknown kind of data file: {path}",
        help=f"known are files that end in {listing(_FORMATS)}, and IDX files as idx{{…}}",
    )


def _expect_file(path: Path) -> None:
    """Asked before anything is opened: reading a pipe would wait for ever."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as problem:
        raise RunError(f"there is no data file {path}", help="check the path") from problem
    if path.is_dir():
        raise RunError(f"{path} is a folder, not a data file", help="give the path of the file")
    if not path.is_file():
        raise RunError(f"{path} is not a regular file", help="save the data as a file")
    if size == 0:
        raise RunError(f"{path} is empty", help="write it again")
