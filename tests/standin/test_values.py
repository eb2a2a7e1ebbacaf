"""Whatever the stand-in computes is what NumPy computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from standin import creation, functions, methods
from standin.mapped import MAPPED, MAPPED_LINALG, OF_METHODS
from standin.ufuncs import UFUNCS

HERE = np.random.default_rng(0)
ARRAYS = {
    "x": HERE.normal(size=(3, 4)).astype(np.float32),
    "y": HERE.normal(size=(3, 4)),
    "v": HERE.normal(size=4),
    "s": (lambda a: a @ a.T + np.eye(3))(HERE.normal(size=(3, 3))),
    "i": np.array([[2, 0], [1, 1]]),
    "k": np.array([3, 0, 2, 1]),
    "b": np.array([True, False, True, True]),
}
"""On the device, where a text below names them."""

CALLS = """
m.allclose(x, x) ; m.around(y, 1) ; m.array_equal(x, y) ; m.atleast_1d(x[0, 0])
m.atleast_2d(v) ; m.average(y, axis=1) ; m.bincount(k, minlength=6) ; m.broadcast_arrays(x, v)
m.ogrid[:2, 1:3] ; m.column_stack((v, v)) ; m.count_nonzero(b) ; m.cross(y[:, :3], y[:, 1:])
m.diag(s) ; m.mgrid[:2, :3] ; m.diff(x, axis=0) ; m.expand_dims(v, 1) ; m.flip(x, 1)
m.fliplr(x) ; m.flipud(x) ; m.hstack((v, v)) ; m.inner(v, v) ; m.isclose(y, y + 1e-9)
m.kron(v, v) ; m.linspace(0, 1, 5) ; m.median(y, axis=0) ; m.meshgrid(v, v[:2])
m.moveaxis(x, 0, 1) ; m.nan_to_num(x / 0) ; m.outer(v, v) ; m.ptp(y) ; m.repeat(v, 2)
m.reshape(x, (4, 3)) ; m.roll(v, 1) ; m.rollaxis(x, 1) ; m.rot90(x) ; m.round(y, 2)
m.split(v, 2) ; m.stack([x, x], 1) ; m.tensordot(y, y.T, 1) ; m.tile(v, 2) ; m.trace(s)
m.transpose(x, (1, 0)) ; m.tri(3, k=1) ; m.tril(s) ; m.triu(s, 1) ; m.vdot(v, v)
m.vstack((v, v)) ; m.linalg.cholesky(s) ; m.linalg.det(s) ; m.linalg.eigh(s)
m.linalg.eigvalsh(s) ; m.linalg.inv(s) ; m.linalg.norm(y) ; m.linalg.norm(x, axis=1)
m.linalg.pinv(y) ; m.linalg.qr(y) ; m.linalg.slogdet(s) ; m.linalg.solve(s, y)
m.linalg.svd(y, full_matrices=False) ; m.arange(5) ; m.arange(1, 4, 0.5) ; m.array([1, 2])
m.asanyarray(x) ; m.asarray(x, dtype="f8") ; m.asarray([[1.0, 2.0]], np.float32)
m.ascontiguousarray(x.T) ; m.eye(3, 4, 1) ; m.identity(2) ; m.full((2, 3), 7)
m.full_like(x, 2.5) ; m.ones((2, 2), bool) ; m.ones_like(x) ; m.zeros(3)
m.zeros_like(x, dtype=int) ; m.zeros_like(x.T) ; m.array([v, v]) ; m.full((2,), v[0])
m.broadcast_to(v, (2, 4)) ; m.concatenate([x, y], axis=1) ; m.concat([v, v]) ; m.dot(x, y.T)
m.dot(v, 2) ; m.einsum("ij,kj->ik", x, y, optimize=True) ; m.flatnonzero(b) ; m.matmul(x, v)
m.ndim(x) ; m.shape(x) ; m.pad(x, ((0, 1), (2, 0)), constant_values=-1.5)
m.ravel_multi_index((k, k), (4, 4)) ; m.size(x) ; m.take(x, i, axis=1) ; m.take(v, 3)
m.take_along_axis(x, m.argsort(x, axis=1), axis=1) ; m.where(x > 0, x, 0.0) ; m.where(b, v, -v)
m.where(b) ; m.all(b) ; m.any(x > 2, axis=0) ; m.argmax(x, axis=1) ; m.argmin(x)
m.argsort(-y, axis=0) ; m.cumprod(x, axis=1) ; m.cumsum(x, axis=0) ; m.diagonal(s)
m.max(x, axis=(0, 1)) ; m.mean(x) ; m.min(x, 0) ; m.nonzero(b)
m.prod(y, axis=1, keepdims=True) ; m.ravel(x.T) ; m.squeeze(x[None]) ; m.std(y, ddof=1)
m.sum(b) ; m.swapaxes(x, 0, 1) ; m.var(x, axis=0) ; m.amax(x) ; m.amin(x, axis=1) ; x.all()
b.any() ; x.argmax(axis=0) ; x.argmin() ; x.argsort(axis=1) ; y.astype(int) ; x.clip(-0.5, 0.5)
x.copy() ; x.cumprod(axis=0) ; x.cumsum() ; s.diagonal(1) ; v.dot(v) ; x.flatten()
x.max(axis=1, keepdims=True) ; x.mean(axis=0) ; x.min() ; b.nonzero() ; x.prod() ; x.ravel()
x.reshape(-1, 2) ; x.squeeze() ; x.std() ; x.sum(axis=1) ; x.swapaxes(0, 1) ; x.take(i)
x.transpose(1, 0) ; x.transpose() ; x.tobytes() ; x.tolist() ; y.var(ddof=1) ; x.view(np.int32)
x.T ; x.mT ; x.shape ; x[0, 0].item() ; x.nbytes ; m.add.reduce(x, axis=1)
m.multiply.reduce(x) ; m.add.accumulate(x, axis=1) ; m.subtract.outer(v, v) ; 2 - x ; 2 / x
x // 0.3 ; x % 0.3 ; -x ; +x ; abs(x) ; ~b ; b & b ; x >= y ; k << 2 ; k >> 1 ; k ^ 3
5 // (k + 1) ; 5 % (k + 1) ; divmod(x, 2) ; x @ y.T ; x == y ; x != x ; len(x) ; x[::2, -1]
x[1] ; x[..., None, 0] ; x[i] ; x[i, i] ; x[:, b] ; x[b[:3]] ; x[None, 1:] ; list(x)
x[k[0] - 3] ; m.searchsorted(m.cumsum(v * v), v) ; b | (v > 0) ; m.less(1, x) ; 2**x ; x**2
"""

STATEMENTS = """
x += 1 ; x -= y.astype("f4") ; x *= v.astype("f4") ; x /= 2 ; x //= 2 ; x %= 2 ; x **= 2
k <<= 1 ; k &= 3 ; x[:] = 5 ; x[0] = v ; x[:, ::2] = x[:, 1::2] ; x[i[:, 0]] = 0 ; x[x > 0] = 0
x[k[1:3], k[1:3]] = v[0] ; m.copyto(x, 0.5, where=x > 0) ; m.copyto(x, v) ; m.add(x, 1, out=x)
m.add(x, 1, x) ; x.fill(3) ; m.add.at(x, i, 1.5)
m.put_along_axis(x, m.argsort(x, axis=1), x * 2, axis=1) ; v.sort() ; m.cumsum(x, axis=1, out=x)
x.sum(axis=0, out=v) ; m.concatenate([v, v], out=x.reshape(-1)[:8])
m.dot(s, s, out=y[:, :3].copy()) ; m.take(v, k, out=v)
m.matmul(x, m.ones((4, 4), 'f4'), out=x) ; y += x
"""


def texts(several: str) -> list[str]:
    return [text.strip() for line in several.strip().splitlines() for text in line.split(" ; ")]


def host(made: Any) -> Any:
    """The same on the host."""
    if isinstance(made, tuple | list):
        return [host(each) for each in made]
    return made.get() if hasattr(made, "get") else made


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            same(*pair)
    elif isinstance(expected, np.ndarray | np.generic):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("text", texts(CALLS))
def test_values_are_numpys(cupy, text):
    there = {name: cupy.asarray(array) for name, array in ARRAYS.items()}
    with np.errstate(all="ignore"):
        expected = eval(text, {"m": np, "np": np, **ARRAYS})
    same(host(eval(text, {"m": cupy, "np": np, **there})), expected)


@pytest.mark.parametrize("text", texts(STATEMENTS))
def test_what_is_left_is_numpys(cupy, text):
    here = {name: array.copy() for name, array in ARRAYS.items()}
    there = {name: cupy.asarray(array) for name, array in ARRAYS.items()}
    exec(text, {"m": np, "np": np}, here)
    exec(text, {"m": cupy, "np": np}, there)
    for name, array in here.items():
        same(there[name].get(), array)


@pytest.mark.parametrize("name", [n for n in UFUNCS if isinstance(getattr(np, n, None), np.ufunc)])
def test_ufuncs_are_numpys(cupy, name):
    ufunc = getattr(cupy, name)
    for a in (ARRAYS["x"], ARRAYS["k"], ARRAYS["b"]):
        operands = [a] * ufunc.nin
        try:
            with np.errstate(all="ignore"):
                expected = getattr(np, name)(*operands)
        except TypeError:
            continue
        same(host(ufunc(*map(cupy.asarray, operands))), expected)
        if ufunc.nout == 1:
            out = cupy.empty(expected.shape, expected.dtype)
            assert ufunc(*map(cupy.asarray, operands), out=out) is out
            same(out.get(), expected)


def test_everything_is_tried():
    everything = CALLS + STATEMENTS
    for name in [*MAPPED, *OF_METHODS, *MAPPED_LINALG]:
        assert f".{name}(" in everything, name
    elsewhere = {"asnumpy", "empty", "empty_like", "get_array_module", "get", "set"}
    for function in [*creation.CREATION, *functions.FUNCTIONS, *methods.METHODS]:
        assert f".{function.__name__}(" in everything or function.__name__ in elsewhere, function


def test_arrays_of_whom(cupy):
    assert cupy.get_array_module(np.zeros(1)) is np
    assert cupy.get_array_module(1.0, cupy.zeros(1)) is cupy
    back = np.empty(3)
    assert cupy.asnumpy(cupy.ones(3), out=back) is back
    assert back.tolist() == [1.0, 1.0, 1.0]
    assert cupy.asnumpy(back) is back
