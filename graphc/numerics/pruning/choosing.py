"""From saliencies to weights that go: the lowest of all, or of each layer, or whole units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphc.numerics.vectors import Mask, Vector

__all__ = ["Candidates", "Indices"]

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """What may go: ``mask`` [n] of weights, ``layers`` the indices of each parameter's.

    With ``each_layer`` every layer loses the same share. ``units`` are, where whole units go, the
    indices of each unit's weights, layer by layer; a layer always keeps one unit.
    """

    mask: Mask
    layers: Sequence[Indices]
    each_layer: bool = False
    units: Sequence[Sequence[Indices]] = ()

    @property
    def removable(self) -> Mask:
        """Weights [n] that can go, those included that only go with a unit, as its bias."""
        found = self.mask.copy()
        for layer in self.units:
            for unit in layer:
                found[unit] = True
        return found

    def lowest(self, saliency: Vector, alive: Mask, count: int) -> Indices:
        """The ``count`` weights of least saliency among those that are left; ties by index."""
        if not self.each_layer:
            return _lowest(saliency, np.flatnonzero(alive & self.mask), count)
        found = [
            _lowest(saliency, layer[alive[layer]], share)
            for layer, share in zip(self.layers, self.shares(alive, count), strict=True)
        ]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def shares(self, alive: Mask, count: int) -> list[int]:
        """What each layer may lose: anything up to ``count``, or with ``each_layer`` so much that
        the same share of every layer is left, near enough."""
        if not self.each_layer:
            return [count] * len(self.layers)
        left = np.array([np.count_nonzero(alive[layer]) for layer in self.layers])
        sizes = np.array([len(layer) for layer in self.layers])
        goal = (left.sum() - count) / max(sizes.sum(), 1)
        exact = np.clip(left - goal * sizes, 0, left)
        exact *= count / max(exact.sum(), 1e-300)
        shares = np.minimum(np.floor(exact), left).astype(int)
        for place in np.argsort(shares - exact, kind="stable").tolist():
            if shares.sum() >= count:
                break
            shares[place] += shares[place] < left[place]
        return [int(share) for share in shares]

    def lowest_units(self, scores: Sequence[Vector], alive: Mask, count: int) -> list[Indices]:
        """Units of least score, as many as together hold ``count`` weights or more.

        ``scores`` are those of the units of each layer.
        """
        ranked = sorted(
            (float(score), layer, unit)
            for layer, of_layer in enumerate(scores)
            for unit, score in enumerate(of_layer)
            if alive[self.units[layer][unit]].any()
        )
        left = [sum(bool(alive[unit].any()) for unit in layer) for layer in self.units]
        found: list[Indices] = []
        gone = alive.copy()
        while ranked and np.count_nonzero(alive & ~gone & self.mask) < count:
            _, layer, unit = ranked.pop(0)
            if left[layer] > 1:
                left[layer] -= 1
                found.append(self.units[layer][unit])
                gone[found[-1]] = False
        return found


def _lowest(saliency: Vector, among: Indices, count: int) -> Indices:
    order = np.argsort(saliency[among], kind="stable")
    return among[order[:count]]
