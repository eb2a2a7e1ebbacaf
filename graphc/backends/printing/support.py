"""Functions that every printed module holds, as they are but without annotations.

They are here as code, not as text, so that they are formatted, checked and tested like any other.
The names below stand for what the printed module defines itself.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["FILES", "FITTING", "FLAT", "MASKS", "PRODUCTS", "RUN", "VALUES"]

Arrays = dict[str, Any]

REAL: Any = np.float32
GROUPS: tuple[tuple[str, ...], ...] = ()
MOMENTS: tuple[tuple[str, ...], ...] = ()
COUNTERS: tuple[str, ...] = ("step", "seed")
signature: dict[str, Any] = {}
classes: dict[str, list[str]] = {}


# ------------------------------------------------------------------------------ values


def _array(values: Arrays, name: str, real: Any, sizes: dict[str, int]) -> Any:
    """The array of that name, with the type and shape that `signature` states.

    `sizes` collects the symbolic dimensions, which must agree from array to array.
    """
    entry = signature["inputs"].get(name) or signature["targets"][name]
    if name not in values:
        raise ValueError(f"{name} is missing")
    if entry["kind"] in ("int", "label"):
        array = _integers(name, values[name])
    else:
        array = np.asarray(values[name], dtype=_dtype(entry["kind"], real))
    shape = tuple(sizes.get(size, size) for size in entry["shape"])
    if array.ndim != len(shape):
        raise ValueError(f"{name} has shape {array.shape}, not {entry['shape']}")
    for size, actual in zip(shape, array.shape, strict=True):
        if isinstance(size, str) and size.isidentifier():
            sizes[size] = actual
        elif isinstance(size, int) and size != actual:
            raise ValueError(f"{name} has shape {array.shape}, not {entry['shape']} with {sizes}")
    if "classes" in entry and array.size:
        _check_labels(name, array, entry["classes"])
    return array


def _dtype(kind: str, real: Any) -> Any:
    """NumPy's type for a kind of value."""
    return {"real": real, "bool": np.bool_}.get(kind, np.int64)


def _integers(name: str, values: Any) -> Any:
    """Values as integers; ValueError where one is not whole."""
    array = np.asarray(values)
    return array if array.dtype == np.int64 else _whole(name, array)


def _whole(name: str, values: Any) -> Any:
    """An array as integers; ValueError where one is not whole."""
    try:
        with np.errstate(invalid="ignore"):
            whole = values.astype(np.int64)
            same = bool(np.all(whole == values.astype(np.float64)))
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ValueError(f"{name} holds values that are not whole numbers")
    return whole


def _check_labels(name: str, labels: Any, count: int) -> None:
    """Labels index classes, so one out of range would pick a wrong one silently."""
    low, high = labels.min(), labels.max()
    if low < 0 or high >= count:
        raise ValueError(f"{name} holds {low if low < 0 else high}, its labels are 0..{count - 1}")


def _tangents(tangents: Arrays, name: str, real: Any) -> Any:
    """The tangents of one parameter, [k, …]; ValueError unless all parameters have k."""
    shape = (_tangent_count(tangents), *signature["parameters"][name]["shape"])
    array = np.asarray(tangents[name], dtype=real)
    if array.shape != shape:
        raise ValueError(f"tangents of {name} have shape {array.shape}, not {shape}")
    return array


def _tangent_count(tangents: Arrays) -> int:
    """How many tangents there are; ValueError unless there are some for every parameter."""
    learned = [name for group in GROUPS for name in group]
    missing = [name for name in learned if name not in tangents]
    unknown = [name for name in tangents if name not in learned]
    if missing or unknown:
        parts = [f"lack {', '.join(missing)}"] * bool(missing)
        parts += [f"have {', '.join(unknown)}, which is not learned"] * bool(unknown)
        raise ValueError(f"the tangents {' and '.join(parts)}")
    first = np.shape(tangents[learned[0]])
    if not first:
        raise ValueError(f"tangents of {learned[0]} need a first axis that counts them")
    return int(first[0])


