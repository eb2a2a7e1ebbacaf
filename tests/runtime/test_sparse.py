"""Checkpoints of pruned states: smaller, the same bit for bit, and safe to read whatever is in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from graphc.runtime import (
    CheckpointInfo,
    RunError,
    load_checkpoint,
    save_checkpoint,
    signature_digest,
)
from graphc.runtime.sparse import pack, unpack

State = dict[str, np.ndarray]


def signature_of(state: State) -> Any:
    """The face of a model that has such a state."""
    shapes = {n: {"shape": list(a.shape)} for n, a in state.items() if a.dtype.kind == "f"}
    states = {n: {**e, "mask": n.endswith(":mask")} for n, e in shapes.items() if ":" in n}
    parameters = {n: e for n, e in shapes.items() if ":" not in n}
    return {
        "model": "m",
        "batch": "n",
        "inputs": {},
        "targets": {},
        "parameters": parameters,
        "state": states,
    }


def pruned(shape: tuple[int, ...] = (30, 20), share: float = 0.9, real: str = "float32") -> State:
    random = np.random.default_rng(0)
    mask = (random.random(shape) >= share).astype(real)
    state = {key: random.normal(size=shape).astype(real) * mask + 0 for key in ("W", "W:m")}
    counters = {"step": np.array(3), "seed": np.array(1)}
    return {**state, "W:mask": mask, "b": random.normal(size=4).astype(real), **counters}


def saved(path: Path, state: State) -> Any:
    signature = signature_of(state)
    save_checkpoint(path, state, CheckpointInfo("m", signature_digest(signature)))
    return signature


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


REALS = st.sampled_from(["float16", "float32", "float64"])
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@st.composite
def states(draw: st.DrawFn) -> State:
    """States with masks that may or may not agree with the arrays, NaN and -0 among them."""
    state: State = {}
    for name in draw(st.lists(st.sampled_from(["W", "h.V", "b"]), unique=True)):
        real, shape = draw(REALS), draw(SHAPES)
        values = arrays.arrays(real, shape, elements=st.floats(width=16))
        mask = draw(arrays.arrays(real, shape, elements=st.sampled_from([0.0, 1.0])))
        if draw(st.booleans()):
            mask = draw(arrays.arrays(real, shape, elements=st.sampled_from([0.0, 1.0, -0.0, 2])))
        for key in (name, f"{name}:m", f"{name}:v"):
            array = draw(values)
            clear = draw(st.booleans())
            state[key] = np.where(mask == 1, array, 0).astype(real) if clear else array
        state[f"{name}:mask"] = mask
    state["step"] = np.array(draw(st.integers(0, 9)))
    return state


@settings(max_examples=150, deadline=None)
@given(states())
def test_every_state_comes_back_bit_for_bit(state: State) -> None:
    tensors, packed = pack(state)
    # What is known of the packing goes through JSON.
    assert same(unpack(tensors, json.loads(json.dumps(packed))), state)
    assert sum(a.nbytes for a in tensors.values()) <= sum(a.nbytes for a in state.values())


def test_what_is_removed_takes_a_bit(tmp_path: Path) -> None:
    state = pruned()
    signature = saved(tmp_path / "c", state)
    loaded, info = load_checkpoint(tmp_path / "c", signature)
    assert same(loaded, state)
    assert info.format == 3
    stored = safetensors.numpy.load((tmp_path / "c").read_bytes())
    left = int(state["W:mask"].sum())
    assert stored["W:mask"].nbytes == 600 / 8
    assert stored["W"].shape == stored["W:m"].shape == (left,)
    assert all(array.flags.writeable for array in loaded.values())


def test_another_precision(tmp_path: Path) -> None:
    state = pruned()
    loaded, _ = load_checkpoint(tmp_path / "c", saved(tmp_path / "c", state), real=np.float64)
    assert loaded["W:mask"].dtype == loaded["W"].dtype == np.float64
    np.testing.assert_array_equal(loaded["W"], state["W"])


def test_only_what_masks_cover_is_left_out(tmp_path: Path) -> None:
    state = pruned()
    state["W"][state["W:mask"] == 0] = 7.0  # not removed after all
    state["W:m"][0, 0] = -0.0
    state["W:mask"][0, 0] = 0
    tensors, packed = pack(state)
    assert packed["W"]["kept"] == []
    assert same(unpack(tensors, packed), state)


def test_without_masks_a_file_is_what_it_was(tmp_path: Path) -> None:
    state = {name: array for name, array in pruned().items() if name != "W:mask"}
    info = CheckpointInfo("m", "s")
    save_checkpoint(tmp_path / "c", state, info)
    stored = (tmp_path / "c").read_bytes()
    header = json.loads(stored[8 : 8 + int.from_bytes(stored[:8], "little")])
    told = json.loads(header["__metadata__"]["graphc"])
    assert told["format"] == 2
    assert "sparse" not in told
    assert same(safetensors.numpy.load(stored), state)


HUGE = 2**62
BAD_ENTRIES: list[Any] = [
    [],
    "W",
    7,
    None,
    {"V": {"shape": [30, 20], "dtype": "float32", "kept": ["V"]}},
    {"W": None},
    {"W": {}},
    {"W": {"shape": [30, 21], "dtype": "float32", "kept": []}},
    {"W": {"shape": [0, 20], "dtype": "float32", "kept": []}},
    {"W": {"shape": [HUGE, HUGE], "dtype": "float32", "kept": []}},
    {"W": {"shape": [HUGE, 0], "dtype": "float32", "kept": []}},
    {"W": {"shape": [-30, -20], "dtype": "float32", "kept": []}},
    {"W": {"shape": [30.0, 20], "dtype": "float32", "kept": []}},
    {"W": {"shape": [True, 600], "dtype": "float32", "kept": []}},
    {"W": {"shape": [1] * 100 + [600], "dtype": "float32", "kept": []}},
    {"W": {"shape": 600, "dtype": "float32", "kept": []}},
    {"W": {"shape": [599], "dtype": "float32", "kept": []}},
    {"W": {"shape": [30, 20], "dtype": "object", "kept": ["W"]}},
    {"W": {"shape": [30, 20], "dtype": ["float32"], "kept": ["W"]}},
    {"W": {"shape": [30, 20], "dtype": "float32", "kept": None}},
    {"W": {"shape": [30, 20], "dtype": "float32", "kept": [[]]}},
    {"W": {"shape": [30, 20], "dtype": "float32", "kept": ["b"]}},
    {"W": {"shape": [30, 20], "dtype": "float32", "kept": ["step"]}},
    {"W": {"shape": [30, 20], "dtype": "float32", "kept": ["W:mask"]}},
    {"W": {"shape": [30, 20], "dtype": "float32", "kept": ["W:gone"]}},
    {"W": {"shape": [30, 20], "dtype": "float32", "kept": ["W"]}},
    {"W": {"shape": [20, 30], "dtype": "float32", "kept": ["W", "W:m"]}},
]
"""What a damaged or hostile file may say of how it is packed."""


def rewritten(path: Path, change: Any) -> None:
    """The file with other metadata or tensors: ``change`` gets both."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    told = json.loads(header["__metadata__"]["graphc"])
    tensors = dict(safetensors.numpy.load(data))
    change(told, tensors)
    path.write_bytes(safetensors.numpy.save(tensors, {"graphc": json.dumps(told)}))


