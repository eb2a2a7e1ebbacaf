"""The curvature matrices of a model at a point, as products with tangents or as gradients."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from graphc.numerics import fisher as fishers
from graphc.numerics.fisher import Weighted
from graphc.numerics.hessian import Product
from graphc.numerics.problem import Problem
from graphc.numerics.vectors import Vector
from graphc.runtime import RunError
from graphc.runtime.wording import listing
from graphc.session.likelihood import expected_gradients, is_normal
from graphc.session.problem import Objective
from graphc.session.subject import Subject

__all__ = ["KINDS", "Kind", "Matrices", "expect_kind"]

Kind = Literal["hessian", "gauss_newton", "fisher", "exact_fisher"]
KINDS: tuple[Kind, ...] = ("hessian", "gauss_newton", "fisher", "exact_fisher")


def expect_kind(of: str) -> None:
    """RunError for what is no name of a matrix."""
    if of not in KINDS:
        raise RunError(f"there is no matrix {of}", help=f"there are {listing(KINDS)}")


class Matrices:
    """``hessian`` and ``gauss_newton`` are of the objective with penalties, the Fisher matrices of
    the objective without: these are no part of a likelihood."""

    def __init__(self, subject: Subject, memory: int) -> None:
        self.subject = subject
        self._memory = memory
        objective = self._make(penalties=True)
        self.problem: Problem = objective.problem()
        self.point: Vector = self.problem.layout.pack(objective.state)

    @cached_property
    def value_and_gradient(self) -> tuple[float, Vector]:
        return self.problem.gradient(self.point)

    def product(self, of: Kind) -> Product:
        """Tangents [k, n] to the matrix times each."""
        expect_kind(of)
        if self.is_mean(of):
            return fishers.fisher_product(self.gradients(of), self.problem.examples)
        if of == "exact_fisher":
            plain = self._plain
            return lambda tangents: plain.gauss_newton(self.point, tangents)
        whole = self.problem.hessian if of == "hessian" else self.problem.gauss_newton
        return lambda tangents: whole(self.point, tangents)

    def is_mean(self, of: Kind) -> bool:
        """Whether a matrix is made as a mean of g gᵀ, see :meth:`gradients`."""
        expect_kind(of)
        return of == "fisher" or (of == "exact_fisher" and not is_normal(self._likelihood))

    def gradients(self, of: Kind) -> Weighted:
        """What a Fisher matrix is the mean over."""
        if of == "fisher":
            return fishers.empirical(self._plain, self.point)
        return expected_gradients(self._likelihood, self.point)

    @cached_property
    def _likelihood(self) -> Objective:
        """The objective without penalties."""
        return self._make(penalties=False)

    @cached_property
    def _plain(self) -> Problem:
        return self._likelihood.problem()

    def _make(self, *, penalties: bool) -> Objective:
        subject = self.subject
        return Objective(
            subject.model, subject.state, subject.raw, memory=self._memory, penalties=penalties
        )
