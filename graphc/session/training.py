"""From a model to a run: a fresh start, or going on where a run stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from numpy.typing import ArrayLike

from graphc import __version__
from graphc.runtime import (
    Arrays,
    DivergedError,
    FailedError,
    Module,
    RunError,
    RunFolder,
    Table,
    TrainConfig,
    TrainResult,
    evaluate,
    initial_state,
    resume_point,
    train,
    write_json_atomic,
)
from graphc.runtime.computing import MachineError
from graphc.session.device_memory import expect_memory
from graphc.session.masking import state_with_masks
from graphc.session.model import Model, Report
from graphc.session.parts import Parts
from graphc.session.run import ARRAYS, Run, columns_as_json

__all__ = ["held_scores", "new_folder", "resume", "start", "train_config"]

Folder = str | os.PathLike[str] | Literal[False] | None


def start(
    model: Model,
    *,
    folder: Folder,
    report: Report | None,
    masks: Mapping[str, ArrayLike] | None = None,
) -> Run:
    """Train from a fresh state. RunError for unfit data, DivergedError when it runs into NaN,
    FailedError when memory runs out or the device fails; before the first epoch nothing is kept."""
    _expect_objective(model)
    model = model if masks is None else model.with_masks()
    module, parts = model.parts()
    state = initial_state(module, parts.train, model.spec.train.seed)
    if masks is not None:
        state = state_with_masks(model, state, masks)
    if folder is False:
        result = _trained(model, module, state, parts, None, report)
        return _run(model, module, parts, None, result, [])
    kept = new_folder(model, folder)
    with kept.claimed():
        try:
            result = _trained(model, module, state, parts, kept, report)
            return _run(model, module, parts, kept, result, [])
        except FailedError:
            kept.discard(begun=True)
            raise
        except BaseException:
            kept.discard()
            raise


def resume(run: Run, model: Model, *, sets: Mapping[str, object], report: Report | None) -> Run:
    """Go on where the run stopped, over the model's data, under more settings."""
    if run.path is None:
        raise RunError("this run was kept nowhere", help="train with a folder to resume later")
    folder = RunFolder.open(run.path)
    with folder.claimed():
        return _resumed(folder, model.with_sets(sets), report)


def _resumed(folder: RunFolder, model: Model, report: Report | None) -> Run:
    module, parts = model.parts()
    point = resume_point(folder, module)
    if point.epoch >= model.spec.train.epochs:
        raise RunError(
            f"the run {folder.path} has done all of its {model.spec.train.epochs} epochs",
            help=f"train longer: --epochs {2 * model.spec.train.epochs}",
        )
    history = [record for record in folder.history() if record["epoch"] <= point.epoch]
    _record_changes(folder, model)
    result = _trained(
        model,
        module,
        point.state,
        parts,
        folder,
        report,
        start_epoch=point.epoch,
        best=point.best,
    )
    return _run(model, module, parts, folder, result, history)


def _record_changes(folder: RunFolder, model: Model) -> None:
    """Settings that a run goes on with, and the folder that its data have moved to."""
    before = folder.config()
    changed = {"set": dict(model.checked.request.sets), "folder": _folder(model)}
    if any(before.get(key) != value for key, value in changed.items()):
        config = {**before, **changed, **_resolved(model)}
        write_json_atomic(folder.path / "config.json", config)


def _expect_objective(model: Model) -> None:
    if not model.has_objective:
        raise RunError(
            f"{model.name} has nothing to minimise", help="declare a loss: loss NAME = expression"
        )
    if not model.spec.learned:
        raise RunError(f"{model.name} has no parameter to train", help="declare a param or a layer")


def _trained(
    model: Model,
    module: Module,
    state: Arrays,
    parts: Parts,
    folder: RunFolder | None,
    report: Report | None,
    **resumed: Any,
) -> TrainResult:
    taken = expect_memory(model, module, state, parts)
    try:
        return train(
            module,
            state,
            parts.train,
            parts.validation,
            dataclasses.replace(train_config(model), device_bytes=taken),
            folder=folder,
            report=report,
            **resumed,
        )
    except DivergedError as problem:
        _record_end(folder, "diverged", problem)
        raise
    except FailedError as problem:
        # Without a new epoch the run is what it was.
        if problem.result.epochs_run:
            _record_end(folder, "failed", problem)
        raise


def _record_end(folder: RunFolder | None, stopped: str, problem: RunError) -> None:
    if folder is not None:
        folder.write_summary({**_origins(folder), "stopped": stopped, "why": problem.message})


def train_config(model: Model) -> TrainConfig:
    """How long a model trains and on what terms, from its train section."""
    plan = model.spec.train
    return TrainConfig(
        epochs=plan.epochs,
        batch=plan.batch,
        seed=plan.seed,
        patience=plan.patience,
        watch=plan.watch,
        mode=plan.mode,
    )


