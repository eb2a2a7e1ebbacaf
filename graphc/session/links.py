"""How the layers of a model hang together, for :mod:`graphc.numerics.layered`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
_TRIED = 3
"""Examples by which it is seen whether the objective adds up."""
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
    for batch, size in objective.batches(rows):
        share = size / count
        with computing():
            gradients = module.layer_gradients(state, batch)
            inputs = module.layer_inputs(state, batch)
        yield LayerLinks(
            {name: inputs[name] for name in gradients},
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
    """Whether the Hessian of some examples is the mean of theirs, along a random direction."""
    module, _ = objective.compiled("hessian_vector_products")
    state, layout = objective.at(at), objective.layout
    tangents = layout.unpack_rows(np.random.default_rng(0).standard_normal((1, layout.size)))
    tried = min(_TRIED, objective.examples.count)

    def product(batch: Arrays) -> Vector:
        with computing():
            found: Vector = layout.pack_rows(
                module.hessian_vector_products(state, batch, tangents)
            )[0]
        return found

    whole = product(next(objective.batches(tried))[0])
    singles = (batch for batch, _ in objective.batches(1))
    each = np.mean(
        [product(batch) for batch, _ in zip(singles, range(tried), strict=False)], axis=0
    )
    scale = float(np.abs(whole).max(initial=0.0))
    return bool(np.abs(whole - each).max(initial=0.0) <= _ROUNDING * scale)
