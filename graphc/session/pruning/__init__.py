"""Pruning a run: which weights go, what the others become, and a run that keeps what is left.

A pruning is a loop (:mod:`graphc.numerics.pruning.engine`) over a network (:mod:`.world`) by a
method (:mod:`.methods`), on terms that the prune section and the caller give (:mod:`.plan`). Its
result is a run of its own in ``runs/NAME-N-pruned-M``; the run that it came from is not changed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graphc.numerics.pruning import engine
from graphc.numerics.pruning.choosing import Candidates
from graphc.numerics.pruning.engine import Event, Outcome
from graphc.numerics.pruning.schedule import targets
from graphc.numerics.vectors import Mask, Vector
from graphc.runtime import Arrays, RunError, RunFolder
from graphc.runtime.checkpoint import CheckpointInfo, signature_digest
from graphc.session import compacting
from graphc.session.compact_runs import save_compacted
from graphc.session.masking import masks_of, state_with_masks
from graphc.session.model import Model
from graphc.session.parts import DataLike
from graphc.session.pruning.failures import kept_so_far, long_way, nothing_removed, unfit
from graphc.session.pruning.methods import make_method
from graphc.session.pruning.plan import (
    Settled,
    make_candidates,
    make_limits,
    make_worse,
    settle,
)
from graphc.session.pruning.records import MEANINGS, as_line, cure, summary
from graphc.session.pruning.units import unit_groups
from graphc.session.pruning.world import Network, Ticket, minimum
from graphc.session.run import Run
from graphc.session.scoring import find_run
from graphc.session.training import held_scores, new_folder

__all__ = ["Event", "Pruning", "prune"]

Told = Callable[[Event], None]


@dataclass(frozen=True)
class Pruning:
    """A pruned run and how it came about. ``events`` are all deletions and retrainings in order,
    ``summary`` what they come to (also in the run's summary, as ``pruning``)."""

    run: Run
    origin: Run
    settled: Settled
    outcome: Outcome
    summary: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Any]]
    """Scores of the parts that training did not see, before and after."""
    compacted: Run | None = None
    compaction: tuple[str, ...] = ()
    """What was or was not made smaller, in words."""

    @property
    def events(self) -> tuple[Event, ...]:
        return self.outcome.events

    @property
    def masks(self) -> Arrays:
        """By parameter, 1 where a weight is left."""
        return masks_of(self.run.model, self.run.state)

    @property
    def warnings(self) -> list[str]:
        """Checks that failed, in words."""
        return [
            f"warning: {MEANINGS[name]} was {told['worst']:.3g}, more than {told['limit']:.3g}, "
            f"in {told['failed']} of {len(self.events)} steps; {cure(name, self.events)}"
            for name, told in self.summary["checks"].items()
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.summary["stopped"] not in ("check", "interrupted"),
            "run": None if self.run.path is None else str(self.run.path),
            "origin": None if self.origin.path is None else str(self.origin.path),
            **self.summary,
            "held": self.scores,
            "compacted": None if self.compacted is None else str(self.compacted.path),
            "compaction": list(self.compaction),
        }


def prune(
    run: Run | str | os.PathLike[str],
    *,
    set: Mapping[str, object] | None = None,
    data: DataLike | None = None,
    folder: str | os.PathLike[str] | Literal[False] | None = None,
    strict: bool = False,
    compact: bool = True,
    report: Told | None = None,
    notice: Callable[[str], None] | None = None,
    **options: object,
) -> Pruning:
    """Remove weights of a run (a :class:`Run`, its folder, or a model file, which means its latest
    finished run) as its prune section says, and return the pruned run.

    It starts from the run's best state, or from its last where a driver (``lbfgs``, ``newton``)
    has brought that to a minimum. ``options`` are keys of the section and override it:
    ``prune(run, method="obs", sparsity=0.8)``. ``folder`` is where the pruned run is kept: beside
    the run by default, False for nowhere. ``strict`` ends pruning at the first check that fails.
    ``report`` is told of each deletion and retraining, ``notice`` beforehand of what takes long.
    Ctrl-C ends with what has been pruned so far. Where whole units are dead, ``compact`` makes a
    smaller model of the pruned one, as a run of its own beside it.

    RunError for terms that cannot be met: a method that does not fit the network (with the memory
    and the time that it would take, and the one that fits), a sparsity that cannot be reached, a
    Hessian that is not positive definite under the damping that was asked for.
    """
    origin = run if isinstance(run, Run) else find_run(os.fspath(run))
    sets = {**(set or {}), **{f"prune.{name}": value for name, value in options.items()}}
    model = origin.over(data).with_sets(sets).with_masks()
    start = minimum(origin)
    state = state_with_masks(model, start, masks_of(origin.model, start))
    job = _Job(origin, model, state, strict)
    long = job.long_way()
    if notice is not None and long is not None:
        notice(long)
    if folder is False:
        return job.run(None, report)
    with _folder(job, folder) as kept:
        found = job.run(kept, report)
    return _compacted(found) if compact else found


