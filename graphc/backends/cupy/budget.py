"""``train { memory = … }`` on a device: whether a step fits. Nothing is computed twice there to
make it fit, as on the host."""

from __future__ import annotations

from graphc.backends.cupy.memory import WORKSPACE, device_bytes
from graphc.model.program import ModelSpec, Programs
from graphc.schedule import BudgetError, bytes_text, likely_sizes

__all__ = ["expect_budget"]


def expect_budget(programs: Programs) -> None:
    """BudgetError where the arrays of a training take more memory than the model allows, or where
    the size of a batch is not known."""
    spec = programs.spec
    budget, sizes = spec.train.memory, likely_sizes(spec)
    if budget is None or programs.training is None:
        return
    unknown = [symbol for symbol in spec.symbols if symbol not in sizes]
    if unknown:
        raise BudgetError(
            f"`memory` is for a step of known size, and nothing gives the dimension {unknown[0]}",
            f"write a number for {unknown[0]}, or leave `memory` out",
        )
    needed = device_bytes(programs, sizes) - WORKSPACE
    if needed <= budget:
        return
    batch = "" if spec.batch is None else f" of batch {sizes[spec.batch]}"
    fits = _batch_that_fits(programs, spec, budget)
    help = f"a batch of {fits} fits; or allow" if fits else "allow"
    raise BudgetError(
        f"on a GPU a training step{batch} takes {bytes_text(needed, up=True)}, `memory` is "
        f"{bytes_text(budget)}",
        f"{help} {bytes_text(needed, up=True)}",
    )


def _batch_that_fits(programs: Programs, spec: ModelSpec, budget: int) -> int:
    """The largest batch that fits, 0 if there is none."""
    if spec.batch is None:
        return 0
    fits, size = 0, likely_sizes(spec)[spec.batch]
    while size - fits > 1:
        middle = (fits + size) // 2
        taken = device_bytes(programs, {spec.batch: middle}) - WORKSPACE
        fits, size = (middle, size) if taken <= budget else (fits, middle)
    return fits
