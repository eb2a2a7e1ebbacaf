"""An objective over a vector of parameters, as callables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from graphc.numerics.vectors import Layout, Matrix, Vector

__all__ = ["LayerSample", "Problem"]


@dataclass(frozen=True)
class LayerSample:
    """What a weight ``W`` of a linear map ``z = x @ W`` meets, for a block of rows (examples, and
    for a convolution positions): its inputs [rows, fan in], and the second derivatives of the
    objective by z that :attr:`Problem.backpropagated` passes on [rows, fan out]."""

    inputs: Matrix
    curvatures: Matrix


@dataclass(frozen=True)
class Problem:
    """E(θ), the mean over all examples with penalties counted once, in the evaluation projection
    and in double precision.

    ``value(θ)`` is E, ``gradient(θ)`` is (E, ∇E [n]). ``hessian(θ, V)`` and
    ``gauss_newton(θ, V)`` are products with k tangents: [k, n] for V [k, n].
    ``example_gradients(θ)`` yields the gradients of each example's objective alone, some rows at a
    time [m, n]. ``backpropagated(θ)`` is the diagonal of the Hessian as LeCun, Denker and Solla
    (1990) estimate it [n]. ``layers(θ)`` yields blocks of :class:`LayerSample` by the name of each
    weight that is used once, as a matrix that inputs are multiplied by.
    """

    layout: Layout
    examples: int
    value: Callable[[Vector], float]
    gradient: Callable[[Vector], tuple[float, Vector]]
    hessian: Callable[[Vector, Matrix], Matrix]
    gauss_newton: Callable[[Vector, Matrix], Matrix]
    example_gradients: Callable[[Vector], Iterator[Matrix]]
    backpropagated: Callable[[Vector], Vector]
    layers: Callable[[Vector], Iterator[Mapping[str, LayerSample]]]

    @property
    def size(self) -> int:
        """n, the number of parameters."""
        return self.layout.size
