"""Does the data fit the model? Asked after the file is read and again after `prepare`.

Rows are counted from 0, as NumPy does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.runtime.errors import RunError
from graphc.runtime.face import Array, Arrays, Module, Raw, Signature, readers
from graphc.runtime.wording import did_you_mean, listing, type_text

__all__ = ["check_batch", "check_raw", "required_names", "select_columns"]


def required_names(signature: Signature, need_targets: bool) -> list[str]:
    """The inputs, and the targets where they are needed."""
    return [*signature["inputs"], *(signature["targets"] if need_targets else ())]


def select_columns(raw: Raw, signature: Signature, *, need_targets: bool = True) -> Arrays:
    """The columns that the model reads. RunError when one is not there.

    With ``need_targets`` false, the columns that only targets read are left out.
    """
    names = required_names(signature, need_targets)
    selected: Arrays = {}
    for column, read_by in readers(signature, names):
        if column not in raw:
            readers_named = f", which {listing(read_by)} read{'s' if len(read_by) == 1 else ''}"
            raise RunError(
                f"there is no column {column}{'' if read_by == [column] else readers_named}",
                help=f"{did_you_mean(column, raw)}the data has {listing(raw)}",
            )
        selected[column] = raw[column]
    return selected


def check_raw(
    raw: Raw, module: Module, *, need_targets: bool = True, part: str = "the data"
) -> None:
    """The raw columns that the model reads are there, finite, and of known classes.

    Ask this of a whole file before it is split, so that the rows in messages are those of the
    file, and before constants are fitted, because one NaN would spoil them all.
    """
    selected = select_columns(raw, module.signature, need_targets=need_targets)
    for column, values in selected.items():
        _expect_finite(column, values, part, None)
    for column, read_by in readers(
        module.signature, required_names(module.signature, need_targets)
    ):
        for name in read_by:
            if module.classes.get(name):
                _expect_known_classes(column, selected[column], module.classes[name])
            else:
                _expect_numbers(column, selected[column], name, module.signature)


def check_batch(
    arrays: Arrays,
    signature: Signature,
    *,
    need_targets: bool = True,
    part: str = "the data",
    rows: Array | None = None,
) -> None:
    """Every input and target after `prepare` has the declared shape and values.

    In a model without a batch the arrays have a leading axis of examples all the same.
    Symbolic dimensions must agree across arrays. ``rows`` maps positions in the arrays to row
    numbers for messages.
    """
    bound: dict[str, tuple[int, str]] = {}
    for group in ("inputs", "targets"):
        for name, entry in signature[group].items():
            if name in arrays:
                _check_shape(name, arrays[name], entry, signature, bound)
                _check_values(name, arrays[name], entry, part, rows)
            elif group == "inputs" or need_targets:
                raise RunError(
                    f"the data gives no values for {_called(name, signature)}",
                    help=f"the data section must set {name} from columns of the file",
                )


def _check_shape(
    name: str,
    array: Array,
    entry: Mapping[str, Any],
    signature: Signature,
    bound: dict[str, tuple[int, str]],
) -> None:
    declared = list(entry["shape"])
    dimensions = [_EXAMPLES, *declared] if signature["batch"] is None else declared
    fits = array.ndim == len(dimensions) and all(
        size == dimension
        for size, dimension in zip(array.shape, dimensions, strict=True)
        if isinstance(dimension, int)
    )
    if not fits:
        wanted = type_text(entry["kind"], declared, entry.get("classes"))
        raise RunError(
            f"{_called(name, signature)} is {wanted} in the model "
            f"but the file has {_per_example(array)}",
            help="change the type in the model, or the equation in its data section",
        )
    for size, dimension in zip(array.shape, dimensions, strict=True):
        if not isinstance(dimension, int):
            _bind(dimension, size, name, bound)


_EXAMPLES = "the number of examples"


def _bind(dimension: str, size: int, name: str, bound: dict[str, tuple[int, str]]) -> None:
    known, origin = bound.setdefault(dimension, (size, name))
    if known != size:
        raise RunError(
            f"{dimension} is {known} in {origin} but {size} in {name}",
            help="arrays that share a dimension must agree on its size",
        )


def _per_example(array: Array) -> str:
    if array.ndim == 0:
        return "a single value in all"
    if array.ndim == 1:
        return "one value per example"
    if array.ndim == 2:
        return f"{array.shape[1]} values per example"
    return f"values of shape {list(array.shape[1:])} per example"


def _check_values(
    name: str, array: Array, entry: Mapping[str, Any], part: str, rows: Array | None
) -> None:
    kind = entry["kind"]
    if array.dtype.kind not in "biuf":
        raise RunError(
            f"{name} is {kind} in the model but the file has text",
            help="only a label can be read from text",
        )
    if array.dtype.kind == "f":
        _expect_finite(name, array, part, rows)
    if kind in ("int", "label") and array.dtype.kind == "f":
        _expect_whole(name, array, kind, part, rows)
    if kind == "label":
        _expect_labels(name, array, int(entry["classes"]), entry["shape"], part, rows)


def _expect_finite(name: str, array: Array, part: str, rows: Array | None) -> None:
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array)
    if finite.all():
        return
    where = np.unravel_index(int(np.argmin(finite)), array.shape)
    what = "NaN" if np.isnan(array[where]) else "an infinite value"
    raise RunError(
        f"{name} has {what} in row {_row(where, rows)} of {part}",
        help="correct the value, or leave the row out; rows are counted from 0",
    )


def _expect_whole(name: str, array: Array, kind: str, part: str, rows: Array | None) -> None:
    whole = array == np.floor(array)
    if whole.all():
        return
    where = np.unravel_index(int(np.argmin(whole)), array.shape)
    raise RunError(
        f"{name} is {kind} in the model "
        f"but has {array[where]} in row {_row(where, rows)} of {part}",
        help="give it whole numbers, or declare it real",
    )


def _expect_labels(
    name: str, array: Array, classes: int, shape: Sequence[object], part: str, rows: Array | None
) -> None:
    if array.size == 0 or (array.min() >= 0 and array.max() < classes):
        return
    outside = (array < 0) | (array >= classes)
    where = np.unravel_index(int(np.argmax(outside)), array.shape)
    raise RunError(
        f"label {array[where]} in row {_row(where, rows)} of {name} in {part}, "
        f"but {name}: {type_text('label', shape, classes)} allows 0..{classes - 1}",
        help="correct the label, or declare more classes",
    )


def _expect_known_classes(column: str, values: Array, classes: Sequence[str]) -> None:
    if values.dtype.kind not in "UST":
        raise RunError(
            f"column {column} holds {values.dtype.name} values, "
            "but the model knows its classes by name",
            help=f"the classes are {listing(classes)}",
        )
    known = set(classes)
    unknown = [text for text in map(str, np.unique(values)) if text not in known]
    if unknown:
        row = int(np.argmax((values.reshape(len(values), -1) == unknown[0]).any(axis=1)))
        raise RunError(
            f"unknown class '{unknown[0]}' in row {row} of column {column}",
            help=f"{did_you_mean(unknown[0], classes)}the model knows {listing(classes)}",
        )


def _expect_numbers(column: str, values: Array, name: str, signature: Signature) -> None:
    if values.dtype.kind not in "UST":
        return
    entry = {**signature["inputs"], **signature["targets"]}[name]
    wanted = type_text(entry["kind"], entry["shape"], entry.get("classes"))
    raise RunError(
        f"column {column} holds text, '{_first_text(values)}' for one, but {name} is {wanted}",
        help="give it numbers; a number has a point in it, not a comma",
    )


def _first_text(values: Array) -> str:
    """The first value that is not a number, or else the first."""
    texts = [str(value) for value in values.ravel()[:1000]]
    return next((text for text in texts if not _is_number(text)), texts[0])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _row(where: tuple[Any, ...], rows: Array | None) -> int:
    position = int(where[0]) if where else 0
    return position if rows is None else int(rows[position])


def _called(name: str, signature: Signature) -> str:
    """The name, with the raw columns behind it where they are called otherwise."""
    columns = [column for column, read_by in signature["columns"].items() if name in read_by]
    if not columns or columns == [name]:
        return name
    return f"{name} (from {listing(columns)})"
