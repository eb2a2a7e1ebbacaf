"""Curvature matrices as linear operators of scipy, for its eigensolvers and iterative methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.numerics.hessian import Product
from graphc.numerics.vectors import Matrix, Vector

__all__ = ["damped_inverse", "operator"]


def operator(product: Product, n: int) -> Any:
    """A symmetric ``scipy.sparse.linalg.LinearOperator`` [n, n] in double precision, of a product
    with tangents. ImportError without scipy."""
    from scipy.sparse.linalg import LinearOperator

    def vector(x: Any) -> Vector:
        image: Vector = product(np.asarray(x, dtype=np.float64).reshape(1, n))[0]
        return image

    def matrix(x: Any) -> Matrix:
        return product(np.ascontiguousarray(np.asarray(x, dtype=np.float64).T)).T

    return LinearOperator(
        (n, n), matvec=vector, rmatvec=vector, matmat=matrix, rmatmat=matrix, dtype=np.float64
    )


def damped_inverse(values: Vector, vectors: Matrix, damping: float) -> Any:
    """(H + damping·I)⁻¹ as an operator, from all eigenvalues of H and its eigenvectors as rows.

    ``numpy.linalg.LinAlgError`` where an eigenvalue of the damped matrix is 0 to rounding.
    """
    shifted = np.asarray(values) + damping
    largest = float(np.abs(shifted).max(initial=0.0))
    if float(np.abs(shifted).min(initial=np.inf)) <= len(shifted) * np.finfo(float).eps * largest:
        raise np.linalg.LinAlgError(f"with a damping of {damping:g} the matrix is singular")

    def product(rows: Matrix) -> Matrix:
        found: Matrix = ((rows @ vectors.T) / shifted) @ vectors
        return found

    return operator(product, len(shifted))
