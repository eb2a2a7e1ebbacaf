"""The GPU that generated modules run on, or exactly why there is none.

CuPy is imported here when it is asked for and nowhere else in the compiler. What is said follows
from what CuPy 14.2 does without a package, a driver, a device or a library; minimum drivers are
those of NVIDIA's table for minor version compatibility (CUDA 12: 525, CUDA 13: 580).
"""

from __future__ import annotations

import importlib
import os
from importlib import metadata
from typing import Any

from graphc.backends.targets import DeviceInfo, NoDeviceError

__all__ = ["find_device"]

_WHEELS = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "amd-cupy")
"""Distributions that all install the package cupy, over one another."""
_OLDEST = 14
"""The first major version of CuPy that modules are written for."""
_DRIVERS = {12: 525, 13: 580}
"""The oldest driver for each major version of CUDA."""
_SMALLEST = {12: 50}
"""The lowest compute capability, times 10, that the compiler of a CUDA version knows, where a newer
CUDA knows it no more."""
_INSTALL = (
    "pip install 'graphc[cuda13]' with an NVIDIA driver of version 580 or newer, 'graphc[cuda12]' "
    "with an older one"
)
_LOOK = "see whether nvidia-smi shows the GPU"


def find_device() -> DeviceInfo:
    """CUDA's current device, and the memory that arrays can still take there.

    NoDeviceError where modules cannot run: without CuPy, with two of them, with one that does not
    load, is too old or not for NVIDIA; without a driver, or with one too old for this CuPy; without
    a GPU, or with one that its CUDA no longer compiles for; without NVRTC or cuBLAS.
    """
    cupy = _imported()
    runtime = cupy.cuda.runtime
    _expect_devices(runtime)
    try:
        device = cupy.cuda.Device()
        properties = runtime.getDeviceProperties(device.id)
        name = properties["name"].decode(errors="replace")
        _expect_libraries(cupy)
        _expect_capability(cupy, name, 10 * properties["major"] + properties["minor"])
        free, total = device.mem_info
        free += cupy.get_default_memory_pool().free_bytes()
    except runtime.CUDARuntimeError as problem:
        raise NoDeviceError(f"the GPU cannot be used: {_first_line(problem)}", _LOOK) from problem
    return DeviceInfo(name, int(total), int(free))


# -------------------------------------------------------------------------------- the package


def _imported() -> Any:
    _expect_one_wheel()
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as problem:
        if problem.name != "cupy":
            raise _not_loading(problem) from problem
        raise NoDeviceError("CuPy is not installed", f"install it: {_INSTALL}") from problem
    except Exception as problem:
        raise _not_loading(problem) from problem
    if cupy.cuda.runtime.is_hip:
        raise NoDeviceError(
            "this CuPy is for AMD's ROCm, and the kernels of a module are CUDA",
            f"uninstall it, then {_INSTALL}",
        )
    if int(cupy.__version__.split(".")[0]) < _OLDEST:
        raise NoDeviceError(
            f"CuPy {cupy.__version__} is too old, version {_OLDEST} is needed",
            f"uninstall it, then {_INSTALL}",
        )
    return cupy


def _expect_one_wheel() -> None:
    there = [name for name in _WHEELS if next(iter(metadata.distributions(name=name)), None)]
    if len(there) > 1:
        raise NoDeviceError(
            f"more than one CuPy is installed: {', '.join(there)}",
            "each overwrites files of the others: pip uninstall "
            f"{' '.join(there)}, then {_INSTALL}",
        )


def _not_loading(problem: Exception) -> NoDeviceError:
    return NoDeviceError(
        f"CuPy is installed and cannot be imported: {_cause(problem)}",
        "see whether it is for the CUDA that is installed; to install it again, with all of CUDA "
        "that it needs: pip install --force-reinstall 'graphc[cuda12]', or 'graphc[cuda13]'",
    )


def _cause(problem: BaseException) -> str:
    """The error at the bottom: CuPy puts a page of advice around it."""
    while isinstance(problem.__cause__, ImportError):
        problem = problem.__cause__
    return _first_line(problem)


# -------------------------------------------------------------------------------- driver and GPU


def _expect_devices(runtime: Any) -> None:
    driver = runtime.driverGetVersion()
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as problem:
        said = str(problem)
        if "cudaErrorInsufficientDriver" in said:
            raise _insufficient(driver, runtime.runtimeGetVersion()) from problem
        if "cudaErrorNoDevice" not in said:
            raise NoDeviceError(
                f"the NVIDIA driver does not work: {_first_line(problem)}", _LOOK
            ) from problem
        count = 0
    if count == 0:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        if hidden is None:
            raise NoDeviceError("there is no NVIDIA GPU", _LOOK)
        raise NoDeviceError(
            f"there is no NVIDIA GPU, or CUDA_VISIBLE_DEVICES={hidden} hides it",
            "unset CUDA_VISIBLE_DEVICES, or set it to the number of a GPU",
        )


def _insufficient(driver: int, runtime: int) -> NoDeviceError:
    """Why a driver is insufficient: CUDA gives one error for none and for one that is too old.
    Versions are CUDA's numbers, 12090 for 12.9."""
    if driver == 0:
        return NoDeviceError(
            "there is no NVIDIA driver",
            "install the driver of the GPU; a container needs to be started with it, as with "
            "docker run --gpus all",
        )
    oldest = _DRIVERS.get(runtime // 1000)
    wanted = "to a newer version" if oldest is None else f"to version {oldest} or newer"
    other = ""
    if driver // 1000 in _DRIVERS:
        other = (
            f", or take the CuPy for it: pip uninstall cupy-cuda{runtime // 1000}x, then "
            f"pip install 'graphc[cuda{driver // 1000}]'"
        )
    return NoDeviceError(
        f"the NVIDIA driver is for CUDA {_version(driver)}, too old for this CuPy, which is for "
        f"CUDA {_version(runtime)}",
        f"update the driver {wanted}{other}",
    )


def _expect_libraries(cupy: Any) -> None:
    """NVRTC and cuBLAS load. CuPy looks for each when it is first used."""
    try:
        cupy.cuda.nvrtc.getVersion()
        _ = cupy.cuda.cublas
    except (ImportError, RuntimeError) as problem:
        if isinstance(problem, cupy.cuda.runtime.CUDARuntimeError):
            raise
        major = cupy.cuda.runtime.runtimeGetVersion() // 1000
        raise NoDeviceError(
            f"CuPy does not find a library of CUDA {major}: {_first_line(problem)}",
            f"pip install 'graphc[cuda{major}]' brings it",
        ) from problem


def _expect_capability(cupy: Any, name: str, capability: int) -> None:
    """The compiler of kernels knows the GPU. ``capability`` is times 10."""
    least = min(cupy.cuda.nvrtc.getSupportedArchs())
    if capability >= least:
        return
    version = _version(cupy.cuda.runtime.runtimeGetVersion())
    older = [major for major, smallest in _SMALLEST.items() if smallest <= capability < least]
    help = "take another GPU"
    if older:
        help = (
            f"CUDA {older[-1]} still knows it: uninstall this CuPy, then "
            f"pip install 'graphc[cuda{older[-1]}]'"
        )
    raise NoDeviceError(
        f"{name} is too old: its compute capability is {capability / 10}, and CUDA {version} needs "
        f"{least / 10}",
        help,
    )


# -------------------------------------------------------------------------------- words


def _version(number: int) -> str:
    """12090 as ``12.9``."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _first_line(problem: BaseException) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip(" =-")]
    return lines[0] if lines else type(problem).__name__
