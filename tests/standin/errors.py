"""Errors of CUDA as CuPy raises them, and those that only the stand-in can raise."""

from __future__ import annotations

__all__ = [
    "CUDADriverError",
    "CUDARuntimeError",
    "OutOfMemoryError",
    "StreamOrderError",
    "UndefinedResultError",
]

RUNTIME = {
    1: "cudaErrorInvalidValue: invalid argument",
    2: "cudaErrorMemoryAllocation: out of memory",
    35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version",
    100: "cudaErrorNoDevice: no CUDA-capable device is detected",
    101: "cudaErrorInvalidDevice: invalid device ordinal",
    700: "cudaErrorIllegalAddress: an illegal memory access was encountered",
    719: "cudaErrorLaunchFailure: unspecified launch failure",
}
DRIVER = {
    1: "CUDA_ERROR_INVALID_VALUE: invalid argument",
    500: "CUDA_ERROR_NOT_FOUND: named symbol not found",
}


class CUDARuntimeError(RuntimeError):
    """`cupy.cuda.runtime.CUDARuntimeError(status)`."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(RUNTIME[status])


class CUDADriverError(RuntimeError):
    """`cupy.cuda.driver.CUDADriverError(status)`."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(DRIVER[status])


class OutOfMemoryError(MemoryError):
    """`cupy.cuda.memory.OutOfMemoryError(size, total, limit)`, all in bytes."""

    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        bound = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(
            f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{bound})."
        )


CUDARuntimeError.__module__ = "cupy_backends.cuda.api.runtime"
CUDADriverError.__module__ = "cupy_backends.cuda.api.driver"
OutOfMemoryError.__module__ = "cupy.cuda.memory"


class StreamOrderError(AssertionError):
    """Work of one stream is used by another that does not wait for it: on a GPU a race."""


class UndefinedResultError(AssertionError):
    """What CuPy leaves undefined: it would differ from run to run."""
