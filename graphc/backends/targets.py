"""The list of targets, and what stands at the door of each: the face that its package has.

A target is a folder here and a line in ``TARGETS``. Its package is imported when it is asked for,
and needs no device to print; ``find_device`` looks for the one that its modules run on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from graphc.diagnostics import Span
    from graphc.model import ModelSpec, Program, Programs

__all__ = [
    "TARGETS",
    "DeviceInfo",
    "LackingError",
    "NoDeviceError",
    "Target",
    "TargetRoom",
    "load_target",
]


@dataclass(frozen=True)
class Target:
    """``module`` is the package that prints for it, ``library`` what its modules import,
    ``device`` in a word what they run on."""

    name: str
    module: str
    library: str
    device: str


TARGETS: dict[str, Target] = {
    "numpy": Target("numpy", "graphc.backends.numpy", "NumPy", "CPU"),
    "cupy": Target("cupy", "graphc.backends.cupy", "CuPy", "NVIDIA GPU"),
}
"""The first is the default, and the one that runs everywhere."""


@dataclass(frozen=True)
class DeviceInfo:
    """A device with memory of its own: bytes in all, and bytes that an array can still take."""

    name: str
    total: int
    free: int


class NoDeviceError(Exception):
    """Modules of a target cannot run here. ``message`` says why, ``help`` what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message, self.help = message, help


class LackingError(Exception):
    """A target cannot write an operator. ``span`` is where the model uses it, where that is known.

    ``why`` says in a few words what the target does not have, where it is not the operator itself.
    """

    def __init__(self, operator: str, target: str, span: Span | None = None, why: str = "") -> None:
        super().__init__(f"{target} lacks {operator}")
        self.operator, self.target, self.span, self.why = operator, target, span, why


class TargetRoom(Protocol):
    """What the package of a target has at its door."""

    def print_module(
        self,
        programs: Programs,
        *,
        classes: dict[str, list[str]],
        version: str,
        steps_per_epoch: int | None = None,
        weights: str | None = None,
        reuse: bool = True,
    ) -> str:
        """The source of a generated module. LackingError for what the target cannot write."""

    def schedule_text(self, spec: ModelSpec, program: Program, *, reuse: bool = True) -> str:
        """How a training step is carried out, as text for people."""

    def find_device(self) -> DeviceInfo | None:
        """The device that modules run on; None where it is the host.

        NoDeviceError where there is none that works.
        """

    def device_bytes(self, programs: Programs, dims: Mapping[str, int], *, scored: int = 0) -> int:
        """Bytes of device memory that training takes at most, without the data set; 0 where the
        host is the device. ``dims`` gives every symbolic dimension. ``scored`` examples are
        validated in between: metrics take them as one batch."""


def load_target(name: str) -> TargetRoom:
    """The package of a target. KeyError for a name that is none."""
    return cast(TargetRoom, import_module(TARGETS[name].module))
