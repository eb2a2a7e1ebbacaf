"""The stand-in for CuPy gives what CuPy gives, counts what it says and fails where it is asked."""

from __future__ import annotations

import math
import sys
from contextlib import suppress

import numpy as np
import pytest

import standin

HOST = np.arange(6.0, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def x(cupy):
    """[2, 3] on the device, nothing counted yet."""
    made = cupy.asarray(HOST)
    cupy.counts.clear()
    return made


def test_it_is_what_import_finds_and_is_gone_after():
    before = sys.modules.get("cupy")
    with standin.installed() as module:
        import cupy
        import cupy.cuda.runtime

        assert cupy is module
        assert cupy.cuda.runtime.getDeviceCount() == 1
        assert cupy.float32 is np.float32
    assert sys.modules.get("cupy") is before


# ------------------------------------------------------------------- what CuPy gives


def test_what_is_left_of_an_array_is_an_array(cupy, x):
    for made in (x.sum(), x[0, 1], x[0] @ x[0], cupy.linalg.norm(x), x.max(), -x[1, 1], x[...]):
        assert isinstance(made, cupy.ndarray)
    assert x.sum().shape == ()
    one = x[1, 2]
    x.fill(3.0)
    assert float(one) == 3.0


def test_views_share_memory_and_copies_do_not(cupy, x):
    for view in (
        x[:1], x.T, x.reshape(-1), x.view(np.uint32), x[0], x.ravel(), x[None], x.swapaxes(0, 1),
        cupy.moveaxis(x, 0, 1), cupy.broadcast_to(x, (4, 2, 3)), x.diagonal(), x[..., 0],
        cupy.asarray(x)[1:], cupy.expand_dims(x, 0),
        cupy.lib.stride_tricks.as_strided(x, (2,), (4,)),
    ):  # fmt: skip
        assert view._memory is x._memory
        assert view.base is x
        assert not view.flags.owndata
    for copy in (x.copy(), x.T.reshape(-1), x + 0, x[x > 1], x[cupy.arange(1)], x.astype("f8")):
        assert copy._memory is not x._memory
        assert copy.flags.owndata
    assert cupy.asarray(x) is x
    assert x.astype(np.float32, copy=False) is x
    assert cupy.ascontiguousarray(x) is x
    assert x.T.flags.f_contiguous
    assert not x.T.flags.c_contiguous
    assert x[:, :2].strides == (12, 4)
    assert x[1:].data.ptr - x.data.ptr == 12
    assert x.nbytes == 24


def test_a_view_does_not_leave_its_block(cupy, x):
    with pytest.raises(ValueError, match="a view"):
        cupy.lib.stride_tricks.as_strided(x, (7,), (4,))


def test_types_are_those_of_numpy_2(cupy, x):
    assert (x * 2.5).dtype == np.float32
    assert (np.float32(2) * x).dtype == np.float32
    assert (x * np.float64(2)).dtype == np.float64
    assert (np.float64(2) - x).get().tolist() == (2 - HOST.astype("f8")).tolist()
    assert (x > 1).sum().dtype == np.int64
    assert (cupy.arange(3) / 2).dtype == np.float64
    assert cupy.where(x > 1, 1.0, x).dtype == np.float32
    assert x.sum(dtype=np.float64).dtype == np.float64


def test_indices_out_of_range_wrap_around(cupy, x):
    far = cupy.asarray([0, 4, -1, -4])
    assert cupy.take(x, far, axis=1).get().tolist() == HOST[:, [0, 1, 2, 2]].tolist()
    assert x[:, far].get().tolist() == HOST[:, [0, 1, 2, 2]].tolist()
    assert x[0, far].tolist() == HOST[0, [0, 1, 2, 2]].tolist()
    assert x.take(far).tolist() == HOST.reshape(-1)[[0, 4, 5, 2]].tolist()
    along = cupy.asarray([[3], [-2]])
    assert cupy.take_along_axis(x, along, axis=1).tolist() == [[0.0], [4.0]]
    cupy.put_along_axis(x, along, 9.0, axis=1)
    assert x.tolist() == [[9.0, 1.0, 2.0], [3.0, 9.0, 5.0]]
    assert cupy.ravel_multi_index((cupy.asarray([3]), cupy.asarray([4])), (2, 3)).tolist() == [4]
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(IndexError):
        x[0, 0, 0]


def test_indices_mean_what_they_mean_to_numpy(cupy, x):
    i, j = cupy.asarray([[0], [1]]), cupy.asarray([2, 0, 1])
    host_i, host_j = i.get(), j.get()
    assert x[i, j].tolist() == HOST[host_i, host_j].tolist()
    assert x[..., j].tolist() == HOST[..., host_j].tolist()
    assert x[None, :, j].tolist() == HOST[None, :, host_j].tolist()
    assert x[j[1]].tolist() == HOST[0].tolist()
    assert x[x > 2].tolist() == HOST[HOST > 2].tolist()
    assert x[::-1, 1:].tolist() == HOST[::-1, 1:].tolist()
    x[j[1:], 0] = cupy.asarray([5.0, 6.0])
    assert x[:, 0].tolist() == [5.0, 6.0]


def test_new_arrays_hold_what_no_one_should_read(cupy):
    assert math.isnan(cupy.empty(2)[0])
    assert cupy.empty((2, 2), np.int64).tolist() == [[-1, -1], [-1, -1]]
    assert math.isnan(cupy.empty_like(cupy.ones(2, "f4"))[1])


# ------------------------------------------------------------------- counts


@pytest.mark.parametrize(
    ("send", "bytes"),
    [
        (lambda cp, x: cp.asarray(HOST), 24),
        (lambda cp, x: cp.array([1, 2]), 16),
        (lambda cp, x: cp.asarray(0.5), 8),
        (lambda cp, x: x.set(HOST), 24),
        (lambda cp, x: x[[0, 1]], 16),
        (lambda cp, x: x[:, np.array([1])], 8),
        (lambda cp, x: x.take([0, 1]), 16),
        (lambda cp, x: x.__setitem__((0, cp.arange(3)), HOST[0]), 12),
        (lambda cp, x: cp.add.at(x, cp.zeros(1, int), HOST[:1]), 12),
    ],
)
def test_what_goes_to_the_device(cupy, x, send, bytes):
    send(cupy, x)
    (sent,) = cupy.counts.to_device
    assert sent.bytes == bytes
    assert "test_standin.py" in sent.line
    assert "send(cupy, x)" in sent.line or "lambda cp, x" in sent.line
    assert not cupy.counts.to_host


@pytest.mark.parametrize(
    "read",
    [
        lambda cp, x: bool(x[0, 0]),
        lambda cp, x: float(x[0, 0]),
        lambda cp, x: int(x[0, 0]),
        lambda cp, x: x[0, 0].item(),
        lambda cp, x: x[0, 0].tolist(),
        lambda cp, x: x[0, :1].get(),
        lambda cp, x: cp.asnumpy(x[0, :1]),
        lambda cp, x: math.isfinite(x[0, 0]),
        lambda cp, x: max(x[0, 0], 1.0),
        lambda cp, x: f"{x[0, 0]:.3f}",
        lambda cp, x: repr(x[0, :1]),
        lambda cp, x: x[x > 2],
        lambda cp, x: x.__setitem__(x > 2, 0.0),
        lambda cp, x: cp.flatnonzero(x),
        lambda cp, x: cp.where(x),
    ],
)
def test_what_is_read_back(cupy, x, read):
    read(cupy, x)
    (fetched,) = cupy.counts.to_host
    assert 1 <= fetched.bytes <= 4
    assert "lambda cp, x" in fetched.line
    assert not cupy.counts.to_device


@pytest.mark.parametrize(
    "stay",
    [
        lambda cp, x: x * 0.5 + np.float32(2),
        lambda cp, x: cp.full((2, 2), x[0, 0]),
        lambda cp, x: x.__setitem__(..., 1.0),
        lambda cp, x: x.__setitem__(cp.arange(2), 1.0),
        lambda cp, x: cp.copyto(x, 0.0, where=x > 1),
        lambda cp, x: cp.linalg.eigh(x @ x.T),
        lambda cp, x: cp.argsort(x, axis=1),
        lambda cp, x: cp.isfinite(x).all(),
        lambda cp, x: cp.asarray(x[0, 0], dtype=np.float64),
        lambda cp, x: x.shape + x.strides + (x.dtype, len(x), x.size, x.ndim),
        lambda cp, x: list(x),
    ],
)
def test_what_stays_on_the_device(cupy, x, stay):
    stay(cupy, x)
    assert not cupy.counts.to_host
    assert not cupy.counts.to_device


def test_operations_and_bytes_are_counted(cupy, x):
    before = cupy.counts.bytes
    assert before == 24
    y = x * 2 + 1
    assert cupy.counts.operations == {"multiply": 1, "add": 1}
    assert (cupy.counts.bytes, cupy.counts.peak) == (48, 72)
    view = y[0].reshape(3, 1)
    del y
    assert cupy.counts.bytes == 48
    del view
    assert (cupy.counts.bytes, cupy.counts.allocations) == (24, 2)
    cupy.counts.clear()
    assert (cupy.counts.bytes, cupy.counts.peak) == (24, 24)
    assert not cupy.counts.operations


# ------------------------------------------------------------------- faults


def test_memory_ends(cupy):
    pool = cupy.get_default_memory_pool()
    held = cupy.zeros(1000, np.uint8)
    assert (pool.used_bytes(), pool.total_bytes()) == (1024, 1024)
    pool.set_limit(size=2048)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="allocating 1,536 bytes") as caught:
        cupy.empty(1025, np.uint8)
    assert isinstance(caught.value, MemoryError)
    assert "limit set to: 2,048 bytes" in str(caught.value)
    pool.set_limit(size=0)
    cupy.set_memory(4096)
    assert cupy.cuda.Device().mem_info == (3072, 4096)
    with pytest.raises(MemoryError):
        _ = cupy.zeros(4096, np.uint8) + 1
    del held
    assert (pool.used_bytes(), pool.free_bytes()) == (0, pool.total_bytes())
    pool.free_all_blocks()
    assert cupy.cuda.runtime.memGetInfo() == (4096, 4096)


