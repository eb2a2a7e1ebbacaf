"""What a run writes into its folder as it goes: the history and two checkpoints."""

from __future__ import annotations

import time

from graphc.runtime.atomic import uninterrupted
from graphc.runtime.checkpoint import CheckpointInfo, signature_digest
from graphc.runtime.face import Arrays, Module
from graphc.runtime.folder import RunFolder
from graphc.runtime.records import Best, EpochRecord

__all__ = ["Keeper"]

SAVE_SECONDS = 1.0
"""Epochs that are one iteration of a line search may be very short: their checkpoints are written
that often, and when the run ends."""


class Keeper:
    """Keeps a folder in step with its run; without a folder it keeps nothing."""

    def __init__(
        self, folder: RunFolder | None, module: Module, watch: str, best: Best | None
    ) -> None:
        self._folder = folder
        self._module = module
        self._watch = watch
        self._saved_best = best.epoch if best else 0
        self._unsaved: tuple[EpochRecord, Arrays, Best | None] | None = None
        self._saved = time.perf_counter()

    def begin(self, state: Arrays, epoch: int, best: Best | None) -> None:
        """Make the folder agree with the state that training starts from, after ``epoch`` whole
        epochs."""
        if self._folder is None:
            return
        self._folder.rewind(epoch)
        if epoch == 0:
            self._folder.save_last(state, self._info(state, 0, None, best))

    def append(self, record: EpochRecord) -> None:
        """Add an epoch to the history."""
        if self._folder is not None:
            self._folder.append_epoch(record.as_json())

    def take(self, record: EpochRecord, last: Arrays, best: Best | None, *, seldom: bool) -> None:
        """Write the checkpoints after an epoch; with ``seldom`` they may be written later."""
        self._unsaved = record, last, best
        if not seldom or time.perf_counter() - self._saved >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the checkpoints of the newest epoch, where that has not been done. `last` comes
        after all else: a run that is killed before it repeats the epochs since the one before when
        it is resumed, and writes the same again."""
        unsaved, self._unsaved, self._saved = self._unsaved, None, time.perf_counter()
        if self._folder is None or unsaved is None:
            return
        record, last, best = unsaved
        with uninterrupted():
            if best is not None and best.epoch > self._saved_best:
                self._saved_best = best.epoch
                info = self._info(best.state, best.epoch, best.value, best)
                self._folder.save_best(best.state, info)
            self._folder.save_last(last, self._info(last, record.epoch, record.value, best))

    def kept(self, epoch: int, *, resume: bool = False) -> str:
        """Where the state after ``epoch`` whole epochs is, and how to ``resume`` from it, as the
        end of a help; nothing where nothing is kept."""
        if self._folder is None or epoch == 0:
            return ""
        way = f"; go on with --resume {self._folder.path}" if resume else ""
        return f"; the state after epoch {epoch} is in {self._folder.last}{way}"

    def _info(
        self, state: Arrays, epoch: int, value: float | None, best: Best | None
    ) -> CheckpointInfo:
        return CheckpointInfo(
            model=self._module.signature["model"],
            signature=signature_digest(self._module.signature),
            epoch=epoch,
            step=int(state["step"]),
            watch=self._watch,
            value=value,
            best_epoch=best.epoch if best else 0,
            best_value=best.value if best else None,
            classes={name: list(names) for name, names in self._module.classes.items()},
        )
