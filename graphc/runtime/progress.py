"""How a training run is shown: plain lines, a live bar, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, SupportsFloat, TextIO, runtime_checkable

from graphc.runtime.records import EpochRecord, RunStart, TrainResult
from graphc.runtime.wording import count

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["CallReporter", "LiveReporter", "PlainReporter", "Reporter", "SilentReporter"]

_REDRAW_SECONDS = 0.1


@runtime_checkable
class Reporter(Protocol):
    """Is told of a run as it goes.

    ``step`` is called only when ``each_step`` is true, because even an empty call counts against
    a step of a small network. ``close`` is always called, last, and may be all that is called.
    """

    each_step: bool

    def start(self, start: RunStart) -> None:
        """Before the first step."""

    def step(self, number: int, objective: SupportsFloat) -> None:
        """After a step; ``number`` counts from 1 in each epoch. The objective may be on a device:
        ``float`` waits for it, so read only what is shown."""

    def epoch(self, record: EpochRecord) -> None:
        """After an epoch."""

    def finish(self, result: TrainResult) -> None:
        """After the last epoch, also when the run was interrupted."""

    def close(self) -> None:
        """Give back what the reporter holds."""


class SilentReporter:
    """Says nothing."""

    each_step = False

    def start(self, start: RunStart) -> None:
        pass

    def step(self, number: int, objective: SupportsFloat) -> None:
        pass

    def epoch(self, record: EpochRecord) -> None:
        pass

    def finish(self, result: TrainResult) -> None:
        pass

    def close(self) -> None:
        pass


class CallReporter(SilentReporter):
    """Calls a function with each epoch's record."""

    def __init__(self, call: Callable[[EpochRecord], None]) -> None:
        self._call = call

    def epoch(self, record: EpochRecord) -> None:
        self._call(record)


class PlainReporter(SilentReporter):
    """A line an epoch under a line of headings, ``*`` marking each new best."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._table = _Lines()

    def start(self, start: RunStart) -> None:
        self._say(_opening(start))

    def epoch(self, record: EpochRecord) -> None:
        for line in self._table.lines(record):
            self._say(line)

    def finish(self, result: TrainResult) -> None:
        self._say(_closing(result))

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveReporter(SilentReporter):
    """The same lines in a terminal, with a moving bar and the objective of the step below them."""

    each_step = True

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._table = _Lines()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._steps = 0
        self._drawn = 0.0

    def start(self, start: RunStart) -> None:
        # rich takes longer to import than a small model takes to train.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("objective {task.fields[objective]}", markup=False),
            TimeElapsedColumn(),
            console=self._console or Console(),
            transient=True,
        )
        self._steps = start.steps_per_epoch
        self._say(_opening(start))
        self._progress.start()
        self._task = self._progress.add_task(
            "", total=self._steps, epoch=start.start_epoch + 1, objective="-"
        )

    def step(self, number: int, objective: SupportsFloat) -> None:
        now = time.monotonic()
        if now - self._drawn < _REDRAW_SECONDS or self._progress is None or self._task is None:
            return
        self._drawn = now
        self._progress.update(self._task, completed=number, objective=_number(float(objective)))

    def epoch(self, record: EpochRecord) -> None:
        for line in self._table.lines(record):
            self._say(line)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=0, epoch=record.epoch + 1)

    def finish(self, result: TrainResult) -> None:
        self.close()
        self._say(_closing(result))

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _say(self, line: str) -> None:
        if self._progress is not None:
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Lines:
    """Epoch records as aligned lines; the first record decides the columns."""

    def __init__(self) -> None:
        self._widths: dict[str, int] = {}

    def lines(self, record: EpochRecord) -> list[str]:
        """The line of an epoch, with the headings above the first."""
        cells = _cells(record)
        if self._widths:
            return [self._line(cells, record.best)]
        self._widths = {name: max(len(name), 10) for name in cells}
        self._widths["epoch"] = 5
        return [self._line({name: name for name in cells}, False), self._line(cells, record.best)]

    def _line(self, cells: dict[str, str], best: bool) -> str:
        line = "  ".join(cells.get(name, "").rjust(width) for name, width in self._widths.items())
        return f"{line}  *" if best else line


def _cells(record: EpochRecord) -> dict[str, str]:
    """One cell a number; metrics that are arrays have no place in a line."""
    cells = {"epoch": str(record.epoch), "objective": _number(record.objective)}
    scores = record.validation
    if scores is not None:
        cells["val objective"] = _number(scores["objective"])
        for name, value in {**scores["losses"], **scores["metrics"]}.items():
            if isinstance(value, float):
                cells[f"val {name}"] = _number(value)
    cells["seconds"] = f"{record.seconds:.2f}"
    return cells


def _number(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.3e}"


def _opening(start: RunStart) -> str:
    held = "" if start.validation is None else f", {start.validation} to validate"
    first = f" from epoch {start.start_epoch + 1}" if start.start_epoch else ""
    return (
        f"training {start.model}{first}: {count(start.examples, 'example')}{held}, "
        f"{count(start.steps_per_epoch, 'step')} an epoch, {count(start.epochs, 'epoch')}"
    )


def _closing(result: TrainResult) -> str:
    why = {
        "finished": "finished",
        "early": "stopped early: the watched value no longer improves",
        "interrupted": "interrupted: the epoch that had begun is discarded",
    }[result.stopped]
    if result.gradient_norm is not None:
        word = "converged, " if result.converged else ""
        why = f"{why}; {word}gradient norm {_number(result.gradient_norm)}"
    if result.best_value is None:
        return why
    return f"{why}; best epoch {result.best_epoch} ({_number(result.best_value)})"
