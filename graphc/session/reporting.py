"""What a model costs to train: its report, for sizes that the model, its data or a person give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from graphc.backends.numpy import plan_trainer
from graphc.backends.targets import load_target
from graphc.schedule import CostReport, forward_report, likely_sizes, plan_training, training_report
from graphc.session.checking import deep_recursion
from graphc.session.generated import budget_errors
from graphc.session.sizes import given_sizes
from graphc.session.targets import HOST

if TYPE_CHECKING:
    from graphc.schedule import TrainingPlan
    from graphc.session.model import Model

__all__ = ["cost_report", "step_report"]


def cost_report(model: Model, batch: int | None, sizes: Mapping[str, int]) -> CostReport:
    """The report of a training step, or of the functions of a model that learns nothing.

    Slots and peak memory are those of the host's plan; a target with memory of its own says in one
    number what training takes there.
    """
    dims = given_sizes(model, batch, sizes)
    report = step_report(model, dims)
    if model.target == HOST or report.step == "forward":
        return report
    with deep_recursion(model.spec.path), budget_errors():
        taken = load_target(model.target).device_bytes(model.generated.programs, dims)
    rows = tuple(replace(row, slot=None, in_place=False, workspace=()) for row in report.rows)
    return replace(report, rows=rows, peak=None, device_memory=taken)


def step_report(model: Model, dims: Mapping[str, int], *, training: bool = True) -> CostReport:
    """The same for sizes that are known; without ``training`` always of losses, metrics and
    outputs."""
    programs = model.generated.programs
    with deep_recursion(model.spec.path), budget_errors():
        if programs.training is None or not training:
            return forward_report(programs, dims)
        return training_report(_planned(model), programs.spec, dims)


def _planned(model: Model) -> TrainingPlan:
    """The plan of a step: with the instructions that the host chooses, or none chosen."""
    spec, reuse = model.spec, model.checked.request.reuse
    training = model.generated.programs.training
    assert training is not None
    if model.target == HOST:
        return plan_trainer(spec, training, reuse=reuse)
    return plan_training(training, symbols=spec.symbols, dims=likely_sizes(spec), reuse=reuse)
