"""What the benchmarks share: where things are, the machine, how a figure is written."""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path

__all__ = ["ROOT", "processor", "spread"]

ROOT = Path(__file__).resolve().parents[2]


def spread(values: list[float], unit: float, digits: int = 0) -> str:
    """The median and, where there are several values, the range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    text = f"{middle / unit:.{digits}f}"
    if len(values) == 1:
        return text
    return f"{text} ({low / unit:.{digits}f}–{high / unit:.{digits}f})"


def processor() -> str:
    """The processor, its cores and the interpreter."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].split(":")[1].strip() if names else model
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}"
