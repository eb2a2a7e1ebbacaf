"""A model over some data as an objective on one vector, for :mod:`graphc.numerics`.

The model is compiled again in double precision. Its functions are compiled when they are first
asked for, see the data in batches that are the same for all of them, and take as many tangents at
a time as memory allows: what a product needs is bounded by the size of these blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from graphc.ir import Size, Type
from graphc.numerics.problem import LayerLinks, LayerSample, Problem
from graphc.numerics.vectors import Layout, Matrix, Vector
from graphc.passes.vectorize import TANGENTS
from graphc.runtime import Arrays, Module, Table, computing
from graphc.runtime.examples import Batches, Examples, load_examples
from graphc.session.checking import check
from graphc.session.footprint import Footprint, largest
from graphc.session.generated import Generated
from graphc.session.links import blocks_of_links
from graphc.session.loading import doubles, gradients_of
from graphc.session.model import Model
from graphc.session.products import expect_products

__all__ = ["MEMORY", "Objective", "in_double", "make_problem"]

MEMORY = 256 * 2**20
"""Bytes that the arrays of one call of a module's function may take, if nobody says."""

_TOGETHER = 16
"""A batch leaves room for at least so many tangents at a time."""

_BACKWARD = 2
"""A product keeps about so many times the arrays, for each tangent, that a gradient does."""


def make_problem(
    model: Model, state: Arrays, raw: Arrays, *, memory: int = MEMORY, penalties: bool = True
) -> Problem:
    """The objective of a model over raw columns, as functions of its learned parameters.

    Vectors are in the order of ``spec.learned``; frozen parameters, states of layers and constants
    of the data are those of ``state``. E is the mean over all examples of the objective in the
    evaluation projection, batches weighted by their sizes; penalties, unless they are left out,
    count once. ``memory`` bounds the bytes of the arrays that one call of a function makes; the
    prepared data are not in it. RunError for a model that has nothing to differentiate and for
    data that do not fit.
    """
    return Objective(model, state, raw, memory=memory, penalties=penalties).problem()


def in_double(model: Model, **changes: Any) -> Model:
    """The model in double precision, its data, settings and columns as they are. ``changes`` are
    of the request."""
    request = model.checked.request
    columns = request.columns if model.checked.columns is None else model.checked.columns
    changed = replace(request, precision="f64", columns=columns, products=(), **changes)
    return Model(Generated(check(changed)), model.data)


