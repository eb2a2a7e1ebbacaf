"""Models that several test files drive: those in models/, and small ones of one feature each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic

import graphc

MODELS = Path(__file__).resolve().parents[2] / "models"
PER_EXAMPLE, HESSIAN, GAUSS_NEWTON = PRODUCTS = (
    "per_example_gradients",
    "hessian_vector_products",
    "gauss_newton_products",
)
LARGE = {"lstm"}
NO_BATCH = {"circuit", "logistic"}
CUTS = {"custom": "logits", "diabetes": "prediction", "circuit": "q", "logistic": "y"}
"""Models whose loss is none of the prelude's, and a value to cut at."""
NOT_CONVEX = {"circuit", "custom", "gaussian", "multitask"}
"""Models whose objective is not convex in the cut and in the parameters that it reads apart."""

PATHS = [
    pytest.param(path, marks=pytest.mark.slow if path.stem in LARGE else (), id=path.stem)
    for path in sorted(MODELS.glob("*.gc"))
]
EACH = pytest.mark.parametrize("path", PATHS, indirect=True)
"""A model's file, of large ones a copy with less of the same: see the fixture ``path``."""


def labels_from(h: str, more: str = "", x: str = "real[n, 6]", before: str = "") -> str:
    """A model of three classes whose last layer reads ``h``."""
    head = f"model m\ninput x: {x}\ntarget y: label{{3}}[n]\n{before}\nh = {h}\n"
    return f"{head}logits = dense{{3}}(h)\n{more or 'loss ce = cross_entropy(logits, y)'}\n"


CE = "loss ce = cross_entropy(logits, y)\n"
FEATURES = {
    "batch_norm": labels_from("x |> dense{4} |> batch_norm |> tanh"),
    "layer_norm": labels_from("x |> dense{4} |> layer_norm |> rms_norm"),
    "conv1d": labels_from("reshape{[-1, 3, 2]}(x) |> conv1d{3, 2} |> tanh |> flatten"),
    "conv2d": labels_from(
        "x |> conv2d{4, 3, stride = 2, groups = 2} |> softplus |> avg_pool2d{2} |> flatten",
        x="real[n, 6, 5, 2]",
    ),
    "dilated": labels_from(
        'x |> conv2d{2, 3, dilation = 2, padding = "same"} |> max_pool2d{2} |> flatten',
        x="real[n, 7, 7, 1]",
    ),
    "embedding": labels_from("mean{axis = 1}(tanh(embedding{7, 4}(x)))", x="label{7}[n, 5]"),
    "attention": labels_from(
        "x |> multi_head_attention{heads = 2, causal = true} |> flatten", x="real[n, 4, 6]"
    ),
    "recurrent": labels_from("x |> gru{3} |> rnn{2} |> flatten", x="real[n, 4, 3]"),
    "repeat": labels_from(
        "z", before="z = x\nrepeat block in 1..3 {\n  z = z + tanh(dense{6}(z))\n}"
    ),
    "shared": labels_from("tanh(enc(tanh(enc(x)))) * x", before="enc = dense{6}"),
    "maxout": labels_from("x |> maxout{3} |> prelu"),
    "dropout": labels_from(
        "x |> dense{4} |> elu |> dropout{0.3}", CE + "regularize {\n  dropout{0.2} after elu\n}"
    ),
    "penalties": labels_from(
        "x |> dense{4} |> tanh", CE + "regularize {\n  l2{0.1} on weights\n  l1{0.05} on h.*\n}"
    ),
    "frozen": labels_from("x |> dense{4} |> tanh", CE + "train {\n  frozen on h.*\n}"),
    "groups": labels_from(
        "x |> dense{4} |> tanh",
        CE + "train {\n  optimizer = [sgd{0.1} on h.*, adam{1e-3} on params]\n}",
    ),
    "state": labels_from(
        "tanh(dense{4}(x * seen))", before="state seen: real[6] = 1\nseen' = seen + sum{0}(x)"
    ),
    "weights learned": labels_from(
        "tanh(dense{4}(x))",
        CE + "loss se = squared_error(dense{2}(h), x[:, :2])\n"
        "minimize exp(-s[0]) * ce + s[0] + exp(-s[1]) * se + s[1]",
        before="param s: real[2] = 0.3",
    ),
    "one cut before another": labels_from(
        "tanh(dense{4}(x))", CE + "loss se = squared_error(h, 0.1)\nminimize ce + se"
    ),
    "whole batch": labels_from(
        "tanh(dense{4}(x))",
        CE + "c = cumsum{axis = 0}(logits) - max{axis = 0, keep = true}(logits)\n"
        "loss se = squared_error(transpose(h) @ h / n, 0.3) + sum(c) * h[0, 1]\n"
        "minimize ce + se",
    ),
    "sorted": labels_from(
        "tanh(dense{4}(x))",
        "loss f = squared_error(sort{axis = -1}(logits), [0.0, 0.5, 1.0]) + mean(logits^2)",
    ),
    "top_k": labels_from(
        "dense{4}(x)", "loss f = mean(top_k{2}(logits)^2) + huber(logits, one_hot(y))"
    ),
    "cumulative": labels_from(
        "cumsum{axis = -1}(tanh(dense{4}(x))) * prod{axis = 1, keep = true}(1 + x)"
    ),
    "sequence": labels_from("sum{axis = 1}(tanh(dense{4}(x))) / t", x="real[n, t, 6]"),
    "einsum": labels_from(
        'einsum{"ni,iaj,nj->na"}(x, T, x)', before="param T: real[6, 4, 6] ~ normal{0, 0.3}"
    ),
    "smoothing": labels_from(
        "elu(dense{4}(x))",
        "loss ce = cross_entropy{smoothing = 0.1, weights = [1, 2, 3]}(logits, y)",
    ),
}


def fitting(given: graphc.Model | str | Path, seed: int = 0):
    """The module in f64, a state whose parameters are moved off their initial values, a batch."""
    module = given.module
    state, draw = module.init(seed), np.random.default_rng(seed)
    for name, entry in module.signature["parameters"].items():
        state[name] = state[name] + 0.1 * draw.normal(size=entry["shape"])
    return module, state, synthetic.batch(module, seed)


def tangents_of(state, names, count: int, seed: int = 1):
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=(count, *state[name].shape)) for name in names}