def test_a_fault_comes_when_it_is_asked_for_and_stays(cupy, x):
    cupy.fail_after(3)
    y = x + 1
    y *= 2
    for _ in range(2):
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="IllegalAddress"):
            y.sum()
    for attempt in (y.get, y.copy, lambda: cupy.zeros(1), cupy.cuda.runtime.deviceSynchronize):
        with pytest.raises(RuntimeError):
            attempt()
    cupy.fail_after(None)
    assert float(y.sum()) == 42.0
    cupy.fail_after(1, cupy.cuda.memory.OutOfMemoryError(8, 0))
    with pytest.raises(MemoryError):
        x.sum()
    assert float(x.sum()) == 15.0


@pytest.mark.parametrize("status", [35, 100])
def test_there_is_no_device(cupy, status):
    cupy.no_device(status)
    runtime = cupy.cuda.runtime
    assert not cupy.is_available()
    assert (runtime.driverGetVersion() == 0) == (status == 35)
    for attempt in (runtime.getDeviceCount, lambda: cupy.zeros(1), lambda: cupy.asarray(HOST)):
        with pytest.raises(runtime.CUDARuntimeError) as caught:
            attempt()
        assert caught.value.status == status


def test_an_array_outlives_the_standin():
    with standin.installed() as cupy:
        kept = cupy.ones(3)
    with standin.installed() as cupy:
        del kept
        assert cupy.counts.bytes == 0
    with suppress(ImportError):
        import cupy

        assert not hasattr(cupy, "counts")
