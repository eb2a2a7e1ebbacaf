"""Per-example gradients and products with tangents, of every model in models/ and every feature.

The folder drives the first half: a model is tested the moment it exists. The second half are
small models that each use one feature of the language.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic
from features import (
    CE,
    CUTS,
    EACH,
    FEATURES,
    GAUSS_NEWTON,
    HESSIAN,
    NO_BATCH,
    NOT_CONVEX,
    PER_EXAMPLE,
    PRODUCTS,
    fitting,
    labels_from,
    tangents_of,
)

import graphc


def inner(a, b):
    """⟨a_i, b_j⟩ of vectors by parameter."""
    return sum(np.reshape(a[n], (len(a[n]), -1)) @ np.reshape(b[n], (len(b[n]), -1)).T for n in a)


def check_per_example(module, state, batch):
    each = module.per_example_gradients(state, batch)
    for row in range(synthetic.SIZES):
        alone = {
            name: value[row : row + 1] if has_batch(module, name) else value
            for name, value in batch.items()
        }
        expected = module.loss_and_gradients(state, alone)[1]
        assert each.keys() == expected.keys()
        for name, value in expected.items():
            assert each[name].shape == (synthetic.SIZES, *value.shape)
            np.testing.assert_allclose(each[name][row], value, rtol=1e-9, atol=1e-12)


def has_batch(module, name: str) -> bool:
    entry = {**module.signature["inputs"], **module.signature["targets"]}[name]
    return bool(entry["shape"]) and entry["shape"][0] == "n"


def check_hessian(module, state, batch, step: float = 1e-5):
    names = module.loss_and_gradients(state, batch)[1].keys()
    tangents = tangents_of(state, names, 2)
    product = module.hessian_vector_products(state, batch, tangents)
    for k in range(2):
        ends = []
        for sign in (1, -1):
            moved = {n: state[n] + sign * step * tangents[n][k] for n in names}
            ends.append(module.loss_and_gradients({**state, **moved}, batch)[1])
        expected = {n: (ends[0][n] - ends[1][n]) / (2 * step) for n in names}
        scale = max(np.abs(value).max() for value in expected.values())
        for name in names:
            np.testing.assert_allclose(product[name][k], expected[name], atol=1e-6 * scale)


def check_gauss_newton(module, state, batch, *, convex: bool):
    names = module.loss_and_gradients(state, batch)[1].keys()
    tangents = tangents_of(state, names, 4)
    energies = inner(tangents, module.gauss_newton_products(state, batch, tangents))
    scale = np.abs(energies).max()
    assert scale > 0
    np.testing.assert_allclose(energies, energies.T, rtol=1e-9, atol=1e-11 * scale)
    if convex:
        assert np.linalg.eigvalsh(energies).min() >= -1e-11 * scale


def compiled(path: Path, product: str, **options):
    return graphc.compile(path, precision="f64", products=[product], **options)


@EACH
def test_each_example_has_the_gradient_it_has_alone(path):
    model = compiled(path, PER_EXAMPLE)
    if path.stem in NO_BATCH:
        with pytest.raises(graphc.RunError, match=f"{path.stem} has no batch of examples"):
            model.source  # noqa: B018
    else:
        check_per_example(*fitting(model))


@EACH
def test_hessian_products_are_differences_of_gradients(path):
    check_hessian(*fitting(compiled(path, HESSIAN)))


@EACH
def test_gauss_newton_products_are_symmetric_and_positive(path):
    if path.stem in CUTS:
        with pytest.raises(graphc.RunError, match="no loss of the prelude"):
            compiled(path, GAUSS_NEWTON).source  # noqa: B018
    model = compiled(path, GAUSS_NEWTON, cut=CUTS.get(path.stem, ()))
    check_gauss_newton(*fitting(model), convex=path.stem not in NOT_CONVEX)


@pytest.mark.parametrize("name", FEATURES)
def test_features(name: str):
    cut = "logits" if name in ("sorted", "top_k") else ()
    model = graphc.compile(FEATURES[name], precision="f64", products=PRODUCTS, cut=cut)
    setting = fitting(model)
    check_per_example(*setting)
    check_hessian(*setting)
    check_gauss_newton(*setting, convex=name not in ("weights learned", "whole batch"))


def test_draws_that_no_example_has_alone():
    """One draw an example, but not in front: which are the example's own is not known."""
    text = labels_from(
        "tanh(dense{4}(x))", CE + "minimize ce + mean(normal{0, 1}(transpose(h)) * transpose(h))"
    )
    with pytest.raises(graphc.RunError, match=r"has no value for one example: n is not its first"):
        graphc.compile(text, products=[PER_EXAMPLE]).source  # noqa: B018
    check_hessian(*fitting(graphc.compile(text, precision="f64", products=[HESSIAN])))
