"""A point to try a model at: a state and a batch at which its objective is finite.

The batch is a few rows of the model's data, its example values, or, where its data are not there,
numbers drawn by the types of its inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.ir import Size, Type
from graphc.runtime import Array, Arrays, Module, RunError, initial_state
from graphc.runtime.examples import load_examples
from graphc.schedule import opened
from graphc.session.loading import gradients_of
from graphc.session.model import Model

__all__ = ["Trial", "default_rows", "make_trial", "typical_size"]

_MOVES = (0.05, 0.005, 0.0)
"""How far parameters are moved from their start, beside their size; less where that leaves the
domain of the objective."""
_OPEN = 4
"""Size of symbolic dimensions other than the batch in a batch that is drawn."""
_ROWS, _FEWEST = 8, 2
_LARGE = 2_000_000
"""Rows are fewer where a gradient would take more numbers than this to compute."""


@dataclass(frozen=True)
class Trial:
    """``origin`` says in words where the batch comes from, ``moved`` how far the parameters are
    from their initial values, relative to their size."""

    state: Arrays
    batch: Arrays
    origin: str
    moved: float


def make_trial(
    model: Model, *, rows: int | None = None, seed: int = 0, own_examples: bool = False
) -> Trial:
    """The first point at which objective and gradients are finite, in training too.

    ``rows`` are those of the batch, 8 by default and down to 2 for models that compute much with
    each. ``own_examples`` asks for the example values also where there is data. RunError where no
    such point is found.
    """
    module = model.module
    rows = default_rows(model) if rows is None else rows
    random = np.random.default_rng(seed)
    for state, batch, origin in _batches(model, rows, random, own_examples):
        for moved in _MOVES:
            there = {**state, **_moved(state, module, moved, random)}
            if all(_is_finite(module, there, batch, training) for training in (False, True)):
                return Trial(there, batch, origin, moved)
    raise RunError(
        f"the objective of {model.name} and its gradients are not finite at {origin}",
        help="give example values or data on which they are, with --at or --data",
    )


def typical_size(parameter: Array) -> float:
    """Root mean square; 1 for zeros, which say nothing of their scale."""
    return float(np.sqrt(np.mean(np.square(parameter)))) or 1.0


def _batches(
    model: Model, rows: int, random: np.random.Generator, own_examples: bool
) -> Iterator[tuple[Arrays, Arrays, str]]:
    """States with batches, and in words where these come from."""
    state = model.init()
    if own_examples or (model.has_examples and not model.has_data):
        origin = "its example values" if model.spec.inputs else "no data, as it reads none"
        yield _under_way(state), model.example_batch(), origin
    elif model.has_data and (model.data is not None or _files_are_there(model)):
        yield _of_data(model, rows)
    else:
        why = "its data are not there" if model.has_data else "it names no data"
        for kind in ("normal", "positive"):
            batch = drawn_batch(model.module, rows, random, positive=kind == "positive")
            yield _under_way(state), batch, f"a batch drawn by its types, reals {kind}: {why}"


def default_rows(model: Model) -> int:
    """Rows of a batch where nobody says how many."""
    program = model.generated.programs.evaluation
    nodes = [] if program is None else list(opened(program).graph)
    each = sum(_of_one_row(node.type.size) for node in nodes if isinstance(node.type, Type))
    return max(_FEWEST, min(_ROWS, _LARGE // max(each, 1)))


def _of_one_row(size: Size) -> int:
    """A size where every symbolic dimension is 1."""
    return size if isinstance(size, int) else sum(factor for _, factor in size.terms)


def _files_are_there(model: Model) -> bool:
    """True too for a folder that was asked for: what is missing there is an error."""
    if model.place.folder is not None:
        return True
    return all(model.place.describe(files) is not None for files in model.spec.data.files.values())


def _of_data(model: Model, rows: int) -> tuple[Arrays, Arrays, str]:
    """Rows at equal distances in the training part, constants fitted on all of it."""
    module, parts = model.parts()
    state = initial_state(module, parts.train, model.spec.train.seed)
    count = min((len(column) for column in parts.train.values()), default=0)
    wanted = 1 if module.signature["batch"] is None else min(rows, count)
    chosen = np.unique(np.linspace(0, count - 1, wanted).astype(int))
    raw = {name: column[chosen] for name, column in parts.train.items()}
    batch, used = next(load_examples(module, state, raw, part="the rows").batches(wanted))
    what = "1 row" if used == 1 else f"{used} rows"
    return _under_way(state), batch, f"{what} of its training data"


def drawn_batch(
    module: Module, rows: int, random: np.random.Generator, *, positive: bool = False
) -> Arrays:
    """A batch of the declared kinds and shapes; reals normal, or between 0.1 and 0.9."""
    signature = module.signature
    entries = {**signature["inputs"], **signature["targets"]}
    sizes = {signature["batch"]: rows}

    def draw(entry: dict[str, Any]) -> Array:
        shape = [s if isinstance(s, int) else sizes.get(s, _OPEN) for s in entry["shape"]]
        if entry["kind"] == "real":
            drawn = random.uniform(0.1, 0.9, shape) if positive else random.standard_normal(shape)
            return np.asarray(drawn, module.REAL)
        integers = np.asarray(random.integers(0, entry.get("classes", 2), shape))
        return integers.astype(np.bool_ if entry["kind"] == "bool" else np.int64)

    return {name: draw(entry) for name, entry in entries.items()}


def _under_way(state: Arrays) -> Arrays:
    """Half-way through training, so that what a schedule weighs with 0 at the start takes part."""
    steps = int(state.get("epochs", np.array(2))) * 4
    known = {"step": steps // 2, "steps_per_epoch": 4}
    return {**state, **{name: np.array(n) for name, n in known.items() if name in state}}


def _moved(state: Arrays, module: Module, size: float, random: np.random.Generator) -> Arrays:
    """Every parameter a little away from its start, where zeros would hide what they multiply."""
    return {
        name: state[name]
        + size * typical_size(state[name]) * random.standard_normal(entry["shape"])
        for name, entry in module.signature["parameters"].items()
    }


def _is_finite(module: Module, state: Arrays, batch: Arrays, training: bool) -> bool:
    objective, gradients = gradients_of(module, state, batch, training=training)
    return bool(np.isfinite(objective)) and all(np.isfinite(g).all() for g in gradients.values())
