"""What a model costs to train: its report, for sizes that the model, its data or a person give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from graphc.backends.numpy import plan_trainer
from graphc.runtime import RunError
from graphc.runtime.wording import listing
from graphc.schedule import CostReport, forward_report, training_report
from graphc.session.checking import deep_recursion
from graphc.session.generated import budget_errors

if TYPE_CHECKING:
    from graphc.session.model import Model

__all__ = ["cost_report"]


def cost_report(model: Model, batch: int | None, sizes: Mapping[str, int]) -> CostReport:
    """The report of a training step, or of the functions of a model that learns nothing."""
    spec, programs = model.spec, model.generated.programs
    dims = _dims(model, batch, sizes)
    with deep_recursion(spec.path), budget_errors():
        if programs.training is None:
            return forward_report(programs, dims)
        training = plan_trainer(spec, programs.training, reuse=model.checked.request.reuse)
        return training_report(training, programs.spec, dims)


def _dims(model: Model, batch: int | None, sizes: Mapping[str, int]) -> dict[str, int]:
    """A number for each symbolic dimension, the batch first. RunError for one that has none."""
    spec = model.spec
    others = [name for name in spec.symbols if name != spec.batch]
    _check_given(model, batch, sizes, others)
    missing = [name for name in others if name not in sizes]
    if missing:
        options = " ".join(f"--size {name}=N" for name in missing)
        raise RunError(
            f"{model.name} leaves to the data how large {listing(missing)} is",
            help=f"say it: {options}",
        )
    given = {name: sizes[name] for name in others}
    return given if spec.batch is None else {spec.batch: batch or _rows(model), **given}


def _check_given(
    model: Model, batch: int | None, sizes: Mapping[str, int], others: list[str]
) -> None:
    """RunError for sizes that the model has not, and for numbers that are no sizes."""
    name = model.spec.batch
    if name is None and batch is not None:
        raise RunError(
            f"{model.name} takes one example a step, so it has no batch", help="leave --batch out"
        )
    for given in sizes:
        if given == name:
            raise RunError(f"{given} is the size of a batch", help="give it with --batch")
        if given not in others:
            known = f"those are: {', '.join(others)}" if others else "it has none but the batch"
            raise RunError(f"{model.name} has no symbolic dimension {given}", help=known)
    for label, number in {**({} if batch is None else {"batch": batch}), **sizes}.items():
        if number < 1:
            raise RunError(f"{label} is {number}", help="a size is at least 1")


def _rows(model: Model) -> int:
    """Examples in a batch: what the train section says, or the training part of the data."""
    if model.spec.train.batch is not None:
        return model.spec.train.batch
    help = "say how many: --batch N"
    if not model.has_data:
        raise RunError(
            f"a batch of {model.name} is the whole training part, and there are no data", help=help
        )
    try:
        _, parts = model.parts()
    except RunError as problem:
        raise RunError(
            f"a batch of {model.name} is the whole training part: {problem.message}", help=help
        ) from problem
    return len(next(iter(parts.train.values())))
