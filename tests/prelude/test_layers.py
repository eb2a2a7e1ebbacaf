"""Layers against plain NumPy, one window, step or head after another."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

import graphc

Array = Any
RNG = np.random.default_rng(3)


def run(text: str, **inputs: Array) -> tuple[Array, dict[str, Array]]:
    """The output ``h`` and the state, its parameters all away from their first values."""
    module = graphc.compile(f"model m\n{text}\noutput out = h\n", precision="f64").module
    state = module.init(0)
    for name, entry in module.signature["parameters"].items():
        state[name] = RNG.normal(size=entry["shape"])
    return module.predict(state, inputs)["out"], state


def close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


# ---------------------------------------------------------------- convolution and pooling


def padding_of(length: int, size: int, stride: int, dilation: int, padding: Any) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max(
            (math.ceil(length / stride) - 1) * stride + (size - 1) * dilation + 1 - length, 0
        )
        return total // 2, total - total // 2
    return padding, padding


def naive_windows(
    x: Array, size: Any, stride: Any, padding: Any, dilation: Any, value: float
) -> Array:
    """[n, rows, columns, down, across, channels]."""
    around = [
        padding_of(x.shape[a + 1], size[a], stride[a], dilation[a], padding[a]) for a in (0, 1)
    ]
    padded = np.pad(x, [(0, 0), *around, (0, 0)], constant_values=value)
    span = [(size[a] - 1) * dilation[a] + 1 for a in (0, 1)]
    counts = [(padded.shape[a + 1] - span[a]) // stride[a] + 1 for a in (0, 1)]
    out = np.empty((len(x), *counts, *size, x.shape[-1]))
    for i, j, p, q in product(*map(range, counts), *map(range, size)):
        row, column = i * stride[0] + p * dilation[0], j * stride[1] + q * dilation[1]
        out[:, i, j, p, q] = padded[:, row, column]
    return out


CONVOLUTIONS = [
    ("3", (3, 3), (1, 1), ("valid", "valid"), (1, 1), 1),
    ('[3, 2], stride = [2, 1], padding = "same"', (3, 2), (2, 1), ("same", "same"), (1, 1), 1),
    ('[2, 4], 3, "same"', (2, 4), (3, 3), ("same", "same"), (1, 1), 1),
    ("2, padding = 1, dilation = [2, 1]", (2, 2), (1, 1), (1, 1), (2, 1), 1),
    ("2, 2, [1, 0], 2, groups = 2", (2, 2), (2, 2), (1, 0), (2, 2), 2),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda case: case[0])
def test_conv2d(case: Any) -> None:
    attributes, size, stride, padding, dilation, groups = case
    x = RNG.normal(size=(2, 6, 7, 4))
    found, state = run(f"input x: real[n, 6, 7, 4]\nh = x |> conv2d{{6, {attributes}}}", x=x)
    W, b = state["h.conv2d1.W"], state["h.conv2d1.b"]
    w = naive_windows(x, size, stride, padding, dilation, 0.0)
    own, units = 4 // groups, 6 // groups
    expected = [
        np.einsum(
            "nijpqc,pqcu->niju",
            w[..., g * own : (g + 1) * own],
            W[..., g * units : (g + 1) * units],
        )
        for g in range(groups)
    ]
    close(found, np.concatenate(expected, -1) + b)


def test_conv1d() -> None:
    x = RNG.normal(size=(2, 7, 4))
    text = 'input x: real[n, 7, 4]\nh = x |> conv1d{2, 3, 2, "same", 2, bias = false}'
    found, state = run(text, x=x)
    w = naive_windows(x[:, None], (1, 3), (1, 2), ("valid", "same"), (1, 2), 0.0)[:, 0, :, 0]
    close(found, np.einsum("ntpc,pcu->ntu", w, state["h.conv1d1.W"]))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same", 1])
def test_pooling(padding: Any, stride: int) -> None:
    x = RNG.normal(size=(2, 5, 6, 3))
    written = f'"{padding}"' if isinstance(padding, str) else padding
    text = "input x: real[n, 5, 6, 3]\nh = {}_pool2d{{[3, 2], {}, {}}}(x)"
    spread = (3, 2), (stride, stride), (padding, padding), (1, 1)
    largest, _ = run(text.format("max", stride, written), x=x)
    close(largest, naive_windows(x, *spread, -np.inf).max((3, 4)))
    mean, _ = run(text.format("avg", stride, written), x=x)
    close(mean, np.nanmean(naive_windows(x, *spread, np.nan), (3, 4)))


def test_pooling_of_sequences_and_over_all_places() -> None:
    x = RNG.normal(size=(2, 5, 3))
    uses = {
        "max_pool1d": x[:, :4].reshape(2, 2, 2, 3).max(2),
        "avg_pool1d": x[:, :4].reshape(2, 2, 2, 3).mean(2),
        "max_pool1d{3, 2, 1}": np.stack([x[:, :2].max(1), x[:, 1:4].max(1), x[:, 3:].max(1)], 1),
        "global_avg_pool": x.mean(1),
        "global_max_pool": x.max(1),
    }
    for use, expected in uses.items():
        close(run(f"input x: real[n, 5, 3]\nh = x |> {use}", x=x)[0], expected)


# ------------------------------------------------------------------------ normalisation

NORM = """model m
input x: real[n, 2, 3]
h = x |> batch_norm{momentum = 0.8}
loss f = sum(h^2 * h)
output out = h
train { optimizer = sgd{0.0} }
"""


def test_batch_norm_takes_the_batch_in_training_and_running_statistics_elsewhere() -> None:
    module = graphc.compile(NORM, precision="f64").module
    x = RNG.normal(size=(4, 2, 3)) * 2 + 1
    mean, variance = x.mean((0, 1)), x.var((0, 1))
    state = module.init(0)
    close(module.predict(state, {"x": x})["out"], x / np.sqrt(1 + 1e-5))
    trainer = module.Trainer(state, 4)
    normal = (x - mean) / np.sqrt(variance + 1e-5)
    assert trainer.step({"x": x}) == pytest.approx((normal**3).sum())
    after = trainer.state()
    close(after["h.batch_norm1.running_mean"], 0.2 * mean)
    close(after["h.batch_norm1.running_variance"], 0.8 + 0.2 * variance * 8 / 7)


def test_batch_norm_of_one_row_keeps_its_statistics_finite() -> None:
    module = graphc.compile(NORM.replace("[n, 2, 3]", "[n, 3]"), precision="f64").module
    trainer = module.Trainer(module.init(0), 1)
    trainer.step({"x": np.ones((1, 3))})
    close(trainer.state()["h.batch_norm1.running_variance"], np.full(3, 0.8))


def test_normalisation_of_each_example() -> None:
    x = RNG.normal(size=(4, 2, 3)) + 1
    text = "input x: real[n, 2, 3]\nh = x |> "
    found, state = run(text + "layer_norm", x=x)
    e = x - x.mean(-1, keepdims=True)
    normal = e / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    close(found, state["h.layer_norm1.gain"] * normal + state["h.layer_norm1.shift"])
    found, state = run(text + "rms_norm", x=x)
    root = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    close(found, state["h.rms_norm1.gain"] * x / root)


# ---------------------------------------------------------------------------- recurrent


def rnn_step(p: dict[str, Array], x: Array, h: Array) -> Array:
    return np.tanh(x @ p["W"] + h @ p["U"] + p["b"])


def gru_step(p: dict[str, Array], x: Array, h: Array) -> Array:
    (zr, zu, zc), (sr, su, sc) = (
        np.split(x @ p["W"] + p["b"], 3, -1),
        np.split(h @ p["U"], 3, -1),
    )
    candidate = np.tanh(zc + sigmoid(zr + sr) * (sc + p["b_h"]))
    update = sigmoid(zu + su)
    return (1 - update) * candidate + update * h


def lstm_step(p: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    i, f, g, o = np.split(x @ p["W"] + h @ p["U"] + p["b"], 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def inside(state: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_sequences_are_cells_step_by_step(kind: str) -> None:
    x = RNG.normal(size=(2, 4, 3))
    found, state = run(f"input x: real[n, 4, 3]\nh = x |> {kind}{{5}}", x=x)
    p = inside(state, f"h.{kind}1.")
    h = c = np.zeros((2, 5))
    for time in range(4):
        if kind == "lstm":
            h, c = lstm_step(p, x[:, time], h, c)
        else:
            h = {"rnn": rnn_step, "gru": gru_step}[kind](p, x[:, time], h)
        close(found[:, time], h)


def test_a_cell_is_bound_once_and_unrolled_by_the_model() -> None:
    x = RNG.normal(size=(2, 4, 3))
    text = """input x: real[n, 4, 3]
