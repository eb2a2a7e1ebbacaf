"""Reading .csv files: UTF-8 text, a line of column names, then one row an example.

The separator (comma, semicolon or tab) is the one that the header line uses most. A column is
integers or reals when every cell is a number, and text otherwise; spaces around a cell do not
count. There are no missing values: an empty cell is an error that names its place.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphc.runtime.errors import RunError
from graphc.runtime.face import Array
from graphc.runtime.table import Table, make_table
from graphc.runtime.wording import count

__all__ = ["read_csv"]

_INTEGER = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_MISSING = frozenset({"", "-", "?", "na", "n/a", "#n/a", "null", "none"})
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class _Lines:
    """The cells of a file, column by column, and the line of the file where each row starts."""

    names: list[str]
    columns: list[tuple[str, ...]]
    lines: list[int]


def read_csv(path: Path) -> Table:
    """The columns of the file: int64, float64 or text."""
    try:
        cells = _cells(path)
    except UnicodeDecodeError as problem:
        raise RunError(
            f"{path} is not UTF-8 text (byte {problem.start} cannot be read)",
            help="save it as 'CSV UTF-8'",
        ) from problem
    except OSError as problem:
        raise RunError(f"cannot read {path}: {problem.strerror or problem}") from problem
    columns = {
        name: _column(name, values, cells.lines, path)
        for name, values in zip(cells.names, cells.columns, strict=True)
    }
    return make_table(columns, str(path))


def _cells(path: Path) -> _Lines:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        rows = _rows(csv.reader(file, delimiter=_separator(header), strict=True), path)
        first = next(rows, None)
        if first is None:
            raise RunError(f"{path} is empty", help="its first line must name the columns")
        names = _names(first[1], path)
        lines: list[int] = []
        records: list[list[str]] = []
        for line, record in rows:
            if len(record) != len(names):
                raise RunError(
                    f"line {line} of {path} has {count(len(record), 'cell')}, "
                    f"but the header names {count(len(names), 'column')}",
                    help="quote a cell that holds the separator",
                )
            lines.append(line)
            records.append(record)
    if not records:
        raise RunError(f"{path} has no rows below its header", help="add at least one example")
    return _Lines(names, list(zip(*records, strict=True)), lines)


def _separator(header: str) -> str:
    """The separator that stands most often outside quotes; a comma when there is none."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(",;\t", key=bare.count)


def _rows(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, its cells stripped, with the line where it starts."""
    line = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            raise RunError(
                f"line {line} of {path} cannot be read: {problem}",
                help='look for a quote that is not closed; a quote in a cell is written ""',
            ) from problem
        if record:
            yield line, [cell.strip() for cell in record]
        line = reader.line_num + 1  # type: ignore[attr-defined]


def _names(header: list[str], path: Path) -> list[str]:
    seen: set[str] = set()
    for position, name in enumerate(header, start=1):
        if not name:
            raise RunError(
                f"column {position} of {path} has no name", help="name it in the first line"
            )
        if name in seen:
            raise RunError(
                f"{path} has two columns named {name}", help="give each column its own name"
            )
        seen.add(name)
    if all(_REAL.fullmatch(name) for name in header):
        raise RunError(
            f"the first line of {path} holds numbers, not the names of the columns",
            help="add a header line",
        )
    return header


def _column(name: str, cells: Sequence[str], lines: Sequence[int], path: Path) -> Array:
    for cell, line in zip(cells, lines, strict=True):
        if not cell:
            raise _missing(name, cell, line, path)
    numbers = _numbers(cells)
    if numbers is not None:
        _expect_finite(name, numbers, cells, lines, path)
        return numbers
    _expect_no_gap_among_numbers(name, cells, lines, path)
    return np.array(cells, dtype=np.str_)


def _numbers(cells: Sequence[str]) -> Array | None:
    """The cells as int64 or float64; None unless all are numbers (NaN and infinities count)."""
    if all(map(_INTEGER.fullmatch, cells)):
        # Python refuses to read absurdly long integers: past 25 digits none fits anyway.
        integers = [int(cell) if len(cell) < 25 else _INT64.stop for cell in cells]
        if all(value in _INT64 for value in integers):
            return np.array(integers, dtype=np.int64)
    if all(_REAL.fullmatch(cell) or _NOT_FINITE.fullmatch(cell) for cell in cells):
        if all(_NOT_FINITE.fullmatch(cell) for cell in cells):
            return None
        return np.array([float(cell) for cell in cells], dtype=np.float64)
    return None


def _expect_finite(
    name: str, numbers: Array, cells: Sequence[str], lines: Sequence[int], path: Path
) -> None:
    finite = np.isfinite(numbers)
    if finite.all():
        return
    row = int(np.argmin(finite))
    if math.isnan(float(numbers[row])):
        raise _missing(name, cells[row], lines[row], path)
    raise RunError(
        f"column {name} has {cells[row]} in line {lines[row]} of {path}, which is not finite",
        help="correct the value, or leave the row out",
    )


def _expect_no_gap_among_numbers(
    name: str, cells: Sequence[str], lines: Sequence[int], path: Path
) -> None:
    """A column of numbers with the odd ``NA`` is not text: it lacks values."""
    odd = [row for row, cell in enumerate(cells) if not _REAL.fullmatch(cell)]
    if len(odd) < len(cells) and all(cells[row].lower() in _MISSING for row in odd):
        raise _missing(name, cells[odd[0]], lines[odd[0]], path)


def _missing(name: str, cell: str, line: int, path: Path) -> RunError:
    what = f"'{cell}'" if cell else "an empty cell"
    return RunError(
        f"column {name} has {what} in line {line} of {path}: the value is missing",
        help="fill it in, or leave the row out",
    )