@pytest.mark.parametrize("entry", BAD_ENTRIES, ids=str)
def test_metadata_that_lie(tmp_path: Path, entry: Any) -> None:
    path = tmp_path / "c"
    signature = saved(path, pruned())
    rewritten(path, lambda told, tensors: told.update(sparse=entry))
    with pytest.raises(RunError, match=r"damaged|another model"):
        load_checkpoint(path, signature)


BAD_TENSORS: dict[str, np.ndarray | None] = {
    "no mask": None,
    "too few bits": np.zeros(74, np.uint8),
    "too many bits": np.zeros(76, np.uint8),
    "bits for fewer": np.zeros(75, np.uint8),
    "not bits": np.zeros(75, np.float32),
    "in two dimensions": np.zeros((3, 25), np.uint8),
}


@pytest.mark.parametrize("what", BAD_TENSORS)
def test_bits_that_do_not_fit(tmp_path: Path, what: str) -> None:
    path = tmp_path / "c"
    signature = saved(path, pruned())

    def change(told: Any, tensors: State) -> None:
        array = BAD_TENSORS[what]
        del tensors["W:mask"]
        if array is not None:
            tensors["W:mask"] = array

    rewritten(path, change)
    with pytest.raises(RunError, match="damaged"):
        load_checkpoint(path, signature)


@pytest.mark.parametrize("key", ["W", "W:m"])
@pytest.mark.parametrize("kind", ["missing", "short", "whole", "integers"])
def test_values_that_do_not_fit(tmp_path: Path, key: str, kind: str) -> None:
    path, state = tmp_path / "c", pruned()
    signature = saved(path, state)

    def change(told: Any, tensors: State) -> None:
        there = tensors.pop(key)
        other = {"short": there[1:], "whole": state[key], "integers": there.astype(np.int64)}
        if kind != "missing":
            tensors[key] = np.ascontiguousarray(other[kind])

    rewritten(path, change)
    with pytest.raises(RunError, match="damaged"):
        load_checkpoint(path, signature)


def test_bits_past_the_end(tmp_path: Path) -> None:
    path, state = tmp_path / "c", pruned((3, 3))
    signature = saved(path, state)

    def change(told: Any, tensors: State) -> None:
        tensors["W:mask"] = tensors["W:mask"] | np.array([0, 1], np.uint8)

    rewritten(path, change)
    with pytest.raises(RunError, match="more than its 9 weights"):
        load_checkpoint(path, signature)


def test_a_mask_that_is_stored_whole_is_checked_too(tmp_path: Path) -> None:
    state = pruned()
    state["W:mask"][0, 0] = 0.5
    signature = saved(tmp_path / "c", state)
    with pytest.raises(RunError, match="W:mask is a mask, but not of 0 and 1 only"):
        load_checkpoint(tmp_path / "c", signature)


@pytest.mark.parametrize("seed", range(4))
def test_any_damage_is_an_error_for_people(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "c"
    signature = saved(path, pruned((9, 5), 0.5))
    whole = path.read_bytes()
    random = np.random.default_rng(seed)
    for _ in range(100):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            load_checkpoint(path, signature)
        except RunError:
            continue