def _layer_tangents(tangents: Arrays, name: str, size: int, real: Any) -> Any:
    """Directions of the outputs of one layer, [k, size]; ValueError unless all layers have k."""
    shape = (_layer_tangent_count(tangents), size)
    if name not in tangents:
        raise ValueError(f"the tangents lack {name}")
    array = np.asarray(tangents[name], dtype=real)
    if array.shape != shape:
        raise ValueError(f"tangents of {name} have shape {array.shape}, not {shape}")
    return array


def _layer_tangent_count(tangents: Arrays) -> int:
    """How many directions there are; ValueError where there are none."""
    if not tangents:
        raise ValueError("there are no tangents")
    return len(next(iter(tangents.values())))


# ------------------------------------------------------------------------------- files


def load(path: str) -> Arrays:
    """A state from an .npz file; ValueError where it is not one of this model."""
    state = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                with archive.open(entry) as file:
                    name = entry.removesuffix(".npy")
                    state[name] = np.lib.format.read_array(file, allow_pickle=False)
    except zipfile.BadZipFile:
        raise ValueError(f"{path} is not an .npz file") from None
    _check_state(state)
    return state


def save(path: str, state: Arrays) -> None:
    """Write a state; the file is there whole or, after a crash, as it was before."""
    temporary = f"{path}.{os.getpid()}.part"
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            for key, array in state.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _check_state(state: Arrays) -> None:
    """ValueError unless the names, shapes and types are those of this model's state."""
    entries = {**signature["parameters"], **signature["state"]}
    entries.update({name: {"shape": [], "kind": "int"} for name in COUNTERS})
    missing = [name for name in entries if name not in state]
    unknown = [name for name in state if name not in entries]
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing)
        parts += [f"has {', '.join(unknown)}, which the model has not"] * bool(unknown)
        raise ValueError(f"this is not a state of the model: it {' and '.join(parts)}")
    for name, entry in entries.items():
        array = np.asanyarray(state[name])
        shape, kind = tuple(entry["shape"]), entry.get("kind", "real")
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, in this model it is {shape}")
        if array.dtype.kind != {"real": "f", "bool": "b"}.get(kind, "i"):
            raise ValueError(f"{name} holds {array.dtype}, in this model it is {kind}")


def _check_masks(state: Arrays) -> None:
    """ValueError unless every mask holds 0 and 1 only: removed or kept, by weight."""
    for name, entry in signature["state"].items():
        mask = np.asanyarray(state[name])
        if entry.get("mask") and not ((mask == 0) | (mask == 1)).all():
            raise ValueError(f"{name} is a mask, but not of 0 and 1 only")


# -------------------------------------------------------------------------------- data


def _present(raw: Any, name: str) -> bool:
    """Whether an input or target can be made; an input must, a target is left out."""
    columns = [column for column, users in signature["columns"].items() if name in users]
    missing = [column for column in columns if column not in raw]
    if missing and name in signature["inputs"]:
        raise ValueError(f"input {name} needs {', '.join(missing)}, which the data has not")
    return not missing


def _number_column(raw: Any, column: str, kind: str, real: Any) -> Any:
    """A column as numbers. Bytes become real before any arithmetic."""
    if column not in raw:
        raise ValueError(f"the data has no column {column}")
    values = np.asarray(raw[column])
    if kind == "real" or values.dtype.kind in "biu":
        return values.astype(_dtype(kind, real))
    return _whole(column, values).astype(_dtype(kind, real))


def _label_column(raw: Any, column: str, name: str, count: int) -> Any:
    """A column as labels 0..count-1; texts are looked up among the classes of `name`."""
    values = np.asarray(raw[column])
    if values.dtype.kind in "USO" and all(isinstance(v, (str, bytes)) for v in values.flat):
        labels = _looked_up(column, values.astype(str), classes.get(name, []))
    else:
        labels = _whole(column, values)
    if labels.size:
        _check_labels(column, labels, count)
    return labels


