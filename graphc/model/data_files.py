"""The data section's files and its split: which files hold which part of the data.

A part is one file that names its columns itself (``train = "a.csv"``), or an IDX file for each
column (``train = idx{images = "a.gz", labels = "b.gz"}``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from graphc.language import tree
from graphc.model import values
from graphc.model.frame import nearest
from graphc.model.meanings import POISON
from graphc.model.section import SectionReader
from graphc.model.settings import FILE_KEYS, is_idx, read_settings

__all__ = [
    "Files",
    "check_columns",
    "check_files",
    "check_split",
    "columns_named",
    "named_files",
]

Files: TypeAlias = str | dict[str, str]
"""The path of a file with named columns, or the path of an IDX file for each column."""

SPLIT_OPTIONS = ("validation", "test", "seed")
SPLITS = {
    "shuffled": SPLIT_OPTIONS,
    "stratified": SPLIT_OPTIONS,
    "ordered": SPLIT_OPTIONS[:2],
}


def check_files(reader: SectionReader, entries: Mapping[str, tree.Expr]) -> dict[str, Files]:
    """The files by key; what is wrong with them is in the diagnostics."""
    found = {key: _files(reader, key, entries[key]) for key in FILE_KEYS if key in entries}
    if "file" in entries and "train" in entries:
        reader.frame.error("E511", "`file` and `train` are both given", entries["train"].span)
    for key in ("validation", "test"):
        if key in entries and "train" not in entries:
            reader.frame.error(
                "E511",
                f"`{key}` needs `train`: the file to train on",
                entries[key].span,
                help="a part of one file is asked for by `split`" if "file" in entries else "",
            )
    return {key: files for key, files in found.items() if files is not None}


def columns_named(files: Mapping[str, Files]) -> Collection[str] | None:
    """Names of the training columns where the section tells them; a file of its own has them."""
    training = files.get("train", files.get("file"))
    return training if isinstance(training, dict) else None


def check_columns(
    reader: SectionReader,
    entries: Mapping[str, tree.Expr],
    files: Mapping[str, Files],
    columns: Mapping[str, Collection[str]],
) -> None:
    """Every part that names a file for each column names all that inputs and targets read."""
    for key, part in files.items():
        missing = [] if isinstance(part, str) else [name for name in columns if name not in part]
        if missing:
            reader.frame.error(
                "E520",
                f"`{key}` names no file for column `{missing[0]}`",
                entries[key].span,
                help=f"needed for: {', '.join(columns[missing[0]])}",
            )


def check_split(reader: SectionReader, entries: Mapping[str, tree.Expr]) -> dict[str, Any] | None:
    """The split as ``{"kind": …, options…}``; None where there is none, or after an error."""
    if "split" not in entries:
        return None
    expr = entries["split"]
    found = reader.options(expr, SPLITS, "split")
    if found is None:
        return None
    kind, given = found
    split: dict[str, Any] = {"kind": kind, "validation": 0, "test": 0, "seed": 0}
    for name, value in given.items():
        number = reader.number(name, value, whole=name == "seed")
        if number is None:
            return None
        if isinstance(number, float) and number >= 1 and not number.is_integer():
            reader.frame.error("E503", f"`{name}` is a fraction or a number of rows", value.span)
            return None
        split[name] = number
        if name in entries and name != "seed" and number:
            reader.frame.error(
                "E518",
                f"the {name} part is given twice: by `{name} =` and by the split",
                value.span,
                help=f"leave `{name}` out of the split",
            )
            return None
    shares = [v for v in (split["validation"], split["test"]) if 0 < v < 1]
    if sum(shares) >= 1:
        reader.frame.error("E512", "the split leaves nothing to train on", expr.span)
        return None
    return split


def named_files(file: tree.File, sets: Mapping[str, str]) -> dict[str, Files]:
    """The files of a text that is not checked yet, as far as they are written out."""
    values = {
        entry.name.name: entry.value
        for statement in file.statements
        if isinstance(statement, tree.Section) and statement.kind == "data"
        for entry in statement.entries
        if isinstance(entry, tree.Entry)
    }
    keys = {f"data.{key}": key for key in FILE_KEYS}
    given = read_settings({name: text for name, text in sets.items() if name in keys})
    values.update({keys[name]: setting.as_file for name, setting in given.items()})
    found = {key: _written(values[key]) for key in FILE_KEYS if key in values}
    return {key: files for key, files in found.items() if files is not None}


def _written(expr: tree.Expr) -> Files | None:
    if isinstance(expr, tree.Text):
        return expr.value
    if not is_idx(expr):
        return None
    files = {
        argument.name: argument.value.value
        for argument in expr.attributes or ()
        if argument.name is not None and isinstance(argument.value, tree.Text)
    }
    return files if files and len(files) == len(expr.attributes or ()) else None


def _files(reader: SectionReader, key: str, expr: tree.Expr) -> Files | None:
    if is_idx(expr):
        return _idx(reader, expr)
    if isinstance(expr, tree.Apply):
        _not_a_file(reader, key, expr, nearest(expr.name, ["idx"]))
        return None
    value = values.constant(reader.frame, reader.scope, expr, f"`{key}`")
    if isinstance(value, str):
        return value
    if value is not POISON:
        _not_a_file(reader, key, expr)
    return None


def _not_a_file(reader: SectionReader, key: str, expr: tree.Expr, hint: str = "") -> None:
    reader.frame.error(
        "E503",
        f"`{key}` is a text, the path of a file, or idx{{…}} with a file for each column",
        expr.span,
        help=hint,
    )


def _idx(reader: SectionReader, expr: tree.Apply) -> dict[str, str] | None:
    files: dict[str, str] = {}
    for argument in expr.attributes or ():
        path = values.constant(reader.frame, reader.scope, argument.value, "a path")
        if path is POISON:
            return None
        if argument.name is None or argument.name in files or not isinstance(path, str):
            twice = argument.name in files
            reader.frame.error(
                "E519",
                f"column `{argument.name}` is given twice"
                if twice
                else 'each file of idx{…} is a column: NAME = "path"',
                argument.span,
                help="" if twice else 'for one: idx{images = "train-images-idx3-ubyte.gz"}',
            )
            return None
        files[argument.name] = path
    if not files:
        reader.frame.error(
            "E519",
            "idx{…} names no file",
            expr.span,
            help='name each column and its file: idx{images = "train-images-idx3-ubyte.gz"}',
        )
    return files or None
