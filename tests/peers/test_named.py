"""Definitions against PyTorch's functions and modules of the same name: values and gradients.

Here it is PyTorch's own idea of GELU, convolution or an LSTM that is compared with the prelude's,
layouts translated: kernels [height, width, in, out] here, [out, in, height, width] there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparison import agree, random_state

import graphc

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install graphc[peers]")
pytestmark = pytest.mark.peers

F, nn = torch.nn.functional, torch.nn
call = torch.func.functional_call
LABELS = np.array([1, 0, 3])
DECLARATIONS = {
    "a": "param a: real[3, 4] ~ normal",
    "b": "param b: real[3, 4] ~ normal",
    "h": "param h: real[3, 2] ~ normal",
    "c": "param c: real[3, 2] ~ normal",
    "L": "param L: real[3, 4, 4] ~ normal",
    "images": "param images: real[2, 5, 6, 4] ~ normal",
    "series": "param series: real[2, 5, 4] ~ normal",
    "other": "param other: real[2, 3, 4] ~ normal",
    "label": "input label: label{4}[3]",
}


class Named(dict[str, Any]):
    """Parameters by the end of their name: ``W`` for ``y.conv2d1.W``."""

    def __missing__(self, end: str) -> Any:
        (name,) = [name for name in self if name.endswith(f".{end}")]
        return self[name]


Function = Callable[[Named], Any]


def compare_named(use: str, function: Function, *, training: bool = False) -> None:
    """Σ y + y²/3 of the use and of PyTorch's function, and the gradients by every parameter."""
    words = re.findall(r"\w+", use)
    lines = [line for name, line in DECLARATIONS.items() if name in words]
    statement = use if re.match(r"\w+, \w+ = ", use) else f"y = {use}"
    text = "\n".join(["model m", *lines, statement, "loss f = sum(y + y^2 / 3)\n"])
    model = graphc.compile(text, precision="f64")
    state = random_state(model, 5, 0.2)
    batch = {"label": LABELS} if "label" in words else {}
    value, gradients = model.module.loss_and_gradients(state, batch, training=training)
    p = Named({n: torch.tensor(state[n], requires_grad=True) for n in model.spec.learned})
    y = function(p)
    expected = (y + y**2 / 3).sum()
    expected.backward()
    agree(use, {"": value}, {"": expected.item()})
    wanted = {n: np.zeros(v.shape) if v.grad is None else v.grad.numpy() for n, v in p.items()}
    agree(use, gradients, wanted)


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu{0.2}": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu,
    "elu{0.7}": lambda x: F.elu(x, 0.7),
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "hard_tanh": F.hardtanh,
    # F.hardsigmoid multiplies its gradient by a sixth in f32
    "hard_sigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),
    "threshold{0.1, -2}": lambda x: F.threshold(x, 0.1, -2.0),
    "softmax": lambda x: F.softmax(x, -1),
    "softmax{axis = 0}": lambda x: F.softmax(x, 0),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "logsumexp{axis = 0}": lambda x: torch.logsumexp(x, 0),
    "erf": torch.erf,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    compare_named(f"{name}(2 * a)", lambda p: ACTIVATIONS[name](2 * p["a"]))


WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
Y = torch.tensor(LABELS)


def shares(p: Named) -> tuple[Any, Any]:
    """Rows of probabilities."""
    return F.softmax(p["a"], -1), F.softmax(p["b"], -1)


