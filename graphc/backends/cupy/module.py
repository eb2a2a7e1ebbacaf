"""The module of a model over CuPy: the frame that all targets share, computing on the device."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from graphc.backends.cupy import support
from graphc.backends.cupy.budget import expect_budget
from graphc.backends.cupy.gradients import print_passes
from graphc.backends.cupy.respelling import device_helper, device_helpers_used, respelled
from graphc.backends.cupy.statements import PARTS, DeviceBody
from graphc.backends.cupy.table import KernelTable
from graphc.backends.cupy.trainer import print_trainer
from graphc.backends.kernels import OPTIONS
from graphc.backends.printing import newton
from graphc.backends.printing.descent import Descent
from graphc.backends.printing.functions import gap
from graphc.backends.printing.module import Functions, ModulePrinter
from graphc.backends.printing.signature import print_literal
from graphc.backends.printing.support import (
    FILES,
    FLAT,
    MASKS,
    PRODUCTS,
    _check_state,
    _filled,
)
from graphc.model.program import Program, Programs
from graphc.ops.helpers import plain_source

__all__ = ["print_module"]


_INSTEAD: dict[Callable[..., Any], tuple[str, str]] = {
    Descent.__init__: (
        "    _check_state(state)\n",
        "    _check_state(state)\n"
        "    self._here = any(isinstance(array, cp.ndarray) for array in state.values())\n"
        "    state = _on_host(state)\n",
    ),
    Descent.state: (
        "    return {name: np.array(view) for name, view in self._views.items()}",
        "    state = {name: np.array(view) for name, view in self._views.items()}\n"
        "    return place(state) if self._here else state",
    ),
    newton._block: ("np.size(array)", "math.prod(cp.shape(array))"),
}
"""Line searches decide on the host, wherever state and batch are: what a function has for that, and
what stands there instead."""


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

    Without ``reuse`` an array stays until its function ends, for who looks at it there, and memory
    is not limited. LackingError for an operator that CuPy and kernels cannot compute, BudgetError
    where a step takes more memory than the model allows, ValueError if the model uses a name that
    the state of a module needs for itself.
    """
    if reuse:
        expect_budget(programs)
    return _Cupy(programs, classes, version, steps_per_epoch, weights, reuse).text()


class _Cupy(ModulePrinter):
    needs: ClassVar[str] = "CuPy and NumPy"
    modules: ClassVar[tuple[str, ...]] = ("math", "os", "sys", "tempfile", "types", "zipfile")
    imports: ClassVar[tuple[str, ...]] = ("import cupy as cp", "import numpy as np")
    values: ClassVar[Functions] = support.VALUES
    training: ClassVar[Functions] = [*FLAT, *support.DEVICE]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.table = table = KernelTable()

        reuse = self.reuse

        class Body(DeviceBody):
            kernels, lets_go = table, reuse

        self.body = self.device_body = Body

    def print_gradients(self) -> None:
        self.step = print_passes(self.w, self.programs, self.device_body)

    def print_trainer(self, training: Program) -> None:
        clock_of = self.clock_of or {}
        print_trainer(self.w, self.spec, training, self.step, self.table, clock_of)

    def print_more(self) -> None:
        self.print_functions(support.FACE)

    def printed(self, function: Callable[..., Any]) -> str:
        text = plain_source(function)
        if function in _INSTEAD:
            assert _INSTEAD[function][0] in text
            text = text.replace(*_INSTEAD[function], 1)
        if function in PRODUCTS or (function in FLAT and self.spec.driver is None):
            text = respelled(text)
            if function is _filled:  # from the host one array after the other
                text = text.replace(", state[key])", ", _device(state[key]))")
        if function is _check_state:
            seen = "state[name] if isinstance(state[name], cp.ndarray) else "
            text = text.replace("array = np.", f"array = {seen}np.")
        elif function in (*FILES, *MASKS):
            text = re.sub(r"np\.asanyarray\(", "_host(", text)
        return text

    def print_stepped(self, following: bool) -> None:
        w = self.w
        with w.block("def _stepped(state, batch):"):
            w.docstring("The objective and the state after one step, its update on the host.")
            w.line("objective, gradients = loss_and_gradients(state, batch, training=True)")
            w.line("new = _updated(state, gradients)")
            training = self.programs.training
            if following and training is not None and training.named("next"):
                w.line("_, following = _training(state, batch, _slopes(state))")
                w.line("new.update(_on_host(following))")
            w.line('new["step"] = state["step"] + 1')
            w.line("return objective, new")
        gap(w)

    def print_helpers(self) -> None:
        super().print_helpers()
        for name in device_helpers_used(self.w.text()):
            self.w.source(device_helper(name))
            gap(self.w)
        self._print_kernels()

    def _print_kernels(self) -> None:
        w = self.w
        source = self.table.source(w.text())
        w.line(f"PARTS = {PARTS}", "blocks that each leave a part of a total")
        w.line("THREADS = 256", "of a block that goes through elements")
        print_literal(w, "OPTIONS", OPTIONS)
        print_literal(w, "NAMES", tuple(self.table.names))
        w.line("_compiled, _constants, _watched = {}, {}, {}")
        w.line()
        w.line('KERNELS = r"""')
        w.lines.extend(source.splitlines())
        w.line('"""')
        gap(w)
