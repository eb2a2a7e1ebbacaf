"""Raw kernels of the stand-in run on the host, and are given what they ask for."""

from __future__ import annotations

import numpy as np
import pytest

CODE = r"""
typedef REAL real;

// y = a * x + c[0], twice where `doubled`
extern "C" __global__ void scaled(
    const real *__restrict__ x, double a, const long long *c, real *y, long long count,
    bool doubled)
{
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    for (; i < count; i += (long long)gridDim.x * blockDim.x) {
        y[i] = ((real)a * x[i] + (real)c[0]) * (doubled ? 2 : 1);
    }
}

extern "C" __global__ void seeded(unsigned long long seed, unsigned long long *out)
{
    out[0] = seed;
}

extern "C" __global__ void narrow(float a, real *y) { y[0] = a; }

struct Pair { int a, b; };
extern "C" __global__ void strange(Pair *pairs) { }
"""


@pytest.fixture(params=["float", "double"])
def real(request):
    return {"float": np.float32, "double": np.float64}[request.param]


def module(cupy, real=np.float32):
    name = {np.float32: "float", np.float64: "double"}[real]
    return cupy.RawModule(code=CODE, options=("--std=c++17", f"-DREAL={name}"))


def arguments(cupy, real=np.float32, count=5):
    x = cupy.arange(count, dtype=real)
    return [x, 2.0, cupy.full(1, 3, np.int64), cupy.empty(count, real), count, True]


def test_a_kernel_runs_and_is_counted(cupy, real):
    given = arguments(cupy, real)
    cupy.counts.clear()
    kernel = module(cupy, real).get_function("scaled")
    kernel((2,), (32,), tuple(given))
    kernel((1,), (32,), (*given[:5], np.bool_(False)), shared_mem=0)
    assert given[3].tolist() == [3.0, 5.0, 7.0, 9.0, 11.0]
    assert cupy.counts.launches == {"scaled": 2}
    assert not cupy.counts.to_device


def test_a_seed_keeps_its_bits(cupy):
    out = cupy.zeros(1, np.uint64)
    module(cupy).get_function("seeded")((1,), (1,), (-1, out))
    assert out.tolist() == [2**64 - 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: np.arange(5, dtype=np.float32)}, "on the device"),
        ({0: 1.0}, "on the device"),
        ({0: "T"}, "C-contiguous"),
        ({0: "f8"}, "points to float32"),
        ({1: np.float32(2)}, "is float64, given float32"),
        ({1: 2}, "is float64, given int64"),
        ({1: "array"}, "is a number"),
        ({2: "f4"}, "points to int64"),
        ({4: 5.0}, "is int64, given float64"),
        ({4: np.int32(5)}, "is int64, given int32"),
        ({5: None}, "Unsupported type"),
        ({5: "none"}, "has 6 parameters, not 5"),
    ],
)
def test_what_a_gpu_would_read_wrongly_is_refused(cupy, change, message):
    given = arguments(cupy)
    ((place, value),) = change.items()
    given[place] = {
        "T": lambda: cupy.zeros((5, 2), np.float32)[:, 0],
        "f8": lambda: cupy.zeros(5, np.float64),
        "f4": lambda: cupy.zeros(1, np.float32),
        "array": lambda: cupy.zeros((), np.float64),
    }.get(value if isinstance(value, str) else "", lambda: value)()
    if isinstance(value, str) and value == "none":
        del given[place]
    with pytest.raises((TypeError, ValueError), match=message):
        module(cupy).get_function("scaled")((1,), (32,), tuple(given))


def test_a_number_of_pythons_is_no_float(cupy):
    kernel = module(cupy).get_function("narrow")
    y = cupy.zeros(1, np.float32)
    with pytest.raises(TypeError, match="is float32, given float64"):
        kernel((1,), (1,), (0.5, y))
    kernel((1,), (1,), (np.float32(0.5), y))
    assert y.tolist() == [0.5]


@pytest.mark.parametrize(
    ("grid", "block", "error"),
    [
        ((0,), (32,), RuntimeError),
        ((1,), (0,), RuntimeError),
        ((1,), (2048,), RuntimeError),
        ((1,), (32, 64), RuntimeError),
        ((1, 65536), (32,), RuntimeError),
        (1, (32,), TypeError),
        ([1], (32,), TypeError),
        ((1.0,), (32,), TypeError),
    ],
)
def test_sizes_that_cuda_refuses(cupy, grid, block, error):
    with pytest.raises(error):
        module(cupy).get_function("scaled")(grid, block, tuple(arguments(cupy)))
    assert not cupy.counts.launches


def test_names_options_and_types_that_are_not_there(cupy):
    with pytest.raises(RuntimeError, match="NOT_FOUND"):
        module(cupy).get_function("scale")
    with pytest.raises(TypeError, match="Expected tuple"):
        cupy.RawModule(code=CODE, options=["-DREAL=float"])
    with pytest.raises(NotImplementedError, match="Pair"):
        module(cupy).get_function("strange")
    with pytest.raises(RuntimeError, match="no C"):
        cupy.RawModule(code='extern "C" __global__ void f() { nonsense }').get_function("f")


def test_a_launch_fails_where_a_test_asks(cupy):
    kernel, given = module(cupy).get_function("scaled"), arguments(cupy)
    cupy.fail_after(2)
    kernel((1,), (32,), tuple(given))
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        kernel((1,), (32,), tuple(given))


def test_a_kernel_writes_to_what_another_stream_reads(cupy):
    kernel, given = module(cupy).get_function("scaled"), arguments(cupy)
    stream = cupy.cuda.Stream(non_blocking=True)
    stream.wait_event(cupy.cuda.Stream.null.record())
    given[3] + 1
    with stream, pytest.raises(AssertionError):
        kernel((1,), (32,), tuple(given))
