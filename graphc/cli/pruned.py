"""What a pruning looks like in the terminal: its deletions, its checks, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.cli.scores import show_scores
from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.session.pruning import Event, Pruning

__all__ = ["event_line", "heading", "show_pruning"]


_COLUMNS = {
    "round": 5, "removed": 7, "left": 9, "predicted": 10, "measured": 10, "objective": 10,
}  # fmt: skip
"""Names of columns, and how wide they are at least."""
_WIDEST = 112
"""Scores are shown as far as they fit into so many characters; the record has them all."""


def heading(event: Event) -> str:
    """Names of the columns of :func:`event_line`."""
    names = [*_COLUMNS, *_scores(event)]
    return "  ".join(name.rjust(width) for name, width in zip(names, _widths(names), strict=True))


def event_line(event: Event) -> str:
    """A deletion or retraining: rises of the objective that were predicted and measured."""
    if event.kind == "retraining":
        removed, predicted = "retrain", ""
    elif not len(event.removed):
        return (
            f"{event.round:5}  stopped  ! {', '.join(c.name for c in event.checks if not c.holds)}"
        )
    else:
        removed = f"{len(event.removed):,}"
        predicted = "" if event.predicted is None else f"{event.predicted:.4g}"
    cells = [
        str(event.round),
        removed,
        f"{event.left:,}",
        predicted,
        f"{event.measured:.4g}",
        f"{event.objective:.6g}",
        *(f"{value:.4f}" for value in _scores(event).values()),
    ]
    names = [*_COLUMNS, *_scores(event)]
    line = "  ".join(text.rjust(width) for text, width in zip(cells, _widths(names), strict=True))
    marks = [check.name for check in event.checks if not check.holds]
    notes = (["undone"] if event.undone else []) + ([f"! {', '.join(marks)}"] if marks else [])
    return f"{line}  {'; '.join(notes)}".rstrip()


def show_pruning(found: Pruning, terminal: Terminal) -> None:
    """Why it ended, which checks failed, scores before and after, and what can be done next."""
    told = found.summary
    terminal.say("")
    terminal.say(
        f"{told['left']:,} of {told['weights']:,} weights are left, sparsity "
        f"{told['sparsity']:.2%}: {told['why']}"
    )
    before, after = told["objective"]
    terminal.say(
        f"objective {before:.6g} -> {after:.6g}; rises predicted {told['predicted']:.4g}, "
        f"measured {told['measured']:.4g}"
    )
    for line in found.warnings:
        fact, _, cure = line.partition("; ")
        terminal.say(fact)
        terminal.say(f"  {cure}")
    terminal.say("")
    show_scores(found.scores, terminal)
    run = found.run.path
    if run is None:
        return
    terminal.say(f"\nthe pruned run is in {run}")
    if not terminal.quiet:
        terminal.say(f"  graphc eval {run}")
        terminal.say(f"  graphc render {run} --view removed")
        terminal.say(f"  graphc show {run} --pruning")
        terminal.say(f"  graphc train --resume {run}")
    if found.compacted is not None:
        terminal.say(f"\nwhole units are dead; the model without them is in {found.compacted.path}")
        for line in found.compaction:
            terminal.say(f"  {line}")


def _scores(event: Event) -> dict[str, float]:
    """Metrics of the training part and, where there is one, of the validation part."""
    held = {"train": event.scores["train"]}
    if "validation" in event.scores:
        held["val"] = event.scores["validation"]
    named = {
        f"{part} {name}": value for part, values in held.items() for name, value in values.items()
    }
    while named and sum(width + 2 for width in _widths([*_COLUMNS, *named])) > _WIDEST:
        named.popitem()
    return named


def _widths(names: list[str]) -> list[int]:
    return [max(len(name), _COLUMNS.get(name, 6)) for name in names]
