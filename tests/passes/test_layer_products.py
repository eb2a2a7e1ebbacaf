"""How gradients and inputs of layers move with the outputs of a layer, as modules compute it."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.passes.layer_maps import layer_maps
from graphc.passes.layer_products import example_maps
from graphc.passes.loss_pieces import opened
from graphc.session.products import known_products

TEXT = """model m
input  x: real[n, 3]
target y: label{2}[n]
a = x |> dense{4} |> tanh
b = a |> dense{3} |> sigmoid
z = concat(a, b) |> dense{2}
loss ce = cross_entropy(z, y)
regularize { l2{0.2} on params }
"""
NAMES = ("layer_gradients", "layer_hessian_products", "layer_inputs", "penalty_products")
ORDER = ["a.dense1.W", "a.dense1.b", "b.dense1.W", "b.dense1.b", "z.dense1.W", "z.dense1.b"]


def setting(text: str = TEXT):
    model = graphc.compile(text, precision="f64", products=NAMES)
    rng = np.random.default_rng(3)
    batch = {"x": rng.normal(size=(5, 3)), "y": rng.integers(0, 2, 5)}
    return model, model.init(), batch


def test_gradients_are_those_of_weights() -> None:
    model, state, batch = setting()
    gradients = model.module.layer_gradients(state, batch)
    inputs = model.module.layer_inputs(state, batch)
    assert list(gradients) == ORDER
    _, whole = model.loss_and_gradients(state, batch)
    for name, found in gradients.items():
        x = inputs.get(name, np.ones((5, 1)))
        expected = whole[name] - 0.2 * state[name]
        np.testing.assert_allclose(np.squeeze(x.T @ found), np.squeeze(expected), atol=1e-15)


@pytest.mark.parametrize("name", ORDER)
def test_what_moves_is_what_a_shifted_bias_moves(name: str) -> None:
    """A bias is added to z, so a step of it is a step of z for all examples."""
    model, state, batch = setting()
    module, size = model.module, 1e-6
    bias = name.replace(".W", ".b")
    gradients = module.layer_gradients(state, batch)
    units = np.eye(len(state[bias]))
    tangents = {n: np.zeros((len(units), g.shape[1])) for n, g in gradients.items()}
    found = module.layer_hessian_products(state, batch, tangents | {name: units})
    for k, unit in enumerate(units):
        sides = [{**state, bias: state[bias] + step * unit} for step in (size, -size)]
        for what in ("layer_gradients", "layer_inputs"):
            more, less = (getattr(module, what)(side, batch) for side in sides)
            for other, value in more.items():
                slope = (value - less[other]) / (2 * size)
                key = other if what == "layer_gradients" else f"{other}:input"
                exact = found[key][k] if key in found else np.zeros(slope.shape)
                np.testing.assert_allclose(exact, slope, atol=1e-9)


def test_penalties_have_products_of_their_own() -> None:
    model, state, batch = setting()
    rng = np.random.default_rng(0)
    tangents = {n: rng.normal(size=(2, *state[n].shape)) for n in model.spec.learned}
    for name, found in model.module.penalty_products(state, batch, tangents).items():
        np.testing.assert_allclose(found, 0.2 * tangents[name], atol=1e-15)


def test_only_maps_with_a_row_an_example_count() -> None:
    text = TEXT.replace("a |> dense{3}", "tanh(a @ w) |> dense{3}").replace(
        "input", "param w: real[4, 4] ~ normal{0, 1}\ninput"
    )
    shared = text.replace("concat(a, b)", "concat(a ^ 2 @ w, b)")
    assert "w" in _maps(text)
    assert "w" not in _maps(shared)
    rows = "model m\ninput x: real[n, 2, 3]\nloss l = mean((x |> dense{2} |> tanh)^2)\n"
    assert _maps(rows) == []
    with pytest.raises(graphc.RunError, match="a row an example"):
        _ = graphc.compile(rows, products=["layer_gradients"]).source


def _maps(text: str) -> list[str]:
    program = opened(graphc.compile(text).checked.program.copy())
    assert set(layer_maps(program))
    return list(example_maps(program))


def test_without_penalties_there_is_nothing_to_multiply() -> None:
    text = TEXT.split("regularize")[0]
    with pytest.raises(graphc.RunError, match="m has no penalty"):
        _ = graphc.compile(text, products=["penalty_products"]).source


def test_directions_that_do_not_fit_are_refused() -> None:
    model, state, batch = setting()
    product = model.module.layer_hessian_products
    tangents = {n: np.zeros((2, g.shape[1])) for n, g in
                model.module.layer_gradients(state, batch).items()}  # fmt: skip
    with pytest.raises(ValueError, match=r"tangents of b\.dense1\.W have shape"):
        product(state, batch, tangents | {"b.dense1.W": np.zeros((2, 7))})
    with pytest.raises(ValueError, match="no tangents"):
        product(state, batch, {})
    with pytest.raises(ValueError, match="lack"):
        product(state, batch, {"a.dense1.b": np.zeros((2, 4))})
    assert known_products(NAMES)
