"""The modules `cupy`, `cupy.cuda`, …: what is implemented, NumPy's own names, and an error for
each other name."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from . import creation, functions, operators
from .array import ndarray
from .cuda import CUDA, NVRTC, RUNTIME, Device
from .device import DEVICE
from .errors import CUDADriverError, CUDARuntimeError, OutOfMemoryError
from .functions import as_strided
from .kernels import RawKernel, RawModule
from .mapped import MAPPED, MAPPED_LINALG, OF_METHODS
from .memory import MemoryPointer, MemoryPool, PinnedMemoryPointer, PinnedMemoryPool, alloc
from .streams import Event, Stream
from .surface import SURFACE, missing
from .ufuncs import UFUNCS, ufunc

__all__ = ["Module", "modules"]

assert operators

_STREAMS = {"Event": Event, "Stream": Stream}
_MEMORY = {"MemoryPointer": MemoryPointer, "MemoryPool": MemoryPool, "alloc": alloc}
_PINNED = {"PinnedMemoryPointer": PinnedMemoryPointer, "PinnedMemoryPool": PinnedMemoryPool}


def modules() -> dict[str, ModuleType]:
    """The modules by name, new ones, for `sys.modules`."""
    runtime = {**_named(RUNTIME), "CUDARuntimeError": CUDARuntimeError, "is_hip": False}
    memory = {**_MEMORY, "OutOfMemoryError": OutOfMemoryError, "CUDARuntimeError": CUDARuntimeError}
    cuda = {**_named(CUDA), **_STREAMS, **_MEMORY, **_PINNED, "Device": Device}
    made = {
        "cupy": _Top("cupy", _top()),
        "cupy.cuda": Module("cupy.cuda", cuda),
        "cupy.cuda.cublas": Module("cupy.cuda.cublas", {}),
        "cupy.cuda.driver": Module("cupy.cuda.driver", {"CUDADriverError": CUDADriverError}),
        "cupy.cuda.memory": Module("cupy.cuda.memory", memory),
        "cupy.cuda.nvrtc": Module("cupy.cuda.nvrtc", _named(NVRTC)),
        "cupy.cuda.runtime": Module("cupy.cuda.runtime", runtime),
        "cupy.cuda.stream": Module("cupy.cuda.stream", dict(_STREAMS)),
        "cupy.lib": Module("cupy.lib", {}),
        "cupy.lib.stride_tricks": Module("cupy.lib.stride_tricks", {"as_strided": as_strided}),
        "cupy.linalg": Module(
            "cupy.linalg", {**MAPPED_LINALG, "LinAlgError": np.linalg.LinAlgError}
        ),
    }
    for name, module in made.items():
        outer, _, inner = name.rpartition(".")
        if outer:
            setattr(made[outer], inner, module)
    return made


class Module(ModuleType):
    """A module that says of a name that is not there whether CuPy has it."""

    def __init__(self, name: str, contents: dict[str, Any]) -> None:
        super().__init__(name)
        self.__dict__.update(contents)

    def __getattr__(self, name: str) -> Any:
        raise missing(self.__name__, name)


class _Top(Module):
    """`cupy` itself, with what tests ask the stand-in."""

    @property
    def counts(self) -> Any:
        return DEVICE.counts


def _named(things: Any) -> dict[str, Any]:
    return {thing.__name__: thing for thing in things}


def _top() -> dict[str, Any]:
    numpys = {n: getattr(np, n) for n, kind in SURFACE["cupy"].items() if kind == "numpy"}
    pool = MemoryPool()
    pinned = PinnedMemoryPool()
    return {
        **numpys,
        **UFUNCS,
        **MAPPED,
        **OF_METHODS,
        **_named(creation.CREATION),
        **_named(functions.FUNCTIONS),
        **_named((RawKernel, RawModule, ndarray, ufunc)),
        "__version__": SURFACE["versions"]["cupy"],
        "concat": functions.concatenate,
        "fail_after": DEVICE.fail_after,
        "get_default_memory_pool": lambda: pool,
        "get_default_pinned_memory_pool": lambda: pinned,
        "is_available": lambda: not DEVICE.absent,
        "mgrid": creation.Grid(np.mgrid),
        "no_device": _no_device,
        "ogrid": creation.Grid(np.ogrid),
        "set_memory": _set_memory,
    }


def _no_device(status: int = 100) -> None:
    """From now on there is no GPU (100) or no driver that is new enough (35)."""
    DEVICE.absent = status


def _set_memory(total: int) -> None:
    """How many bytes the device has."""
    DEVICE.total = total
