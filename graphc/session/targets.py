"""What a model is compiled for: a target by its name, the device that it runs on, and which one
``auto`` stands for here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from graphc.backends.targets import (
    TARGETS,
    DeviceInfo,
    LackingError,
    NoDeviceError,
    load_target,
)
from graphc.diagnostics import CompileError, Diagnostics
from graphc.runtime import RunError
from graphc.runtime.wording import did_you_mean, listing

if TYPE_CHECKING:
    from graphc.schedule import CostReport
    from graphc.session.model import Model

__all__ = [
    "AUTO",
    "HOST",
    "Choice",
    "choose_target",
    "expect_device",
    "expect_target",
    "gigabytes",
    "lacking_errors",
]

HOST = next(iter(TARGETS))
"""The target that runs everywhere."""
AUTO = "auto"


def expect_target(name: str) -> None:
    """RunError for what is no name of a target, and not ``auto`` either."""
    known = [*TARGETS, AUTO]
    if name not in known:
        near = did_you_mean(name, known)
        raise RunError(f"there is no target {name}", help=f"{near}there are {listing(known)}")


def expect_device(target: str) -> DeviceInfo | None:
    """The device that modules of a target run on, None for the host; RunError without one."""
    try:
        return load_target(target).find_device()
    except NoDeviceError as problem:
        raise RunError(
            f"the target {target} does not run here: {problem.message}", help=problem.help
        ) from problem


@contextlib.contextmanager
def lacking_errors() -> Iterator[None]:
    """What a target cannot write is an error of the text, at the place that needs it."""
    try:
        yield
    except LackingError as problem:
        diagnostics = Diagnostics()
        diagnostics.error(
            "E701",
            f"the target {problem.target} has no operator {problem.operator}",
            problem.span,
            label="needed here",
            notes=(problem.why,) if problem.why else (),
            help=f"compile it for another target: --target {HOST}",
        )
        raise CompileError(diagnostics) from problem


# -------------------------------------------------------------------------------- auto


@dataclass(frozen=True)
class Choice:
    """What ``auto`` stands for, and why. ``device`` is the name of an accelerator."""

    target: str
    why: str
    device: str = ""

    @property
    def line(self) -> str:
        """The choice in one line, for a person."""
        where = f"{self.target}, {self.device}" if self.device else self.target
        return f"target: {where}: {self.why}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Machine:
    """How fast a machine is, for an estimate: floating-point operations and bytes a second, and
    the seconds that one call takes before it does anything."""

    f32: float
    f64: float
    bandwidth: float
    call: float

    def seconds(self, report: CostReport, calls: int, moved: int) -> float:
        """Calls, operations and traffic one after another, as plain calls are."""
        rate = self.f32 if report.precision == "f32" else self.f64
        return calls * self.call + report.flops / rate + moved / self.bandwidth


CPU = Machine(f32=187e9, f64=98e9, bandwidth=28e9, call=1e-6)
"""Measured on two cores of a Zen 4 (NumPy 2.4, OpenBLAS): products of matrices of 1,024 rows, and
``multiply`` over arrays larger than the cache. A call on a small array took 0.3 to 0.6 µs there;
that what surrounds it makes it 1 is a guess. A processor of many cores is faster, so a model has
to gain clearly, see ``MARGIN``."""

GPU = Machine(f32=10e12, f64=0.4e12, bandwidth=400e9, call=15e-6)
"""Not measured. Strict single precision and memory of a GPU of middle size, half of what is on the
data sheets of a GeForce RTX 4070 (29 TFLOP/s, 504 GB/s) or less; double precision of such a GPU is
1/64 of single and of one for data centres 1/2, this lies between. A call is what CuPy's kernels
were measured to take of the host, 11 to 28 µs, at its lower end: compiled modules are called
without preparing anything."""

MARGIN = 2.0
"""A model gains where the GPU is estimated to be this much faster."""


def choose_target(model: Model, *, training: bool = True, batch: int | None = None) -> Choice:
    """The accelerator when it works and a model is large enough to gain from it, else the CPU.

    What is judged is a training step, or without ``training`` the computation of losses, metrics
    and outputs, for batches of ``batch`` examples, by default as the train section says.
    """
    refusals = []
    for name in TARGETS:
        if name == HOST:
            continue
        try:
            device = load_target(name).find_device()
        except NoDeviceError as problem:
            refusals.append(problem.message)
            continue
        if device is not None:
            return _judged(model, name, device, training, batch)
    return Choice(HOST, "; ".join(refusals) or "no other target is there")


def _judged(
    model: Model, name: str, device: DeviceInfo, training: bool, batch: int | None
) -> Choice:
    """The accelerator ``name``, or the host with the reason."""
    from graphc.session.reporting import step_report
    from graphc.session.sizes import known_sizes

    try:
        sizes = known_sizes(model, batch)
        report = step_report(model, sizes, training=training)
        work = f"{'a step' if report.step == 'training' else 'a batch'} of {_operations(report)}"
        if not gains(report):
            return Choice(HOST, f"{work} is too small to gain from a GPU")
        other = model.with_target(name)
        needed = load_target(name).device_bytes(other.generated.programs, sizes) if training else 0
        if needed > device.free:
            return Choice(
                HOST,
                f"training takes {gigabytes(needed)} of device memory, "
                f"{gigabytes(device.free)} are free",
            )
        _ = other.source
    except RunError as problem:
        return Choice(HOST, f"what a step takes is not known: {problem.message}")
    except CompileError as problem:
        return Choice(HOST, problem.diagnostics.errors[0].title)
    return Choice(name, f"{work} gains from it", device.name)


def gains(report: CostReport) -> bool:
    """Whether a GPU is estimated to be clearly faster. On the CPU each node is a call; on a GPU
    each group is one, that reads its operands and writes its results once."""
    nodes = len(report.rows)
    launches = sum(row.group is None for row in report.rows) + len(report.groups)
    host = CPU.seconds(report, nodes, report.bytes_moved)
    return host > MARGIN * GPU.seconds(report, launches, report.bytes_with_groups)


def _operations(report: CostReport) -> str:
    """``2.5 GFLOP``."""
    amount = float(report.flops)
    for unit in ("FLOP", "kFLOP", "MFLOP", "GFLOP"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}" if amount >= 99.95 else f"{amount:.2g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TFLOP"


def gigabytes(count: int) -> str:
    """Bytes in GiB, in MiB below one: ``12.3 GiB``."""
    if count < 2**30:
        return f"{count / 2**20:.1f} MiB"
    return f"{count / 2**30:.1f} GiB"
