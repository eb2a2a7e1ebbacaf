"""Compiles CUDA C++ with NVRTC, which needs no GPU: the wheel ``nvidia-cuda-nvrtc``, by ctypes."""

from __future__ import annotations

import ctypes
import functools
from importlib import metadata
from typing import Any

from graphc.backends.kernels import OPTIONS

ARCHITECTURES = ("sm_80", "sm_90")
CUPYS = ("-ftz=true",)
"""What CuPy 14 adds to the options of each source (``cupy/cuda/compiler.py``)."""


def module_options(real: str) -> tuple[str, ...]:
    """The options that a generated module gives its kernels."""
    return (*OPTIONS, f"-DREAL={real}")


class NvrtcError(Exception):
    """A source does not compile; the log says why."""


def compiled(source: str, architecture: str, real: str) -> bytes:
    """Machine code for an architecture such as ``sm_80``; NvrtcError with the log, also where there
    are only warnings."""
    nvrtc = _library()
    program = ctypes.c_void_p()
    _expect(
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"k.cu", 0, None, None)
    )
    options = [*module_options(real), *CUPYS, f"--gpu-architecture={architecture}"]
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), given)
    log = _text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).decode()
    if status or log.strip("\0\n "):
        raise NvrtcError(f"{log}\n{source}")
    return _text(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)


def _text(size: Any, get: Any, program: ctypes.c_void_p) -> bytes:
    count = ctypes.c_size_t()
    _expect(size(program, ctypes.byref(count)))
    buffer = ctypes.create_string_buffer(count.value)
    _expect(get(program, buffer))
    return buffer.raw


def _expect(status: int) -> None:
    if status:
        raise NvrtcError(f"NVRTC gives status {status}")


@functools.cache
def _library() -> Any:
    """The library of the wheel. The path of its own, for it looks for its parts beside itself."""
    name = "nvidia-cuda-nvrtc"
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        raise RuntimeError(
            f"kernels are compiled for CUDA by the wheel {name}: install it"
        ) from None
    found = [file for file in files if file.name.startswith("libnvrtc.so")]
    if len(found) != 1:
        raise RuntimeError(f"the wheel {name} holds no one libnvrtc.so")
    return ctypes.CDLL(str(found[0].locate()))
