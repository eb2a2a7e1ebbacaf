"""What the stand-in counts: transfers, launches, operations, bytes; and the line that asked."""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Counts", "Transfer", "caller"]

_HERE = str(Path(__file__).parent)


@dataclass(frozen=True)
class Transfer:
    """Bytes that went over the bus, and the line of the caller that made them go."""

    bytes: int
    line: str

    def __str__(self) -> str:
        return f"{self.bytes} bytes by {self.line}"


@dataclass
class Counts:
    """Counted since the stand-in was installed or `clear` was called."""

    to_device: list[Transfer] = field(default_factory=list)
    """Copies from the host on the default stream, numbers made arrays included."""
    ahead: list[Transfer] = field(default_factory=list)
    """Copies from the host on another stream."""
    to_host: list[Transfer] = field(default_factory=list)
    """Reads: for each the host waits for the device."""
    launches: Counter[str] = field(default_factory=Counter)
    """Launches of raw kernels by name."""
    operations: Counter[str] = field(default_factory=Counter)
    """Calls of CuPy that work on the device, by name; views are none."""
    allocations: int = 0
    bytes: int = 0
    """Bytes that arrays hold now."""
    peak: int = 0
    """The most bytes that arrays held at one time."""

    def clear(self) -> None:
        """Begin again; what arrays hold now stays counted."""
        for counted in (self.to_device, self.ahead, self.to_host, self.launches, self.operations):
            counted.clear()
        self.allocations, self.peak = 0, self.bytes


def caller() -> str:
    """The innermost line outside the stand-in and NumPy: `file:line: text`."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _inside(frame.f_code.co_filename):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{line}: {linecache.getline(file, line).strip()}"


def _inside(file: str) -> bool:
    parts = Path(file).parts
    return (file.startswith(_HERE) and "test_" not in parts[-1]) or "numpy" in parts
