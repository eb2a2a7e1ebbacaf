"""Kernels that do nothing, for tests that count: what a step transfers, launches and holds does not
depend on what its kernels compute, and compiling them takes most of a test's time.

The stand-in still checks every argument of a launch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import kernel_host
import pytest

__all__ = ["idle_kernels"]


class IdleModule:
    """Has every kernel; none does anything."""

    def __init__(self, source: str, options: Sequence[str] = ()) -> None:
        self.source, self.options = source, options

    def get(self, name: str) -> Callable[..., None]:
        return lambda grid, block, args: None


def idle_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels of modules that are made from now on do nothing."""
    unlike: Any = IdleModule
    monkeypatch.setattr(kernel_host, "HostModule", unlike)