LOSSES: dict[str, Function] = {
    "squared_error(a, b)": lambda p: F.mse_loss(p["a"], p["b"]),
    "sum_squared_error(a, b)": lambda p: F.mse_loss(p["a"], p["b"], reduction="sum"),
    "half_squared_error(a, b)": lambda p: F.mse_loss(p["a"], p["b"]) / 2,
    "absolute_error(a, b)": lambda p: F.l1_loss(p["a"], p["b"]),
    "huber(a, b)": lambda p: F.huber_loss(p["a"], p["b"]),
    "huber{0.3}(a, b)": lambda p: F.huber_loss(p["a"], p["b"], delta=0.3),
    "msle(a^2, b^2)": lambda p: F.mse_loss(torch.log1p(p["a"] ** 2), torch.log1p(p["b"] ** 2)),
    "binary_cross_entropy(a, sigmoid(b))": lambda p: F.binary_cross_entropy_with_logits(
        p["a"], torch.sigmoid(p["b"])
    ),
    "binary_cross_entropy{from_logits = false}(sigmoid(a), stop_gradient(sigmoid(b)))": lambda p: (
        F.binary_cross_entropy(torch.sigmoid(p["a"]), torch.sigmoid(p["b"]).detach())
    ),
    "cross_entropy(a, label)": lambda p: F.cross_entropy(p["a"], Y),
    "cross_entropy{smoothing = 0.2}(a, label)": lambda p: F.cross_entropy(
        p["a"], Y, label_smoothing=0.2
    ),
    "cross_entropy{weights = [1, 2, 0.5, 3]}(a, label)": lambda p: F.cross_entropy(
        p["a"], Y, WEIGHTS
    ),
    "cross_entropy{0.2, [1, 2, 0.5, 3]}(a, label)": lambda p: F.cross_entropy(
        p["a"], Y, WEIGHTS, label_smoothing=0.2
    ),
    "soft_cross_entropy(a, softmax(b))": lambda p: F.cross_entropy(p["a"], shares(p)[1]),
    "hinge(a, sign(b))": lambda p: F.relu(1 - p["a"] * torch.sign(p["b"])).mean(),
    "squared_hinge(a, sign(b))": lambda p: (F.relu(1 - p["a"] * torch.sign(p["b"])) ** 2).mean(),
    "multiclass_hinge(a, label)": lambda p: 4 * F.multi_margin_loss(p["a"], Y),
    "squared_multiclass_hinge(a, label)": lambda p: 4 * F.multi_margin_loss(p["a"], Y, p=2),
    "gaussian_nll(a, b, a * b)": lambda p: F.gaussian_nll_loss(
        p["a"], p["a"] * p["b"], torch.exp(p["b"]), full=True, eps=0.0
    ),
    "gaussian_nll_fixed{0.7}(a, b)": lambda p: (
        -torch.distributions.Normal(p["a"], 0.7).log_prob(p["b"]).mean()
    ),
    "gaussian_nll_full(a, exp(L / 2), b)": lambda p: (
        -torch.distributions.MultivariateNormal(
            p["a"], scale_tril=torch.tril(torch.exp(p["L"] / 2))
        )
        .log_prob(p["b"])
        .mean()
    ),
    "kl_divergence(softmax(a), softmax(b))": lambda p: F.kl_div(
        shares(p)[1].log(), shares(p)[0], reduction="batchmean"
    ),
    "kl_gaussian(a, b)": lambda p: (
        torch.distributions.kl_divergence(
            torch.distributions.Normal(p["a"], torch.exp(p["b"] / 2)),
            torch.distributions.Normal(torch.zeros_like(p["a"]), torch.ones_like(p["a"])),
        )
        .sum(-1)
        .mean()
    ),
}


@pytest.mark.parametrize("use", LOSSES)
def test_loss(use: str) -> None:
    compare_named(use, LOSSES[use])


def first(x: Any) -> Any:
    """Channels behind the examples, as PyTorch has them."""
    return x.movedim(-1, 1)


def last(x: Any) -> Any:
    return x.movedim(1, -1)


def kernels(W: Any) -> Any:
    """[…, in, out] as [out, in, …]."""
    return W.movedim(-1, 0).movedim(-1, 1)


def conv2d(p: Named, **options: Any) -> Any:
    return last(F.conv2d(first(p["images"]), kernels(p["W"]), p.get("b"), **options))


def conv1d(p: Named, **options: Any) -> Any:
    return last(F.conv1d(first(p["series"]), kernels(p["W"]), **options))


def padded(x: Any, sides: list[int], value: float = 0.0) -> Any:
    return F.pad(first(x), sides, value=value)