class _Job:
    """One call of :func:`prune`, its terms settled."""

    def __init__(self, origin: Run, model: Model, state: Arrays, strict: bool) -> None:
        plan = model.spec.prune
        self.origin, self.model, self.before = origin, model, state
        kind = Ticket if plan.method == "lottery" else Network
        self.network = kind(model, state, plan)
        layout = self.network.layout
        self.theta = layout.pack(state)
        self.alive: Mask = layout.pack(masks_of(model, state)) > 0
        self.settled = settle(plan, model, layout, self._by_rows)
        self.network.epochs = self.settled.retrain
        self.candidates = self._candidates()
        worse = make_worse(plan, model)
        plan = self.settled.plan
        self.limits = make_limits(plan, self.candidates, self.alive, self.theta, worse, strict)
        self.method = make_method(self.settled, self.network, self.candidates)

    def _candidates(self) -> Candidates:
        layout = self.network.layout
        return make_candidates(self.settled.plan, layout, lambda: unit_groups(self.model, layout))

    def _by_rows(self) -> bool:
        known = self.network.row_weights
        return all(name in known for name in self.model.spec.prune.parameters)

    def _fitting(self) -> str:
        """The curvature that fits where the network is too large for the exact one."""
        if self.settled.plan.method == "obd":
            return "backpropagated"
        return "rows" if self.settled.plan.remove == "weights" and self._by_rows() else "fisher"

    def long_way(self) -> str | None:
        left = int(np.count_nonzero(self.candidates.mask & self.alive))
        plan, goal = self.settled.plan, self.limits.goal
        rounds = len(targets(left, goal, self.settled.schedule, plan.steps))
        return long_way(self.settled, self.network.layout.size, rounds, self._fitting)

    @property
    def total(self) -> int:
        """Weights that could go, those that are gone already included."""
        return int(np.count_nonzero(self.candidates.mask))

    def run(self, folder: RunFolder | None, report: Told | None) -> Pruning:
        def tell(event: Event) -> None:
            if folder is not None:
                folder.append_line(
                    folder.pruning.name, as_line(event, self.network.layout, self.total)
                )
            if report is not None:
                report(event)

        def keep(theta: Vector, alive: Mask) -> None:
            if folder is not None:
                state = self.network.state_of(theta, alive)
                folder.save_last(state, _info(self.model, state))
            self.network.confirm()

        with unfit(self.settled, self._fitting):
            outcome = engine.prune(
                self.network,
                self.method,
                self.theta,
                self.alive,
                self.candidates.mask,
                self.limits,
                schedule=self.settled.schedule,
                steps=self.settled.plan.steps,
                retraining=self.settled.retrain > 0,
                tell=tell,
                keep=keep,
            )
        return self._finished(outcome, folder)

    def _finished(self, outcome: Outcome, folder: RunFolder | None) -> Pruning:
        if not any(not event.undone for event in outcome.events):
            raise nothing_removed(outcome, self.settled)
        self.network.go_back()
        state = self.network.state_of(outcome.theta, outcome.alive)
        left = int(np.count_nonzero(outcome.alive & self.candidates.mask))
        told = summary(self.settled, outcome, self.total, left)
        interrupted = outcome.stopped == "interrupted"
        whole: dict[str, Any] = {
            "stopped": "interrupted" if interrupted else "finished",
            "epochs": 0,
            "best_epoch": 0,
            "best_value": None,
            "watch": self.model.spec.train.watch or "objective",
            "pruning": told,
        }
        held = {} if interrupted else self._held(state)
        whole.update(held)
        if folder is not None:
            if interrupted:  # an event may have been written whose state was not kept, or not yet
                lines = [as_line(e, self.network.layout, self.total) for e in outcome.events]
                folder.write_lines(folder.pruning.name, lines)
            info = _info(self.model, state)
            folder.save_last(state, info)
            folder.save_best(state, info)
            folder.write_summary(whole)
        run = Run(
            path=None if folder is None else folder.path,
            model=self.model,
            state=state,
            last=state,
            history=[],
            summary=whole,
            origin=self.origin.origin,
        )
        before = {} if interrupted else self._held(self.before)
        scores = {
            f"{part} {when}": of[part]
            for part in held
            for when, of in (("before", before), ("after", held))
        }
        return Pruning(run, self.origin, self.settled, outcome, told, scores)

    def _held(self, state: Arrays) -> dict[str, Any]:
        return held_scores(self.model, self.network.module, self.network.parts, state)


def _compacted(found: Pruning) -> Pruning:
    """With a smaller model as a run of its own, where whole units are dead."""
    if found.summary["stopped"] == "interrupted":
        return found
    notes: list[str] = []
    smaller = compacting.compact(found.run, tell=notes.append)
    if smaller is None:
        return replace(found, compaction=tuple(notes))
    lines = [f"{layer.title}: {layer.before} -> {layer.after} units" for layer in smaller.layers]
    sizes = (("parameters", smaller.parameters), ("bytes of weights", smaller.weights_size))
    lines += [f"{what} {before:,} -> {after:,}" for what, (before, after) in sizes]
    run = save_compacted(smaller, found.run)
    return replace(found, compacted=run, compaction=(*lines, *notes))


@contextlib.contextmanager
def _folder(job: _Job, path: str | os.PathLike[str] | None) -> Iterator[RunFolder]:
    """A folder for the result, taken back where nothing comes of it. Where an error ends a pruning
    that has gone some way, it says where that is kept."""
    origin = job.origin.path
    stem = f"{job.model.name if origin is None else origin.name}-pruned"
    more = {"pruned_from": None if origin is None else str(origin.resolve())}
    parent = Path("runs") if origin is None else origin.parent
    folder = new_folder(job.model, path, stem=stem, parent=parent, more=more)
    with folder.claimed():
        try:
            yield folder
        except RunError as problem:
            folder.discard()
            raise kept_so_far(problem, folder) from problem
        except BaseException:
            folder.discard()
            raise


def _info(model: Model, state: Arrays) -> CheckpointInfo:
    return CheckpointInfo(
        model=model.module.signature["model"],
        signature=signature_digest(model.module.signature),
        step=int(state["step"]),
        watch=model.spec.train.watch or "objective",
        classes={name: list(names) for name, names in model.module.classes.items()},
    )
