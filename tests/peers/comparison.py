"""One comparison of a model with a peer: the objective and every derivative that graphc offers."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from witness import Arrays, Witness

import graphc

PRODUCTS = ("hessian_vector_products", "per_example_gradients", "gauss_newton_products")
TOLERANCE = {"f64": 1e-9, "f32": 2e-4}
BESIDE_LARGEST = {"f64": 1e-11, "f32": 2e-5}
"""A number that is the small difference of large ones is only as accurate as they are."""
SMALL = 60
"""Up to so many parameters the whole Hessian is compared."""


def compare(
    peer: ModuleType,
    text: str,
    batch: Mapping[str, np.ndarray],
    *,
    precision: str = "f64",
    seed: int = 0,
    spread: float = 0.3,
    products: tuple[str, ...] = PRODUCTS,
    training: bool = False,
) -> None:
    """Objective, gradients, products with tangents, gradients of each example, small Hessians.

    The peer computes in f64 at the very numbers that the model is given, in f32 too: the whole
    difference is then the model's own rounding. ``training`` compares the objective and its
    gradients in the training projection as well, with graphc's draws.
    """
    if graphc.compile(text).spec.batch is None:
        products = tuple(name for name in products if name != "per_example_gradients")
    model = graphc.compile(text, precision=precision, products=products)
    state = random_state(model, seed, spread)
    given = {name: in_precision(array, precision) for name, array in batch.items()}
    for projection in (False, True) if training else (False,):
        witness = Witness(peer, model, state, given, training=projection)
        value, gradients = model.module.loss_and_gradients(state, given, training=projection)
        expected, expected_gradients = witness.value_and_gradients()
        title = "in training" if projection else "in evaluation"
        agree(f"objective {title}", {"": value}, {"": expected}, precision)
        agree(f"gradient {title}", gradients, expected_gradients, precision)
    compare_products(Witness(peer, model, state, given), products, precision, seed)


def compare_products(
    witness: Witness, products: tuple[str, ...], precision: str, seed: int
) -> None:
    module: Any = witness.model.module
    state, batch = dict(witness.state), dict(witness.batch)
    tangents = random_tangents(witness, seed)
    if "per_example_gradients" in products:
        found = module.per_example_gradients(state, batch)
        agree("per example", found, witness.per_example_gradients(), precision)
    if "gauss_newton_products" in products:
        found = module.gauss_newton_products(state, batch, tangents)
        agree("Gauss-Newton", found, witness.gauss_newton_products(tangents), precision)
    if "hessian_vector_products" in products:
        if witness.model.parameter_count <= SMALL:
            tangents = all_directions(witness)
        found = module.hessian_vector_products(state, batch, tangents)
        agree("Hessian products", found, witness.hessian_products(tangents), precision)


def agree(
    title: str, found: Mapping[str, Any], expected: Mapping[str, Any], precision: str = "f64"
) -> None:
    """Equal names, shapes and numbers, to the precision's tolerance."""
    assert sorted(found) == sorted(expected), title
    largest = max((np.max(np.abs(v), initial=0.0) for v in expected.values()), default=0.0)
    assert np.isfinite(largest), f"{title}: the peer's numbers are not finite"
    for name, array in expected.items():
        np.testing.assert_allclose(
            found[name],
            array,
            rtol=TOLERANCE[precision],
            atol=max(BESIDE_LARGEST[precision] * largest, 1e-15),
            err_msg=f"{title} {name}",
        )


def random_state(model: graphc.Model, seed: int, spread: float) -> Arrays:
    """The initial state with noise on every parameter, so that none is 0 or equal to another."""
    rng = np.random.default_rng(seed)
    state = dict(model.init(seed))
    real = np.float32 if model.spec.train.precision == "f32" else np.float64
    for name in model.spec.learned:
        noise = rng.normal(size=np.shape(state[name])) * spread
        state[name] = (state[name] + noise).astype(real)
    return state


def in_precision(array: np.ndarray, precision: str) -> np.ndarray:
    if np.asarray(array).dtype.kind != "f":
        return np.asarray(array)
    return np.asarray(array, dtype=np.float32 if precision == "f32" else np.float64)


def random_tangents(witness: Witness, seed: int, count: int = 2) -> Arrays:
    rng = np.random.default_rng(seed + 1)
    real = witness.state_type
    return {
        name: rng.normal(size=(count, *np.shape(witness.state[name]))).astype(real)
        for name in witness.parameters
    }


def all_directions(witness: Witness) -> Arrays:
    """Every unit vector of the parameter space: their products are the rows of the Hessian."""
    shapes = {name: np.shape(witness.state[name]) for name in witness.parameters}
    counts = [int(np.prod(shape)) for shape in shapes.values()]
    rows = np.eye(sum(counts), dtype=witness.state_type)
    parts = np.split(rows, np.cumsum(counts)[:-1], axis=1)
    return {
        name: part.reshape(-1, *shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
