"""`cupy.RawModule`: CUDA C that runs on the host, through `kernel_host`.

On a GPU wrong arguments are read as whatever bytes they are; here they are refused.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .array import ndarray
from .device import DEVICE
from .errors import CUDADriverError

__all__ = ["RawKernel", "RawModule"]

TYPES = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "bool": np.bool_,
    "unsigned char": np.uint8,
    "signed char": np.int8,
}
REALS = ("real", "REAL")
"""What kernels of graphc call their real numbers; `-DREAL=float` says which they are."""

QUALIFIERS = re.compile(r"\b(const|volatile|__restrict__|__restrict|restrict)\b")
LIMITS = ((2**31 - 1, 65535, 65535), (1024, 1024, 64))
THREADS = 1024


class RawModule:
    """`cupy.RawModule(code=, options=)`."""

    def __init__(
        self,
        code: str | None = None,
        *,
        path: str | None = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions: Any = None,
        jitify: Any = None,
    ) -> None:
        if not isinstance(options, tuple):
            raise TypeError("Expected tuple, got " + type(options).__name__)
        if code is None or path is not None:
            raise NotImplementedError("the stand-in compiles code alone")
        if enable_cooperative_groups or name_expressions or jitify or translate_cucomplex:
            raise NotImplementedError("the stand-in compiles plain CUDA C")
        self.code, self.options, self.backend = code, options, backend
        self._host: Any = None

    def compile(self, log_stream: Any = None) -> None:
        if self._host is None:
            from kernel_host import HostModule

            # The compiler takes most of the time of a small test, the kernels next to none; half of
            # it goes to what the header of C++17 has beyond that of C++14.
            self._host = HostModule(self.code, (*self.options, "-O0", "-std=c++14"))

    def get_function(self, name: str) -> RawKernel:
        self.compile()
        if not _heading(self.code, name):
            raise CUDADriverError(500)
        return RawKernel(self, name)


class RawKernel:
    """A kernel of a module."""

    def __init__(self, module: RawModule, name: str) -> None:
        self.name = name
        self._parameters = _parameters(module, name)
        self._run = module._host.get(name)

    def __call__(self, grid: Any, block: Any, args: Any, **kwargs: Any) -> None:
        if set(kwargs) - {"shared_mem"}:
            raise TypeError(f"unexpected keywords {sorted(kwargs)}")
        for sizes, limits in zip((grid, block), LIMITS, strict=True):
            _check_sizes(sizes, limits)
        if int(np.prod(block)) > THREADS:
            raise CUDADriverError(1)
        if len(args) != len(self._parameters):
            raise TypeError(
                f"{self.name} has {len(self._parameters)} parameters, not {len(args)}: "
                "on a GPU it would read what is not there"
            )
        DEVICE.work(self.name, DEVICE.counts.launches)
        pairs = zip(args, self._parameters, strict=True)
        self._run(grid, block, tuple(self._argument(*pair) for pair in pairs))

    def _argument(self, value: Any, parameter: tuple[str, Any, bool, bool]) -> Any:
        """An argument as the kernel gets it: arrays whole, numbers by value."""
        name, dtype, is_pointer, is_constant = parameter
        here = f"{self.name}: `{name}`"
        if is_pointer:
            return _pointed(here, value, dtype, is_constant)
        if isinstance(value, ndarray | np.ndarray):
            raise TypeError(f"{here} is a number, given an array")
        number = _by_value(value)
        if number.dtype == np.int64 and dtype is np.uint64:
            return dtype(int(number) % 2**64)  # the same eight bytes
        if number.dtype != dtype:
            raise TypeError(f"{here} is {np.dtype(dtype)}, given {number.dtype}")
        return number


def _pointed(here: str, value: Any, dtype: Any, is_constant: bool) -> np.ndarray:
    if not isinstance(value, ndarray):
        raise TypeError(f"{here} is an array on the device, given {type(value)}")
    if value.dtype != dtype:
        raise TypeError(f"{here} points to {np.dtype(dtype)}, given {value.dtype}")
    if not value.flags.c_contiguous:
        raise ValueError(f"{here} is not C-contiguous: a kernel would read other elements")
    (DEVICE.read if is_constant else DEVICE.write)(value._memory)
    return value._a


def _by_value(value: Any) -> Any:
    """As CuPy sends numbers: Python's as the longest of their kind."""
    if isinstance(value, np.generic):
        return value
    for kind, dtype in ((bool, np.bool_), (int, np.int64), (float, np.float64)):
        if isinstance(value, kind):
            return dtype(value)
    raise TypeError(f"Unsupported type {type(value)}")


def _check_sizes(sizes: Any, limits: tuple[int, ...]) -> None:
    if not isinstance(sizes, tuple):
        raise TypeError(f"Argument must be a tuple, not {type(sizes).__name__}")
    for size, limit in zip(sizes, limits, strict=False):
        if not isinstance(size, int | np.integer):
            raise TypeError(f"sizes of a grid are whole numbers, not {size!r}")
        if not 0 < size <= limit:
            raise CUDADriverError(1)


def _heading(code: str, name: str) -> re.Match[str] | None:
    plain = re.sub(r"/\*.*?\*/|//[^\n]*", " ", code, flags=re.DOTALL)
    return re.search(rf"__global__\s+void\s+{re.escape(name)}\s*\(([^)]*)\)", plain)


def _parameters(module: RawModule, name: str) -> list[tuple[str, Any, bool, bool]]:
    """Name, type, whether it is a pointer and whether what it points to stays as it is."""
    heading = _heading(module.code, name)
    assert heading is not None
    texts = [text.strip() for text in heading[1].split(",") if text.strip()]
    return [_parameter(text, module.options) for text in texts]


def _parameter(text: str, options: tuple[str, ...]) -> tuple[str, Any, bool, bool]:
    is_constant = bool(re.match(r"\s*const\b", text))
    declared = QUALIFIERS.sub(" ", text).replace("*", " * ").split()
    *kind, name = declared
    is_pointer = "*" in kind
    c_type = " ".join(word for word in kind if word != "*")
    if c_type in REALS:
        (c_type,) = (option.removeprefix("-DREAL=") for option in options if "-DREAL=" in option)
    if c_type not in TYPES:
        raise NotImplementedError(f"the stand-in does not know the type {c_type!r} of `{name}`")
    return name, TYPES[c_type], is_pointer, is_constant
