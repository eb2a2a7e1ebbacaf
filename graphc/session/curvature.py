"""Second derivatives of a trained network: matrices, spectra, operators.

All of it is computed in double precision, in the evaluation projection, of the objective with its
penalties as the mean over the examples asked for. Matrices and vectors are in the order of
``layout``, which names their entries.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from graphc.numerics import hessian as matrices
from graphc.numerics.density import Density, spectral_density
from graphc.numerics.fisher import dense_fisher, fisher_diagonal
from graphc.numerics.hessian import LIMIT, TooLargeError
from graphc.numerics.lanczos import Eigenpairs, Which, eigenpairs
from graphc.numerics.layered import hessian_blocks, hessian_diagonal, hessian_matrix
from graphc.numerics.operators import damped_inverse, operator
from graphc.numerics.problem import Problem
from graphc.numerics.stochastic import Probed, probe
from graphc.numerics.vectors import Layout, Matrix, Vector
from graphc.runtime import RunError
from graphc.session.matrices import KINDS, Kind, Matrices
from graphc.session.parts import DataLike, Part
from graphc.session.problem import MEMORY
from graphc.session.subject import Asked, At, Subject, find_subject

if TYPE_CHECKING:
    from graphc.session.curvature_report import CurvatureReport

__all__ = ["KINDS", "Curvature", "Kind", "curvature"]

EXACT = 2_000
"""Parameters up to which a spectrum is that of the whole matrix, if nobody says."""


def curvature(
    run_or_model_or_path: Asked,
    *,
    part: Part | None = None,
    data: DataLike | None = None,
    rows: int | None = None,
    at: At = "best",
    state: Mapping[str, ArrayLike] | None = None,
    memory: int = MEMORY,
) -> Curvature:
    """The curvature of a run's objective, or of its latest finished run where a model is given.

    The examples are those of a ``part``, the training part by default, or ``rows`` of them at equal
    distances; ``data`` as for :func:`graphc.load`, data other than the run's own taken whole.
    ``at`` is the best epoch, the last, or the initial parameters; ``state`` any state of the model.
    ``memory`` bounds the bytes that a block of products takes. RunError for what there is not, and
    for a model that learns nothing.
    """
    subject = find_subject(
        run_or_model_or_path, part=part, data=data, rows=rows, at=at, state=state
    )
    return Curvature(subject, memory=memory)


class Curvature:
    """Second derivatives at a point. Make one with :func:`graphc.curvature`.

    ``of`` names a matrix: ``hessian``; ``gauss_newton``, generalised, cut at the first arguments of
    the prelude's losses; ``fisher``, the mean of g gᵀ over the examples' own gradients;
    ``exact_fisher``, the same over the model's own distribution of targets. The Fisher matrices
    are of the objective without penalties.
    """

    def __init__(self, subject: Subject, *, memory: int = MEMORY) -> None:
        self.subject = subject
        self._matrices = Matrices(subject, memory)
        self._spectra: dict[Kind, tuple[Vector, Matrix]] = {}

    def __repr__(self) -> str:
        name, examples = self.subject.model.name, self.problem.examples
        return f"<graphc curvature of {name}: {self.size:,} parameters, {examples:,} examples>"

    @property
    def problem(self) -> Problem:
        """The objective and its products as functions of vectors."""
        return self._matrices.problem

    @property
    def layout(self) -> Layout:
        """Which entries of vectors are which parameter's."""
        return self.problem.layout

    @property
    def point(self) -> Vector:
        """The learned parameters, [n]."""
        return self._matrices.point

    @property
    def size(self) -> int:
        """n, the number of learned parameters."""
        return self.layout.size

    @property
    def objective(self) -> float:
        """E, penalties included."""
        return self._matrices.value_and_gradient[0]

    @property
    def gradient(self) -> Vector:
        """∇E, [n]."""
        return self._matrices.value_and_gradient[1]

    # ------------------------------------------------------------------ matrices

    def hessian(self, *, limit: int = LIMIT) -> Matrix:
        """∂²E/∂θ², [n, n]. RunError beyond ``limit`` parameters, with what it would take."""
        return self.matrix("hessian", limit=limit)

    def gauss_newton(self, *, limit: int = LIMIT) -> Matrix:
        """The generalised Gauss-Newton matrix (Schraudolph, 2002), [n, n]."""
        return self.matrix("gauss_newton", limit=limit)

    def fisher(
        self, kind: Literal["empirical", "exact"] = "empirical", *, limit: int = LIMIT
    ) -> Matrix:
        """Fisher information, [n, n], of the objective without penalties.

        ``empirical`` is the mean of g gᵀ over the examples as they are, ``exact`` over the targets
        that the model itself expects. The objective is then taken as -log p(target | input) up to a
        constant, so a squared error has the Gauss-Newton matrix. RunError for an objective that is
        no log-likelihood.
        """
        if kind not in ("empirical", "exact"):
            raise RunError(f"there is no Fisher matrix {kind}", help="ask for empirical or exact")
        return self.matrix("fisher" if kind == "empirical" else "exact_fisher", limit=limit)

    def matrix(self, of: Kind = "hessian", *, limit: int = LIMIT) -> Matrix:
        """One of the matrices whole, [n, n]."""
        with self._sized():
            if self._matrices.is_mean(of):
                rows = self._matrices.gradients(of)
                return dense_fisher(rows, self.size, self.problem.examples, limit=limit)
            if of == "hessian":
                return hessian_matrix(self.problem, self.point, limit=limit)
            return matrices.dense(self._matrices.product(of), self.size, limit=limit)

    def diagonal(self, of: Kind = "hessian", *, limit: int = 100_000) -> Vector:
        """The exact diagonal of a matrix, [n]. RunError beyond ``limit`` parameters, with the time
        that it would take."""
        with self._sized():
            if self._matrices.is_mean(of):
                return fisher_diagonal(
                    self._matrices.gradients(of), self.size, self.problem.examples
                )
            if of == "hessian":
                return hessian_diagonal(self.problem, self.point, limit=limit)
            return matrices.diagonal(self._matrices.product(of), self.size, limit=limit)

    def blocks(self, of: Kind = "hessian", *, limit: int = LIMIT) -> dict[str, Matrix]:
        """The block of each parameter with itself, by its name. RunError where one parameter has
        more than ``limit`` elements."""
        with self._sized():
            if of == "hessian":
                return hessian_blocks(self.problem, self.point, limit=limit)
            return matrices.layer_blocks(self._matrices.product(of), self.layout, limit=limit)

    def products(self, tangents: ArrayLike, of: Kind = "hessian") -> Matrix:
        """A matrix times tangents [k, n], or times one [n]: the same shape."""
        given = np.asarray(tangents, dtype=np.float64)
        if given.ndim not in (1, 2) or given.shape[-1] != self.size:
            raise RunError(
                f"tangents of shape {list(given.shape)} are not [k, {self.size}]",
                help="pack arrays by name with layout.pack or layout.pack_rows",
            )
        return self._matrices.product(of)(np.atleast_2d(given)).reshape(given.shape)

    # ------------------------------------------------------------------ spectra

    def hutchinson(self, probes: int = 100, *, of: Kind = "hessian", seed: int = 0) -> Probed:
        """Trace and diagonal, estimated from products with random signs, with standard errors."""
        with _asked():
            return probe(self._matrices.product(of), self.size, probes, np.random.default_rng(seed))

    def eigenpairs(
        self,
        k: int = 10,
        *,
        which: Which = "magnitude",
        of: Kind = "hessian",
        tolerance: float = 1e-8,
        steps: int = 1000,
        seed: int = 0,
    ) -> Eigenpairs:
        """The k eigenpairs that are largest by ``magnitude``, ``largest``, ``smallest``, or k at
        both ``ends``, by Lanczos, with the residual of each."""
        with _asked():
            return eigenpairs(
                self._matrices.product(of),
                self.size,
                k,
                np.random.default_rng(seed),
                which=which,
                tolerance=tolerance,
                most=steps,
            )

    def density(
        self,
        *,
        probes: int = 10,
        steps: int = 80,
        width: float | None = None,
        of: Kind = "hessian",
        seed: int = 0,
    ) -> Density:
        """The spectral density by stochastic Lanczos quadrature, with error bars over probes."""
        with _asked():
            return spectral_density(
                self._matrices.product(of),
                self.size,
                np.random.default_rng(seed),
                probes=probes,
                steps=steps,
                width=width,
            )

    def spectrum(self, of: Kind = "hessian", *, limit: int = EXACT) -> tuple[Vector, Matrix]:
        """All eigenvalues, rising, and eigenvectors as rows [n, n]."""
        if of not in self._spectra:
            values, vectors = np.linalg.eigh(self.matrix(of, limit=limit))
            self._spectra[of] = values, vectors.T
        return self._spectra[of]

    # ------------------------------------------------------------------ operators

    def operator(self, of: Kind = "hessian") -> Any:
        """A matrix as a ``scipy.sparse.linalg.LinearOperator``, never made whole."""
        with _needs_scipy():
            return operator(self._matrices.product(of), self.size)

    def inverse(self, damping: float, of: Kind = "hessian", *, limit: int = EXACT) -> Any:
        """(H + damping·I)⁻¹ as an operator of scipy, from all eigenpairs."""
        values, vectors = self.spectrum(of, limit=limit)
        with _needs_scipy():
            try:
                return damped_inverse(values, vectors, damping)
            except np.linalg.LinAlgError as problem:
                raise RunError(str(problem), help="give another damping") from problem

    def report(self, **options: Any) -> CurvatureReport:
        """Conditioning, negative curvature, sharpness, and how each was found; the options are
        those of :func:`graphc.session.curvature_report.make_report`."""
        from graphc.session.curvature_report import make_report

        return make_report(self, **options)

    @contextlib.contextmanager
    def _sized(self) -> Iterator[None]:
        """What is too large says what it would take, and what fits instead."""
        try:
            yield
        except TooLargeError as problem:
            raise RunError(
                f"{self.subject.model.name} is too large for this: {problem}",
                help="hutchinson, eigenpairs, density, products and operator take any size; "
                f"limit={problem.n} does it all the same",
            ) from problem


@contextlib.contextmanager
def _asked() -> Iterator[None]:
    """A number that cannot be meant is an error for people."""
    try:
        yield
    except ValueError as problem:
        raise RunError(str(problem)) from problem


@contextlib.contextmanager
def _needs_scipy() -> Iterator[None]:
    try:
        yield
    except ImportError as missing:
        raise RunError(
            "a linear operator needs scipy", help="pip install 'graphc[curvature]'"
        ) from missing
