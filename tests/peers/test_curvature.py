"""Curvature of networks drawn at random from the language, beside ``torch.func``.

The Hessian is PyTorch's of a flat vector of parameters; Gauss-Newton and Fisher matrices are made
from its products and gradients.
"""

from __future__ import annotations

import numpy as np
import pytest
from comparison import random_state
from network_draft import Draft
from networks import draw_network
from peer_modules import peer_module
from test_networks import SEEDS
from witness import Witness

import graphc
from graphc.session.curvature import Curvature

COUNT = 12
MOST = 150
"""Parameters of the networks that are compared."""
ROWS = 30
"""Rows of the Gauss-Newton matrix that are compared: PyTorch takes long for each."""
TOLERANCE = 1e-9

NAMED = {
    "branches, sharing, layer norm": """
model named
input x: real[n, 4]
target y: label{3}[n]
enc = dense{4}
a = enc(x) |> tanh
b = enc(a) |> layer_norm{eps = 0.1}
c = x |> dense{3} |> sigmoid
z = concat(a, b, c) |> dense{3}
loss ce = cross_entropy(z, y)
regularize { l2{0.1} on weights }
""",
    "batch norm in evaluation": """
model named
input x: real[n, 4]
target y: label{3}[n]
z = x |> dense{5} |> batch_norm |> softplus |> dense{4} |> batch_norm |> tanh |> dense{3}
loss ce = cross_entropy(z, y)
""",
    "attention": """
model named
input x: real[n, 3, 4]
target y: label{3}[n]
a = x |> multi_head_attention{2} |> layer_norm{eps = 0.1}
z = mean{axis = 1}(a) |> dense{3}
loss ce = cross_entropy(z, y)
""",
    "a penalty that is not diagonal": """
model named
def group_lasso{strength}(w) = strength * sum(sqrt(sum{axis = 0}(w^2) + 0.01))
input x: real[n, 4]
target y: label{3}[n]
z = x |> dense{4} |> tanh |> dense{3} |> gelu |> dense{3}
loss ce = cross_entropy(z, y)
regularize { group_lasso{0.1} on weights }
""",
}


def small_networks() -> list[int]:
    return [s for s in SEEDS if graphc.compile(draw_network(s).text).parameter_count <= MOST]


def curvature_of(text: str, batch: dict[str, np.ndarray], seed: int) -> tuple[Curvature, Witness]:
    """graphc's side and PyTorch's, at one state."""
    library = peer_module("torch")
    model = graphc.compile(text, precision="f64")
    state = random_state(model, seed, 0.3)
    found = graphc.curvature(model, state=state, data=batch)
    return found, Witness(library, model, state, dict(batch))


def peer_hessian(witness: Witness, found: Curvature) -> np.ndarray:
    """``torch.func.jacrev`` of ``torch.func.grad``, over one flat vector."""
    import torch

    slices, shapes = found.layout.slices, found.layout.shapes

    def objective(flat: torch.Tensor) -> torch.Tensor:
        parts = {name: flat[part].reshape(shapes[name]) for name, part in slices.items()}
        return witness.objective(parts)

    at = torch.tensor(found.point)
    return torch.func.jacrev(torch.func.grad(objective))(at).numpy()


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    scale = max(float(np.abs(expected).max(initial=0)), 1e-3)
    assert np.abs(found - expected).max(initial=0) <= TOLERANCE * scale


def check(text: str, batch: dict[str, np.ndarray], seed: int) -> None:
    found, witness = curvature_of(text, batch, seed)
    expected = peer_hessian(witness, found)
    agree(found.hessian(), expected)
    agree(found.diagonal(), expected.diagonal())
    for name, block in found.blocks().items():
        part = found.layout.slices[name]
        agree(block, expected[part, part])
    rows = np.unique(np.linspace(0, found.size - 1, ROWS).astype(int))
    tangents = found.layout.unpack_rows(np.eye(found.size)[rows])
    newton = found.layout.pack_rows(witness.gauss_newton_products(tangents))
    blocks = found.blocks("gauss_newton")
    for name, part in found.layout.slices.items():
        own = (rows >= part.start) & (rows < part.stop)
        agree(blocks[name][rows[own] - part.start], newton[own][:, part])
    agree(found.gauss_newton()[rows], newton)
    if "regularize" not in text:
        gradients = found.layout.pack_rows(witness.per_example_gradients())
        agree(found.fisher(), gradients.T @ gradients / len(gradients))


def drawn(seed: int) -> Draft:
    network = draw_network(seed)
    print(network.text)
    return network


@pytest.mark.peers
@pytest.mark.parametrize("seed", small_networks()[:COUNT])
def test_random_network(seed: int) -> None:
    network = drawn(seed)
    check(network.text, network.batch, seed)


@pytest.mark.peers
@pytest.mark.parametrize("name", NAMED)
def test_named_network(name: str) -> None:
    rng = np.random.default_rng(5)
    text = NAMED[name]
    shape = (6, 3, 4) if "[n, 3, 4]" in text else (6, 4)
    check(text, {"x": rng.normal(size=shape), "y": rng.integers(0, 3, 6)}, 5)


@pytest.mark.peers
def test_the_networks_have_what_is_asked_for() -> None:
    networks = [draw_network(seed) for seed in small_networks()[:COUNT]]
    assert len(networks) >= 10
    used = set().union(*(network.used for network in networks))
    assert used & {"shared", "cell", "repeated"}
    assert used & {"joined", "product", "residual"}


@pytest.mark.peers
def test_a_hessian_half_as_large_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphc.numerics import layered

    add = layered._add_self
    monkeypatch.setattr(layered, "_add_self", lambda m, x, c, s: add(m, x, c, (1 + 1e-6) * s))
    with pytest.raises(AssertionError):
        test_named_network("batch norm in evaluation")
