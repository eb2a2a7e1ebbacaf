"""Device memory that training takes, counted from the statements of a step before any of them runs.

An array lives from the statement that makes it until it is deleted. CuPy's pool hands out multiples
of 512 bytes and keeps what is freed; that pieces may lie unluckily is not in the count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphc.backends.cupy.gradients import pass_body, training_roots
from graphc.backends.cupy.lifetimes import Memory
from graphc.backends.cupy.statements import DeviceBody
from graphc.backends.cupy.table import KernelTable
from graphc.backends.printing.functions import LARGE, function_body
from graphc.ir import Type
from graphc.model.program import ModelSpec, Program, Programs
from graphc.schedule import Precision, array_bytes, opened, size_value, step_roots, update_plans
from graphc.schedule.memory import item_bytes

__all__ = ["WORKSPACE", "device_bytes", "live_bytes", "step_body"]

WORKSPACE = 32 * 2**20
"""Bytes that cuBLAS takes for itself on the newest GPUs, less on others (NVIDIA, cuBLAS, section
on cublasSetWorkspace)."""

NOTES = 3072
"""Bytes where steps write what goes wrong, and their objective."""

PIECE = 512
"""Bytes: an array takes a multiple in CuPy's pool."""


def device_bytes(programs: Programs, dims: Mapping[str, int], *, scored: int = 0) -> int:
    """Bytes of device memory that training takes at most, without the data set: parameters,
    gradients, optimizer and layer state, a batch, and the arrays of a step, or of a validation of
    ``scored`` examples in between. 0 for a model that learns nothing."""
    program = programs.training
    if program is None:
        return 0
    spec, precision = programs.spec, programs.spec.train.precision
    held = _held(spec, program, precision)
    live = live_bytes(step_body(opened(program)).memory, precision, dims)
    # the next batch comes while one is worked on
    most = [2 * _batch(spec, dims) + max(live, default=0), _largest(spec, precision)]
    if scored:
        most += [_scoring(programs, dims, scored)]
    return WORKSPACE + NOTES + held + max(most)


def _batch(spec: ModelSpec, dims: Mapping[str, int]) -> int:
    types = (info.type for info in spec.inputs.values())
    return sum(_pieces(array_bytes(type, spec.train.precision, dims)) for type in types)


def _scoring(programs: Programs, dims: Mapping[str, int], scored: int) -> int:
    """What a validation takes while a trainer holds what is its own: parameters and states once
    more, and for metrics all examples as one batch."""
    spec = programs.spec
    infos = [info.type for info in spec.parameters.values()]
    infos += [info.type for info in spec.states.values()]
    placed = sum(_pieces(array_bytes(type, spec.train.precision, {})) for type in infos)
    losses = 2 * _batch(spec, dims) + _function(programs.losses, ("loss", "objective"), dims)
    if not programs.metrics.named("metric"):
        return placed + losses
    whole = dims if spec.batch is None else {**dims, spec.batch: scored}
    metrics = _batch(spec, whole) + _function(programs.metrics, ("metric",), whole)
    return placed + max(losses, metrics)


def _function(program: Program, roles: tuple[str, ...], dims: Mapping[str, int]) -> int:
    """The arrays of a function that gives the roots of some roles."""
    program = opened(program)
    roots = dict.fromkeys(id for (role, _), id in program.roots.items() if role in roles)
    body = function_body(program, _counted(), roots, {})
    assert isinstance(body, DeviceBody)
    if body.bytes_an_example > LARGE:
        body.let_go()
    return max(live_bytes(body.memory, program.spec.train.precision, dims), default=0)


def step_body(program: Program, *, reuse: bool = True) -> DeviceBody:
    """The statements of a step, of a program whose groups are open."""

    driven = program.spec.driver is not None
    roots = training_roots(program) if driven else step_roots(program)
    return pass_body(program, roots, _counted(reuse=reuse))


def _counted(*, reuse: bool = True) -> type[DeviceBody]:
    """Statements whose kernels go to no module."""

    class Body(DeviceBody):
        kernels, lets_go = KernelTable(), reuse

    return Body


def live_bytes(
    memory: Iterable[Memory], precision: Precision, dims: Mapping[str, int]
) -> list[int]:
    """Bytes of all arrays at each line, while it runs."""
    sizes: dict[str, int] = {}
    owner: dict[str, str] = {}
    total, found = 0, []

    def size(type: Type) -> int:
        return _pieces(array_bytes(type, precision, dims))

    for line in memory:
        for name, type in line.makes.items():
            sizes[name], owner[name] = size(type), name
            total += sizes[name]
        if line.view is not None:
            name, source = line.view
            owner[name] = owner.get(source, source)
        for name in line.drops:
            base = owner.pop(name, name)
            if base not in owner.values():
                total -= sizes.pop(base, 0)
        found.append(total + sum(map(size, line.hidden)))
    return found


def _held(spec: ModelSpec, program: Program, precision: Precision) -> int:
    """What a trainer holds between steps; of a driver, which holds its state on the host, what it
    places there for each gradient."""
    real = item_bytes("real", precision)
    count = {name: size_value(spec.parameters[name].type.size, {}) for name in spec.learned}
    types = [info.type for name, info in spec.parameters.items() if name not in count]
    types += [info.type for info in spec.states.values()]
    if spec.driver is not None:
        types += 2 * [spec.parameters[name].type for name in count]
    total = sum(_pieces(array_bytes(type, precision, {})) for type in types)
    if spec.driver is not None:
        return total
    for group in spec.groups:
        elements = sum(count[name] for name in group.parameters)
        total += _pieces(real * elements) * len(group.states)
    total += sum(_pieces(real * u.count) for u in update_plans(program) if u.decay)
    return total + 2 * _pieces(real * sum(count.values()))


def _largest(spec: ModelSpec, precision: Precision) -> int:
    """The largest array of a state: each goes to the device before it goes to its place there."""
    types = [info.type for info in spec.parameters.values()]
    types += [info.type for info in spec.states.values()]
    return max(_pieces(array_bytes(type, precision, {})) for type in types)


def _pieces(count: int) -> int:
    return -(-count // PIECE) * PIECE
