"""Every definition of the prelude against the peers: values, gradients, second derivatives.

The models are those of ``tests/prelude``: a new definition that is plain is compared at once.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from comparison import PRODUCTS, agree, compare, random_state
from forward_graph import initial_values
from peer_modules import PEERS, peer_module
from prelude_uses import DEFINITIONS, USES, model_with, names, use_of
from witness import Witness

import graphc
from graphc.model.prelude import loss_names

WITH_OPERANDS = [
    name
    for name in names("def") + names("layer")
    if DEFINITIONS[name].tree.parameters or name in USES
]
INITIALISERS = [name for name in names("def", 0) if name not in USES]
PARAMETERS = {
    "constant": "param W: real[6, 4] ~ constant{0.5}",
    "forget_bias": "param W: real[8] ~ forget_bias{2}",
}
"""Parameters of initialisers that need attributes."""
ROWS = 5


def batch_for(model: graphc.Model, seed: int = 4) -> dict[str, np.ndarray]:
    """Normal numbers and random labels for every input and target."""
    rng = np.random.default_rng(seed)
    batch = {}
    for name, info in model.spec.inputs.items():
        shape = tuple(size if isinstance(size, int) else ROWS for size in info.type.shape)
        if info.type.kind == "label":
            batch[name] = rng.integers(0, info.type.classes or 1, shape)
        else:
            batch[name] = rng.normal(size=shape)
    return batch


def compare_definition(library: ModuleType, name: str, precision: str) -> None:
    """What it returns, the objective behind it and every derivative, Gauss-Newton of a loss."""
    text = model_with(use_of(name)) + "metric result = h\n"
    model = graphc.compile(text, precision="f64")
    state, batch = random_state(model, 1, 0.1), batch_for(model)
    found = model.module.metrics(state, batch)
    witness = Witness(library, model, state, batch)
    agree(name, found, {"result": witness.value("metric", "result")})
    products = PRODUCTS if name in loss_names() else PRODUCTS[:2]
    options = {"precision": precision, "products": products, "spread": 0.1, "training": True}
    compare(library, text, batch, **options)


@pytest.mark.parametrize("name", WITH_OPERANDS)
@pytest.mark.parametrize("peer", PEERS)
def test_definition(peer: str, name: str) -> None:
    compare_definition(peer_module(peer), name, "f64")


@pytest.mark.peers
@pytest.mark.parametrize("name", WITH_OPERANDS)
def test_definition_in_f32(name: str) -> None:
    compare_definition(peer_module("torch"), name, "f32")


@pytest.mark.parametrize("name", INITIALISERS)
@pytest.mark.parametrize("peer", PEERS)
def test_initialiser(peer: str, name: str) -> None:
    """What an initialiser makes of graphc's own draws; tests/prelude has their moments."""
    library = peer_module(peer)
    parameter = PARAMETERS.get(name, f"param W: real[6, 4] ~ {name}")
    text = f"model m\n{parameter}\nloss f = sum(W^2)\n"
    model = graphc.compile(text, precision="f64")
    expected = initial_values(model, library.TABLE, library.tensor, library.REAL["f64"], seed=3)
    found = {key: model.module.init(3)[key] for key in expected}
    arrays = {key: library.array(value) for key, value in expected.items()}
    agree(name, found, arrays)