class Objective:
    """E over the batches of some data. ``state`` is what it is at, in double precision."""

    def __init__(
        self, model: Model, state: Arrays, raw: Arrays, *, memory: int, penalties: bool
    ) -> None:
        expect_products(model.spec, model.checked.roots)
        changes = {} if penalties else {"penalties": False}
        self.model = in_double(model, **changes)
        self.state = doubles(state)
        spec = self.model.spec
        shapes = {name: _shape(spec.parameters[name].type) for name in spec.learned}
        self.layout = Layout(shapes)
        self._raw = raw
        self.memory = memory
        self._penalised = penalties and bool(spec.penalties)
        self._modules: dict[tuple[str, ...], tuple[Any, Footprint]] = {}
        self._blocks: dict[str, int] = {}

    def problem(self) -> Problem:
        """The functions of E. The data are prepared here."""
        return Problem(
            layout=self.layout,
            examples=self.examples.count,
            value=self.value,
            gradient=self.gradient,
            hessian=self._product("hessian_vector_products"),
            gauss_newton=self._product("gauss_newton_products"),
            example_gradients=self.example_gradients,
            backpropagated=self.backpropagated,
            layers=self.layers,
            links=self.links,
            penalties=self.penalties if self._penalised else None,
        )

    # ------------------------------------------------------------------ data

    @cached_property
    def module(self) -> Module:
        """The module of the model itself, reading the raw columns."""
        return self.model.reading(Table(self._raw, 0, "the data"))

    @cached_property
    def examples(self) -> Examples:
        return load_examples(self.module, self.state, self._raw, part="the data")

    @cached_property
    def batch_size(self) -> int:
        """Examples a batch, the same for all functions: as many as leave room for some tangents."""
        program = self.model.generated.programs.evaluation
        assert program is not None, "a model that learns has gradients"
        footprint = Footprint(program)
        times = _BACKWARD * min(self.layout.size, _TOGETHER)
        fixed = self.bytes(footprint, 1)
        return largest(
            self.examples.count,
            lambda size: times * (self.bytes(footprint, size) - fixed) <= self.memory,
        )

    def batches(self, size: int | None = None) -> Batches:
        """All batches with their numbers of examples."""
        return self.examples.batches(self.batch_size if size is None else size)

    @cached_property
    def _other_sizes(self) -> dict[str, int]:
        """Symbolic dimensions that are not the batch, as the first example has them."""
        batch, _ = next(self.batches(1))
        found = {}
        for name, info in self.model.spec.inputs.items():
            for size, length in zip(info.type.shape, np.shape(batch[name]), strict=True):
                if not isinstance(size, int) and len(size.symbols) == 1:
                    found[next(iter(size.symbols))] = length
        return found

    def bytes(self, footprint: Footprint, examples: int, tangents: int = 1) -> int:
        """Of the arrays of a function for a batch of that size."""
        batch = self.model.spec.batch
        of_batch = {} if batch is None else {batch: examples}
        return footprint.bytes({**self._other_sizes, TANGENTS: tangents, **of_batch})

    # ------------------------------------------------------------------ functions

    def at(self, vector: Vector) -> Arrays:
        """The state with the learned parameters that a vector holds."""
        return {**self.state, **self.layout.unpack(np.ascontiguousarray(vector, np.float64))}

    def value(self, vector: Vector) -> float:
        """E, without the gradient where no penalty asks for it."""
        if self._penalised:
            return self.gradient(vector)[0]
        state, total = self.at(vector), 0.0
        for batch, size in self.batches():
            with computing():
                total += float(self.module.losses(state, batch)[0]) * size
        return total / self.examples.count

    def gradient(self, vector: Vector) -> tuple[float, Vector]:
        state = self.at(vector)
        total, gradient = 0.0, np.zeros(self.layout.size)
        for batch, size in self.batches():
            objective, arrays = gradients_of(self.module, state, batch)
            total += objective * size
            gradient += self.layout.pack(arrays) * size
        return total / self.examples.count, gradient / self.examples.count

    def example_gradients(self, vector: Vector) -> Iterator[Matrix]:
        """Gradients of each example's objective alone, some rows at a time."""
        for batch, gradients in self.batches_with_gradients(vector):
            yield gradients(batch)

    def batches_with_gradients(
        self, vector: Vector
    ) -> Iterator[tuple[Arrays, Callable[[Arrays], Matrix]]]:
        """Batches small enough for the gradients of each example, and what gives these [m, n] for
        such a batch."""
        state = self.at(vector)

        def single(one: Arrays) -> Matrix:
            return self.layout.pack(gradients_of(self.module, state, one)[1])[None]

        if self.model.spec.batch is None:
            for batch, _ in self.batches():
                yield batch, single
            return
        module, footprint = self.compiled("per_example_gradients")

        def gradients(some: Arrays) -> Matrix:
            with computing():
                return self.layout.pack_rows(module.per_example_gradients(state, some))

        rows = largest(self.batch_size, lambda n: self.bytes(footprint, n) <= self.memory)
        for batch, _ in self.batches(rows):
            yield batch, gradients

    def backpropagated(self, vector: Vector) -> Vector:
        state, total = self.at(vector), np.zeros(self.layout.size)
        module, _ = self.compiled("backpropagated_diagonal")
        for batch, size in self.batches():
            with computing():
                total += self.layout.pack(module.backpropagated_diagonal(state, batch)) * size
        return total / self.examples.count

    def layers(self, vector: Vector) -> Iterator[Mapping[str, LayerSample]]:
        """By the name of each weight of one linear map; a batch's curvatures are those of its
        examples' own objectives, of which E is the mean."""
        state = self.at(vector)
        module, _ = self.compiled("layer_inputs", "layer_curvatures")
        for batch, _ in self.batches():
            with computing():
                given = module.layer_inputs(state, batch)
                found = module.layer_curvatures(state, batch)
            yield {
                name: LayerSample(given[name], found[name] / self.examples.count) for name in given
            }

    def links(self, vector: Vector) -> Iterator[LayerLinks] | None:
        """See :mod:`graphc.session.links`."""
        return blocks_of_links(self, vector)

    def penalties(self, vector: Vector, tangents: Matrix) -> Matrix:
        """The Hessian of the penalties times tangents: any example tells."""
        module, _ = self.compiled("penalty_products")
        batch, _ = next(self.batches(1))
        rows = np.ascontiguousarray(np.atleast_2d(tangents), np.float64)
        with computing():
            arrays = module.penalty_products(self.at(vector), batch, self.layout.unpack_rows(rows))
        return self.layout.pack_rows(arrays)

    def _product(self, name: str) -> Callable[[Vector, Matrix], Matrix]:
        def product(vector: Vector, tangents: Matrix) -> Matrix:
            rows = np.ascontiguousarray(np.atleast_2d(tangents), np.float64)
            module, footprint = self.compiled(name)
            function, state = getattr(module, name), self.at(vector)
            block = self._block(name, footprint)
            found = np.zeros(rows.shape)
            for batch, size in self.batches():
                share = size / self.examples.count
                for start in range(0, len(rows), block):
                    part = slice(start, start + block)
                    with computing():
                        arrays = function(state, batch, self.layout.unpack_rows(rows[part]))
                    found[part] += self.layout.pack_rows(arrays) * share
            return found

        return product

    def _block(self, name: str, footprint: Footprint) -> int:
        """How many tangents a product takes at a time."""
        if name not in self._blocks:
            self._blocks[name] = largest(
                self.layout.size,
                lambda k: self.bytes(footprint, self.batch_size, k) <= self.memory,
            )
        return self._blocks[name]

    def compiled(self, *names: str) -> tuple[Any, Footprint]:
        """A module with some of PRODUCTS, and what the arrays of the first of them take."""
        if names not in self._modules:
            checked = self.model.checked
            changed = replace(checked, request=replace(checked.request, products=names))
            generated = Generated(changed)
            program = generated.programs.products[names[0]]
            self._modules[names] = generated.module, Footprint(program)
        return self._modules[names]


def _shape(type: Type) -> tuple[int, ...]:
    """Of a parameter, whose size is known."""
    return tuple(cast(int, _known(size)) for size in type.shape)


def _known(size: Size) -> Size:
    assert isinstance(size, int), "a parameter has a size"
    return size
