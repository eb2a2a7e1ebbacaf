"""Predictions as records that a person can read: class names, original units, a row an example."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO, TypeAlias

import numpy as np

from graphc.runtime.atomic import json_ready
from graphc.runtime.computing import computing
from graphc.runtime.device import state_for_evaluation
from graphc.runtime.errors import RunError
from graphc.runtime.examples import load_examples
from graphc.runtime.face import Array, Arrays, Module, Raw, row_wise

__all__ = ["Record", "predict_table", "write_csv", "write_json"]

Record: TypeAlias = dict[str, Any]
"""Values of an example by column: a number, a class name, a list, or a dict by class name."""

_BATCH = 1024


def predict_table(module: Module, state: Arrays, raw: Raw, *, batch: int = _BATCH) -> list[Record]:
    """A record for each row of the raw columns; only columns that inputs read are needed.

    An output whose target is a label, and whose last dimension runs over its classes, becomes two
    entries: TARGET, the name of the class with the largest value (the first such output decides),
    and OUTPUT, a dict of values by class name. Other outputs are numbers or nested lists, in the
    original units where the model can go back to them. Outputs without a row an example are left
    out. Reals of float32 carry its shortest decimal form.
    """
    examples = load_examples(module, state, raw, part="the data", need_targets=False)
    names = row_wise(module.signature, "outputs")
    if not names:
        raise RunError(
            f"the model {module.signature['model']} has no output with a value for each example",
            help="declare one: output NAME = expression",
        )
    records: list[Record] = []
    single = module.signature["batch"] is None
    columns = _columns(module, names)
    there = state_for_evaluation(module, state)
    for arrays, _ in examples.batches(batch):
        with computing():
            outputs = module.predict(there, arrays)
        outputs = _restored(module, outputs, state)
        if single:
            outputs = {name: np.asarray(value)[None] for name, value in outputs.items()}
        records += _records(columns, outputs)
    return records


def write_csv(records: Sequence[Record], stream: TextIO) -> None:
    """The records as CSV: nested values become columns such as ``probs.cat`` and ``code.0``.

    Open the stream with ``newline=""``; lines end in a single line feed.
    """
    writer = csv.writer(stream, lineterminator="\n")
    for number, record in enumerate(records):
        flat = [pair for name, value in record.items() for pair in _flatten(name, value)]
        if number == 0:
            writer.writerow([name for name, _ in flat])
        writer.writerow([value for _, value in flat])


def write_json(records: Sequence[Record], stream: TextIO) -> None:
    """The records as a JSON array, one a line. NaN and infinities are null."""
    lines = [json.dumps(json_ready(r), ensure_ascii=False, allow_nan=False) for r in records]
    stream.write("[" + ",".join(f"\n  {line}" for line in lines) + "\n]\n")


@dataclass(frozen=True)
class _Column:
    """Entries of the records that come from one output; ``read`` gives one value an example."""

    name: str
    output: str
    read: Callable[[Array], list[Any]]


def _columns(module: Module, names: Sequence[str]) -> list[_Column]:
    columns: list[_Column] = []
    decided: set[str] = set()
    for name in names:
        target = module.signature["outputs"][name].get("target")
        classes = _classes(module, name, target)
        if classes is None or target is None:
            columns.append(_Column(name, name, _values))
            continue
        if target not in decided:
            decided.add(target)
            columns.append(_Column(target, name, _Winner(classes)))
        columns.append(_Column(name, name, _ByClass(classes)))
    return columns


def _classes(module: Module, name: str, target: str | None) -> list[str] | None:
    """The class names that the last dimension of an output runs over, if it does."""
    entry = module.signature["targets"].get(target, {})
    shape = module.signature["outputs"][name]["shape"]
    classes = entry.get("classes")
    if classes is None or not shape or shape[-1] != classes:
        return None
    return list(module.classes.get(target or "") or map(str, range(classes)))


@dataclass(frozen=True)
class _Winner:
    classes: list[str]

    def __call__(self, array: Array) -> list[Any]:
        winners: list[Any] = np.array(self.classes, dtype=object)[array.argmax(axis=-1)].tolist()
        return winners


@dataclass(frozen=True)
class _ByClass:
    classes: list[str]

    def __call__(self, array: Array) -> list[Any]:
        return [self._name(value) for value in _values(array)]

    def _name(self, value: list[Any]) -> Any:
        if value and isinstance(value[0], list):
            return [self._name(item) for item in value]
        return dict(zip(self.classes, value, strict=True))


def _values(array: Array) -> list[Any]:
    """Python values; the decimal form of a float32 becomes the double that prints the same."""
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        array = array.astype(np.str_).astype(np.float64)
    values: list[Any] = array.tolist()
    return values


def _restored(module: Module, outputs: Arrays, state: Arrays) -> Arrays:
    restore: Callable[[Arrays, Arrays], Arrays] | None = getattr(module, "restore", None)
    return outputs if restore is None else restore(outputs, state)


def _records(columns: Sequence[_Column], outputs: Mapping[str, Array]) -> Iterator[Record]:
    names = [column.name for column in columns]
    by_column = [column.read(np.asarray(outputs[column.output])) for column in columns]
    for values in zip(*by_column, strict=True):
        yield dict(zip(names, values, strict=True))


def _flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flatten(f"{name}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flatten(f"{name}.{index}", item)
    else:
        yield name, value
