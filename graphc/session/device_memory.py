"""Does training fit into the memory of the device? Asked before the first step, of the plan."""

from __future__ import annotations

from collections.abc import Callable

from graphc.backends.targets import DeviceInfo, load_target
from graphc.model import ModelSpec
from graphc.runtime import Arrays, Module, RunError
from graphc.session.footprint import largest
from graphc.session.model import Model
from graphc.session.parts import Parts
from graphc.session.sizes import training_sizes
from graphc.session.targets import HOST, expect_device, gigabytes

__all__ = ["expect_memory"]

_ROUND = 64
"""A batch that is advised is a power of two from here on, any number below."""


def expect_memory(model: Model, module: Module, state: Arrays, parts: Parts) -> int:
    """Bytes of device memory that training takes, without the data; 0 where the host is the device.

    RunError where training on ``parts`` takes more memory than its device has free, with the batch
    that would fit, or where a validation does. Scores that are taken when the training is done are
    not asked for: it stands without them.
    """
    if model.target == HOST:
        return 0
    device = expect_device(model.target)
    if device is None:
        return 0
    room, programs = load_target(model.target), model.generated.programs
    sizes = training_sizes(model, module, state, parts.train)
    needed = room.device_bytes(programs, sizes)
    rows = 0 if parts.validation is None else len(next(iter(parts.validation.values()), ()))
    if needed <= device.free:
        if parts.validation is not None:
            needed = room.device_bytes(programs, sizes, scored=rows)
            _expect_scoring(model, rows, needed, device)
        return needed
    symbol = model.spec.batch

    def takes(batch: int) -> int:
        """With the validation, unless that does not fit beside a batch of one."""
        assert symbol is not None
        dims = {**sizes, symbol: batch}
        scored = room.device_bytes(programs, {**sizes, symbol: 1}, scored=rows) <= device.free
        return room.device_bytes(programs, dims, scored=rows if scored else 0)

    batch = None if symbol is None else sizes[symbol]
    raise RunError(
        f"training {model.name}{_with(model.spec, batch)} takes {gigabytes(needed)} of device "
        f"memory, {gigabytes(device.free)} are free on {device.name}",
        help=_advice(model.spec, batch, takes, device),
    )


def _expect_scoring(model: Model, rows: int, needed: int, device: DeviceInfo) -> None:
    if needed <= device.free:
        return
    raise RunError(
        f"validating {model.name} on {rows:,} examples takes {gigabytes(needed)} of device memory "
        f"beside the training, {gigabytes(device.free)} are free on {device.name}",
        help="metrics take all examples of a part as one batch: give the split a smaller "
        f"validation part, or train it elsewhere: --target {HOST}",
    )


def _with(spec: ModelSpec, batch: int | None) -> str:
    """Of what a step is, where that can be changed."""
    if batch is None:
        return ""
    if spec.train.batch is None:
        return f" with all {batch:,} examples in a batch"
    return f" with batches of {batch:,}"


def _advice(
    spec: ModelSpec, batch: int | None, takes: Callable[[int], int], device: DeviceInfo
) -> str:
    """The batch that fits, or what else can be done."""
    elsewhere = f"train it elsewhere: --target {HOST}"
    if batch is None:
        return elsewhere
    if takes(1) > device.free:
        return f"not even one example fits; {elsewhere}"
    fits = _rounded(largest(batch, lambda size: takes(size) <= device.free))
    if spec.driver is not None:
        return f"{spec.driver.name} takes all examples at once, and {fits:,} fit; {elsewhere}"
    return f"batches of {fits:,} fit: --set train.batch={fits}"


def _rounded(batch: int) -> int:
    """Down to a power of two, where that is not a large step."""
    return batch if batch <= _ROUND else 1 << (batch.bit_length() - 1)
