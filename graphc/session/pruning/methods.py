"""From a settled plan to the method that decides which weights go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graphc.numerics.layered import hessian_diagonal, hessian_matrix
from graphc.numerics.problem import Problem
from graphc.numerics.pruning import saliency
from graphc.numerics.pruning.choosing import Candidates
from graphc.numerics.pruning.definite import Damping
from graphc.numerics.pruning.engine import Check, Method
from graphc.numerics.pruning.inverse import Inverse
from graphc.numerics.pruning.layerwise import Layerwise
from graphc.numerics.pruning.methods import Ranked, damage, gradient_check, magnitudes
from graphc.numerics.pruning.surgeon import Surgeon
from graphc.numerics.pruning.surgical import Surgical
from graphc.numerics.pruning.units import lengths
from graphc.numerics.pruning.woodbury import FisherInverse
from graphc.numerics.vectors import Mask, Vector
from graphc.runtime import RunError
from graphc.session.problem import MEMORY
from graphc.session.pruning.plan import Settled
from graphc.session.pruning.world import Network

__all__ = ["make_method"]

Ranking = Callable[[Vector, Mask], tuple[Vector, Sequence[Check]]]
Build = Callable[[Vector, Mask], tuple[Inverse, Sequence[Check]]]

INVERSE_LIMIT = 1e-6
"""‖I − H⁻¹H‖ above which an inverse counts as wrong."""
DAMPING_LIMIT = 1e-3
"""Part of the largest diagonal entry above which damping changes what is damped."""
_FISHER_DAMPING = 1e-3
"""Of the Fisher matrix's mean diagonal, where no damping is given."""
_FISHER_BLOCK = 2_000
_ROWS_DAMPING = 1e-3
"""Of the mean square of a layer's inputs, where no damping is given."""


def make_method(settled: Settled, network: Network, candidates: Candidates) -> Method:
    """The method of a plan, over a network."""
    name = settled.plan.method
    if name in ("magnitude", "lottery"):
        return Ranked(candidates, magnitudes, of_unit=lengths)
    if name == "random":
        return Ranked(candidates, _random(settled.plan.seed))
    if name == "movement":
        return Ranked(candidates, lambda theta, alive: (network.moved(theta, alive), ()))
    if name == "obd":
        return Ranked(candidates, _damage(settled, network), predicts=True)
    if settled.curvature == "exact":
        return Surgical(candidates, _exact(settled, network, candidates))
    if settled.curvature == "fisher":
        return Surgical(candidates, _fisher(settled, network, candidates), predicts=False)
    return _rows(settled, network, candidates)


def _random(seed: int) -> Ranking:
    """Another order each time that it is asked, the same in every run."""
    asked = iter(range(seed, 2**63))

    def rank(theta: Vector, alive: Mask) -> tuple[Vector, Sequence[Check]]:
        return saliency.random(theta.size, next(asked)), ()

    return rank


def _damage(settled: Settled, network: Network) -> Ranking:
    def diagonal(theta: Vector) -> Vector:
        if settled.curvature == "exact":
            return hessian_diagonal(network.problem, theta)
        return network.problem.backpropagated(theta)

    return damage(lambda: network.problem, diagonal)


def _exact(settled: Settled, network: Network, candidates: Candidates) -> Build:
    """The inverse of the exact Hessian, damped; by default by as little as makes it positive
    definite and its inverse exact: a softmax alone leaves a direction without curvature, in which
    the least damping of all would let rounding grow."""
    damping: Damping = "auto" if settled.plan.damping is None else settled.plan.damping

    def build(theta: Vector, alive: Mask) -> tuple[Inverse, Sequence[Check]]:
        problem = network.problem
        hessian = hessian_matrix(problem, theta)
        largest = float(np.abs(np.diagonal(hessian)).max())
        surgeon = Surgeon(hessian, damping, alive, candidates.removable)
        residual = surgeon.residual().two_norm
        while damping == "auto" and residual > INVERSE_LIMIT:
            more = 10 * max(surgeon.damping, 1e-11 * largest)
            if more > DAMPING_LIMIT * largest:
                break
            surgeon = Surgeon(hessian, more, alive, candidates.removable)
            residual = surgeon.residual().two_norm
        return surgeon, (
            gradient_check(problem, theta, alive),
            Check("damping", surgeon.damping, DAMPING_LIMIT * largest),
            Check("inverse", residual, INVERSE_LIMIT),
        )

    return build


def _fisher(settled: Settled, network: Network, candidates: Candidates) -> Build:
    """The inverse of the damped empirical Fisher matrix, in blocks of its diagonal."""
    if settled.plan.damping == 0:
        raise RunError(
            "the Fisher matrix of few examples is singular: it needs a damping above 0",
            help="leave damping out, and a part of its mean diagonal is taken",
        )

    def build(theta: Vector, alive: Mask) -> tuple[Inverse, Sequence[Check]]:
        problem = network.problem
        damping = settled.plan.damping
        if damping is None:
            damping = _FISHER_DAMPING * _mean_square(problem, theta)
        inverse = FisherInverse(
            problem.example_gradients(theta),
            problem.size,
            problem.examples,
            damping,
            _FISHER_BLOCK,
            alive,
            candidates.removable,
        )
        return inverse, (gradient_check(problem, theta, alive),)

    return build


def _mean_square(problem: Problem, theta: Vector) -> float:
    """Mean of the diagonal of the empirical Fisher matrix."""
    total = sum(float(np.square(rows).sum()) for rows in problem.example_gradients(theta))
    return total / problem.examples / problem.size


def _rows(settled: Settled, network: Network, candidates: Candidates) -> Method:
    names, damping = settled.plan.parameters, settled.plan.damping
    known = network.row_weights
    other = [name for name in names if name not in known]
    if other or candidates.units:
        what = f"{other[0]} is no weight of one" if other else "it removes single weights"
        raise RunError(
            f"curvature = rows works on linear maps x @ W that are used once: {what}",
            help="take curvature = exact or fisher, or name other weights: pruned on …",
        )
    return Layerwise(
        lambda: network.problem,
        candidates,
        names,
        _ROWS_DAMPING if damping is None else damping,
        MEMORY,
    )
