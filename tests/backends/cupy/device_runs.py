"""Graphs as functions over arrays on the device, as a module prints them, without a module around.

run = DeviceRun({"exp": (graph, [id])})
run("exp", {"x0": array}, np.float32)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from graphc.backends.cupy import support
from graphc.backends.cupy.respelling import device_helper, device_helpers_used
from graphc.backends.cupy.statements import DeviceBody
from graphc.backends.cupy.table import KernelTable
from graphc.backends.kernels import OPTIONS
from graphc.backends.printing.names import NameAllocator
from graphc.backends.printing.text import Dims, leaf_label, symbols_in
from graphc.backends.printing.writer import Writer, quoted
from graphc.ir import OPERATORS, Graph, Operator, Sample
from graphc.ops.helpers import plain_source
from graphc.ops.random import Draw

Program = tuple[Graph, Sequence[int]]


def device_body(program: Program, table: KernelTable) -> DeviceBody:
    """The statements of some nodes of a graph. LackingError where there are none."""

    class Body(DeviceBody):
        kernels = table

    graph, ids = program
    names = NameAllocator(["given", "sizes", "state", *Body.reserved])
    dims = Dims(symbols_in(graph), names)
    return Body(graph, list(ids), names, dims, leaf_label)


class DeviceRun:
    """Functions of several graphs by name, their kernels compiled once for each precision."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        self.programs = programs
        self.table = KernelTable()
        self.number = {key: i for i, key in enumerate(programs)}
        self.code = compile(self._printed(programs), "<operators>", "exec")

    def _printed(self, programs: Mapping[str, Program]) -> str:
        w = Writer()
        for line in (
            "import math",
            "import types",
            "import cupy as cp",
            "import numpy as np",
            "REAL = np.float32",
        ):
            w.line(line)
        for number, program in enumerate(programs.values()):
            body = device_body(program, self.table)
            with w.block(f"def f{number}(given, real, seed, step, sizes):"):
                w.line("run = _kernels(real)")
                for symbol, name in body.dims.names.items():
                    w.line(f"{name} = sizes[{quoted(symbol)}]")
                for variable, node in body.leaves.values():
                    w.line(f"{variable} = _device(given[{quoted(leaf_label(node))}])")
                for clock, variable in body.clocks.items():
                    w.line(f"{variable} = given[{quoted(clock)}]")
                body.write(w)
                body.settle(w)
                w.line(f"return [{', '.join(map(body.as_array, program[1]))}]")
        used = device_helpers_used(w.text())
        for function in (support._device, *support.DEVICE):
            w.source(plain_source(function))
        for name in used:
            w.source(device_helper(name))
        source = self.table.source(w.text())
        for name in (
            "PARTS = 256",
            "THREADS = 256",
            "_compiled, _constants, _watched = {}, {}, {}",
        ):
            w.line(name)
        w.line(f"OPTIONS = {OPTIONS!r}")
        w.line(f"NAMES = {tuple(self.table.names)!r}")
        w.line(f"KERNELS = {source!r}")
        return w.text()

    def load(self) -> None:
        """Load the functions with ``import cupy`` as it is now."""
        self.module = ModuleType("operators")
        exec(self.code, vars(self.module))

    def __call__(
        self,
        key: str,
        leaves: Mapping[str, Any],
        real: Any,
        *,
        seed: int = 0,
        step: int = 0,
        sizes: Mapping[str, int] | None = None,
    ) -> list[np.ndarray]:
        """The values of a graph's nodes, on the host; ``leaves`` as ``evaluate`` takes them."""
        given = {name: typed(value, real) for name, value in leaves.items()}
        function = getattr(self.module, f"f{self.number[key]}")
        with np.errstate(all="ignore"):
            found = function(given, real, seed, step, sizes or {})
        return [self.module.cp.asnumpy(array) for array in found]


def typed(value: Any, real: Any) -> Any:
    """An array in the type that a module would give it; a clock stays a number."""
    array = np.asarray(value)
    kinds = {"f": real, "i": np.int64, "b": np.bool_}
    return np.float64(value) if isinstance(value, float) else array.astype(kinds[array.dtype.kind])


# ------------------------------------------------------------------------------ what is tried

_STRUCTURE = """
    call clock column constant dimension direction fitted flat group if_training input item length
    operand parameter positions state tangent
"""
STRUCTURE = frozenset(_STRUCTURE.split())
"""What a graph is made of, written by the printer itself, and what runs on the host."""


def samples_of(operator: type[Operator]) -> list[Sample]:
    if issubclass(operator, Draw) and not operator.samples():
        return [Sample(operator((5, 7), "a.place"), ())]
    return operator.samples()


SAMPLES = {
    f"{name}_{i}": sample
    for name, operator in OPERATORS.items()
    for i, sample in enumerate(samples_of(operator))
}
