"""Programs between passes, as pictures show them: the training part, else that of evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.model import Program
from graphc.passes import lower
from graphc.rendering.naming import root_titles
from graphc.rendering.pictures.changes import Change, Snapshot, alike
from graphc.runtime import RunError
from graphc.runtime.wording import did_you_mean, listing
from graphc.session.model import Model

__all__ = ["changes", "stage_snapshot"]

SHOWN = (
    ("regularize", ("regularize",)),
    ("stabilize", ("stabilize",)),
    ("simplify", ("fold-constants", "simplify", "common-subexpressions")),
    ("fuse", ("fuse",)),
)
"""What a picture of passes shows unasked: a title and the passes that it covers."""


@dataclass(frozen=True)
class _Point:
    """The program after a pass; the first has none."""

    name: str
    snapshot: Snapshot


def stage_snapshot(model: Model, stage: str) -> Snapshot:
    """The graph after the last run of a pass, or as the model states it. RunError for a name that
    is none."""
    points = _points(model)
    found = [point.snapshot for point in points if point.name == stage]
    if not found:
        raise _unknown(points, stage)
    return found[-1]


def changes(model: Model, stage: str | None) -> list[Change]:
    """What a pass, or the most telling ones, changed."""
    points = _points(model)
    if stage is not None:
        wanted = ((stage, (stage,)),)
        if stage not in {point.name for point in points[1:]}:
            raise _unknown(points, stage)
    found = []
    for title, names in SHOWN if stage is None else wanted:
        change = _change(points, title, names)
        if change is not None:
            found.append(change)
    return found


def _change(points: Sequence[_Point], title: str, names: Sequence[str]) -> Change | None:
    """From before the first run of these passes to after their last; None where nothing differs."""
    places = [i for i, point in enumerate(points) if point.name in names]
    if not places:
        return None
    before, after = points[places[0] - 1].snapshot, points[places[-1]].snapshot
    return None if alike(before, after) else Change(title, before, after)


def _points(model: Model) -> list[_Point]:
    """The program at the start and after every pass of its largest part."""
    seen: dict[str, list[_Point]] = {}

    def observe(part: str, passed: str, program: Program) -> None:
        if part in ("training", "evaluation"):
            point = _Point(passed or "model", _snapshot(program))
            seen.setdefault(part, []).append(point)

    lower(model.checked.program.copy(), observe)
    return seen.get("training") or seen["evaluation"]


def _snapshot(program: Program) -> Snapshot:
    return Snapshot(program.graph.copy(), root_titles(program.roots))


def _unknown(points: Sequence[_Point], stage: str) -> RunError:
    names = list(dict.fromkeys(point.name for point in points))
    return RunError(
        f"no pass is called {stage}",
        help=f"{did_you_mean(stage, names)}passes are: {listing(names)}",
    )
