"""An objective over a vector of parameters, as callables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from graphc.numerics.vectors import Layout, Matrix, Tensor, Vector

__all__ = ["LayerLinks", "LayerSample", "Problem"]


@dataclass(frozen=True)
class LayerSample:
    """What a weight ``W`` of a linear map ``z = x @ W`` meets, for a block of rows (examples, and
    for a convolution positions): its inputs [rows, fan in], and the second derivatives of the
    objective by z that :attr:`Problem.backpropagated` passes on [rows, fan out]."""

    inputs: Matrix
    curvatures: Matrix


@dataclass(frozen=True)
class LayerLinks:
    """How layers ``z = x @ W`` with a row an example hang together, for a block of m examples that
    E is a sum over. Names are those of the weights, in the order in which the network computes the
    layers; W is used in no other way. A bias is a layer whose x is 1.

    ``inputs`` are x [m, fan in], ``gradients`` ∂E/∂z [m, fan out]. ``moved(name, directions)``
    takes k directions of the z of one layer [k, fan out], the same for all examples, and gives the
    derivatives along them of all gradients [k, m, fan out] and of all inputs [k, m, fan in]; what
    is left out is 0.
    """

    inputs: Mapping[str, Matrix]
    gradients: Mapping[str, Matrix]
    moved: Callable[[str, Matrix], tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]


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

    ``links(θ)`` yields blocks of :class:`LayerLinks`, or is None where E is no sum over examples or
    there are no such layers; ``penalties(θ, V)`` are products with the Hessian of the penalties
    alone. Both are left out where nobody has them.
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
    links: Callable[[Vector], Iterator[LayerLinks] | None] | None = None
    penalties: Callable[[Vector, Matrix], Matrix] | None = None

    @property
    def size(self) -> int:
        """n, the number of parameters."""
        return self.layout.size
