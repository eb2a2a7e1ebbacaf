"""What curvature is asked of: a trained network at a state, over rows of a part of its data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from graphc.runtime import Arrays, RunError, initial_state
from graphc.runtime.wording import count, listing
from graphc.session.model import Model, compile
from graphc.session.parts import PARTS, DataLike, Part, data_folder
from graphc.session.run import Run, is_run, latest_run, load
from graphc.session.scoring import find_run

__all__ = ["Asked", "At", "Subject", "find_subject"]

At = Literal["best", "last", "init"]
Asked = Run | Model | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Subject:
    """``place`` says in words which rows, ``origin`` which state."""

    model: Model
    state: Arrays
    raw: Arrays
    place: str
    origin: str
    run: Run | None

    @property
    def path(self) -> Path | None:
        """The run's folder."""
        return None if self.run is None else self.run.path


def find_subject(
    asked: Asked,
    *,
    part: Part | None = None,
    data: DataLike | None = None,
    rows: int | None = None,
    at: At = "best",
    state: Mapping[str, ArrayLike] | None = None,
) -> Subject:
    """The model, a state of it, and the rows.

    ``asked`` is a run, its folder, or a model or its file, which mean its latest finished run; with
    ``state`` or ``at="init"`` a model needs none. ``data`` is the folder that the data lie in, or
    data in place of them, then taken whole. ``rows`` are as many at equal distances. RunError for
    what there is not.
    """
    if at not in ("best", "last", "init"):
        raise RunError(f"there is no state {at}", help="ask for best, last or init")
    if part is not None and part not in PARTS:
        raise RunError(f"data have no part {part}", help=f"there are {listing(PARTS)}")
    if rows is not None and rows < 1:
        raise RunError(f"{rows} rows are none to compute with", help="ask for one row at least")
    model, run = _found(asked, data, needs_run=state is None and at != "init")
    module, parts = model.parts()
    given = data is not None and data_folder(data) is None
    chosen = part or ("all" if given else "train")
    raw, place = _some(parts.part(chosen, model.name), rows, _place(model, chosen, given))
    if state is not None:
        known = {**model.init(), **{name: np.asarray(array) for name, array in state.items()}}
        return Subject(model, known, raw, place, "the state given", run)
    if at == "init":
        known = initial_state(module, parts.train, model.spec.train.seed)
        return Subject(model, known, raw, place, "initial parameters", run)
    assert run is not None, "a state of a run was asked for"
    known = run.state if at == "best" else run.last
    where = "the run in memory" if run.path is None else str(run.path)
    return Subject(model, known, raw, place, f"{at} state of {where}", run)


def _found(asked: Asked, data: DataLike | None, *, needs_run: bool) -> tuple[Model, Run | None]:
    """The model over the data given, and the run where one is meant."""
    if isinstance(asked, Run):
        return asked.over(data), asked
    folder = data_folder(data)
    if isinstance(asked, Model):
        latest = latest_run(asked) if needs_run else None
        if needs_run and latest is None:
            raise RunError(
                f"there is no finished run of {asked.name} in the folder runs",
                help='give a run, a state, or at="init" for the initial parameters',
            )
        run = None if latest is None else load(latest, data=folder)
        return (asked if run is None else run).over(data, {}), run
    path = os.fspath(asked)
    if not needs_run and not is_run(path):
        return compile(path, data=data), None
    run = find_run(path, None if folder is None else str(folder))
    return run.over(data), run


def _place(model: Model, part: Part, given: bool) -> str:
    if not model.has_data:
        return "its example values"
    if given:
        return "the data given" if part == "all" else f"the {part} part of the data given"
    return "all its data" if part == "all" else f"the {part} part"


def _some(raw: Arrays, rows: int | None, place: str) -> tuple[Arrays, str]:
    """Rows at equal distances, and their place in words."""
    length = min((len(column) for column in raw.values()), default=1)
    if rows is None or rows >= length:
        return raw, place
    chosen = np.unique(np.linspace(0, length - 1, rows).astype(int))
    some = {name: column.take(chosen, axis=0) for name, column in raw.items()}
    return some, f"{count(len(chosen), 'row')} of {length:,} of {place}"
