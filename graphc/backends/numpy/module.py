"""The module of a model over NumPy."""

from __future__ import annotations

from typing import ClassVar

from graphc.backends.numpy.arrays import TRAINING
from graphc.backends.numpy.trainer import print_trainer
from graphc.backends.printing.module import Functions, ModulePrinter
from graphc.model.program import Program, Programs
from graphc.schedule import TILE

__all__ = ["print_module"]


def print_module(
    programs: Programs,
    *,
    classes: dict[str, list[str]],
    version: str,
    steps_per_epoch: int | None = None,
    weights: str | None = None,
    reuse: bool = True,
) -> str:
    """Source of the module of a model, as :class:`ModulePrinter` takes it.

    ValueError if the model uses a name that the state of a module needs for itself.
    """
    return _Numpy(programs, classes, version, steps_per_epoch, weights, reuse).text()


class _Numpy(ModulePrinter):
    training: ClassVar[Functions] = TRAINING

    def print_numbers(self) -> None:
        if self.programs.training is not None and self.spec.driver is None:
            self.w.line(f"TILE = {TILE}", "elements that long updates take at a time")

    def print_trainer(self, training: Program) -> None:
        print_trainer(self.w, self.spec, training, self.clock_of or {}, reuse=self.reuse)
