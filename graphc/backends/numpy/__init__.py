"""Programs to a Python module that imports only NumPy.

``print_module`` is the room's door, with what every target has beside it; ``plan_trainer`` is for
who wants to know what a step costs. The plain functions of a module are one statement a node and
read as a worked derivation; its ``Trainer`` computes the same numbers over fixed arrays.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.backends.numpy.module import print_module
from graphc.backends.numpy.trainer import plan_trainer
from graphc.backends.targets import DeviceInfo
from graphc.model import ModelSpec, Program, Programs
from graphc.schedule import training_text

__all__ = ["device_bytes", "find_device", "plan_trainer", "print_module", "schedule_text"]


def schedule_text(spec: ModelSpec, program: Program, *, reuse: bool = True) -> str:
    """The plan of a training step, over one arena."""
    return training_text(plan_trainer(spec, program, reuse=reuse))


def find_device() -> DeviceInfo | None:
    """None: the host is the device."""
    return None


def device_bytes(programs: Programs, dims: Mapping[str, int], *, scored: int = 0) -> int:
    """0: the host is the device."""
    return 0
