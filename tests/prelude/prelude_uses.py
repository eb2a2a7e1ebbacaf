"""How a model uses each definition of the prelude; a new one needs no line here if it is plain.

Plain is an activation, a function or layer of one tensor ``[n, 4]``, or of a prediction and a
target of that shape, all of whose attributes have defaults.
"""

from __future__ import annotations

import re

from graphc.model.meanings import Definition
from graphc.model.prelude import load_prelude

DEFINITIONS = load_prelude().definitions

INPUTS = {
    "x": "input x: real[n, 4]",
    "y": "target y: real[n, 4]",
    "label": "target label: label{4}[n]",
    "state": "input state: real[n, 3]",
    "cell": "input cell: real[n, 3]",
    "words": "input words: label{5}[n, 3]",
    "images": "input images: real[n, 5, 4, 2]",
    "series": "input series: real[n, 3, 4]",
    "other": "input other: real[n, 2, 4]",
}

USES = {
    # Losses: targets of -1 and 1, probabilities, positive numbers, labels, several tensors.
    "hinge": "hinge(v, sign(y))",
    "squared_hinge": "squared_hinge(v, sign(y))",
    "msle": "msle(softplus(v), softplus(y))",
    "cross_entropy": "cross_entropy(v, label)",
    "soft_cross_entropy": "soft_cross_entropy(v, softmax(y))",
    "binary_cross_entropy": "binary_cross_entropy(v, sigmoid(y))",
    "multiclass_hinge": "multiclass_hinge(v, label)",
    "squared_multiclass_hinge": "squared_multiclass_hinge(v, label)",
    "safe_log": "safe_log(sigmoid(v))",
    "kl_divergence": "kl_divergence(softmax(v), softmax(y))",
    "gaussian_nll": "gaussian_nll(v, 2 * w * y, y)",
    "gaussian_nll_full": "gaussian_nll_full(v, expand{-1}(w^2) * w + 4, y)",
    # Metrics of labels.
    **{
        name: f"{name}(v, label)"
        for name in (
            "accuracy",
            "top_k_accuracy",
            "confusion_matrix",
            "macro_precision",
            "macro_recall",
            "macro_f1",
        )
    },
    "class_counts": "a, b, c = class_counts(v, label)\nh = a + b + c",
    # Layers with attributes of their own, or on other shapes.
    "dense": "dense{3}(v)",
    "gaussian_noise": "gaussian_noise{0.1}(v)",
    "residual": "residual{dense{4}}(v)",
    "maxout": "maxout{3, pieces = 3}(v)",
    "embedding": "embedding{5, 4}(words) * w",
    "conv2d": "conv2d{3, [2, 3]}(images * w[0])",
    "conv1d": "conv1d{3, 2}(series * w)",
    "correlate": "correlate(images * w[0], reshape{[1, 2, 2, 1]}(w))",
    "image_windows": "image_windows{[2, 2]}(images * w[0])",
    "pad_images": 'pad_images{[2, 2], [2, 2], "same", [1, 1]}(images * w[0])',
    "max_pool2d": "max_pool2d(images * w[0])",
    "avg_pool2d": "avg_pool2d(images * w[0])",
    "max_pool1d": "max_pool1d(series * w)",
    "avg_pool1d": "avg_pool1d(series * w)",
    "global_avg_pool": "global_avg_pool(images * w[0])",
    "global_max_pool": "global_max_pool(images * w[0])",
    "rnn_cell": "rnn_cell{3}(v, state)",
    "gru_cell": "gru_cell{3}(v, state)",
    "gru_step": "gru_step{1}(v[:, :3], v[:, 1:], w[0], w[1] * state[:, :1])",
    "lstm_cell": "a, b = lstm_cell{3}(v, state, cell)\nh = a + b",
    "lstm_step": "a, b = lstm_step{1}(v, w[0] * cell[:, :1])\nh = a + b",
    "zero_state": "zero_state{2}(v) + w[:2]",
    "rnn": "rnn{2}(series * w)",
    "gru": "gru{2}(series * w)",
    "lstm": "lstm{2}(series * w)",
    "attention": "attention(series * w, other, other * w)",
    "split_heads": "split_heads{2}(series * w)",
    "join_heads": "join_heads(expand{-1}(series * w))",
    "attention_of_heads": "attention_of_heads{2}(series * w, other, other * w)",
    "multi_head_attention": "multi_head_attention{2}(series * w)",
    "cross_attention": "cross_attention{2}(series * w, other)",
    "positional_encoding": "series * w + positional_encoding(series)",
    # Penalties and schedules.
    "l1": "l1{0.1}(w)",
    "l2": "l2{0.1}(w)",
    "elastic_net": "elastic_net{0.1}(w)",
    "weight_elimination": "weight_elimination{0.1}(w)",
    "step_decay": "step_decay{0.5, 2}(v)",
    "inverse_sqrt": "inverse_sqrt(w^2 * x^2)",
}
"""An expression of v = w * x and the inputs above, or lines that bind h, for a definition."""

DATA_ONLY = {"standardise", "rescale"}
"""Definitions that belong in the data section."""


def names(kind: str, count: int | None = None, file: str = "") -> list[str]:
    """Definitions of a kind, with so many tensors, in a file of the prelude."""
    return [
        name
        for name, definition in DEFINITIONS.items()
        if definition.tree.kind == kind
        and count in (None, len(definition.tree.parameters))
        and (not file or definition.tree.span.source.name == f"prelude/{file}.gc")
        and name not in DATA_ONLY
    ]


def use_of(name: str) -> str:
    """An expression of the definition, or lines that bind ``h`` to it."""
    plain = "v, y" if len(tensors(DEFINITIONS[name])) == 2 else "v"
    return USES.get(name, f"{name}({plain})")


def tensors(definition: Definition) -> list[str]:
    return [parameter.name for parameter in definition.tree.parameters]


def declarations(text: str) -> str:
    """The declarations of the inputs that a text names."""
    words = set(re.findall(r"\w+", text))
    return "".join(f"{line}\n" for name, line in INPUTS.items() if name in words)


def model_with(use: str) -> str:
    """A model with a parameter in front of a use of a definition, and a scalar loss behind it."""
    if "h = " not in use:
        use = f"h = {use}"
    if re.search(r"\bv\b", use):
        use = f"v = w * x\n{use}"
    return (
        f"model m\n{declarations(use)}param w: real[4] = [0.5, -1.5, 0.7, 1.2]\n{use}\n"
        "loss f = sum(h * h + h) / 5 + sum(w^2) / 9\n"
    )
