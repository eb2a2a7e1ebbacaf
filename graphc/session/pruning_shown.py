"""What `show --pruning` draws: the predicted and the measured rise of every deletion of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphc.runtime import RunError, RunFolder
from graphc.runtime.wording import count
from graphc.session.removed import not_pruned
from graphc.session.run import Run
from graphc.session.showing import Plot, RunLike, expect_matplotlib, found_run, stem_of
from graphc.session.surface import run_name

if TYPE_CHECKING:
    from graphc.rendering.pruning_plot import PrunedRound

__all__ = ["read_rounds", "show_pruning"]


def show_pruning(run: RunLike) -> Plot:
    """How a run was pruned: over the weights left, for each deletion the rise of the objective
    that was predicted before it and that was measured after it, the objective, and a metric.

    ``run`` is a pruned run or its folder. RunError for a run that was not pruned and for records
    that are damaged.
    """
    expect_matplotlib()
    from graphc.rendering.pruning_plot import draw_pruning

    run = found_run(run)
    records = read_rounds(run)
    metric = _metric(records)
    rounds = [_round(record, metric) for record in records]
    kept = [each for each in rounds if not each.undone]
    began = int(records[0]["left"]) + int(records[0]["removed"])
    stopped = kept[-1].left if kept else began
    heading = _heading(run, rounds, began, stopped)
    figure = draw_pruning(rounds, heading, metric=metric, stopped=stopped)
    facts = {
        "rounds": len(rounds),
        "weights": began,
        "left": stopped,
        "metric": metric or None,
    }
    return Plot("pruning", stem_of(run, "pruning"), run, figure, heading, facts)


def _heading(run: Run, rounds: Sequence[PrunedRound], began: int, stopped: int) -> Any:
    from graphc.rendering.plot_style import Heading

    again = sum(each.retrained for each in rounds)
    words = [count(len(rounds) - again, "deletion")]
    if again:
        words.append(count(again, "retraining"))
    words.append(f"{began:,} → {stopped:,} weights ({1 - stopped / began:.1%} removed)")
    return Heading(f"{run_name(run)}: pruning", ", ".join(words))


# ------------------------------------------------------------------------------ records


def read_rounds(run: Run) -> list[dict[str, Any]]:
    """The lines of a pruned run's record, checked; a last line that was cut short is left out.

    RunError for a run without one and for a line that is not what pruning writes.
    """
    path = None if run.path is None else RunFolder(run.path).pruning
    if path is None or not path.is_file():
        raise not_pruned(run)
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise RunError(f"cannot read {path}: {problem}") from problem
    records = [_record(path, number, line) for number, line in enumerate(lines[:-1], start=1)]
    if not records or int(records[0]["left"]) + int(records[0]["removed"]) < 1:
        raise RunError(
            f"{path} tells of no deletion, so there is nothing to show",
            help="prune further: graphc prune RUN --sparsity 80%",
        )
    return records


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        _check(record)
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise RunError(
            f"line {number} of {path} is damaged", help="prune the run again: graphc prune RUN"
        ) from problem
    return dict(record)


def _check(record: Any) -> None:
    """ValueError, TypeError or KeyError unless everything that is drawn is there."""
    for name in ("left", "removed"):
        if type(record[name]) is not int or record[name] < 0:
            raise ValueError(name)
    numbers = [record.get(name) for name in ("predicted", "measured", "objective")]
    for scores in record.get("scores", {}).values():
        scores.items()
    if not all(value is None or _is_number(value) for value in numbers):
        raise TypeError(numbers)
    for name in ("retrained", "undone"):
        if not isinstance(record.get(name, False), bool):
            raise TypeError(name)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _metric(records: Sequence[Mapping[str, Any]]) -> str:
    """The accuracy, or else the first score that is a number; nothing where there is none."""
    found = dict.fromkeys(
        name
        for record in records
        for scores in record.get("scores", {}).values()
        for name, value in scores.items()
        if _is_number(value)
    )
    return "accuracy" if "accuracy" in found else next(iter(found), "")


def _round(record: Mapping[str, Any], metric: str) -> PrunedRound:
    from graphc.rendering.pruning_plot import PrunedRound

    again = bool(record.get("retrained", False))
    scores = {
        part: values.get(metric) if _is_number(values.get(metric)) else None
        for part, values in record.get("scores", {}).items()
    }
    return PrunedRound(
        int(record["left"]),
        None if again else record.get("predicted"),
        None if again else record.get("measured"),
        record.get("objective"),
        scores,
        again,
        bool(record.get("undone", False)),
    )
