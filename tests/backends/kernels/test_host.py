"""The two ways that kernels are tried without a GPU: run on the host, compiled by NVRTC."""

from __future__ import annotations

import kernel_host
import numpy as np
import nvrtc
import pytest
from kernel_host import HostModule
from nvrtc import NvrtcError, compiled

SUM = """
extern "C" __global__ void total(const REAL* x, REAL* out, long long n)
{
    __shared__ REAL parts[256];
    REAL part = 0;
    for (long long i = threadIdx.x; i < n; i += blockDim.x) {
        part += x[i];
    }
    parts[threadIdx.x] = part;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (unsigned int i = 1; i < blockDim.x; ++i) {
            part += parts[i];
        }
        out[blockIdx.x] = part * gridDim.x;
    }
}
"""
MIXED = """
extern "C" __global__ void mixed(double* out, double x, long long n, bool yes, float y, int k)
{
    out[0] = x + n + yes + y + k;
}
"""


@pytest.mark.parametrize("count", [1, 2, 32, 256])
def test_threads_of_a_block_wait_for_each_other(count: int):
    x, out = np.arange(1000.0, dtype=np.float32), np.zeros(2, np.float32)
    module = HostModule(SUM, ("-DREAL=float",))
    module.get("total")((2,), (count,), (x, out, 1000), threads=True)
    np.testing.assert_array_equal(out, 2 * 499500)


def test_one_thread_does_the_work_of_all():
    x, out = np.arange(10.0), np.zeros(3)
    HostModule(SUM, ("-DREAL=double",)).get("total")((3,), (128,), (x, out, 10))
    np.testing.assert_array_equal(out, 3 * 45)


def test_numbers_are_what_they_are_with_cupy():
    out = np.zeros(1)
    args = (out, 0.5, 2**40, True, np.float32(0.25), np.int32(3))
    HostModule(MIXED).get("mixed")((1,), (1,), args)
    assert out[0] == 2**40 + 0.5 + 1 + 0.25 + 3


def test_elements_that_are_not_in_order_are_refused():
    x = np.zeros((4, 4)).T
    with pytest.raises(AssertionError, match="in order"):
        HostModule(SUM, ("-DREAL=double",)).get("total")((1,), (1,), (x, x, 10))


def test_what_is_no_c_is_told():
    with pytest.raises(RuntimeError, match="undeclared"):
        HostModule('extern "C" void f() { undeclared(); }')
    with pytest.raises(NvrtcError, match="undeclared"):
        compiled('extern "C" __global__ void f() { undeclared(); }', "sm_90", "float")


def test_a_warning_of_nvrtc_is_an_error():
    unused = 'extern "C" __global__ void f(REAL* x) { const REAL y = 1; x[0] = 2; }'
    with pytest.raises(NvrtcError, match="never referenced"):
        compiled(unused, "sm_80", "double")


def test_a_missing_compiler_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kernel_host.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"install g\+\+"):
        HostModule("// nowhere compiled yet\n" + SUM, ("-DREAL=float",))


def test_a_missing_nvrtc_is_an_error(monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> None:
        raise nvrtc.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(nvrtc.metadata, "files", absent)
    with pytest.raises(RuntimeError, match="nvidia-cuda-nvrtc: install it"):
        nvrtc._library.__wrapped__()
