"""The backpropagated diagonal and what it is made of, of every model in models/ and every feature.

Each either gives finite arrays of the right shapes or is listed here with what it says instead.
"""

from __future__ import annotations

import numpy as np
import pytest
import synthetic
from features import EACH, FEATURES, NO_BATCH, fitting

import graphc

DIAGONAL, INPUTS, CURVATURES = NEW = (
    "backpropagated_diagonal",
    "layer_inputs",
    "layer_curvatures",
)
NO_MAPS = {"circuit", "custom", "logistic"}
"""Models without a weight that is the matrix of one linear map: single numbers, and weights that
are normalised before they are used."""
BILINEAR = {"circuit"}
"""(x + y)·z, whose Hessian has zeros on its diagonal."""


def check_diagonal(model: graphc.Model, module, state, batch):
    found = module.backpropagated_diagonal(state, batch)
    assert list(found) == model.spec.learned
    for name, value in found.items():
        assert value.shape == state[name].shape
        assert np.isfinite(value).all()
    largest = max(np.abs(value).max() for value in found.values())
    assert (largest > 0) == (model.name not in BILINEAR)
    return found


def check_maps(model: graphc.Model, module, state, batch, diagonal):
    """The rows of the two fit, and together they are the diagonal of the weight."""
    inputs, curvatures = module.layer_inputs(state, batch), module.layer_curvatures(state, batch)
    assert inputs.keys() == curvatures.keys() <= set(model.spec.learned)
    count = 1 if model.name in NO_BATCH else synthetic.SIZES
    for name, x in inputs.items():
        h = curvatures[name]
        assert len(x) == len(h)
        assert np.isfinite(x).all()
        assert np.isfinite(h).all()
        assert x.shape[1] * h.shape[1] == state[name].size
        if not model.spec.penalties:
            expected = diagonal[name].reshape(x.shape[1], h.shape[1])
            scale = np.abs(expected).max()
            np.testing.assert_allclose((x**2).T @ h / count, expected, atol=1e-10 * scale)


def compiled(given, products=NEW, **options):
    model = graphc.compile(given, precision="f64", products=products, **options)
    return model, *fitting(model)


@EACH
def test_models(path):
    if path.stem in NO_MAPS:
        for name in NEW[1:]:
            with pytest.raises(graphc.RunError, match="no weight that is used once"):
                graphc.compile(path, products=[name]).source  # noqa: B018
        check_diagonal(*compiled(path, [DIAGONAL]))
        return
    setting = compiled(path)
    check_maps(*setting, check_diagonal(*setting))


@pytest.mark.slow
@pytest.mark.parametrize("name", FEATURES)
def test_features(name: str):
    """Groups change nothing but the order of rounding."""
    setting = compiled(FEATURES[name])
    found = check_diagonal(*setting)
    check_maps(*setting, found)
    plain = check_diagonal(*compiled(FEATURES[name], fuse=False))
    scale = max(np.abs(value).max() for value in plain.values())
    for parameter, value in plain.items():
        np.testing.assert_allclose(found[parameter], value, rtol=1e-9, atol=1e-12 * scale)
