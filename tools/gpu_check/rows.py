"""What a check finds out, a row at a time, so that one that is cut short has told what it knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["Emit", "Row", "Status", "first_line", "read_rows", "writing"]

Status = Literal["ok", "failed", "told", "left out"]
"""``told`` is a figure that nothing is asked of; ``left out`` was not done, ``detail`` says why."""


@dataclass(frozen=True)
class Row:
    """``part`` of the check, ``item`` of the part (a model, a network), ``what`` of the item."""

    part: str
    item: str
    what: str
    status: Status
    detail: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bad(self) -> bool:
        return self.status in ("failed", "left out")


Emit = Callable[..., None]
"""``emit(what, status, detail="", **values)``."""


def writing(path: Path, part: str, item: str) -> Emit:
    """Appends rows to a file; each is there when the call returns."""

    def emit(what: str, status: Status, detail: str = "", **values: Any) -> None:
        row = Row(part, item, what, status, detail, values)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    return emit


def read_rows(path: Path) -> list[Row]:
    """The whole rows of a file; its writer may have been stopped in the middle of the last."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Row(**json.loads(line)) for line in lines if line.endswith("\n")]


def first_line(problem: BaseException) -> str:
    """An exception in one line."""
    said = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {said[0]}" if said else type(problem).__name__