cell = lstm_cell{5}
state = zero_state{5}(x)
c = zero_state{5}(x)
repeat i in 0..3 {
  state, c = cell(x[:, i], state, c)
}
h = state"""
    found, state = run(text, x=x)
    p = inside(state, "cell.")
    h = c = np.zeros((2, 5))
    for time in range(4):
        h, c = lstm_step(p, x[:, time], h, c)
    close(found, h)
    for kind, step in (("rnn", rnn_step), ("gru", gru_step)):
        text = f"input x: real[n, 3]\ninput s: real[n, 5]\nh = {kind}_cell{{5}}(x, s)"
        found, state = run(text, x=x[:, 0], s=h)
        close(found, step(inside(state, f"h.{kind}_cell1."), x[:, 0], h))


def test_the_forget_gate_starts_open() -> None:
    text = "model m\ninput x: real[n, 2, 3]\nh = x |> lstm{4, forget = 2}\nloss f = sum(h)\n"
    state = graphc.compile(text).init(0)
    np.testing.assert_array_equal(state["h.lstm1.b"], [0] * 4 + [2] * 4 + [0] * 8)


# ---------------------------------------------------------------------------- attention


def naive_attention(q: Array, k: Array, v: Array, heads: int, causal: bool) -> Array:
    size = q.shape[-1] // heads
    out = np.empty((len(q), q.shape[1], v.shape[-1]))
    for n, a, t in product(range(len(q)), range(heads), range(q.shape[1])):
        part = slice(a * size, (a + 1) * size)
        seen = t + 1 if causal else k.shape[1]
        weights = np.exp(k[n, :seen, part] @ q[n, t, part] / math.sqrt(size))
        out[n, t, part] = weights @ v[n, :seen, part] / weights.sum()
    return out


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention(causal: bool) -> None:
    x = RNG.normal(size=(2, 3, 4))
    written = f"multi_head_attention{{2, causal = {str(causal).lower()}}}"
    found, state = run(f"input x: real[n, t, 4]\nh = x |> {written}", x=x)
    p = inside(state, "h.multi_head_attention1.")
    q = x @ p["query.dense1.W"] + p["query.dense1.b"]
    v = x @ p["value.dense1.W"] + p["value.dense1.b"]
    mixed = naive_attention(q, x @ p["key.dense1.W"], v, 2, causal)
    close(found, mixed @ p["dense1.W"] + p["dense1.b"])


def test_cross_attention() -> None:
    x, y = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 6))
    text = (
        "input x: real[n, 3, 4]\ninput y: real[n, 5, 6]\nh = cross_attention{2, bias = false}(x, y)"
    )
    found, state = run(text, x=x, y=y)
    p = inside(state, "h.cross_attention1.")
    k, v = y @ p["key.dense1.W"], y @ p["value.dense1.W"]
    close(found, naive_attention(x @ p["query.dense1.W"], k, v, 2, False) @ p["dense1.W"])


def test_positional_encoding() -> None:
    found, _ = run("input x: real[n, 3, 4]\nh = x + positional_encoding(x)", x=np.zeros((1, 3, 4)))
    for t in range(3):
        close(found[0, t], [math.sin(t), math.sin(t / 100), math.cos(t), math.cos(t / 100)])


# ------------------------------------------------------------------------------ the rest


def test_plain_layers() -> None:
    x = RNG.normal(size=(4, 3))
    head = "input x: real[n, 3]\nh = x |> "
    found, p = run(head + "dense{2}", x=x)
    close(found, x @ p["h.dense1.W"] + p["h.dense1.b"])
    found, p = run(head + "residual{dense{3, bias = false}}", x=x)
    close(found, x + x @ p["h.residual1.dense1.W"])
    for use in ("prelu", "prelu{shared = false}"):
        found, p = run(head + use, x=x)
        close(found, np.where(x > 0, x, p["h.prelu1.slope"] * x))
    found, p = run(head + "maxout{2, 3}", x=x)
    dense = [f"h.maxout1.{at}h.dense1." for at in ("", "piece[2].", "piece[3].")]
    close(found, np.max([x @ p[d + "W"] + p[d + "b"] for d in dense], 0))
    words = np.array([[0, 2], [1, 1]])
    found, p = run("input x: int[n, 2]\nh = x |> embedding{3, 4}", x=words)
    close(found, p["h.embedding1.table"][words])
    close(run("input x: real[n, 2, 3]\nh = flatten(x)", x=x.reshape(2, 2, 3))[0], x.reshape(2, 6))


@pytest.mark.parametrize("use", ["dropout{0.25}", "gaussian_noise{0.1}"])
def test_noise_acts_in_training_only_and_keeps_the_mean(use: str) -> None:
    text = f"input x: real[n, 1000]\nparam w: real = 1\nloss f = mean({use}(w * x))\n"
    module = graphc.compile(f"model m\n{text}", precision="f64").module
    state, batch = module.init(0), {"x": np.ones((20, 1000))}
    assert module.loss_and_gradients(state, batch)[0] == pytest.approx(1)
    noisy, _ = module.loss_and_gradients(state, batch, training=True)
    assert noisy != 1
    assert noisy == pytest.approx(1, abs=0.02)


# --------------------------------------------------------------------------- penalties


def test_penalties() -> None:
    w = np.array([0.5, -1.0, 2.0])
    uses = {
        "l2{0.4}": 0.2 * (w**2).sum(),
        "l1{0.4}": 0.4 * np.abs(w).sum(),
        "elastic_net{0.4}": 0.2 * np.abs(w).sum() + 0.1 * (w**2).sum(),
        "weight_elimination{0.4, 2}": 0.4 * (w**2 / (4 + w**2)).sum(),
    }
    for use, expected in uses.items():
        text = f"param w: real[3] = {w.tolist()}\nloss f = 0 * sum(w)\n"
        rule = f"regularize {{ {use} on w }}\n"
        module = graphc.compile(f"model m\n{text}{rule}", precision="f64").module
        value, _ = module.loss_and_gradients(module.init(0), {}, training=True)
        assert value == pytest.approx(expected), use