def _run(
    model: Model,
    module: Module,
    parts: Parts,
    folder: RunFolder | None,
    result: TrainResult,
    before: list[dict[str, Any]],
) -> Run:
    """The run of a result, scored on the parts that training did not see, and summed up."""
    summary: dict[str, Any] = {
        "stopped": result.stopped,
        "epochs": len(before) + result.epochs_run,
        "best_epoch": result.best_epoch,
        "best_value": result.best_value,
        "watch": model.spec.train.watch or "objective",
    }
    if result.gradient_norm is not None:
        summary.update(converged=result.converged, gradient_norm=result.gradient_norm)
    if folder is not None:
        summary.update(_origins(folder))
        # The run is trained whatever becomes of its scores.
        folder.write_summary(summary)
    if result.stopped != "interrupted":
        with _naming(folder):
            summary.update(held_scores(model, module, parts, result.state))
    if folder is not None:
        folder.write_summary(summary)
    return Run(
        path=None if folder is None else folder.path,
        model=model,
        state=result.state,
        last=result.last,
        history=[*before, *(record.as_json() for record in result.history)],
        summary=summary,
        origin=_origin(model.data),
    )


@contextlib.contextmanager
def _naming(folder: RunFolder | None) -> Iterator[None]:
    """Where memory or the device gives out after training, say what is there."""
    try:
        yield
    except MachineError as problem:
        kept = "" if folder is None else f"; the trained run is in {folder.path}"
        raise RunError(problem.message, help=f"{problem.help}{kept}") from problem


def _origins(folder: RunFolder) -> dict[str, Any]:
    """What a summary says of how a run came about, which more training does not change."""
    told = folder.summary() or {}
    return {key: told[key] for key in ("pruning", "compacted") if key in told}


def held_scores(model: Model, module: Module, parts: Parts, state: Arrays) -> dict[str, Any]:
    """Scores of a state on validation and test part, or on the training part where it is all."""
    held = {"validation": parts.validation, "test": parts.test}
    if not any(part is not None for part in held.values()):
        held = {"train": parts.train}
    batch = model.spec.train.batch
    return {
        name: dict(evaluate(module, state, raw, batch, part=f"the {name} part"))
        for name, raw in held.items()
        if raw is not None
    }


def new_folder(
    model: Model,
    path: str | os.PathLike[str] | None,
    *,
    stem: str | None = None,
    parent: str | Path = "runs",
    more: Mapping[str, Any] | None = None,
) -> RunFolder:
    """A folder for a run of a model: at ``path``, or the next free ``PARENT/STEM-N``, the stem
    being the model's name unless it is given. ``more`` goes into its configuration."""
    spec, request = model.spec, model.checked.request
    stored = _stored_names(spec.files)
    return RunFolder.create(
        stem or model.name,
        request.source.text,
        files={stored[name]: text for name, text in spec.files.items()},
        config={
            "model": model.name,
            "file": _absolute(request.source.name),
            "base": str(model.place.base.resolve()),
            "folder": _folder(model),
            "set": dict(request.sets),
            "at": dict(request.examples),
            "precision": request.precision,
            "masked": request.masked,
            "files": stored,
            "columns": columns_as_json(model.checked.columns),
            "data": _origin(model.data),
            "split": spec.data.split,
            **_resolved(model),
            **(more or {}),
        },
        version=__version__,
        path=None if path is None else Path(path),
        parent=parent,
    )


def _resolved(model: Model) -> dict[str, Any]:
    """Settings as they came out, for whoever reads the configuration."""
    return {"train": dataclasses.asdict(model.spec.train), "hypers": dict(model.spec.hypers)}


def _origin(table: Table | None) -> str | None:
    """Where data came from that the model does not name: a path, or ``arrays``."""
    if table is None:
        return None
    path = Path(table.path)
    return str(path.resolve()) if path.is_file() else ARRAYS


def _folder(model: Model) -> str | None:
    """The folder that data kept elsewhere lie in."""
    folder = model.place.folder
    return None if folder is None else str(folder.resolve())


def _absolute(name: str) -> str | None:
    path = Path(name)
    return str(path.resolve()) if path.is_file() else None


def _stored_names(files: Mapping[str, str]) -> dict[str, str]:
    """A name inside the run folder for each used file; ``../blocks.gc`` must not lead out."""
    stored: dict[str, str] = {}
    for number, name in enumerate(files):
        path = PurePosixPath(name)
        inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name
        stored[name] = str(path) if inside and ":" not in name else f"used-{number}.gc"
    return stored
