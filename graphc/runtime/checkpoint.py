"""Checkpoints: a state as safetensors, with what is known about it as JSON metadata.

Nothing in a checkpoint can run as code. A checkpoint is replaced whole or not at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from safetensors import SafetensorError
from safetensors.numpy import load as parse_tensors
from safetensors.numpy import save as serialize_tensors

from graphc.runtime.atomic import json_ready, read_regular, write_atomic, write_json_atomic
from graphc.runtime.errors import RunError
from graphc.runtime.face import Array, Arrays, Signature
from graphc.runtime.sparse import pack, unpack
from graphc.runtime.wording import listing

__all__ = [
    "CheckpointInfo",
    "load_checkpoint",
    "not_finite",
    "save_checkpoint",
    "signature_digest",
    "write_json_atomic",
]

FORMAT, SPARSE = 2, 3
"""1: optimizers keep their states as their rules are written; 2: in units of their own; 3: so, and
what is pruned is left out. A state without masks is written as 2."""
_KEY = "graphc"
_BOOKKEEPING = frozenset({"step", "seed", "epochs", "steps_per_epoch"})
_ALWAYS = frozenset({"step", "seed"})
_DTYPE_KINDS = {"real": "f", "bool": "b"}


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says about the state in it.

    ``epoch`` counts whole epochs done, ``step`` the steps. ``watch`` names the watched value,
    ``value`` is it at this epoch; the best so far was ``best_value``, after epoch ``best_epoch``
    (0: none yet). ``signature`` is the digest of the model's face.
    """

    model: str
    signature: str
    epoch: int = 0
    step: int = 0
    watch: str = "objective"
    value: float | None = None
    best_epoch: int = 0
    best_value: float | None = None
    classes: Mapping[str, list[str]] = field(default_factory=dict)
    format: int = FORMAT