def _looked_up(column: str, texts: Any, known: list[str]) -> Any:
    """The place of each text among the known classes."""
    place = {text: label for label, text in enumerate(known)}
    unknown = sorted({text for text in texts.flat if text not in place})
    if unknown:
        raise ValueError(f"{column} holds {str(unknown[0])!r}, its classes are {', '.join(known)}")
    return np.array([place[text] for text in texts.flat], dtype=np.int64).reshape(texts.shape)


# ---------------------------------------------------------------------------- training


def _known(name: str, given: Any, state: Arrays, default: Any, clock: Any) -> int:
    """A length of the run, from the argument, the state or the file; 0 if no `clock` needs it."""
    for value in (given, int(state[name]), default):
        if value:
            return int(value)
    if clock is None:
        return 0
    raise ValueError(f"this model's schedule reads `{clock}`: give Trainer({name}=…)")


def _of_run(state: Arrays, name: str, clock: str) -> int:
    """A length of the run, which the state must know."""
    value = int(state[name])
    if not value:
        raise ValueError(f"this model reads `{clock}`: set state[{name!r}]")
    return value


def _flat_arrays(state: Arrays, real: Any) -> tuple[Any, Any, Arrays]:
    """All learned parameters in a flat array, another for their gradients, views by name."""
    names = [name for names in GROUPS for name in names]
    weights = np.empty(_count_of(names, state), dtype=real)
    views = _filled(weights, names, names, state)
    return weights, np.zeros_like(weights), views


def _count_of(names: Any, state: Arrays) -> int:
    """Elements of the arrays of those names."""
    return sum(math.prod(np.shape(state[name])) for name in names)


def _filled(flat: Any, names: Any, keys: Any, state: Arrays) -> Arrays:
    """Views of a flat array by `keys`, filled from the state; shapes are those of `names`."""
    views = dict(zip(keys, _views(flat, names, state).values(), strict=True))
    for key, view in views.items():
        np.copyto(view, state[key])
    return views


def _views(flat: Any, names: Any, like: Arrays) -> Arrays:
    """Pieces of a flat array, shaped like the arrays of those names."""
    views, start = {}, 0
    for name in names:
        shape = np.shape(like[name])
        views[name] = flat[start : start + math.prod(shape)].reshape(shape)
        start += math.prod(shape)
    return views


def _grouped(state: Arrays, weights: Any, slopes: Any, views: Arrays) -> list[tuple[Any, ...]]:
    """Flat arrays of each optimizer: parameters, gradients, states; `views` gains the states."""
    groups, start = [], 0
    for names, moments in zip(GROUPS, MOMENTS, strict=True):
        stop = start + _count_of(names, state)
        arrays = [weights[start:stop], slopes[start:stop]]
        for moment in moments:
            arrays.append(np.empty_like(weights[start:stop]))
            keys = [f"{name}:{moment}" for name in names]
            views.update(_filled(arrays[-1], names, keys, state))
        groups.append(tuple(arrays))
        start = stop
    return groups


def _spread(values: Any, names: Any, like: Arrays, real: Any) -> Any:
    """A number for each of some arrays, repeated for each of its elements."""
    flat = np.empty(_count_of(names, like), dtype=real)
    for value, view in zip(values, _views(flat, names, like).values(), strict=True):
        view.fill(value)
    return flat


VALUES: list[Callable[..., Any]] = [_array, _dtype, _integers, _whole, _check_labels]
FILES: list[Callable[..., Any]] = [load, save, _check_state]
MASKS: list[Callable[..., Any]] = [_check_masks]
FITTING: list[Callable[..., Any]] = [_present, _number_column, _label_column, _looked_up]
RUN: list[Callable[..., Any]] = [_of_run]
PRODUCTS: list[Callable[..., Any]] = [
    _tangents,
    _tangent_count,
    _layer_tangents,
    _layer_tangent_count,
]
FLAT: list[Callable[..., Any]] = [
    _known,
    _flat_arrays,
    _count_of,
    _filled,
    _views,
    _grouped,
    _spread,
]
