"""What the curvature of a trained network says of it, with how each number was found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from graphc.numerics.density import Density
from graphc.numerics.sharpness import Sharpness, box_sharpness
from graphc.numerics.stochastic import Estimate
from graphc.numerics.vectors import Matrix, Vector
from graphc.runtime import RunError
from graphc.session.curvature import EXACT, Curvature
from graphc.session.matrices import Kind

__all__ = ["CONVERGED", "CurvatureReport", "make_report"]

CONVERGED = 1e-6
"""Norm of the gradient below which training counts as converged, if nobody says."""
NEAR_ZERO, NEAR_ZERO_SAMPLED = 1e-6, 1e-3
"""Eigenvalues count as 0 below this part of the largest magnitude; the second where a density tells
their shares, which does not see smaller ones apart."""


@dataclass(frozen=True)
class CurvatureReport:
    """Curvature in numbers; see ``how`` for where each comes from.

    ``values`` are eigenvalues of largest magnitude, from the largest to the smallest, each within
    its ``residuals`` of one of the matrix. ``negative`` and ``near_zero`` are shares of all n
    eigenvalues, the second of those within ``zero_below`` of 0, the first of those below that.
    ``condition`` is the ratio of the largest magnitude to the smallest, None where that is not
    known, infinite for a matrix that is singular to rounding. Errors are 0 where a number is exact
    up to rounding.
    """

    model: str
    run: str | None
    origin: str
    examples: int
    place: str
    precision: str
    """In which the model trains; what is here is in double precision."""
    matrix: str
    n: int
    objective: float
    gradient_norm: float
    gradient_below: float
    converged: bool
    exact: bool
    largest: Estimate
    smallest: Estimate
    condition: float | None
    negative: Estimate
    near_zero: Estimate
    zero_below: float
    trace: Estimate
    box: Sharpness
    values: tuple[float, ...]
    residuals: tuple[float, ...]
    how: dict[str, str]

    @property
    def sharpness(self) -> float:
        """The largest eigenvalue."""
        return self.largest.value

    def as_json(self) -> dict[str, Any]:
        """Everything, for a machine."""
        return {"ok": True, **asdict(self), "sharpness": self.sharpness}


def make_report(
    found: Curvature,
    *,
    of: Kind = "hessian",
    top: int = 10,
    limit: int = EXACT,
    converged: float = CONVERGED,
    probes: int = 10,
    steps: int = 80,
    epsilon: float = 1e-3,
    seed: int = 0,
) -> CurvatureReport:
    """A report of one of the matrices.

    All eigenvalues are computed up to ``limit`` parameters; beyond, ``top`` by Lanczos, and shares
    and the trace from the spectral density with ``probes`` times ``steps`` products. ``converged``
    is the norm below which the gradient counts as 0, ``epsilon`` the box of
    :func:`graphc.numerics.sharpness.box_sharpness`.
    """
    if top < 1:
        raise RunError("a report shows one eigenvalue at least", help="ask for more: top = 10")
    subject = found.subject
    exact = found.size <= limit
    spectrum = _whole(found, of, top) if exact else _sampled(found, of, top, probes, steps, seed)
    norm = float(np.linalg.norm(found.gradient))
    return CurvatureReport(
        model=subject.model.name,
        run=None if subject.path is None else str(subject.path),
        origin=subject.origin,
        examples=found.problem.examples,
        place=subject.place,
        precision=subject.model.spec.train.precision,
        matrix=of,
        n=found.size,
        objective=found.objective,
        gradient_norm=norm,
        gradient_below=converged,
        converged=norm <= converged,
        exact=exact,
        largest=spectrum.largest,
        smallest=spectrum.smallest,
        condition=spectrum.condition,
        negative=spectrum.negative,
        near_zero=spectrum.near_zero,
        zero_below=spectrum.zero_below,
        trace=spectrum.trace,
        box=box_sharpness(found.problem, found.point, list(spectrum.extreme), epsilon=epsilon),
        values=tuple(map(float, spectrum.values)),
        residuals=tuple(map(float, spectrum.residuals)),
        how=spectrum.how | {"sharpness in a box": _BOX},
    )


_BOX = (
    "100 (max E - E)/(1 + E) in the box |y_i| <= epsilon (|w_i| + 1) (Keskar et al., 2017, full "
    "space), searched by signs of gradients: a lower bound"
)


@dataclass(frozen=True)
class _Spectrum:
    largest: Estimate
    smallest: Estimate
    condition: float | None
    negative: Estimate
    near_zero: Estimate
    zero_below: float
    trace: Estimate
    values: Vector
    residuals: Vector
    extreme: Matrix
    how: dict[str, str]


def _whole(found: Curvature, of: Kind, top: int) -> _Spectrum:
    """All eigenvalues of the matrix, made whole."""
    values, vectors = found.spectrum(of, limit=found.size)
    sizes = np.abs(values)
    below = NEAR_ZERO * float(sizes.max())
    shown = np.sort(np.argsort(sizes, kind="stable")[-top:])[::-1]
    rows = vectors[shown]
    residuals = np.linalg.norm(found.products(rows, of) - values[shown, None] * rows, axis=1)
    smallest, rounding = float(sizes.min()), found.size * np.finfo(float).eps
    singular = smallest <= rounding * float(sizes.max())
    how = {
        "matrix": f"whole, {found.size} products with unit tangents",
        "eigenvalues": "all, of the whole matrix; residuals |Hv - λv| by products",
        "trace": "the sum of the diagonal",
    }
    return _Spectrum(
        Estimate(float(values[-1]), 0.0),
        Estimate(float(values[0]), 0.0),
        float("inf") if singular else float(sizes.max()) / smallest,
        Estimate(float(np.mean(values < -below)), 0.0),
        Estimate(float(np.mean(sizes <= below)), 0.0),
        below,
        Estimate(float(values.sum()), 0.0),
        values[shown],
        residuals,
        vectors[[-1, 0]],
        how,
    )


def _sampled(found: Curvature, of: Kind, top: int, probes: int, steps: int, seed: int) -> _Spectrum:
    """The ends of the spectrum by Lanczos, what lies between from its density."""
    most = 1000
    pairs = found.eigenpairs(min(top, found.size), of=of, steps=most, seed=seed)
    ends = found.eigenpairs(1, which="ends", of=of, tolerance=1e-6, steps=most, seed=seed)
    known: Density = found.density(probes=probes, steps=steps, of=of, seed=seed)
    below = NEAR_ZERO_SAMPLED * float(np.abs(ends.values).max())
    trace = known.moment(1)
    n = found.size
    how = {
        "eigenvalues": f"Lanczos with full reorthogonalisation, {pairs.steps} and {ends.steps} "
        "products; residuals |Hv - λv| bound the errors",
        "shares": f"stochastic Lanczos quadrature, {probes} probes of {steps} steps, "
        "± the standard error over probes",
        "trace": f"Hutchinson, {probes} probes, ± the standard error",
    }
    return _Spectrum(
        Estimate(float(ends.values[0]), float(ends.residuals[0])),
        Estimate(float(ends.values[-1]), float(ends.residuals[-1])),
        None,
        known.share(-np.inf, np.nextafter(-below, -np.inf)),
        known.share(-below, below),
        below,
        Estimate(n * trace.value, n * trace.error),
        pairs.values,
        pairs.residuals,
        ends.vectors,
        how,
    )
