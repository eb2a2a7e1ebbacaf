"""Where the files that a model names lie: beside the model, or in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from graphc.runtime.data import describe, describe_columns, read, read_columns
from graphc.runtime.errors import RunError
from graphc.runtime.table import ColumnInfo, Table

__all__ = ["Files", "Place"]

Files: TypeAlias = str | Mapping[str, str]
"""A part of the data as a model names it: the path of a file that names its columns itself, or
the path of an IDX file for each column."""


@dataclass(frozen=True)
class Place:
    """``base`` is the model's folder. ``folder`` is where data kept elsewhere lie, and then the
    only place: a mixture of two copies would go unnoticed."""

    base: Path
    folder: Path | None = None

    def read(self, files: Files) -> Table:
        """All columns. RunError, with where it was looked for, when a file is missing."""
        if isinstance(files, str):
            return read(self._find(files))
        return read_columns({column: self._find(name) for column, name in files.items()})

    def describe(self, files: Files) -> dict[str, ColumnInfo] | None:
        """The columns by their headers; None when a file is missing."""
        names = [files] if isinstance(files, str) else files.values()
        if not all(map(self._has, names)):
            return None
        if isinstance(files, str):
            return describe(self._find(files))
        return describe_columns({column: self._find(name) for column, name in files.items()})

    def _find(self, name: str) -> Path:
        candidates = self._candidates(name)
        for path in candidates:
            if os.path.exists(path):
                return path
        looked = " and ".join(map(str, candidates))
        raise RunError(
            f"there is no data file {name}: looked for {looked}",
            help="check the path, or give the folder that holds the data: --data FOLDER",
        )

    def _has(self, name: str) -> bool:
        return any(map(os.path.exists, self._candidates(name)))

    def _candidates(self, name: str) -> list[Path]:
        """Data kept elsewhere may lie there as the model's folder has them, or side by side."""
        if self.folder is None:
            return [self.base / name]
        return list(dict.fromkeys([self.folder / name, self.folder / Path(name).name]))
