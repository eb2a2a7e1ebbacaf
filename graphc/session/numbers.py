"""The numbers that a picture shows: leaves of the graph from example values, from the data or from
a run, and in words where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.model import ModelSpec
from graphc.runtime import Arrays, RunError, initial_state
from graphc.runtime.examples import load_examples
from graphc.session.explaining import example_leaves, example_lengths, input_lengths
from graphc.session.loading import doubles
from graphc.session.model import Model
from graphc.session.run import Run

__all__ = ["Known", "known_numbers"]


@dataclass(frozen=True)
class Known:
    """Inputs, parameters and states by name, in double precision; lengths of symbolic dimensions;
    ``origin`` is a sentence, empty where there are no numbers."""

    leaves: Mapping[str, Any]
    lengths: Mapping[str, int]
    origin: str = ""


def known_numbers(model: Model, run: Run | None, values: bool, row: int | None) -> Known:
    """Numbers of a model, or of a run of it.

    ``row`` asks for one example of the data, ``values`` for the example values or, where the model
    has none, for the first batch of the data. Otherwise there are as many numbers as the example
    values give. RunError where what is asked for is not there.
    """
    if row is not None:
        return _of_data(model, run, row)
    if model.has_examples or not values:
        return _of_examples(model, run)
    return _of_data(model, run, None)


def _of_examples(model: Model, run: Run | None) -> Known:
    spec = model.spec
    leaves = example_leaves(spec)
    if run is not None:
        leaves.update(_of_state(spec, run.state))
    known = [name for name, info in spec.inputs.items() if info.example is not None]
    if not known and spec.inputs:
        return Known(leaves if run is not None else {}, {}, _parameters(run) if run else "")
    what = "numbers at the example values, " if known else "numbers at the "
    return Known(leaves, example_lengths(spec), f"{what}{_parameters(run)}")


def _parameters(run: Run | None) -> str:
    if run is None:
        return "initial parameters"
    where = "" if run.path is None else f" of {run.path.name}"
    return f"parameters{where}, epoch {run.best_epoch}"


def _of_data(model: Model, run: Run | None, row: int | None) -> Known:
    over = model if run is None else run.over()
    if not over.has_data and model.spec.inputs:
        raise RunError(
            f"{model.name} has no data to take numbers from",
            help="give a file with --data, or example values: --at NAME=VALUE",
        )
    module, parts = over.parts()
    raw = parts.all if row is not None else parts.train
    state = initial_state(module, parts.train, model.spec.train.seed) if run is None else run.state
    rows = min((len(column) for column in raw.values()), default=0)
    size = model.spec.train.batch or rows
    if row is not None:
        if not -rows <= row < rows:
            raise RunError(
                f"the data of {model.name} have no row {row}",
                help=f"they have {rows:,} rows, counted from 0",
            )
        raw = {name: column[row % rows :][:1] for name, column in raw.items()}
        size = 1
    else:
        raw = {name: column[:size] for name, column in raw.items()}
    batch, used = next(load_examples(module, state, raw, part="the rows").batches(size))
    what = f"row {row}" if row is not None else f"the first {used} rows of the training part"
    origin = f"numbers of {what}, {_parameters(run)}"
    leaves = {**_of_state(model.spec, state), **doubles(batch)}
    return Known(leaves, input_lengths(model.spec, batch), origin)


def _of_state(spec: ModelSpec, state: Arrays) -> dict[str, Any]:
    """Parameters, states and the clocks of a state of the generated module."""
    names = (*spec.parameters, *spec.states)
    found = {name: state[name] for name in names if name in state}
    steps = int(state.get("steps_per_epoch", np.array(0)))
    step = int(state.get("step", np.array(0)))
    clocks = {"step": step, "epoch": step / steps if steps else 0.0, "epochs": spec.train.epochs}
    return {**doubles(found), **clocks}
