"""Optimal Brain Surgeon for a linear map z = x @ W, output by output.

Each column of W [d, o] is a least-squares problem with the Hessian H = XᵀX/N + λ·mean(diag)·I of
:mod:`gram`, so that its weights can be deleted one by one with exact compensation (ExactOBS:
Frantar and Alistarh, 2022, "Optimal Brain Compression"). :func:`trace` does that to the end for
every output alone; :func:`select` then cuts the traces of all outputs and layers where the next
deletion would cost most, and :func:`solve` computes the weights that are left anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.pruning.definite import inverted
from graphc.numerics.pruning.gram import Gram
from graphc.numerics.pruning.greedy import Greedy
from graphc.numerics.vectors import Mask, Matrix, Vector

__all__ = ["RowTraces", "rise", "select", "solve", "trace"]

Integers = NDArray[np.intp]


@dataclass(frozen=True)
class RowTraces:
    """The order in which each output j loses its weights. ``order`` [o, T] are inputs, -1 where an
    output has fewer than T candidates; ``rises`` [o, T] is ½ δᵀHδ after the first t + 1 of them,
    inf there. ``alive`` [d, o] is the mask that the traces began with."""

    order: Integers
    rises: Matrix
    alive: Mask

    @property
    def count(self) -> int:
        """Deletions in all outputs together."""
        return int(np.count_nonzero(self.order >= 0))

    def mask(self, counts: Integers) -> Mask:
        """The mask [d, o] after the first ``counts`` [o] deletions of each output."""
        left = self.alive.copy()
        gone = (np.arange(self.order.shape[1]) < counts[:, np.newaxis]) & (self.order >= 0)
        outputs, steps = np.nonzero(gone)
        left[self.order[outputs, steps], outputs] = False
        return left


def trace(
    gram: Gram,
    weights: Matrix,
    damping: float = 0.01,
    alive: Mask | None = None,
    candidates: Mask | None = None,
    memory: int = 1 << 26,
) -> RowTraces:
    """Deletes the weights W [d, o] of each output one by one, always the one whose deletion raises
    ½ δᵀHδ least, all others of the output compensating.

    ``alive`` and ``candidates`` are masks [d, o], all by default: what is not alive must be zero
    in W and stays so; what is no candidate only compensates, a bias for one, as the weight of an
    input that is always 1. Weights of inputs that are always zero go first, at no rise. ``memory``
    bounds, in bytes, the inverses [d, d] that are worked on at a time, of one output or more; it
    changes no result. Beside them are a few matrices of the size of the Gram matrix.

    Raises :class:`~graphc.numerics.pruning.definite.NotPositiveDefinite` as ``gram.damped`` does,
    ``ValueError`` for shapes that do not fit and for removed weights that are not zero.
    """
    living, free = _masks(gram, weights, alive, candidates)
    hessian = gram.damped(damping)
    live = gram.live
    width = max(1, live.size)
    batch = int(max(1, memory // (8 * width * width)))
    ranks = np.argsort(-living[live].sum(axis=0), kind="stable")  # alike ones in a batch
    orders: dict[int, tuple[Integers, Vector]] = {}
    for start in range(0, len(ranks), batch):
        outputs = ranks[start : start + batch]
        part = np.ix_(live, outputs)
        found = _batch(hessian, weights[part], living[part], free[part])
        for output, order, rises in zip(outputs, *found, strict=True):
            kept = order >= 0
            orders[int(output)] = live[order[kept]], rises[kept]
    dead = np.setdiff1d(np.arange(len(weights)), live)
    return _joined(orders, dead, living, free)


def _masks(
    gram: Gram, weights: Matrix, alive: Mask | None, candidates: Mask | None
) -> tuple[Mask, Mask]:
    if weights.ndim != 2 or len(weights) != len(gram.matrix):
        raise ValueError(f"weights of {len(gram.matrix)} inputs are needed")
    living = np.ones(weights.shape, dtype=np.bool_) if alive is None else alive
    free = living if candidates is None else living & candidates
    if living.shape != weights.shape or free.shape != weights.shape:
        raise ValueError(f"masks of the shape {list(weights.shape)} are needed")
    if weights[~living].any():
        raise ValueError("weights that are removed must be zero")
    return living, free


def _batch(hessian: Matrix, weights: Matrix, alive: Mask, free: Mask) -> tuple[Integers, Matrix]:
    """Orders [o, T] and rises [o, T], each alone, for columns over live inputs [l, o]."""
    width = int(alive.sum(axis=0).max(initial=0))
    places = np.argsort(~alive.T, axis=1, kind="stable")[:, :width]
    living = np.take_along_axis(alive.T, places, axis=1)
    inverses = np.zeros((len(places), width, width))
    known: dict[bytes, Matrix] = {}
    for inverse, held, row in zip(inverses, places, living, strict=True):
        kept = held[row]
        if kept.tobytes() not in known:
            known = {kept.tobytes(): inverted(hessian[np.ix_(kept, kept)])}
        inverse[: kept.size, : kept.size] = known[kept.tobytes()]
    order, rises = Greedy(
        inverses,
        np.take_along_axis(weights.T, places, axis=1),
        living,
        np.take_along_axis(free.T, places, axis=1),
    ).run()
    named = np.take_along_axis(places, np.maximum(order, 0), axis=1)
    return np.where(order >= 0, named, -1), rises


def _joined(
    orders: Mapping[int, tuple[Integers, Vector]], dead: Integers, alive: Mask, free: Mask
) -> RowTraces:
    """Traces from what was found for live inputs, those that are always zero before them."""
    _, outputs = alive.shape
    order = np.full((outputs, int(free.sum(axis=0).max(initial=0))), -1, dtype=np.intp)
    rises = np.full(order.shape, np.inf)
    for output, (inputs, each) in orders.items():
        first = dead[free[dead, output]]
        length = first.size + inputs.size
        order[output, :length] = np.concatenate([first, inputs])
        rises[output, :length] = np.concatenate([np.zeros(first.size), np.cumsum(each)])
    return RowTraces(order, rises, alive)


def select(
    traces: Mapping[str, RowTraces], count: int, scales: Mapping[str, Vector] | None = None
) -> dict[str, Mask]:
    """The masks [d, o] by layer after ``count`` deletions more, taken from all outputs of all
    layers: always the smallest next rise.

    ``scales`` by layer [o], not negative, are what rises are multiplied by: with the mean
    curvature c_j of the objective at output j, ½ c_j δ_jᵀ(XᵀX/N)δ_j is its rise. For one sparsity
    in every layer, select in each alone. A ``ValueError`` says how many weights can go.
    """
    if not traces:
        raise ValueError("there are no traces to select from")
    most = sum(each.count for each in traces.values())
    if not 0 <= count <= most:
        raise ValueError(f"{count} weights cannot be removed: there are {most} candidates")
    heights = [_heights(each, (scales or {}).get(name)) for name, each in traces.items()]
    flat = np.concatenate([each[np.isfinite(each)] for each in heights])
    ranks = np.empty(flat.size, dtype=np.intp)
    ranks[np.argsort(flat, kind="stable")] = np.arange(flat.size)
    parts = np.split(ranks < count, np.cumsum([each.count for each in traces.values()])[:-1])
    found = {}
    for (name, each), part in zip(traces.items(), parts, strict=True):
        taken = np.zeros(each.order.shape, dtype=np.bool_)
        taken[each.order >= 0] = part
        found[name] = each.mask(taken.sum(axis=1))
    return found


def _heights(traces: RowTraces, scale: Vector | None) -> Matrix:
    """The largest rise by one deletion so far along each trace [o, T]: in the order of this,
    deletions come as they do when the smallest next rise is taken each time."""
    factors = np.ones(len(traces.order)) if scale is None else np.asarray(scale)
    if factors.shape != (len(traces.order),) or not (factors >= 0).all():
        raise ValueError("a scale for each output is needed, none of them negative")
    valid = traces.order >= 0
    total = np.where(valid, traces.rises, 0.0) * factors[:, np.newaxis]
    steps = np.diff(total, axis=1, prepend=0.0)
    return np.where(valid, np.maximum.accumulate(steps, axis=1), np.inf)


def solve(gram: Gram, weights: Matrix, mask: Mask, damping: float = 0.01) -> Matrix:
    """The weights [d, o] that are zero outside of ``mask`` [d, o] and otherwise keep ½ δᵀHδ from
    the given W [d, o] smallest: w_S + H_SS⁻¹ H_SD w_D for each output, S left and D removed.
    Weights of inputs that are always zero stay what they are where the mask keeps them."""
    if weights.shape != mask.shape or len(weights) != len(gram.matrix):
        raise ValueError(f"weights and a mask of {len(gram.matrix)} inputs are needed")
    hessian, live = gram.damped(damping), gram.live
    found = np.where(mask, weights, 0.0)
    for output in range(weights.shape[1]):
        kept = mask[live, output]
        gone = ~kept & (weights[live, output] != 0)
        if not kept.any() or not gone.any():
            continue
        moved = hessian[np.ix_(kept, gone)] @ weights[live[gone], output]
        found[live[kept], output] += np.linalg.solve(hessian[np.ix_(kept, kept)], moved)
    return found


def rise(gram: Gram, before: Matrix, after: Matrix, scale: Vector | None = None) -> float:
    """Σ_j ½ c_j δ_jᵀ(XᵀX/N)δ_j for the change δ = after - before [d, o] of the weights and c
    [o], 1 by default: without damping, half the mean square by which outputs z change."""
    change = after - before
    each = 0.5 * np.einsum("ij,ij->j", change, gram.matrix @ change)
    return float(each.sum() if scale is None else each @ scale)
