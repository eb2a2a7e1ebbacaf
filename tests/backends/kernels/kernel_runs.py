"""Groups of a program as kernels, run on the host and compared with the reference evaluator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from kernel_host import HostModule

from graphc.backends.kernels import Entry, Kernel, kernel_name, prelude, print_kernel
from graphc.backends.printing.names import NameAllocator, name_values
from graphc.ir import Graph, Group, Size
from graphc.model.program import Program
from graphc.ops import evaluate
from graphc.schedule import How, classify, opened, ordered, size_value

DTYPES = {"int": np.int64, "label": np.int64, "bool": np.bool_}
REALS = {np.float32: "float", np.float64: "double"}


@dataclass
class Opened:
    """The groups of a program as kernels, in the order of the run."""

    graph: Graph
    how: dict[int, How]
    kernels: list[Kernel]


def kernels_of(program: Program, prefix: str = "") -> Opened:
    """Every group that computes something."""
    program = opened(program)
    graph = program.graph
    wanted = [id for (role, _), id in program.roots.items() if role != "update"]
    order = ordered(graph, wanted, program.groups)
    how = classify(order)
    members: dict[Group, list[int]] = {}
    for node in order:
        if node.id in program.groups and how[node.id] in ("compute", "view"):
            members.setdefault(program.groups[node.id], []).append(node.id)
    names = name_values(order, how, {}, NameAllocator())
    kernels = []
    for number, (group, ids) in enumerate(members.items()):
        if not any(how[id] == "compute" for id in ids):
            continue
        results = read_outside(graph, ids, wanted)
        name = f"{prefix}{kernel_name(group.body.title)}_{number}"
        kernels.append(
            print_kernel(
                graph, ids, results, how=how, names=names, name=name, title=group.body.title
            )
        )
    return Opened(graph, how, kernels)


def read_outside(graph: Graph, ids: list[int], roots: list[int]) -> list[int]:
    inside = set(ids)
    return [id for id in ids if id in roots or not inside.issuperset(graph.users(id))]


def source_of(kernels: list[Kernel]) -> str:
    text = "\n".join(kernel.source for kernel in kernels)
    return prelude(text) + "\n" + text


@dataclass
class Run:
    """Launches kernels over NumPy arrays."""

    module: HostModule
    graph: Graph
    dims: Mapping[str, int]
    real: Any
    seed: int = 0
    step: int = 0
    blocks: int = 3
    block: int = 1
    """Threads a block; each is a real one where there are several."""

    def __call__(
        self, kernel: Kernel, values: Mapping[int, Any], over: Mapping[int, int] | None = None
    ) -> dict[int, np.ndarray]:
        """What the kernel gives, from the values of its inputs and numbers; ``over`` says of an
        output in which input's array it lies."""
        partials = {
            id: np.full(self.blocks, 77, np.float64 if kind == "real" else np.int64)
            for id, kind in kernel.totals.items()
        }
        found = self._launch(kernel.main, values, partials, self.blocks, over or {})
        if kernel.total is not None:
            found.update(self._launch(kernel.total, values, partials, 1, {}))
        return found

    def _launch(
        self,
        entry: Entry,
        values: Mapping[int, Any],
        partials: Mapping[int, Any],
        blocks: int,
        over: Mapping[int, int],
    ) -> dict[int, np.ndarray]:
        inputs = {id: self.array(id, values[id]) for id in entry.inputs}
        outputs = {id: self.empty(id) for id in entry.outputs}
        outputs |= {id: inputs[source].reshape(self.shape(id)) for id, source in over.items()}
        args = [*inputs.values(), *outputs.values(), *(partials[id] for id in entry.partials)]
        args += [float(values[id]) for id in entry.numbers]
        args += [self.dims[symbol] for symbol in entry.sizes]
        args += [self.seed, self.step] if entry.draws else []
        args += [self.blocks] if entry.blocks else []
        launch = self.module.get(entry.name)
        launch((blocks,), (self.block,), args, threads=self.block > 1)
        return outputs

    def dtype(self, id: int) -> Any:
        return DTYPES.get(self.graph[id].tensor.kind, self.real)

    def shape(self, id: int) -> tuple[int, ...]:
        return tuple(self.size(size) for size in self.graph[id].tensor.shape)

    def size(self, size: Size) -> int:
        return size_value(size, self.dims)

    def empty(self, id: int) -> np.ndarray:
        return np.full(self.shape(id), 77, self.dtype(id))

    def array(self, id: int, value: Any) -> np.ndarray:
        """As the kernel must be given it: whole, in order."""
        whole = np.broadcast_to(np.asarray(value, self.dtype(id)), self.shape(id))
        return np.array(whole, order="C")


def host_module(kernels: list[Kernel], real: Any) -> HostModule:
    return HostModule(source_of(kernels), (f"-DREAL={REALS[real]}", "-O0"))


def values_of(kernel: Kernel) -> Iterator[int]:
    """What a kernel reads and gives."""
    for entry in (kernel.main, kernel.total):
        if entry is not None:
            yield from (*entry.inputs, *entry.numbers, *entry.outputs)


def check_kernels(
    found: Opened,
    module: HostModule,
    leaves: Mapping[str, Any],
    dims: Mapping[str, int],
    real: Any,
    **how: int,
) -> None:
    """Every kernel, given what the reference evaluator has for its operands, gives what it has."""
    seed, step = 7, 3
    ids = list(dict.fromkeys(id for kernel in found.kernels for id in values_of(kernel)))
    known = evaluate(found.graph, ids, leaves, dims=dims, real=real, seed=seed, step=step)
    values = dict(zip(ids, known, strict=True))
    run = Run(module, found.graph, dims, real, seed, step, **how)
    for kernel in found.kernels:
        for id, actual in run(kernel, values).items():
            try:
                expect_close(actual, np.broadcast_to(np.asarray(values[id]), actual.shape))
            except AssertionError as error:
                raise AssertionError(f"{found.graph[id]}: {error}\n{kernel.source}") from None


def expect_close(actual: np.ndarray, expected: np.ndarray) -> None:
    """To rounding of sums of some hundred elements."""
    assert actual.dtype.kind == expected.dtype.kind
    if actual.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    tolerance = 1e-11 if actual.dtype == np.float64 else 1e-4
    size = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * size / 100)


def kernel_of(graph: Graph, ids: list[int], results: list[int], name: str) -> Kernel:
    """A kernel of nodes of a graph that stands alone, its leaves given as arrays."""
    how = classify(ordered(graph, results))
    names = {node.id: node.name or f"{node.op.name}{node.id}" for node in graph}
    return print_kernel(graph, ids, results, how=how, names=names, name=name, title=name)