LAYERS: dict[str, Function] = {
    "a |> dense{3}": lambda p: F.linear(p["a"], p["W"].T, p["y.dense1.b"]),
    "a |> dense{3, bias = false}": lambda p: F.linear(p["a"], p["W"].T),
    "a |> residual{dense{4}}": lambda p: p["a"] + F.linear(p["a"], p["W"].T, p["dense1.b"]),
    "a |> maxout{2, pieces = 2}": lambda p: torch.maximum(
        F.linear(p["a"], p["maxout1.h.dense1.W"].T, p["maxout1.h.dense1.b"]),
        F.linear(p["a"], p["piece[2].h.dense1.W"].T, p["piece[2].h.dense1.b"]),
    ),
    "a |> prelu": lambda p: F.prelu(p["a"], p["slope"].reshape(1)),
    "a |> prelu{shared = false}": lambda p: F.prelu(p["a"], p["slope"]),
    "embedding{4, 3}(label)": lambda p: F.embedding(Y, p["table"]),
    "images |> conv2d{3, 3}": lambda p: conv2d(p) + p["b"],
    "images |> conv2d{3, [2, 3], stride = 2, bias = false}": lambda p: conv2d(p, stride=2),
    "images |> conv2d{4, 3, stride = [2, 1], padding = 1, groups = 2, bias = false}": lambda p: (
        conv2d(p, stride=(2, 1), padding=1, groups=2)
    ),
    "images |> conv2d{4, 2, dilation = [2, 3], groups = 4, bias = false}": lambda p: conv2d(
        p, dilation=(2, 3), groups=4
    ),
    'images |> conv2d{3, [3, 5], padding = "same", bias = false}': lambda p: conv2d(
        p, padding="same"
    ),
    "series |> conv1d{3, 2}": lambda p: conv1d(p) + p["b"],
    "series |> conv1d{4, 3, 2, 1, groups = 2, bias = false}": lambda p: conv1d(
        p, stride=2, padding=1, groups=2
    ),
    'series |> conv1d{2, 2, padding = "same", dilation = 2, bias = false}': lambda p: conv1d(
        p, padding="same", dilation=2
    ),
    "images |> max_pool2d": lambda p: last(F.max_pool2d(first(p["images"]), 2)),
    "images |> max_pool2d{3, 2, padding = 1}": lambda p: last(
        F.max_pool2d(first(p["images"]), 3, 2, padding=1)
    ),
    'images |> max_pool2d{2, 2, "same"}': lambda p: last(
        F.max_pool2d(padded(p["images"], [0, 0, 0, 1], -float("inf")), 2)
    ),
    "images |> avg_pool2d{[2, 3], 1}": lambda p: last(
        F.avg_pool2d(first(p["images"]), (2, 3), stride=1)
    ),
    "images |> avg_pool2d{3, 2, padding = 1}": lambda p: last(
        F.avg_pool2d(first(p["images"]), 3, 2, padding=1, count_include_pad=False)
    ),
    "series |> max_pool1d{2, 1}": lambda p: last(F.max_pool1d(first(p["series"]), 2, 1)),
    "series |> avg_pool1d{2, 1, padding = 1}": lambda p: last(
        F.avg_pool1d(first(p["series"]), 2, 1, padding=1, count_include_pad=False)
    ),
    "images |> global_avg_pool": lambda p: F.adaptive_avg_pool2d(first(p["images"]), 1)[..., 0, 0],
    "images |> global_max_pool": lambda p: F.adaptive_max_pool2d(first(p["images"]), 1)[..., 0, 0],
    "a |> layer_norm": lambda p: F.layer_norm(p["a"], (4,), p["gain"], p["shift"]),
    "a |> rms_norm": lambda p: F.rms_norm(p["a"], (4,), p["gain"], eps=1e-6),
    "a |> rnn_cell{2}(h)": lambda p: torch.rnn_tanh_cell(p["a"], p["h"], *recurrent(p)),
    "a |> gru_cell{2}(h)": lambda p: torch.gru_cell(p["a"], p["h"], *recurrent(p)),
    "y, next = a |> lstm_cell{2}(h, c)": lambda p: torch.lstm_cell(
        p["a"], (p["h"], p["c"]), *recurrent(p)
    )[0],
    "next, y = a |> lstm_cell{2}(h, c)": lambda p: torch.lstm_cell(
        p["a"], (p["h"], p["c"]), *recurrent(p)
    )[1],
    "series |> rnn{2}": lambda p: whole(nn.RNN, p),
    "series |> gru{2}": lambda p: whole(nn.GRU, p),
    "series |> lstm{2}": lambda p: whole(nn.LSTM, p),
    "attention(series, other, tanh(other))": lambda p: F.scaled_dot_product_attention(
        p["series"], p["other"], torch.tanh(p["other"])
    ),
    "attention{causal = true}(series, series, tanh(series))": lambda p: (
        F.scaled_dot_product_attention(
            p["series"], p["series"], torch.tanh(p["series"]), is_causal=True
        )
    ),
    "series |> multi_head_attention{2}": lambda p: heads(p, p["series"], p["series"]),
    "series |> multi_head_attention{2, causal = true}": lambda p: heads(
        p, p["series"], p["series"], torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    ),
    "series |> cross_attention{2}(other)": lambda p: heads(p, p["series"], p["other"]),
}


