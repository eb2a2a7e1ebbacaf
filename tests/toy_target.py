"""A target made up for tests: NumPy's modules under another name, on a device that a test says."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from graphc.backends import numpy
from graphc.backends.targets import TARGETS, DeviceInfo, LackingError, NoDeviceError, Target
from graphc.cli import options
from graphc.model import ModelSpec, Program, Programs
from graphc.schedule import opened

MIB = 2**20
DEVICE = DeviceInfo("Toy 9000", 2000 * MIB, 1000 * MIB)


@dataclass
class Toy:
    """What a test can change. A step takes ``fixed`` bytes and ``per_example`` for each example,
    a validation the part ``of_scored`` of that; ``lacks`` is an operator that cannot be printed,
    ``device`` may be why there is none."""

    device: DeviceInfo | NoDeviceError | None = DEVICE
    fixed: int = 10 * MIB
    per_example: int = MIB
    of_scored: float = 0.01
    lacks: str = ""
    asked: int = 0
    """How often the device was looked for."""

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
        for program in (programs.losses, programs.metrics, programs.prediction):
            for node in opened(program).graph:
                if node.op.name == self.lacks:
                    raise LackingError(self.lacks, "toy", node.origin.span)
        text = numpy.print_module(
            programs,
            classes=classes,
            version=version,
            steps_per_epoch=steps_per_epoch,
            weights=weights,
            reuse=reuse,
        )
        return f"{text}\n\nTARGET = 'toy'\n"

    def schedule_text(self, spec: ModelSpec, program: Program, *, reuse: bool = True) -> str:
        return f"the toy carries out {spec.name}\n"

    def find_device(self) -> DeviceInfo | None:
        self.asked += 1
        if isinstance(self.device, NoDeviceError):
            raise self.device
        return self.device

    def device_bytes(self, programs: Programs, dims: Mapping[str, int], *, scored: int = 0) -> int:
        examples = max(dims.get(programs.spec.batch or "", 0), self.of_scored * scored)
        return self.fixed + int(examples * self.per_example)


def toy_target(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Put the target ``toy`` beside ``numpy``, as the only other one."""
    toy = Toy()
    module = types.ModuleType("graphc_toy_target")
    for name in ("print_module", "schedule_text", "find_device", "device_bytes"):
        setattr(module, name, getattr(toy, name))
    monkeypatch.setitem(sys.modules, "graphc_toy_target", module)
    for name in [name for name in TARGETS if name != "numpy"]:
        monkeypatch.delitem(TARGETS, name)
    monkeypatch.setitem(TARGETS, "toy", Target("toy", "graphc_toy_target", "Toy", "toy GPU"))
    monkeypatch.setattr(options.TARGET, "choices", [*TARGETS, "auto"])
    return toy
