"""A model's modules for the CPU and for the GPU side by side, and what both are asked.

A module computes in the precision of the state that it is given, so one module serves f64 and f32.
How far numbers may be apart is said in ``tools/gpu_check/errors.py``: here and on a GPU the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import synthetic
from features import CUTS, NO_BATCH, tangents_of
from gpu_check.errors import compare, compare_rounded
from shorter_models import shorter

import graphc
from graphc.model import PRODUCTS
from graphc.session.loading import load_source

Arrays = Mapping[str, Any]

LACKING = {
    **dict.fromkeys(NO_BATCH, ("per_example_gradients", *PRODUCTS[4:8])),
    "custom": ("layer_inputs", "layer_curvatures"),
    **dict.fromkeys(("lstm", "transformer"), ("layer_gradients", "layer_hessian_products")),
}
"""Functions on request that a model cannot have, beside ``penalty_products`` without penalties."""
WITH_TANGENTS = ("hessian_vector_products", "gauss_newton_products", "penalty_products")
SHORT = 4
"""Examples of the last batch of three."""


def compiled(name: str, folder: Path, *, whole: bool = True) -> graphc.Model:
    """An example model; with all functions on request that it can have where it is ``whole``."""
    path = shorter(name, folder)
    if not whole:
        return graphc.compile(path)
    penalised = bool(graphc.compile(path).spec.penalties)
    lacking = {*LACKING.get(name, ()), *(() if penalised else ("penalty_products",))}
    products = [product for product in PRODUCTS if product not in lacking]
    return graphc.compile(path, products=products, cut=CUTS.get(name, ()))


@dataclass(frozen=True)
class Both:
    """The module for NumPy, ``own``, the one for CuPy, ``there``, and what that one imports."""

    own: Any
    there: Any
    cupy: Any
    products: tuple[str, ...]

    def get(self, value: Any) -> Any:
        """An array on the host; a number stays one."""
        return self.cupy.asnumpy(value) if isinstance(value, self.cupy.ndarray) else value

    def fetched(self, arrays: Arrays) -> dict[str, Any]:
        return {name: self.get(value) for name, value in arrays.items()}


def side_by_side(model: graphc.Model, cupy: Any) -> Both:
    """Both modules of a model, as ``import cupy`` is now."""
    return Both(model.module, loaded(model), cupy, model.checked.request.products)


def loaded(model: graphc.Model, change: Callable[[str], str] = str) -> Any:
    """The module for CuPy, its source changed before it is loaded."""
    return load_source(model.name, change(model.with_target("cupy").source))


def start(module: Any, real: Any, seed: int = 3) -> dict[str, Any]:
    """A fresh state whose parameters are moved off their initial values, by numbers that are the
    same in either precision."""
    state, draw = module.init(seed, np.float32), np.random.default_rng(seed)
    for name, entry in module.signature["parameters"].items():
        state[name] = (state[name] + 0.1 * draw.normal(size=entry["shape"])).astype(np.float32)
    return {n: a.astype(real) if a.dtype.kind == "f" else a for n, a in state.items()}


# ------------------------------------------------------------------------------ what is asked


def asked(
    module: Any, state: Arrays, batch: Arrays, products: tuple[str, ...] = ()
) -> dict[str, Arrays]:
    """Everything that the functions of a module give, by what it is; arrays stay where they are."""
    inputs = {name: batch[name] for name in module.signature["inputs"]}
    objective, losses = module.losses(state, batch)
    found = {
        "outputs": module.predict(state, inputs),
        "losses": {**losses, "value:objective": objective},
        "metrics": module.metrics(state, batch),
        "everything": module.evaluate(state, batch),
    }
    for what, training in (("gradients", False), ("gradients in training", True)):
        objective, gradients = module.loss_and_gradients(state, batch, training=training)
        found[what] = {**gradients, "value:objective": objective}
    for name in products:
        found[name] = getattr(module, name)(state, batch, *_tangents(module, name, state, batch))
    return found


def _tangents(module: Any, name: str, state: Arrays, batch: Arrays) -> tuple[Arrays, ...]:
    """What a function on request takes beside a state and a batch."""
    if name in WITH_TANGENTS:
        return (tangents_of(state, module.loss_and_gradients(state, batch)[1], 2),)
    if name != "layer_hessian_products":
        return ()
    draw = np.random.default_rng(1)
    layers = module.layer_gradients(state, batch)
    return ({layer: draw.normal(size=(2, *d.shape[1:])) for layer, d in layers.items()},)


def three_steps(module: Any, state: Arrays, batch: Arrays) -> dict[str, Any]:
    """The objectives of three steps, the last with a short batch, and the state after them."""
    trainer = module.Trainer(dict(state), synthetic.SIZES, steps_per_epoch=2, epochs=2)
    batches = (batch, batch, short(module, batch))
    objectives = {f"value:step {k}": trainer.step(each) for k, each in enumerate(batches)}
    return {**trainer.state(), **objectives}


def short(module: Any, batch: Arrays) -> dict[str, Any]:
    """The first examples of a batch."""
    entries = {**module.signature["inputs"], **module.signature["targets"]}
    has_batch = {name for name, entry in entries.items() if entry["shape"][:1] == ["n"]}
    return {name: value[:SHORT] if name in has_batch else value for name, value in batch.items()}


# ------------------------------------------------------------------------- how far it is apart


def expect_equal(found: Mapping[str, Arrays], expected: Mapping[str, Arrays]) -> None:
    """In f64, to 1e-10 of the largest element."""
    assert found.keys() == expected.keys()
    for what, arrays in expected.items():
        finding = compare(found[what], arrays)
        assert finding.good, f"{what}: {finding}"


def expect_rounded(
    found: Mapping[str, Arrays], other: Mapping[str, Arrays], truth: Mapping[str, Arrays]
) -> None:
    """In f32, as far from the truth as NumPy's f32, ``other``, is: within a small factor."""
    assert found.keys() == other.keys() == truth.keys()
    for what, arrays in truth.items():
        finding = compare_rounded(found[what], other[what], arrays)
        assert finding.good, f"{what}: {finding}"