def recurrent(p: Named) -> list[Any]:
    """Weights [features, gates] as PyTorch's [gates, features], with its second bias: 0 but for
    the candidate's of a GRU."""
    (bias,) = [v for n, v in p.items() if n.endswith(".b")]
    inner = torch.zeros_like(bias)
    if any(name.endswith(".b_h") for name in p):
        inner = torch.cat([inner[: -len(p["b_h"])], p["b_h"]])
    return [p["W"].T, p["U"].T, bias, inner]


def whole(module: type[Any], p: Named) -> Any:
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    layer = module(4, 2, batch_first=True, dtype=torch.float64)
    return call(layer, dict(zip(names, recurrent(p), strict=True)), p["series"])[0]


def heads(p: Named, x: Any, y: Any, mask: Any = None) -> Any:
    (layer,) = {name.split(".")[1] for name in p if "attention" in name}
    outer = f"y.{layer}.dense1"
    zero = torch.zeros(4, dtype=torch.float64)
    inner = ("query", "key", "value")
    weights = {
        "in_proj_weight": torch.cat([p[f"{part}.dense1.W"].T for part in inner]),
        "in_proj_bias": torch.cat([p["query.dense1.b"], zero, p["value.dense1.b"]]),
        "out_proj.weight": p[f"{outer}.W"].T,
        "out_proj.bias": p[f"{outer}.b"],
    }
    module = nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
    return call(module, weights, (x, y, y), {"attn_mask": mask, "need_weights": False})[0]


@pytest.mark.parametrize("use", LAYERS)
def test_layer(use: str) -> None:
    compare_named(use, LAYERS[use])


@pytest.mark.parametrize("operand", ["a", "images"])
def test_batch_norm_in_training(operand: str) -> None:
    def normalised(p: Named) -> Any:
        x = p[operand].movedim(-1, 1) if operand == "images" else p[operand]
        y = F.batch_norm(x, None, None, p["gain"], p["shift"], training=True)
        return y.movedim(1, -1) if operand == "images" else y

    compare_named(f"{operand} |> batch_norm", normalised, training=True)


def test_batch_norm_keeps_running_statistics() -> None:
    """After three steps, and what evaluation makes of them."""
    text = """model m
input x: real[n, 4]
target y: real[n, 4]
z = x |> batch_norm
loss f = squared_error(z, y)
output o = z
train { optimizer = sgd{0.1} }
"""
    model = graphc.compile(text, precision="f64")
    trainer = model.module.Trainer(model.init(0), 5)
    layer = nn.BatchNorm1d(4, dtype=torch.float64)
    descent = torch.optim.SGD(layer.parameters(), lr=0.1)
    rng = np.random.default_rng(1)
    for _ in range(3):
        batch = {"x": 2 * rng.normal(size=(5, 4)) + 1, "y": rng.normal(size=(5, 4))}
        trainer.step(batch)
        descent.zero_grad()
        F.mse_loss(layer(torch.tensor(batch["x"])), torch.tensor(batch["y"])).backward()
        descent.step()
    state = trainer.state()
    found = {name: state[f"z.batch_norm1.{name}"] for name in ("running_mean", "running_variance")}
    expected = {"running_mean": layer.running_mean, "running_variance": layer.running_var}
    agree("running", found, {n: v.numpy() for n, v in expected.items()})
    outputs = model.module.predict(state, {"x": batch["x"]})
    evaluated = layer.eval()(torch.tensor(batch["x"])).detach().numpy()
    agree("evaluation", outputs, {"o": evaluated})