def signature_digest(signature: Signature) -> str:
    """A short hash of what data and weights must agree on: inputs, targets, parameters, state."""
    face = {
        "batch": signature["batch"],
        "inputs": _types(signature["inputs"]),
        "targets": _types(signature["targets"]),
        "parameters": _types(signature["parameters"]),
        "state": _types(signature["state"]),
    }
    text = json.dumps(json_ready(face), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_checkpoint(path: Path, state: Arrays, info: CheckpointInfo) -> None:
    """Write state and metadata at ``path``. RunError when the disk does not let it."""
    told = dataclasses.asdict(info)
    tensors, packed = pack({name: _plain(array) for name, array in state.items()})
    told["format"] = SPARSE if packed else min(info.format, FORMAT)
    if packed:
        told["sparse"] = packed
    metadata = json.dumps(json_ready(told), allow_nan=False)
    write_atomic(path, serialize_tensors(tensors, {_KEY: metadata}))


def load_checkpoint(
    path: Path, signature: Signature, *, real: DTypeLike | None = None
) -> tuple[Arrays, CheckpointInfo]:
    """The state and what is known about it; RunError unless it fits the model.

    ``real`` converts the real arrays to that precision.
    """
    state, info, packed = _read(path)
    if info.format > SPARSE:
        raise RunError(
            f"{path} was written by a newer graphc (checkpoint format {info.format})",
            help="update graphc",
        )
    if info.format >= SPARSE:
        state = _unpacked(path, state, packed)
    _expect_same_model(path, state, info, signature)
    _expect_masks(path, state, signature)
    if info.format < 2:
        state = _in_units(state, signature)
    if real is not None:
        state = {
            name: array.astype(real, copy=False) if array.dtype.kind == "f" else array
            for name, array in state.items()
        }
    return state, info


def _unpacked(path: Path, tensors: Arrays, packed: Any) -> Arrays:
    try:
        return unpack(tensors, packed)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as problem:
        raise _damaged(path, problem) from problem


def _damaged(path: Path, problem: object) -> RunError:
    return RunError(
        f"{path} is not a checkpoint, or it is damaged: {problem}",
        help="use an older checkpoint, or train again",
    )


def _expect_masks(path: Path, state: Arrays, signature: Signature) -> None:
    for name, entry in signature["state"].items():
        if entry.get("mask") and not ((state[name] == 0) | (state[name] == 1)).all():
            raise _damaged(path, f"{name} is a mask, but not of 0 and 1 only")


def _in_units(state: Arrays, signature: Signature) -> Arrays:
    """A state of format 1 as it is kept now."""
    units = {name: entry.get("unit", 1.0) for name, entry in signature["state"].items()}
    return {
        name: (array / units[name]).astype(array.dtype) if units.get(name, 1.0) != 1 else array
        for name, array in state.items()
    }


def not_finite(state: Arrays, signature: Signature) -> str | None:
    """The first parameter that is NaN or infinite, or other state that is NaN; None if none is.

    State may be infinite on purpose (a running minimum starts there).
    """
    for name, array in state.items():
        if array.dtype.kind != "f":
            continue
        bad = ~np.isfinite(array) if name in signature["parameters"] else np.isnan(array)
        if bad.any():
            return name
    return None


def _plain(array: Array) -> Array:
    """Contiguous and in native byte order, as safetensors writes it; scalars stay 0-d."""
    native = np.asarray(array).astype(np.asarray(array).dtype.newbyteorder("="), copy=False)
    return np.asarray(native, order="C")


def _types(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    kept = ("kind", "classes", "shape")
    return {
        name: {key: entry[key] for key in kept if entry.get(key) is not None}
        for name, entry in entries.items()
    }


def _read(path: Path) -> tuple[Arrays, CheckpointInfo, Any]:
    """Tensors as they are stored, what is known of the state, and how tensors are packed."""
    try:
        data = read_regular(path)
    except FileNotFoundError as problem:
        raise RunError(f"there is no checkpoint {path}", help="train the model first") from problem
    except OSError as problem:
        raise RunError(
            f"cannot read {path}: {problem.strerror or problem}",
            help="the run is damaged; start a new one",
        ) from problem
    try:
        state = {name: array.copy() for name, array in parse_tensors(data).items()}
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise _damaged(path, problem) from problem
    return state, *_info(path, data)


def _info(path: Path, data: bytes) -> tuple[CheckpointInfo, Any]:
    """The metadata; the tensors have been parsed by now, so the header is known to be sound."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    try:
        told = json.loads(header["__metadata__"][_KEY])
        known = {entry.name for entry in dataclasses.fields(CheckpointInfo)}
        info = CheckpointInfo(**{key: value for key, value in told.items() if key in known})
        _expect_sound(info)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise RunError(
            f"{path} is a safetensors file, but not a checkpoint of graphc",
            help="give a file that graphc saved, best.safetensors or last.safetensors",
        ) from problem
    return info, told.get("sparse")


def _expect_sound(info: CheckpointInfo) -> None:
    """ValueError unless the values that a run goes on from are of their types."""
    counts = (info.epoch, info.step, info.best_epoch, info.format)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("a count in it is not one")
    if not isinstance(info.best_value, int | float | None):
        raise ValueError("its best value is not a number")


def _expect_same_model(
    path: Path, state: Arrays, info: CheckpointInfo, signature: Signature
) -> None:
    differences = _differences(state, signature)
    if not differences and info.signature == signature_digest(signature):
        return
    told = listing(differences, 4) or "its inputs or targets are declared otherwise"
    raise RunError(
        f"{path} was saved for another model ({info.model}, here {signature['model']}): {told}",
        help="use it with the model it was saved for, or train this one again",
    )


def _differences(state: Arrays, signature: Signature) -> list[str]:
    expected = {**signature["parameters"], **signature["state"]}
    words: list[str] = []
    for name, entry in expected.items():
        shape = list(entry["shape"])
        if name not in state:
            words.append(f"{name} is not in it")
        elif list(state[name].shape) != shape:
            words.append(f"{name} is {list(state[name].shape)} in it and {shape} in the model")
        elif state[name].dtype.kind not in _DTYPE_KINDS.get(entry.get("kind", "real"), "iu"):
            words.append(f"{name} holds {state[name].dtype} values in it")
    for name in sorted(_BOOKKEEPING & set(state) | _ALWAYS):
        if name not in state or state[name].shape or state[name].dtype.kind not in "iu":
            words.append(f"{name} is not a count in it")
    extra = [name for name in state if name not in expected and name not in _BOOKKEEPING]
    return words + [f"{name} is not in the model" for name in extra]
