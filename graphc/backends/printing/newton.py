"""Damped Newton: its ``Trainer``, printed as it is into modules that train by it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.backends.printing.descent import Descent, _steepest

__all__ = ["NEWTON", "Trainer"]

Arrays = dict[str, Any]

GROUPS: tuple[tuple[str, ...], ...] = ()
DRIVER: dict[str, Any] = {}
hessian_vector_products: Any = None


class Trainer(Descent):
    """Training by Newton's method over all examples: a step is one iteration with its line search.

    Up to `exact` parameters the Hessian is made whole; beyond that its products with vectors
    serve. Batches of any size may come, `batch_size` is not needed; but all of them should be the
    same examples.
    """

    def _directions(self, batch: Arrays, here: Any, gradient: Any) -> Any:
        """Newton's, and if that leads nowhere, down the gradient."""
        state = self._state_at(here)

        def products(tangents):  # type: ignore[no-untyped-def]
            return self._products(state, batch, tangents)

        if gradient.size > DRIVER["exact"]:
            yield _truncated_newton(products, gradient)
        else:
            hessian = _hessian(products, gradient.size, _block(batch))
            yield _damped_newton(hessian, gradient, float(np.finfo(here.dtype).eps))
        yield _steepest(gradient)

    def _products(self, state: Arrays, batch: Arrays, tangents: Any) -> Any:
        """The Hessian times each tangent, both [k, parameters that are not removed]."""
        whole = np.zeros((len(tangents), self._weights.size), dtype=self._weights.dtype)
        whole[:, self._kept] = tangents
        split, start = {}, 0
        for name in GROUPS[0]:
            shape = self._views[name].shape
            stop = start + math.prod(shape)
            split[name] = whole[:, start:stop].reshape(-1, *shape)
            start = stop
        found = hessian_vector_products(state, batch, split)
        flat = [found[name].reshape(len(tangents), -1) for name in GROUPS[0]]
        return np.concatenate(flat, axis=1)[:, self._kept].astype(np.float64)


def _block(batch: Arrays) -> int:
    """How many tangents at a time: their arrays are as many times as large as those of one."""
    largest = max((np.size(array) for array in batch.values()), default=1)
    return max(1, min(64, 2**24 // max(1, largest)))


def _hessian(products: Any, size: int, block: int) -> Any:
    """The whole Hessian, its products with the unit vectors, some at a time."""
    rows = []
    for start in range(0, size, block):
        units = np.zeros((min(block, size - start), size))
        units[np.arange(len(units)), start + np.arange(len(units))] = 1.0
        rows.append(products(units))
    hessian = np.concatenate(rows)
    return 0.5 * (hessian + hessian.T)


def _damped_newton(hessian: Any, gradient: Any, rounding: float) -> Any:
    """Newton's direction with the Hessian's eigenvalues made positive: each becomes its absolute
    value, those lost in rounding a small one (Nocedal and Wright, 2006, section 3.4)."""
    if not np.all(np.isfinite(hessian)) or not np.any(hessian):
        return _steepest(gradient)
    values, vectors = np.linalg.eigh(hessian)
    sizes = np.abs(values)
    sizes = np.maximum(sizes, math.sqrt(rounding) * sizes.max())
    return -vectors @ ((vectors.T @ gradient) / sizes)


def _truncated_newton(products: Any, gradient: Any) -> Any:
    """Newton's direction by conjugate gradients, ended early: when it is good enough, or where the
    curvature along the next direction is not positive (Nocedal and Wright, 2006, algorithm 7.1)."""
    norm = float(np.linalg.norm(gradient))
    enough = min(0.5, math.sqrt(norm)) * norm
    result, residual = np.zeros_like(gradient), gradient.copy()
    direction = -residual
    for _ in range(min(2 * gradient.size, 250)):
        product = products(direction[None])[0]
        curvature, square = float(direction @ product), float(residual @ residual)
        if not curvature > 0.0:
            break
        result += square / curvature * direction
        residual += square / curvature * product
        if float(np.linalg.norm(residual)) <= enough:
            break
        direction = float(residual @ residual) / square * direction - residual
    return result if np.any(result) else _steepest(gradient)


NEWTON: list[Callable[..., Any]] = [_block, _hessian, _damped_newton, _truncated_newton]
