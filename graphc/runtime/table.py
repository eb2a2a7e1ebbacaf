"""A table: named columns in memory, one row an example, and the checks that make it one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphc.runtime.errors import RunError
from graphc.runtime.face import Array, Arrays
from graphc.runtime.wording import count, listing

__all__ = [
    "MAX_CLASSES",
    "ColumnInfo",
    "Table",
    "column_info",
    "dtype_kind",
    "make_table",
    "table_from_arrays",
    "tidy",
]

MAX_CLASSES = 10_000
"""A text column with more distinct values than this is not a column of classes."""

Kind = Literal["real", "int", "bool", "text"]


@dataclass(frozen=True)
class ColumnInfo:
    """What the compiler needs to know of a raw column.

    ``shape`` is that of one example. ``classes`` are the distinct values of a text column, sorted;
    None for other columns and for a text column with more than MAX_CLASSES of them.
    """

    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Table:
    """Columns of ``length`` rows each; ``path`` names their origin in messages."""

    columns: Arrays
    length: int
    path: str

    def take(self, rows: NDArray[np.intp]) -> Arrays:
        """Copies of the given rows of every column."""
        return {name: column.take(rows, axis=0) for name, column in self.columns.items()}

    def describe(self) -> dict[str, ColumnInfo]:
        """What the compiler needs to know of each column."""
        return {name: column_info(column) for name, column in self.columns.items()}


def table_from_arrays(columns: Mapping[str, ArrayLike], origin: str = "the given data") -> Table:
    """A table of arrays, or of lists, that are in memory already. Nothing is copied needlessly."""
    arrays: Arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = np.asarray(values)
        except ValueError as problem:
            raise RunError(
                f"column {name} of {origin} is ragged: its rows differ in shape",
                help="give every row the same shape, by padding or by cutting",
            ) from problem
    return make_table(arrays, origin)


def make_table(columns: Mapping[str, Array], path: str) -> Table:
    """A table after the checks: there are columns, of known kinds, of one length, not empty."""
    tidied = {name: tidy(name, column, path) for name, column in columns.items()}
    length = common_length({name: column.shape for name, column in tidied.items()}, path)
    return Table(tidied, length, path)


def common_length(shapes: Mapping[str, tuple[int, ...]], path: str) -> int:
    """The number of rows that all columns share; RunError unless they do and it is not zero."""
    if not shapes:
        raise RunError(f"{path} holds no columns", help="save at least one named array in it")
    for name, shape in shapes.items():
        if not shape:
            raise RunError(
                f"column {name} of {path} is a single value, not one value a row",
                help="every array of a data file needs the examples along its first axis",
            )
    lengths = {name: shape[0] for name, shape in shapes.items()}
    if len(set(lengths.values())) > 1:
        told = listing([f"{name} has {length}" for name, length in lengths.items()])
        raise RunError(
            f"the columns of {path} differ in their number of rows: {told}",
            help="every array of a data file needs the same examples along its first axis",
        )
    length = next(iter(lengths.values()))
    if length == 0:
        raise RunError(f"{path} has no rows", help="a data file needs at least one example")
    return length


def tidy(name: str, column: Array, path: str) -> Array:
    """The column in native byte order; byte strings as text, long doubles as doubles."""
    kind = dtype_kind(name, column.dtype, path, objects_may_be_text=True)
    if kind == "text":
        return _as_text(name, column, path)
    if column.dtype.kind == "f" and column.dtype.itemsize > 8:
        return column.astype(np.float64)
    return column.astype(column.dtype.newbyteorder("="), copy=False)


def dtype_kind(
    name: str, dtype: np.dtype[Any], path: str, *, objects_may_be_text: bool = False
) -> Kind:
    """The kind of a column with this dtype; RunError for those that no model can read."""
    kinds: dict[str, Kind] = {
        "f": "real",
        "i": "int",
        "u": "int",
        "b": "bool",
        "U": "text",
        "S": "text",
        "T": "text",
    }
    if objects_may_be_text:
        kinds["O"] = "text"
    if dtype.kind in kinds:
        return kinds[dtype.kind]
    what = "Python objects" if dtype.hasobject else f"{dtype} values"
    raise RunError(
        f"column {name} of {path} holds {what}",
        help="save it as an array of numbers, booleans or text",
    )


def column_info(column: Array) -> ColumnInfo:
    """What the compiler needs to know of a column that is in memory."""
    kind = dtype_kind("", column.dtype, "")
    classes = text_classes(column) if kind == "text" else None
    return ColumnInfo(kind, dtype_name(column.dtype), column.shape[1:], classes)


def dtype_name(dtype: np.dtype[Any]) -> str:
    """NumPy's name of a dtype; ``text`` for text of any length."""
    return "text" if dtype.kind in "UST" else dtype.name


def text_classes(column: Array) -> tuple[str, ...] | None:
    """The distinct values, sorted by code point; None for more than MAX_CLASSES."""
    distinct = np.unique(column)
    return tuple(str(value) for value in distinct) if len(distinct) <= MAX_CLASSES else None


def _as_text(name: str, column: Array, path: str) -> Array:
    if column.dtype.kind == "O":
        _expect_strings(name, column.ravel().tolist(), path)
    if column.dtype.kind != "S":
        return column.astype(np.str_, copy=False)
    try:
        return np.strings.decode(column, "utf-8")
    except UnicodeDecodeError as problem:
        raise RunError(
            f"column {name} of {path} holds byte strings that are not UTF-8 text",
            help="save text as unicode, and binary data as uint8",
        ) from problem


def _expect_strings(name: str, values: Sequence[object], path: str) -> None:
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise RunError(
                f"column {name} of {path} holds Python objects: {count(row, 'text value')}, "
                f"then {type(value).__name__}",
                help="give it as an array of numbers, booleans or text",
            )
