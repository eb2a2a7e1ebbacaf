"""The stand-in for CuPy refuses what CuPy refuses."""

from __future__ import annotations

import functools

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


@pytest.mark.parametrize(
    "mixed",
    [
        lambda cp, x: x + HOST,
        lambda cp, x: HOST + x,
        lambda cp, x: x + np.array(1.0),
        lambda cp, x: np.array(1.0) * x,
        lambda cp, x: x @ HOST.T,
        lambda cp, x: x == HOST,
        lambda cp, x: cp.add(HOST, x),
        lambda cp, x: cp.add(x, 1, out=HOST.copy()),
        lambda cp, x: cp.add(x, [1.0, 2.0, 3.0]),
        lambda cp, x: cp.where(HOST > 1, x, x),
        lambda cp, x: cp.where(True, x, x),
        lambda cp, x: cp.where(x > 1, HOST, x),
        lambda cp, x: cp.concatenate([x, HOST]),
        lambda cp, x: cp.stack([x, HOST]),
        lambda cp, x: cp.einsum("ij,kj->ik", x, HOST),
        lambda cp, x: cp.sum(HOST),
        lambda cp, x: cp.moveaxis(HOST, 0, 1),
        lambda cp, x: cp.matmul(x, HOST.T),
        lambda cp, x: cp.matmul(x, x.T, out=np.zeros((2, 2), np.float32)),
        lambda cp, x: cp.linalg.norm(HOST),
        lambda cp, x: x.sum(axis=0, out=np.zeros(3, np.float32)),
        lambda cp, x: cp.ascontiguousarray(HOST),
        lambda cp, x: cp.empty_like(HOST),
        lambda cp, x: cp.pad(x, 1, constant_values=x[0, 0]),
        lambda cp, x: np.exp(x),
        lambda cp, x: np.add(HOST, 1, out=x),
        lambda cp, x: np.add.reduce(x),
        lambda cp, x: np.concatenate([x, x]),
        lambda cp, x: np.shape(x),
        lambda cp, x: np.copyto(HOST.copy(), x),
        lambda cp, x: np.asarray(x),
        lambda cp, x: np.array([x, x]),
        lambda cp, x: np.zeros(2) + x[0, 0],
        lambda cp, x: HOST.copy().__setitem__(..., x),
        lambda cp, x: range(x[0, 0]),
        lambda cp, x: x[: x[0, 0].astype(int)],
        lambda cp, x: round(x[0, 0]),
        lambda cp, x: hash(x),
        lambda cp, x: iter(x[0, 0]),
    ],
)  # fmt: skip
def test_arrays_of_host_and_device_do_not_mix(cupy, x, mixed):
    with pytest.raises(TypeError):
        mixed(cupy, x)
    assert not cupy.counts.to_device


@pytest.mark.parametrize(
    "call",
    [
        lambda cp, x: cp.add(x, x, where=x > 0),
        lambda cp, x: cp.exp(x, order="C"),
        lambda cp, x: cp.exp(x, x, x),
        lambda cp, x: x.sum(initial=0),
        lambda cp, x: cp.max(x, where=x > 0),
        lambda cp, x: x.take(cp.arange(2), axis=0, mode="clip"),
        lambda cp, x: cp.take(x, cp.arange(2), mode="wrap"),
        lambda cp, x: cp.einsum("ij->i", x, out=x[:, 0]),
        lambda cp, x: cp.lib.stride_tricks.as_strided(x, (2,), (4,), writeable=False),
        lambda cp, x: cp.zeros(2, like=x),
        lambda cp, x: cp.asarray(HOST, like=x),
        lambda cp, x: cp.broadcast_to(x, (2, 2, 3), subok=True),
        lambda cp, x: cp.argsort(x, stable=True),
        lambda cp, x: cp.linalg.qr(x, "reduced", 1),
        lambda cp, x: x.astype("f8", "K", "unsafe"),
        lambda cp, x: cp.subtract(x > 1, x > 2),
        lambda cp, x: x.__iadd__(1j),
    ],
)
def test_arguments_that_cupy_does_not_take(cupy, x, call):
    with pytest.raises(TypeError):
        call(cupy, x)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("errstate", AttributeError),
        ("lib.format", AttributeError),
        ("apple", AttributeError),
        ("cuda.apple", AttributeError),
        ("linalg.multi_dot", AttributeError),
        ("asarray_on", AttributeError),
        ("fft", NotImplementedError),
        ("ElementwiseKernel", NotImplementedError),
        ("ReductionKernel", NotImplementedError),
        ("cuda.Graph", NotImplementedError),
        ("linalg.lstsq", NotImplementedError),
    ],
)
def test_names_that_cupy_lacks_and_names_that_the_standin_lacks(cupy, name, error):
    with pytest.raises(error):
        functools.reduce(getattr, name.split("."), cupy)


def test_members_that_cupys_arrays_lack(x):
    for name in ("ctypes", "itemset", "__index__", "__array_interface__"):
        assert not hasattr(x, name)
    with pytest.raises(NotImplementedError):
        _ = x.flat


@pytest.mark.parametrize(
    ("ufunc", "method"),
    [(u, m) for u in ("maximum", "minimum", "logical_and") for m in ("reduce", "accumulate")]
    + [("multiply", "at"), ("multiply", "reduceat")],
)
def test_methods_that_ufuncs_only_seem_to_have(cupy, x, ufunc, method):
    arguments = {"at": (0, 1), "reduceat": ([0],)}.get(method, ())
    with pytest.raises(NotImplementedError, match=f"cupy_{ufunc}.{method}. is not supported"):
        getattr(getattr(cupy, ufunc), method)(x, *arguments)


def test_whole_slices_are_not_set_from_the_host(cupy, x):
    for attempt in (
        lambda: x.__setitem__(..., HOST),
        lambda: x.__setitem__(0, HOST[0]),
        lambda: x.fill(HOST[0]),
        lambda: cupy.copyto(x, HOST),
        lambda: cupy.full((2, 3), HOST),
    ):
        with pytest.raises(ValueError, match=r"non-scalar numpy\.ndarray cannot be used"):
            attempt()
    with pytest.raises(TypeError, match="list"):
        x[...] = [[1.0, 2.0, 3.0]]
    x[...] = np.array(2.0)
    assert x.get().sum() == 12.0


def test_addition_at_indices_is_for_some_types(cupy):
    places = cupy.asarray([1, 1, 4])
    for dtype in ("f4", "f8", "i4", "u8"):
        sums = cupy.zeros(3, dtype)
        cupy.add.at(sums, places, cupy.ones(3, dtype))
        assert sums.tolist() == [0, 3, 0]
    with pytest.raises(TypeError, match="only supports"):
        cupy.add.at(cupy.zeros(3, "i8"), places, cupy.ones(3, "i8"))


def test_several_values_for_one_place(cupy, x):
    twice = cupy.asarray([1, 1])
    x[:, twice] = 7.0
    with pytest.raises(standin.UndefinedResultError):
        x[0, twice] = cupy.asarray([1.0, 2.0])
