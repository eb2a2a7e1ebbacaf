"""How large the arrays of a model are: a number for each of its symbolic dimensions, from a person,
the train section or the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from graphc.runtime import Arrays, Module, RunError, initial_state
from graphc.runtime.examples import load_examples
from graphc.runtime.starting import step_sizes
from graphc.runtime.wording import listing

if TYPE_CHECKING:
    from graphc.session.model import Model

__all__ = ["given_sizes", "known_sizes", "training_sizes"]


def given_sizes(model: Model, batch: int | None, sizes: Mapping[str, int]) -> dict[str, int]:
    """A number for each symbolic dimension, the batch first, without looking into data for others
    than the batch. RunError for one that has none."""
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


def known_sizes(model: Model, batch: int | None = None) -> dict[str, int]:
    """The same, other dimensions as the data have them. RunError for one that has none."""
    spec = model.spec
    if all(name == spec.batch for name in spec.symbols):
        return given_sizes(model, batch, {})
    if not model.has_data:
        return given_sizes(model, batch, _sizes_of_examples(model))
    module, parts = model.parts()
    state = initial_state(module, parts.train, spec.train.seed)
    return given_sizes(model, batch, _sizes_in(model, module, state, parts.train))


def training_sizes(model: Model, module: Module, state: Arrays, raw: Arrays) -> dict[str, int]:
    """Every symbolic dimension of a training step over the examples in ``raw``."""
    spec = model.spec
    others = {}
    if any(name != spec.batch for name in spec.symbols):
        others = _sizes_in(model, module, state, raw)
    if spec.batch is None:
        return given_sizes(model, None, others)
    rows = len(next(iter(raw.values()), ()))
    batch, _ = step_sizes(module.signature, rows, spec.train.batch)
    return given_sizes(model, batch, others)


def _sizes_in(model: Model, module: Module, state: Arrays, raw: Arrays) -> dict[str, int]:
    """Dimensions other than the batch, as the first example has them."""
    first = {name: column[:1] for name, column in raw.items()}
    batch, _ = next(load_examples(module, state, first, part="the data").batches(1))
    return _bound(model, module, batch)


def _sizes_of_examples(model: Model) -> dict[str, int]:
    """Dimensions of the example values; nothing where one is missing."""
    host = model.host
    return _bound(model, host.module, host.example_batch()) if model.has_examples else {}


def _bound(model: Model, module: Module, batch: Arrays) -> dict[str, int]:
    entries = {**module.signature["inputs"], **module.signature["targets"]}
    return {
        symbol: size
        for name, array in batch.items()
        for symbol, size in zip(entries[name]["shape"], array.shape, strict=True)
        if symbol in model.spec.symbols and symbol != model.spec.batch
    }


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
        _, parts = model.host.parts()
    except RunError as problem:
        raise RunError(
            f"a batch of {model.name} is the whole training part: {problem.message}", help=help
        ) from problem
    return len(next(iter(parts.train.values())))
