"""The training loop.

A run advances by whole epochs: the state, the best and the last checkpoint and the history change
together at the end of one. Whatever stops it in between, Ctrl-C included, discards the epoch that
had begun, and a run that is resumed equals one that was never stopped, bit for bit. For this the
order of an epoch's examples depends on the seed and the epoch's number alone.

A step on a device is not waited for: its objective is added up there and read when the epoch ends,
and what went wrong in between is told by the trainer's state.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.runtime.atomic import uninterrupted
from graphc.runtime.checkpoint import not_finite
from graphc.runtime.computing import MachineError, cannot_compute, computing, on_machine
from graphc.runtime.device import device_of
from graphc.runtime.errors import RunError
from graphc.runtime.evaluation import evaluate_examples
from graphc.runtime.examples import Examples, load_examples, on_device
from graphc.runtime.face import Arrays, Module, Raw, Trainer
from graphc.runtime.failures import DivergedError, FailedError
from graphc.runtime.folder import RunFolder
from graphc.runtime.keeping import Keeper
from graphc.runtime.progress import CallReporter, Reporter, SilentReporter
from graphc.runtime.records import (
    Best,
    EpochRecord,
    Evaluation,
    RunStart,
    Stopped,
    TrainResult,
    is_better,
    watched_value,
)
from graphc.runtime.split import epoch_order
from graphc.runtime.starting import TrainConfig, step_sizes

__all__ = ["train"]

_ON_HOST = (float, int, np.number, np.ndarray)
"""What an objective is that can be read without waiting."""


def train(
    module: Module,
    state: Arrays,
    raw_train: Raw,
    raw_validation: Raw | None,
    config: TrainConfig,
    *,
    folder: RunFolder | None = None,
    report: Reporter | Callable[[EpochRecord], None] | None = None,
    start_epoch: int = 0,
    best: Best | None = None,
) -> TrainResult:
    """Train from ``state`` until ``config.epochs`` epochs are done in all, or it stops early, or
    the trainer says that it has converged.

    ``state`` has its fitted constants already, see ``initial_state``; it is not changed. ``raw_*``
    map columns to arrays ``[n, ...]``. To resume, pass what ``resume_point`` gives; lines that the
    folder's history has beyond ``start_epoch`` are written again. Ctrl-C ends the
    run with the result "interrupted". RunError for data that does not fit the model and for a
    full disk; DivergedError, a RunError, when the objective is not finite; FailedError, another,
    when memory runs out or the device fails.
    """
    reporter = _reporter(report)
    parts = _Parts(
        load_examples(module, state, raw_train, part="the training part"),
        None
        if raw_validation is None
        else load_examples(module, state, raw_validation, part="the validation part"),
    )
    _expect_watchable(module, config, parts)
    return _Run(module, state, parts, config, folder, reporter, start_epoch, best).go()


@dataclass(frozen=True)
class _Parts:
    train: Examples
    validation: Examples | None

    def on_device(self, module: Module, reserved: int) -> _Parts:
        """Both where the module computes, the training part first."""
        train = on_device(module, self.train, reserved)
        held = self.validation
        return _Parts(train, None if held is None else on_device(module, held, reserved))


class _Run:
    """One call of :func:`train`: what it was given, and how far it has come."""

    def __init__(
        self,
        module: Module,
        state: Arrays,
        parts: _Parts,
        config: TrainConfig,
        folder: RunFolder | None,
        reporter: Reporter,
        start_epoch: int,
        best: Best | None,
    ) -> None:
        self.module = module
        self.parts = parts
        self.config = config
        self.keeper = Keeper(folder, module, self._watch(), best)
        self.reporter = reporter
        self.start_epoch = start_epoch
        self.best = best
        self.last = state
        self.epoch = start_epoch
        self.history: list[EpochRecord] = []
        self.gradient_norm: float | None = None
        self.converged = False
        self.batch, self.steps = step_sizes(module.signature, parts.train.count, config.batch)

    def go(self) -> TrainResult:
        self._expect_finite(self.last, "at the start")
        self.keeper.begin(self.last, self.start_epoch, self.best)
        stopped: Stopped
        try:
            try:
                with on_machine():
                    trainer = self._trainer()
                    self.reporter.start(self._start())
                    stopped = self._epochs(trainer)
            except KeyboardInterrupt:
                stopped = "interrupted"
            except MachineError as problem:
                raise self._failed(problem) from problem
            finally:
                self.keeper.save()
            result = self._result(stopped)
            self.reporter.finish(result)
        finally:
            self.reporter.close()
        return result

    def _trainer(self) -> Trainer:
        """A trainer at the state to go on from, and after it, in what memory is left on the
        device, the data."""
        device = device_of(self.module)
        before = 0 if device is None else device.room()
        # A copy, because a trainer may work in the arrays that it is given.
        with computing():
            trainer = self.module.Trainer(
                {name: array.copy() for name, array in self.last.items()},
                self.batch,
                steps_per_epoch=self.steps,
                epochs=self.config.epochs,
            )
        taken = 0 if device is None else before - device.room()
        self.parts = self.parts.on_device(self.module, max(0, self.config.device_bytes - taken))
        return trainer

    def _epochs(self, trainer: Trainer) -> Stopped:
        while self.epoch < self.config.epochs and not self.converged:
            if self._out_of_patience():
                return "early"
            self._one_epoch(trainer)
        return "finished"

    def _out_of_patience(self) -> bool:
        best_epoch = self.best.epoch if self.best else 0
        patience = self.config.patience
        return patience is not None and self.epoch - best_epoch >= patience

    def _one_epoch(self, trainer: Trainer) -> None:
        began = time.perf_counter()
        total = self._steps(trainer)
        state = self._state(trainer)
        objective = float(total) / self.parts.train.count
        # A line search never goes up: of its states the last is the best, whatever rounding says.
        descends = hasattr(trainer, "converged")
        self._expect_finite(state, f"in epoch {self.epoch + 1}")
        scores = self._validate(state)
        value = objective if scores is None else watched_value(self.config.watch, scores)
        record = EpochRecord(
            epoch=self.epoch + 1,
            step=int(state["step"]),
            objective=objective,
            validation=scores,
            value=value,
            best=is_better(value, self.best, self.config.mode) or (descends and scores is None),
            seconds=time.perf_counter() - began,
        )
        self._commit(record, state, seldom=descends)
        self.converged = getattr(trainer, "converged", False)
        self.gradient_norm = getattr(trainer, "gradient_norm", None)

    def _steps(self, trainer: Trainer) -> Any:
        """All steps of an epoch; the sum of objectives, weighted by examples. It may be on a
        device, where nothing of it has been read."""
        order = epoch_order(self.parts.train.count, self.config.seed, self.epoch)
        step = trainer.step
        tell = self.reporter.step if self.reporter.each_step else None
        total: Any = 0.0
        for number, (batch, count) in enumerate(self.parts.train.shuffled(order, self.batch)):
            try:
                objective: Any = step(batch)
            except FloatingPointError as problem:
                # A generated trainer refuses to update from such an objective.
                raise self._diverged(
                    f"the objective became NaN or infinite in epoch {self.epoch + 1}, "
                    f"step {number + 1} of {self.steps}"
                ) from problem
            except (IndexError, ValueError) as problem:
                raise cannot_compute(problem) from problem
            if isinstance(objective, _ON_HOST):
                objective = float(objective)
                # A difference with itself is zero for finite numbers only.
                if objective - objective != 0.0:
                    raise self._diverged(
                        f"the objective became {objective} in epoch {self.epoch + 1}, "
                        f"step {number + 1} of {self.steps}"
                    )
            total = total + objective * count
            if tell is not None:
                tell(number + 1, objective)
        return total

    def _state(self, trainer: Trainer) -> Arrays:
        """The state after an epoch; a trainer on a device tells here what its steps ran into."""
        try:
            return trainer.state()
        except FloatingPointError as problem:
            raise self._diverged(
                f"the objective became NaN or infinite in epoch {self.epoch + 1}: {problem}"
            ) from problem
        except (IndexError, ValueError) as problem:
            raise cannot_compute(problem) from problem

    def _validate(self, state: Arrays) -> Evaluation | None:
        if self.parts.validation is None:
            return None
        return evaluate_examples(self.module, state, self.parts.validation, self.config.batch)

    def _commit(self, record: EpochRecord, state: Arrays, *, seldom: bool) -> None:
        """Take an epoch into the run; with ``seldom`` its checkpoints may be written later."""
        with uninterrupted():
            self.keeper.append(record)
            if record.best:
                self.best = Best(record.epoch, record.value, state)
            self.last = state
            self.epoch = record.epoch
            self.history.append(record)
            self.keeper.take(record, state, self.best, seldom=seldom)
        self.reporter.epoch(record)

    def _expect_finite(self, state: Arrays, when: str) -> None:
        name = not_finite(state, self.module.signature)
        if name is not None:
            raise self._diverged(f"{name} has NaN or infinite values {when}")

    def _diverged(self, what: str) -> DivergedError:
        kept = self.keeper.kept(self.epoch)
        return DivergedError(
            what,
            f"try a smaller learning rate, and look for extreme values in the data{kept}",
            self._result("interrupted"),
        )

    def _failed(self, problem: MachineError) -> FailedError:
        """The device is not asked for anything here: it may be gone."""
        help = problem.help
        if problem.memory and self.batch > 1:
            help = f"try smaller batches than {self.batch}: --set train.batch={self.batch // 2}"
        help += self.keeper.kept(self.epoch, resume=True)
        return FailedError(problem.message, help, self._result("interrupted"))

    def _result(self, stopped: Stopped) -> TrainResult:
        return TrainResult(
            state=self.best.state if self.best else self.last,
            last=self.last,
            best_epoch=self.best.epoch if self.best else 0,
            best_value=self.best.value if self.best else None,
            epochs_run=len(self.history),
            history=tuple(self.history),
            stopped=stopped,
            gradient_norm=self.gradient_norm,
            converged=self.converged,
        )

    def _watch(self) -> str:
        return self.config.watch or "objective"

    def _start(self) -> RunStart:
        validation = self.parts.validation
        return RunStart(
            model=self.module.signature["model"],
            epochs=self.config.epochs,
            start_epoch=self.start_epoch,
            steps_per_epoch=self.steps,
            examples=self.parts.train.count,
            validation=None if validation is None else validation.count,
            watch=self._watch(),
        )


def _reporter(report: Reporter | Callable[[EpochRecord], None] | None) -> Reporter:
    if report is None:
        return SilentReporter()
    if isinstance(report, Reporter):
        return report
    return CallReporter(report)


def _expect_watchable(module: Module, config: TrainConfig, parts: _Parts) -> None:
    """Ask early, not after an epoch that may take an hour."""
    if config.watch is None:
        return
    signature = module.signature
    watched_value(
        config.watch,
        {
            "objective": 0.0,
            "losses": dict.fromkeys(signature["losses"], 0.0),
            "metrics": dict.fromkeys(signature["metrics"], 0.0),
        },
    )
    if parts.validation is None and config.watch != "objective":
        raise RunError(
            f"watch = {config.watch} needs a validation part, and this run has none",
            help="give the split a validation part, or leave watch out",
        )
