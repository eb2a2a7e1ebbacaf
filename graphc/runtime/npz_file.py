"""Reading .npz files: named arrays in a zip archive, never pickled objects."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from graphc.runtime.errors import RunError
from graphc.runtime.face import Array
from graphc.runtime.table import (
    ColumnInfo,
    Table,
    column_info,
    common_length,
    dtype_kind,
    dtype_name,
    make_table,
    tidy,
)

__all__ = ["describe_npz", "read_npz"]

_SUFFIX = ".npy"


def read_npz(path: Path) -> Table:
    """The arrays of the file as they lie there: bytes stay bytes."""
    with _archive(path) as archive:
        columns = {name: _array(archive, name, path) for name in _names(archive, path)}
    return make_table(columns, str(path))


def describe_npz(path: Path) -> dict[str, ColumnInfo]:
    """The columns of the file from the headers of its arrays; only text is read whole."""
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, np.dtype[Any]] = {}
    with _archive(path) as archive:
        for name in _names(archive, path):
            with archive.open(name + _SUFFIX) as member:
                shapes[name], dtypes[name] = _header(member)
        kinds = {name: dtype_kind(name, dtype, str(path)) for name, dtype in dtypes.items()}
        common_length(shapes, str(path))
        described: dict[str, ColumnInfo] = {}
        for name, kind in kinds.items():
            if kind == "text":
                described[name] = column_info(tidy(name, _array(archive, name, path), str(path)))
            else:
                described[name] = ColumnInfo(kind, dtype_name(dtypes[name]), shapes[name][1:])
    return described


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The open archive; whatever goes wrong in reading it is told as a RunError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as problem:
        raise RunError(
            f"{path} is not an .npz file, or it is damaged: {problem}",
            help="write it with numpy.savez or numpy.savez_compressed",
        ) from problem
    # zipfile raises RuntimeError for an encrypted member, NotImplementedError for a strange one.
    except (ValueError, EOFError, zlib.error, RuntimeError, OSError) as problem:
        raise RunError(
            f"cannot read {path}: {problem}",
            help="the file may be damaged; write it again with numpy.savez",
        ) from problem
    except MemoryError as problem:
        raise RunError(f"{path} does not fit in memory", help="use fewer examples") from problem


def _names(archive: zipfile.ZipFile, path: Path) -> list[str]:
    names = archive.namelist()
    for name in names:
        if not name.endswith(_SUFFIX):
            raise RunError(
                f"{path} holds '{name}', which is not an array",
                help="write it with numpy.savez; every member of an .npz file ends in .npy",
            )
    if len(set(names)) < len(names):
        raise RunError(f"{path} holds two arrays of one name", help="give each its own name")
    return [name.removesuffix(_SUFFIX) for name in names]


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> Array:
    with archive.open(name + _SUFFIX) as member:
        _, dtype = _header(member)
    dtype_kind(name, dtype, str(path))
    with archive.open(name + _SUFFIX) as member:
        array: Array = npy.read_array(member, allow_pickle=False)
    return array


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype. ValueError for what is not an array."""
    version = npy.read_magic(member)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        # Later versions exist for the field names of structured arrays, which no model reads.
        raise ValueError(f"an array in it has the unknown format version {version}")
    try:
        shape, _, dtype = readers[version](member)
    except ValueError as problem:
        raise ValueError("the header of an array in it is damaged") from problem
    return shape, dtype
