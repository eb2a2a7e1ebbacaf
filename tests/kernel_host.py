"""Runs kernels in CUDA C++ on the host: the same text, behind definitions of what CUDA has.

    module = HostModule(source, ("-DREAL=float",))
    module.get("dense_relu")((8,), (256,), (x, b, h, n))

Loops of kernels are strided, so one thread a block does the work of all: that is the default, and
``block`` is then not looked at. With ``threads=True`` each thread of a block is a real one, and
``__syncthreads`` waits for all of them.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

BEGINNING = r"""
#include <cmath>
#include <pthread.h>
using namespace std;
#define __global__
#define __device__
#define __shared__ static
struct Extent { unsigned int x, y, z; };
static thread_local Extent threadIdx, blockIdx, blockDim, gridDim;
static pthread_barrier_t host_barrier;
extern "C" void __syncthreads() { if (blockDim.x > 1) pthread_barrier_wait(&host_barrier); }
static inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y)
{
    return (unsigned long long)(((unsigned __int128)x * y) >> 64);
}
extern "C" void host_begin(unsigned int threads)
{
    pthread_barrier_init(&host_barrier, 0, threads);
}
extern "C" void host_end() { pthread_barrier_destroy(&host_barrier); }
extern "C" void host_place(unsigned int thread, unsigned int block, unsigned int threads,
                           unsigned int blocks)
{
    threadIdx = {thread, 0, 0};
    blockIdx = {block, 0, 0};
    blockDim = {threads, 1, 1};
    gridDim = {blocks, 1, 1};
}
"""

SCALARS: dict[type, Any] = {bool: ctypes.c_bool, int: ctypes.c_longlong, float: ctypes.c_double}
"""What a kernel gets for a number of Python's, as with CuPy."""

Launch = Callable[..., None]


class HostModule:
    """A source, compiled once for each content and options in this process."""

    def __init__(self, source: str, options: Sequence[str] = ()) -> None:
        self.library = ctypes.CDLL(str(_compiled(source, tuple(options))))

    def get(self, name: str) -> Launch:
        """A kernel: ``(grid, block, args)`` runs it, grid and block of one axis.

        Arguments are NumPy arrays, whose elements lie in order, and numbers: of Python's as f64,
        int64 and bool, of NumPy's as what they are.
        """
        function = getattr(self.library, name)
        function.restype = None

        def launch(
            grid: Sequence[int], block: Sequence[int], args: Sequence[Any], *, threads: bool = False
        ) -> None:
            blocks, count = _only(grid), _only(block)
            given = [_argument(arg) for arg in args]
            if not threads:
                self._run(function, given, 0, 1, blocks)
                return
            self.library.host_begin(count)
            workers = [
                threading.Thread(target=self._run, args=(function, given, i, count, blocks))
                for i in range(count)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            self.library.host_end()

        return launch

    def _run(
        self, function: Any, args: Sequence[Any], thread: int, threads: int, blocks: int
    ) -> None:
        """What one thread does in every block, one block after the other."""
        for block in range(blocks):
            self.library.host_place(thread, block, threads, blocks)
            function(*args)
            self.library.__getattr__("__syncthreads")()  # memory of a block is used again


def _only(extent: Sequence[int]) -> int:
    count, *others = extent
    assert count > 0, f"an extent of {count}"
    assert all(other == 1 for other in others), "kernels have one axis"
    return int(count)


def _argument(arg: Any) -> Any:
    if isinstance(arg, np.ndarray):
        assert arg.flags.c_contiguous, "elements do not lie in order"
        return ctypes.c_void_p(arg.ctypes.data)
    if isinstance(arg, np.generic):
        return np.ctypeslib.as_ctypes_type(arg.dtype)(arg.item())
    return SCALARS[type(arg)](arg)


@functools.cache
def _folder() -> Path:
    """Where libraries of this process lie; gone with it."""
    folder = tempfile.TemporaryDirectory(prefix="graphc-kernels-")
    _kept.append(folder)
    return Path(folder.name)


_kept: list[Any] = []


@functools.cache
def _compiled(source: str, options: tuple[str, ...]) -> Path:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        raise RuntimeError("kernels are run on the host as C++: install g++, or another c++")
    digest = hashlib.sha256("\0".join((source, *options)).encode()).hexdigest()[:24]
    path = _folder() / f"{digest}.so"
    flags = ["-x", "c++", "-std=c++17", "-O1", "-w", "-ffp-contract=off", "-shared", "-fPIC"]
    meant = [option for option in options if not option.startswith("--")]  # the rest is NVRTC's
    command = [compiler, *flags, "-pthread", *meant, "-", "-o", str(path)]
    done = subprocess.run(
        command, input=BEGINNING + source, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"a kernel is no C++:\n{done.stderr}\n{source}")
    return path
