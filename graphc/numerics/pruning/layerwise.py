"""Row-wise Optimal Brain Surgeon as a method of pruning: each output of each layer alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphc.numerics.problem import Problem
from graphc.numerics.pruning.choosing import Candidates
from graphc.numerics.pruning.engine import Check, Removal
from graphc.numerics.pruning.gram import Gram, GramSum
from graphc.numerics.pruning.rows import RowTraces, select, solve, trace
from graphc.numerics.vectors import Mask, Matrix, Vector

__all__ = ["Layerwise"]

_FLOOR = 1e-3
"""Of a layer's mean curvature: an output that seems to matter less counts so much."""


@dataclass
class Layerwise:
    """``names`` are the weights that may go, in the order of ``candidates.layers``; each is that
    of a linear map z = x @ W that :attr:`Problem.layers` knows. ``damping`` is a part of the mean
    diagonal of XᵀX/N, ``memory`` bytes.

    Weights of different outputs are compared by ½ c_j δ_jᵀ(XᵀX/N)δ_j, c_j the sum over examples of
    the second derivatives of the objective by z_j: how far an output moves, by what the objective
    makes of it. That leaves out how layers work on each other, so it ranks and does not predict.
    Layers are taken as they are in the network before the deletion.
    """

    problem: Callable[[], Problem]
    candidates: Candidates
    names: Sequence[str]
    damping: float
    memory: int
    grams: dict[str, Gram] = field(init=False)
    scales: dict[str, Vector] = field(init=False)
    traces: dict[str, RowTraces] = field(init=False)
    start: Vector = field(init=False)
    begun: Mask = field(init=False)

    def prepare(self, theta: Vector, alive: Mask) -> Sequence[Check]:
        problem = self.problem()
        self.start, self.begun = theta, alive
        self.grams, self.scales = self._look(problem, theta)
        weights, masks = self._matrices(problem, theta), self._matrices(problem, alive)
        self.traces = {
            name: trace(
                self.grams[name],
                weights[name],
                self.damping,
                masks[name].astype(bool),
                memory=self.memory,
            )
            for name in self.names
        }
        return ()

    def remove(self, theta: Vector, alive: Mask, count: int) -> Removal:
        problem = self.problem()
        gone = int(np.count_nonzero(self.begun & ~alive & self.candidates.mask))
        masks = self._select(gone + count)
        after, left = self.start.copy(), self.begun.copy()
        weights = self._matrices(problem, self.start)
        for name, mask in masks.items():
            part, gram = problem.layout.slices[name], self.grams[name]
            solved = solve(gram, weights[name], mask, self.damping)
            after[part], left[part] = solved.reshape(-1), mask.reshape(-1)
        return Removal(after, left, None)

    def _select(self, count: int) -> dict[str, Mask]:
        if not self.candidates.each_layer:
            return select(self.traces, count, self.scales)
        shares = self.candidates.shares(self.begun, count)
        return {
            name: select({name: self.traces[name]}, share, {name: self.scales[name]})[name]
            for name, share in zip(self.names, shares, strict=True)
        }

    def _look(self, problem: Problem, theta: Vector) -> tuple[dict[str, Gram], dict[str, Vector]]:
        """Inputs of each layer as a Gram matrix, and the curvature at each output."""
        sums: dict[str, GramSum] = {}
        curvatures: dict[str, Vector] = {}
        for samples in problem.layers(theta):
            for name in self.names:
                sample = samples[name]
                sums.setdefault(name, GramSum(sample.inputs.shape[1])).add(sample.inputs)
                total = sample.curvatures.sum(axis=0)
                curvatures[name] = curvatures.get(name, 0.0) + total
        scales = {name: _floored(each) for name, each in curvatures.items()}
        return {name: each.gram() for name, each in sums.items()}, scales

    def _matrices(self, problem: Problem, vector: Vector | Mask) -> dict[str, Matrix]:
        """Each weight as a matrix [fan in, fan out]; a kernel's windows and channels are fan in."""
        arrays = problem.layout.unpack(np.asarray(vector, dtype=np.float64))
        return {name: arrays[name].reshape(-1, arrays[name].shape[-1]) for name in self.names}


def _floored(curvatures: Vector) -> Vector:
    positive = np.maximum(curvatures, 0.0)
    least = _FLOOR * float(positive.mean())
    return np.maximum(positive, least) if least > 0 else np.ones_like(positive)
