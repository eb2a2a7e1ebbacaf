"""The machine: its GPU, the driver, and the versions that figures depend on."""

from __future__ import annotations

import importlib
import os
import platform
from pathlib import Path
from typing import Any

from gpu_check.rows import Emit, first_line

__all__ = ["describe", "problem"]

VERSIONS = {
    "NumPy": "numpy",
    "PyTorch": "torch",
    "Triton": "triton",
    "pytest": "pytest",
}
"""Packages whose versions are told, ``not installed`` among them."""

SETTINGS = ("CUPY_ACCELERATORS", "CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES")
"""Variables that change what is measured, told where they are set."""


def problem() -> str:
    """Why nothing can be checked here; empty where there is a GPU that CuPy works with."""
    try:
        cp = importlib.import_module("cupy")
    except ImportError as error:
        return f"CuPy cannot be imported: {first_line(error)}"
    try:
        if cp.cuda.runtime.getDeviceCount() < 1:
            return "CUDA finds no GPU"
        ones = cp.ones(4)
        if float((ones + ones).sum()) != 8.0:
            return "the GPU adds four ones to themselves and does not find 8"
    except Exception as error:  # of the driver, of NVRTC, of a library that cannot be loaded
        return f"CuPy finds no GPU that works: {first_line(error)}"
    return ""


def describe(emit: Emit, cp: Any | None = None) -> None:
    """A row a fact."""
    cp = importlib.import_module("cupy") if cp is None else cp
    properties = cp.cuda.runtime.getDeviceProperties(cp.cuda.Device().id)
    name = properties["name"]
    emit("GPU", "told", name.decode() if isinstance(name, bytes) else str(name))
    emit("compute capability", "told", f"{properties['major']}.{properties['minor']}")
    free, total = cp.cuda.Device().mem_info
    emit("device memory", "told", f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} GiB free")
    emit("CUDA of the driver", "told", _cuda(cp.cuda.runtime.driverGetVersion()))
    emit("CUDA of CuPy", "told", _cuda(cp.cuda.runtime.runtimeGetVersion()))
    emit("CuPy", "told", str(cp.__version__))
    for title, package in VERSIONS.items():
        emit(title, "told", _version(package))
    emit("CUDA of PyTorch", "told", _cuda_of_torch())
    emit("processor", "told", f"{_processor()}, {os.cpu_count()} cores")
    emit("system", "told", f"{platform.system()}, Python {platform.python_version()}")
    settings = [f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ]
    emit("settings", "told", ", ".join(settings) or "none")


def _cuda(version: int) -> str:
    """12040 is 12.4."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _version(package: str) -> str:
    try:
        return str(importlib.import_module(package).__version__)
    except ImportError:
        return "not installed"


def _cuda_of_torch() -> str:
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return "not installed"
    return str(torch.version.cuda or "none: PyTorch is built for the CPU")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
