from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import signal

import numpy as np
import pytest
import safetensors.numpy

from graphc.runtime import (
    CheckpointInfo,
    RunError,
    load_checkpoint,
    save_checkpoint,
    signature_digest,
    write_json_atomic,
)
from graphc.runtime.atomic import uninterrupted


@pytest.fixture
def info(toy):
    return CheckpointInfo(
        "toy",
        signature_digest(toy.signature),
        epoch=3,
        step=12,
        watch="ce",
        value=0.1,
        best_epoch=2,
        best_value=1 / 3,
        classes=dict(toy.classes),
    )


@pytest.fixture
def saved(toy, tmp_path, info):
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, toy.init(), info)
    return path


def test_round_trip(toy, saved, info):
    state, told = load_checkpoint(saved, toy.signature)
    assert told == info
    expected = toy.init()
    assert state.keys() == expected.keys()
    for name, array in expected.items():
        assert state[name].dtype == array.dtype
        assert state[name].shape == array.shape
        np.testing.assert_array_equal(state[name], array)
        assert state[name].flags.writeable


def test_arrays_of_any_layout(toy, tmp_path, info):
    state = toy.init()
    state["h.W"] = np.asfortranarray(np.arange(6.0).reshape(2, 3)).astype(">f8")
    save_checkpoint(tmp_path / "c", state, info)
    loaded, _ = load_checkpoint(tmp_path / "c", toy.signature, real=np.float32)
    assert loaded["h.W"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert loaded["h.W"].dtype == np.float32
    assert loaded["step"].dtype == np.int64


def test_missing_and_damaged(toy, saved, tmp_path):
    with pytest.raises(RunError, match="no checkpoint"):
        load_checkpoint(tmp_path / "nowhere", toy.signature)
    with pytest.raises(RunError, match="cannot read"):
        load_checkpoint(tmp_path, toy.signature)
    whole = saved.read_bytes()
    for size in range(len(whole)):
        saved.write_bytes(whole[:size])
        with pytest.raises(RunError, match="damaged"):
            load_checkpoint(saved, toy.signature)
    for position in range(400):
        saved.write_bytes(whole[:position] + b"\xff" + whole[position + 1 :])
        with contextlib.suppress(RunError):
            load_checkpoint(saved, toy.signature)


@pytest.mark.parametrize(
    "metadata", [None, {"graphc": "["}, {"graphc": "[]"}, {"graphc": "{}"}, {"other": "1"}]
)
def test_foreign_safetensors(toy, tmp_path, metadata):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.numpy.save(toy.init(), metadata))
    with pytest.raises(RunError, match="not a checkpoint of graphc"):
        load_checkpoint(path, toy.signature)


def test_newer_format(toy, tmp_path):
    path = tmp_path / "x.safetensors"
    told = json.dumps({"model": "toy", "signature": "", "format": 99})
    path.write_bytes(safetensors.numpy.save(toy.init(), {"graphc": told}))
    with pytest.raises(RunError, match="newer"):
        load_checkpoint(path, toy.signature)


def test_states_of_an_older_format_get_their_units(toy, tmp_path):
    """Format 1 kept an optimizer's states as its rule writes them; nothing saved is lost."""
    entries = {
        n: {**e, "unit": 0.1} if n.endswith(".m") else e for n, e in toy.signature["state"].items()
    }
    scaled = {**toy.signature, "state": entries}
    assert signature_digest(scaled) == signature_digest(toy.signature)
    state = toy.init()
    names = [name for name in state if name.endswith(".m")]
    assert names
    for name in names:
        state[name] = np.full_like(state[name], 0.3)
    path = tmp_path / "x.safetensors"
    for format, expected in ((1, 3.0), (2, 0.3)):
        info = CheckpointInfo("toy", signature_digest(scaled), format=format)
        save_checkpoint(path, state, info)
        loaded, _ = load_checkpoint(path, scaled)
        for name in names:
            np.testing.assert_allclose(loaded[name], expected, rtol=1e-6)
            assert loaded[name].dtype == state[name].dtype
        np.testing.assert_array_equal(loaded["h.W"], state["h.W"])


def test_another_model(toy, saved):
    other = {
        **toy.signature,
        "model": "other",
        "parameters": {"h.W": {"shape": [5, 3]}, "g.W": {"shape": [1]}},
    }
    with pytest.raises(RunError) as caught:
        load_checkpoint(saved, other)
    assert "h.W is [2, 3] in it and [5, 3] in the model" in caught.value.message
    assert "g.W is not in it" in caught.value.message
    assert "μ.b is not in the model" in caught.value.message
    relabelled = {
        **toy.signature,
        "targets": {"y": {"kind": "label", "classes": 4, "shape": ["n"]}},
    }
    with pytest.raises(RunError, match="inputs or targets"):
        load_checkpoint(saved, relabelled)


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def stop(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("call", ["replace", "fsync", "open"])
@pytest.mark.parametrize(("fail", "error"), [(full_disk, RunError), (stop, KeyboardInterrupt)])
def test_a_failed_writing_leaves_the_old_file(toy, saved, info, monkeypatch, call, fail, error):
    before = saved.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(error):
            save_checkpoint(saved, toy.init(seed=9), info)
        with pytest.raises(error):
            write_json_atomic(saved, {"a": 1})
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_json_has_no_nan(tmp_path):
    write_json_atomic(
        tmp_path / "a.json",
        {"a": np.float32("nan"), "b": np.array([1, 2]), "c": (True, None, "ü", float("inf"))},
    )
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {
        "a": None,
        "b": [1, 2],
        "c": [True, None, "ü", None],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": "a"},
        {"epoch": -3},
        {"step": None},
        {"best_epoch": "x"},
        {"best_value": "y"},
        {"format": "z"},
    ],
)
def test_metadata_of_the_wrong_type(toy, tmp_path, info, wrong):
    path = tmp_path / "last.safetensors"
    metadata = json.dumps({**dataclasses.asdict(info), **wrong})
    path.write_bytes(safetensors.numpy.save(toy.init(), {"graphc": metadata}))
    with pytest.raises(RunError, match="not a checkpoint of graphc"):
        load_checkpoint(path, toy.signature)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", None),
        ("seed", np.zeros(3, int)),
        ("step", np.array(2.5)),
        ("h.W", np.ones((2, 3), int)),
    ],
)
def test_arrays_of_the_wrong_kind(toy, tmp_path, info, name, value):
    state = {key: array for key, array in toy.init().items() if key != name}
    if value is not None:
        state[name] = value
    save_checkpoint(tmp_path / "c", state, info)
    with pytest.raises(RunError, match=name):
        load_checkpoint(tmp_path / "c", toy.signature)


def test_ctrl_c_waits_for_files_that_belong_together():
    done = []

    def interrupted():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
