"""Optimal Brain Surgeon as a method of pruning: the least saliency goes, all others compensate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphc.numerics.pruning.choosing import Candidates
from graphc.numerics.pruning.engine import Check, Removal
from graphc.numerics.pruning.inverse import Inverse
from graphc.numerics.pruning.units import joint_rises
from graphc.numerics.vectors import Mask, Vector

__all__ = ["Surgical"]

Build = Callable[[Vector, Mask], tuple[Inverse, Sequence[Check]]]


@dataclass
class Surgical:
    """``build(θ, alive)`` gives an inverse at θ, which deletions then downdate, and checks."""

    candidates: Candidates
    build: Build
    predicts: bool = True
    """Whether saliencies are rises of the objective itself."""
    inverse: Inverse = field(init=False)

    def prepare(self, theta: Vector, alive: Mask) -> Sequence[Check]:
        self.inverse, checks = self.build(theta, alive)
        return checks

    def remove(self, theta: Vector, alive: Mask, count: int) -> Removal:
        if self.candidates.units:
            return self._units(theta, alive, count)
        after, predicted = theta.copy(), 0.0
        shares = self.candidates.shares(alive, count)
        for _ in range(count):
            saliencies = self.inverse.saliencies(after)
            for layer, share in zip(self.candidates.layers, shares, strict=True):
                if share == 0:
                    saliencies[layer] = np.inf
            index = int(np.argmin(saliencies))
            if not np.isfinite(saliencies[index]):
                break
            deletion = self.inverse.delete(index, after)
            after += deletion.step
            predicted += deletion.rise
            shares = [
                share - int(index in layer)
                for layer, share in zip(self.candidates.layers, shares, strict=True)
            ]
        return self._result(after, predicted)

    def _units(self, theta: Vector, alive: Mask, count: int) -> Removal:
        """Whole units, each by the joint rise of what is left of it, one after the other."""
        after, predicted = theta.copy(), 0.0
        start = np.count_nonzero(alive & self.candidates.mask)
        while start - np.count_nonzero(self.inverse.alive & self.candidates.mask) < count:
            left = np.asarray(self.inverse.alive)
            scores = [joint_rises(self.inverse, layer, after) for layer in self.candidates.units]
            chosen = self.candidates.lowest_units(scores, left, 1)
            if not chosen:
                break
            deletion = self.inverse.delete_set(chosen[0], after)
            after += deletion.step
            predicted += deletion.rise
        return self._result(after, predicted)

    def _result(self, after: Vector, predicted: float) -> Removal:
        left = np.array(self.inverse.alive)
        after[~left] = 0.0
        return Removal(after, left, predicted if self.predicts else None)
