"""The data of a model as tables, and its training, validation and test parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from graphc.model import ModelSpec
from graphc.runtime import (
    Arrays,
    Module,
    RunError,
    Signature,
    Split,
    Table,
    check_raw,
    make_split,
    read,
    table_from_arrays,
)
from graphc.runtime.wording import listing

__all__ = ["PARTS", "DataLike", "Part", "Parts", "example_batch", "given_table", "make_parts"]

Part = Literal["train", "validation", "test", "all"]
PARTS: tuple[Part, ...] = ("train", "validation", "test", "all")
DataLike: TypeAlias = "str | Path | Mapping[str, ArrayLike] | Table"


@dataclass(frozen=True)
class Parts:
    """Raw columns by part; None for a part that the model does not ask for."""

    train: Arrays
    validation: Arrays | None
    test: Arrays | None
    all: Arrays

    def part(self, name: Part, model: str) -> Arrays:
        found: Arrays | None = getattr(self, name)
        if found is None:
            there = [part for part in PARTS if getattr(self, part) is not None]
            raise RunError(
                f"the data of {model} has no {name} part",
                help=f"there is {listing(there)}; or give `split` in the data section a {name} "
                f"part, as in: split = shuffled{{{name} = 0.1}}",
            )
        return found

    def default(self) -> Part:
        """The part that tells most of how good a model is."""
        if self.test is not None:
            return "test"
        return "train" if self.validation is None else "validation"


def given_table(data: DataLike) -> Table:
    """A file, or arrays by name, as a table."""
    if isinstance(data, Table):
        return data
    if isinstance(data, Mapping):
        return table_from_arrays(data)
    return read(data)


def make_parts(spec: ModelSpec, module: Module, data: Table | None, base: Path) -> Parts:
    """The parts of the given data, or of what the model itself names."""
    table, test = (data, None) if data is not None else _own_tables(spec, base)
    for given in (table, test):
        if given is not None:
            check_raw(given.columns, module, part=given.path)
            _expect_labels(spec, given)
    split = _split(spec, module, table, has_test_file=test is not None)
    if split is None:
        tested = None if test is None else dict(test.columns)
        return Parts(dict(table.columns), None, tested, dict(table.columns))
    return Parts(
        train=table.take(split.train),
        validation=table.take(split.validation) if len(split.validation) else None,
        test=_test_part(table, test, split),
        all=dict(table.columns),
    )


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


def _own_tables(spec: ModelSpec, base: Path) -> tuple[Table, Table | None]:
    """The training table and, where there is one, the test table that the model names."""
    files = spec.data.files
    if files:
        test = read(base / files["test"]) if "test" in files else None
        return read(base / files.get("file", files.get("train", ""))), test
    if spec.data.arrays:
        return table_from_arrays(spec.data.arrays, f"the data section of {spec.path}"), None
    return _example_table(spec), None


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


def _split(spec: ModelSpec, module: Module, table: Table, *, has_test_file: bool) -> Split | None:
    options = spec.data.split
    if options is None:
        return None
    if has_test_file and options["test"]:
        raise RunError(
            "the data section names a test file, and its split asks for a test part too",
            help="leave `test` out of the split",
        )
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


def _test_part(table: Table, test: Table | None, split: Split) -> Arrays | None:
    if test is not None:
        return dict(test.columns)
    return table.take(split.test) if len(split.test) else None
