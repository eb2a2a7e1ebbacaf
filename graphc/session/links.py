"""How the layers of a model hang together, for :mod:`graphc.numerics.layered`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.numerics.problem import LayerLinks
from graphc.numerics.vectors import Matrix, Tensor, Vector
from graphc.runtime import Arrays, RunError, computing
from graphc.session.footprint import largest

if TYPE_CHECKING:
    from graphc.session.problem import Objective

__all__ = ["blocks_of_links"]

_PRODUCTS = ("layer_hessian_products", "layer_gradients", "layer_inputs")
_INPUT = ":input"
"""What a name of that product ends in where it is of a layer's input."""
_DIRECTIONS = 16
"""A batch leaves room for so many directions of a layer's outputs."""
_TRIED = 16
"""Examples that are taken one by one to see whether the objective adds up."""
_PART = 0.37
"""How much smaller batches are in a second look at all examples: parts unlike each other."""
_ROUNDING = 1e-9


def blocks_of_links(objective: Objective, at: Vector) -> Iterator[LayerLinks] | None:
    """Blocks of examples with their layers. None for a model without layers that take a row an
    example, and where an example's part of the objective depends on the others: there a direction
    of all examples at once says nothing of each."""
    if objective.model.spec.batch is None:
        return None
    try:
        objective.compiled(*_PRODUCTS)
    except RunError:  # it says which layers there are not
        return None
    return _blocks(objective, at) if _adds_up(objective, at) else None


def _blocks(objective: Objective, at: Vector) -> Iterator[LayerLinks]:
    module, footprint = objective.compiled(*_PRODUCTS)
    rows = largest(
        objective.batch_size,
        lambda n: objective.bytes(footprint, n, _DIRECTIONS) <= objective.memory,
    )
    state, count = objective.at(at), objective.examples.count
    ones = np.ones((rows, 1))  # the input of a bias
    for batch, size in objective.batches(rows):
        share = size / count
        with computing():
            gradients = module.layer_gradients(state, batch)
            inputs = module.layer_inputs(state, batch)
        yield LayerLinks(
            {name: inputs.get(name, ones[: len(g)]) for name, g in gradients.items()},
            {name: gradient * share for name, gradient in gradients.items()},
            _Moved(module, state, batch, share, {n: g.shape[1] for n, g in gradients.items()}),
        )


class _Moved:
    """``LayerLinks.moved`` for one batch."""

    def __init__(
        self, module: Any, state: Arrays, batch: Arrays, share: float, widths: Mapping[str, int]
    ) -> None:
        self._module = module
        self._state = state
        self._batch = batch
        self._share = share
        self._widths = widths

    def __call__(
        self, name: str, directions: Matrix
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        tangents = {n: np.zeros((len(directions), width)) for n, width in self._widths.items()}
        tangents[name] = directions
        with computing():
            found = self._module.layer_hessian_products(self._state, self._batch, tangents)
        slopes = {n: found[n] * self._share for n in self._widths}
        inputs = {n: found[n + _INPUT] for n in self._widths if n + _INPUT in found}
        return slopes, inputs


def _adds_up(objective: Objective, at: Vector) -> bool:
    """Whether the Hessian of examples is the mean of theirs, along a random direction: some apart
    and together, and all of them in batches of two sizes."""
    hessian = _Along(objective, at)
    examples, count = objective.examples, objective.examples.count
    tried = min(_TRIED, count)
    spread = np.unique(np.linspace(0, count - 1, tried).astype(np.intp))
    order = np.concatenate([spread, np.setdiff1d(np.arange(count), spread)])
    whole = hessian.of(next(examples.shuffled(order, tried))[0])
    singles = islice(examples.shuffled(order, 1), tried)
    if not _agree(whole, np.mean([hessian.of(batch) for batch, _ in singles], axis=0)):
        return False
    if tried == count:
        return True
    size = min(objective.batch_size, count)
    return _agree(hessian.mean(size), hessian.mean(max(1, int(_PART * size))))


class _Along:
    """The Hessian of a batch times a random vector."""

    def __init__(self, objective: Objective, at: Vector) -> None:
        self._objective = objective
        self._module, _ = objective.compiled("hessian_vector_products")
        self._state = objective.at(at)
        rows = np.random.default_rng(0).standard_normal((1, objective.layout.size))
        self._tangents = objective.layout.unpack_rows(rows)

    def of(self, batch: Arrays) -> Vector:
        with computing():
            found = self._module.hessian_vector_products(self._state, batch, self._tangents)
        product: Vector = self._objective.layout.pack_rows(found)[0]
        return product

    def mean(self, size: int) -> Vector:
        """Over all examples, in batches of that size."""
        total: Vector = np.zeros(self._objective.layout.size)
        for batch, rows in self._objective.batches(size):
            total += self.of(batch) * rows
        mean: Vector = total / self._objective.examples.count
        return mean


def _agree(one: Vector, other: Vector) -> bool:
    scale = float(np.abs(one).max(initial=0.0))
    return bool(np.abs(one - other).max(initial=0.0) <= _ROUNDING * scale)
