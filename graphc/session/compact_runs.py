"""A compacted model as a run of its own, beside the one that it was made from."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from graphc.runtime import CheckpointInfo, RunError, RunFolder, load_checkpoint
from graphc.runtime.checkpoint import signature_digest
from graphc.session.compacting import Compacted
from graphc.session.run import Run, load
from graphc.session.training import new_folder

__all__ = ["save_compacted"]


def save_compacted(compacted: Compacted, parent: Run) -> Run:
    """Write a compacted model in a folder ``NAME-N-compact-M`` beside its parent's, and load it.

    It can be evaluated, exported and resumed like any run, from the epoch of the parent's best
    state on; the history until then is the parent's. The parent is left as it is. RunError for a
    parent that was kept nowhere, and where the disk does not let the run be written.
    """
    if parent.path is None:
        raise RunError("this run was kept nowhere", help="train with a folder to compact it")
    from_folder = RunFolder.open(parent.path)
    told = {"parent": str(parent.path.resolve()), "layers": [asdict(x) for x in compacted.layers]}
    config = from_folder.config()
    more: dict[str, Any] = {key: config[key] for key in ("file", "data") if key in config}
    folder = new_folder(
        compacted.model,
        None,
        stem=f"{parent.path.name}-compact",
        parent=parent.path.parent,
        more=more | {"compacted": told},
    )
    try:
        _fill(folder, compacted, parent, from_folder)
    except BaseException:
        _take_back(folder)
        raise
    return load(folder.path)


def _fill(folder: RunFolder, compacted: Compacted, parent: Run, source: RunFolder) -> None:
    info = _info(source, parent, compacted)
    for record in parent.history:
        if record["epoch"] <= info.epoch:
            folder.append_epoch(record)
    folder.save_best(compacted.state, info)
    folder.save_last(compacted.state, info)
    # The scores are the parent's: outputs and objective are the same.
    summary = {**(parent.summary or {}), "epochs": info.epoch}
    folder.write_summary({**summary, "compacted": _sizes(compacted)})


def _info(source: RunFolder, parent: Run, compacted: Compacted) -> CheckpointInfo:
    """What the parent's best state says about itself, for the smaller model."""
    path: Path = source.best if source.best.exists() else source.last
    _, info = load_checkpoint(path, parent.model.module.signature)
    return replace(info, signature=signature_digest(compacted.model.module.signature))


def _sizes(compacted: Compacted) -> dict[str, Any]:
    return {
        "layers": [asdict(layer) for layer in compacted.layers],
        "parameters": list(compacted.parameters),
        "module_size": list(compacted.module_size),
        "weights_size": list(compacted.weights_size),
        "notes": list(compacted.notes),
    }


def _take_back(folder: RunFolder) -> None:
    for path in (folder.best, folder.last):
        path.unlink(missing_ok=True)
    folder.discard()
