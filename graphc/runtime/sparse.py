"""Pruned arrays without their zeros, for checkpoints.

A mask ``W:mask`` becomes its bits, eight weights a byte, and each array of the parameter W, itself
and the states of its optimizer, the values that the mask keeps, in order. Only what comes back bit
for bit is packed, and only where that is smaller; the rest stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.runtime.face import Array, Arrays

__all__ = ["pack", "unpack"]

_MASK = ":mask"
_REALS = ("float16", "float32", "float64")

Packed = dict[str, dict[str, Any]]
"""By parameter: the ``shape`` and ``dtype`` of its mask, and the names of the ``kept`` arrays that
hold their kept values only."""


def pack(state: Arrays) -> tuple[Arrays, Packed]:
    """The arrays to store, and what says which of them are packed: nothing in a state without
    masks, which is returned as it is."""
    tensors, packed = dict(state), Packed()
    for key, mask in state.items():
        name = key.removesuffix(_MASK)
        if name == key or name not in state or not _is_mask(mask):
            continue
        chosen = mask != 0
        own = [n for n in state if n != key and (n == name or n.startswith(f"{name}:"))]
        kept = [n for n in own if _worth_packing(state[n], chosen)]
        tensors[key] = np.packbits(chosen)
        tensors.update((n, state[n][chosen]) for n in kept)
        packed[name] = {"shape": list(mask.shape), "dtype": mask.dtype.name, "kept": kept}
    return tensors, packed


def _is_mask(array: Array) -> bool:
    """Whether bits say all that is in an array."""
    return array.dtype.name in _REALS and _same(array, (array == 1).astype(array.dtype))


def _worth_packing(array: Array, chosen: Array) -> bool:
    """Whether kept values are fewer, and say all that is in an array: the rest is +0."""
    if array.shape != chosen.shape or array.dtype.name not in _REALS or chosen.all():
        return False
    return _same(array, _spread(array[chosen], chosen))


def _spread(kept: Array, chosen: Array) -> Array:
    """Kept values in their places, zeros elsewhere."""
    array = np.zeros(chosen.shape, kept.dtype)
    array[chosen] = kept
    return array


def _same(one: Array, other: Array) -> bool:
    """Whether two arrays of one type and shape are equal bit for bit: -0 is not 0, NaN is NaN."""
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def unpack(tensors: Arrays, packed: Mapping[str, Any]) -> Arrays:
    """The state that was packed. ValueError for parts that do not belong together: nothing larger
    than the bits of a mask warrant is ever allocated."""
    state = dict(tensors)
    for name, entry in packed.items():
        chosen = _chosen(name, tensors, entry)
        state[f"{name}{_MASK}"] = chosen.astype(_real(name, entry["dtype"]))
        for key in entry["kept"]:
            if not isinstance(key, str) or not (key == name or key.startswith(f"{name}:")):
                raise ValueError(f"{key} is no array of {name}")
            state[key] = _spread(_kept(key, tensors, int(chosen.sum())), chosen)
    return state


def _chosen(name: str, tensors: Arrays, entry: Mapping[str, Any]) -> Array:
    """A mask from its bits, as truth values."""
    bits, shape = tensors.get(f"{name}{_MASK}"), entry["shape"]
    if bits is None:
        raise ValueError(f"the mask of {name} is missing")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"the mask of {name} has the shape {shape!r}")
    count = math.prod(shape)
    if bits.dtype != np.uint8 or bits.shape != (-(-count // 8),):
        raise ValueError(f"the mask of {name} has not one bit for each of {count} weights")
    found = np.unpackbits(bits).astype(bool)
    if found[count:].any():
        raise ValueError(f"the mask of {name} has bits for more than its {count} weights")
    return found[:count].reshape(shape)


def _real(name: str, dtype: object) -> str:
    if dtype not in _REALS:
        raise ValueError(f"the mask of {name} is of the type {dtype!r}")
    return str(dtype)


def _kept(key: str, tensors: Arrays, count: int) -> Array:
    kept = tensors.get(key)
    if kept is None:
        raise ValueError(f"{key} is missing")
    if kept.shape != (count,) or kept.dtype.name not in _REALS:
        raise ValueError(f"{key} has not one number for each of {count} weights that are left")
    return kept
