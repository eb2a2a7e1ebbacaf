"""The data of a model as tables, and its training, validation and test parts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from graphc.model import ModelSpec
from graphc.runtime import (
    Arrays,
    ColumnInfo,
    Module,
    Place,
    RunError,
    Signature,
    Split,
    Table,
    check_raw,
    make_split,
    read,
    table_from_arrays,
)
from graphc.runtime.face import readers
from graphc.runtime.wording import listing

__all__ = [
    "PARTS",
    "DataLike",
    "Part",
    "Parts",
    "data_folder",
    "differ",
    "example_batch",
    "gathered",
    "make_parts",
    "only_column",
]

Part = Literal["train", "validation", "test", "all"]
PARTS: tuple[Part, ...] = ("train", "validation", "test", "all")
DataLike: TypeAlias = "str | Path | Mapping[str, ArrayLike] | Table"
"""Data given from outside: a file or arrays in place of what a model names, or the folder in which
the files that it names lie."""


@dataclass(frozen=True)
class Parts:
    """Raw columns by part; None for a part that the model does not ask for. ``tables`` are the
    files that they come from."""

    train: Arrays
    validation: Arrays | None
    test: Arrays | None
    tables: tuple[Table, ...]

    def part(self, name: Part, model: str) -> Arrays:
        found: Arrays | None = self.all if name == "all" else getattr(self, name)
        if found is None:
            there = [p for p in PARTS if p == "all" or getattr(self, p) is not None]
            raise RunError(
                f"the data of {model} has no {name} part",
                help=f"there is {listing(there)}; or give `split` in the data section a {name} "
                f"part, as in: split = shuffled{{{name} = 0.1}}",
            )
        return found

    @property
    def all(self) -> Arrays:
        """Every row of every file, in columns that all of them have."""
        first, *others = (table.columns for table in self.tables)
        if not others:
            return dict(first)
        shared = [name for name in first if all(name in other for other in others)]
        return {
            name: np.concatenate([first[name], *(other[name] for other in others)])
            for name in shared
        }

    def default(self) -> Part:
        """The part that tells most of how good a model is."""
        if self.test is not None:
            return "test"
        return "train" if self.validation is None else "validation"


def data_folder(data: DataLike | None) -> Path | None:
    """The folder that is meant when data are given as the path of one."""
    if isinstance(data, str | Path) and os.path.isdir(data):
        return Path(data)
    return None


def gathered(
    data: DataLike | None, arrays: Mapping[str, ArrayLike], column: str | None = None
) -> Table | None:
    """Data given as a file or as arrays, as one table; None when none were given. ``column`` is
    what to call the only array of a file that does not name it."""
    if data is not None and arrays:
        raise RunError("data are given twice, as `data` and as arrays", help="give one of them")
    if arrays:
        return table_from_arrays(arrays)
    if data is None or isinstance(data, Table):
        return data
    return table_from_arrays(data) if isinstance(data, Mapping) else read(data, column)


def differ(
    spec: ModelSpec, known: Mapping[str, ColumnInfo] | None, columns: Mapping[str, ColumnInfo]
) -> bool:
    """Whether columns are other ones than the model was compiled for, which are ``known``."""
    if known is None:
        return any(columns[name].kind == "text" for name in spec.data.columns)
    return any(_face(known.get(n)) != _face(columns[n]) for n in spec.data.columns)


def _face(info: ColumnInfo | None) -> tuple[Any, ...] | None:
    return None if info is None else (info.kind, info.shape, info.classes)


def only_column(signature: Signature) -> str | None:
    """The column that all inputs are made from, if it is one."""
    columns = [column for column, _ in readers(signature, list(signature["inputs"]))]
    return columns[0] if len(columns) == 1 else None


def make_parts(spec: ModelSpec, module: Module, data: Table | None, place: Place) -> Parts:
    """The parts of the given data, or of what the model itself names."""
    tables = _own_tables(spec, place) if data is None else {"train": data}
    for given in tables.values():
        check_raw(given.columns, module, part=given.path)
        _expect_labels(spec, given)
    parts = {name: dict(table.columns) for name, table in tables.items()}
    split = _split(spec, module, tables)
    if split is not None:
        parts["train"] = tables["train"].take(split.train)
        for name, rows in (("validation", split.validation), ("test", split.test)):
            if len(rows):
                parts[name] = tables["train"].take(rows)
    return Parts(parts["train"], parts.get("validation"), parts.get("test"), tuple(tables.values()))


def example_batch(spec: ModelSpec, module: Module) -> Arrays | None:
    """The example values as a batch; None unless every input and target has one."""
    batch: Arrays = {}
    for name, info in spec.inputs.items():
        if info.example is None:
            return None
        kind = module.REAL if info.type.kind == "real" else _DTYPES[info.type.kind]
        batch[name] = np.array(info.example, dtype=kind)
    return batch


_DTYPES: dict[str, Any] = {"int": np.int64, "label": np.int64, "bool": np.bool_}


def _own_tables(spec: ModelSpec, place: Place) -> dict[str, Table]:
    """The tables that the model names, by the part that they are before any split."""
    files = spec.data.files
    if files:
        named = {"train": files.get("file", files.get("train", "")), **files}
        return {part: place.read(named[part]) for part in PARTS if part in named}
    if spec.data.arrays:
        origin = f"the data section of {spec.path}"
        return {"train": table_from_arrays(spec.data.arrays, origin)}
    return {"train": _example_table(spec)}


def _example_table(spec: ModelSpec) -> Table:
    """The example values as the only example, or the only batch."""
    missing = [name for name, info in spec.inputs.items() if info.example is None]
    if missing:
        raise RunError(
            f"{spec.name} names no data",
            help='name it in the model, data { file = "…" }, or give a file with --data; from '
            f"Python also as arrays: {', '.join(spec.inputs)}",
        )
    lead = (slice(None),) if spec.batch else (None,)
    columns = {name: np.asarray(info.example)[lead] for name, info in spec.inputs.items()}
    origin = f"the example values of {spec.path}"
    return table_from_arrays(columns, origin) if columns else Table({}, 1, origin)


def _expect_labels(spec: ModelSpec, table: Table) -> None:
    """Numbers that targets read as labels are labels. Asked of the whole file, as for NaN, so
    that messages name its rows."""
    graph = spec.prepare.graph
    for (role, name), id in spec.prepare.roots.items():
        classes = spec.inputs[name].type.classes if role == "batch" else None
        read = graph[id]
        if classes is not None and read.op.name == "column" and read.name in table.columns:
            _expect_range(name, classes, read.name, table)


def _expect_range(name: str, classes: int, column: str, table: Table) -> None:
    values = table.columns[column]
    if values.dtype.kind not in "iuf":
        return
    wrong = (values < 0) | (values >= classes) | (values != np.floor(values))
    if not wrong.any():
        return
    where = np.unravel_index(int(np.argmax(wrong)), values.shape)
    raise RunError(
        f"label {values[where]} in row {where[0]} of column {column} of {table.path}, "
        f"but {name}: label{{{classes}}} allows 0..{classes - 1}",
        help="correct the label, or declare more classes; rows are counted from 0",
    )


def _split(spec: ModelSpec, module: Module, tables: Mapping[str, Table]) -> Split | None:
    """The rows of the training table that go to each part; None where all of them train."""
    options = spec.data.split
    if options is None:
        return None
    table = tables["train"]
    labels = None
    if options["kind"] == "stratified":
        column = _label_column(module.signature)
        labels = None if column is None else table.columns[column]
    return make_split(
        options["kind"],
        table.length,
        validation=options["validation"],
        test=options["test"],
        seed=options.get("seed", 0),
        labels=labels,
    )


def _label_column(signature: Signature) -> str | None:
    """The column that the first label target reads."""
    for name, entry in signature["targets"].items():
        if entry["kind"] == "label":
            for column, readers in signature["columns"].items():
                if name in readers:
                    return str(column)
    return None
