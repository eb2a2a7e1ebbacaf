"""Per-example gradients and products with tangents, as whole modules compute them."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

import graphc

MLP = """model m
input  x: real[n, 3]
target y: label{4}[n]
logits = x |> dense{5} |> sigmoid |> dense{4}
loss ce = cross_entropy(logits, y)
output z = logits
"""
MODELS = {
    "mlp": MLP,
    "penalties": MLP + "regularize {\n  l2{0.3} on weights\n  dropout{0.5} after sigmoid\n}\n",
    "shared": """model m
input  x: real[n, 3]
target y: label{4}[n]
enc = dense{3}
a = tanh(enc(x))
b = tanh(enc(a))
logits = dense{4}(a * b + a)
loss ce = cross_entropy(logits, y)
""",
    "repeated": """model m
input  x: real[n, 3]
target y: label{4}[n]
h = x
repeat block in 1..3 {
  h = h + tanh(dense{3}(h)) * sigmoid(h)
}
loss ce = cross_entropy(dense{4}(h), y)
""",
    "drawn": """model m
input  x: real[n, 3]
target y: label{4}[n]
h = x |> dense{4}
loss ce = cross_entropy(h * normal{0, 1}(h), y)
""",
    "two losses": """model m
input  x: real[n, 3]
target y: label{4}[n]
h = tanh(dense{4}(x))
loss ce = cross_entropy(dense{4}(h), y)
loss se = squared_error(h @ transpose(h)[:4, :4], 0.1)
minimize ce
""",
}
PRODUCTS = ("per_example_gradients", "hessian_vector_products", "gauss_newton_products")


def setting(text: str, rows: int = 4, seed: int = 0, **options):
    module = graphc.compile(text, precision="f64", products=PRODUCTS, **options).module
    rng = np.random.default_rng(seed)
    batch = {"x": rng.normal(size=(rows, 3)), "y": rng.integers(0, 4, rows)}
    state = module.init(seed)
    for name, entry in module.signature["parameters"].items():
        state[name] = rng.normal(size=entry["shape"]) * 0.6
    return module, state, batch


def gradient(module, state, batch):
    return module.loss_and_gradients(state, batch)[1]


def flat(arrays, names, leading: int = 0):
    return np.concatenate(
        [np.reshape(arrays[n], (*np.shape(arrays[n])[:leading], -1)) for n in names], axis=-1
    )


def unflat(vectors, like, names):
    parts, start = {}, 0
    for name in names:
        size = like[name].size
        parts[name] = vectors[:, start : start + size].reshape(len(vectors), *like[name].shape)
        start += size
    return parts


def differences(outcome, state, names, step: float = 1e-5):
    """∂outcome(state) by every element of the parameters: one row an element."""
    rows = []
    for name in names:
        for place in np.ndindex(state[name].shape):
            ends = []
            for sign in (1, -1):
                moved = {**state, name: state[name].copy()}
                moved[name][place] += sign * step
                ends.append(outcome(moved))
            rows.append((ends[0] - ends[1]) / (2 * step))
    return np.array(rows)


@pytest.mark.parametrize("name", [n for n in MODELS if n != "drawn"])
def test_each_example_has_the_gradient_it_has_alone(name: str):
    module, state, batch = setting(MODELS[name])
    each = module.per_example_gradients(state, batch)
    for row in range(4):
        alone = gradient(module, state, {k: v[row : row + 1] for k, v in batch.items()})
        for key, value in alone.items():
            assert each[key][row].shape == value.shape
            np.testing.assert_allclose(each[key][row], value, rtol=1e-10, atol=1e-13)


def test_examples_draw_what_they_draw_in_the_batch():
    module, state, batch = setting(MODELS["drawn"])
    each = module.per_example_gradients(state, batch)
    whole = gradient(module, state, batch)
    for key, value in whole.items():
        np.testing.assert_allclose(each[key].mean(axis=0), value, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", MODELS)
def test_hessian_vector_products(name: str):
    module, state, batch = setting(MODELS[name])
    names = list(gradient(module, state, batch))
    expected = differences(lambda s: flat(gradient(module, s, batch), names), state, names)
    tangents = unflat(np.eye(len(expected)), state, names)
    actual = flat(module.hessian_vector_products(state, batch, tangents), names, leading=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(actual, actual.T, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_gauss_newton_is_the_jacobian_around_the_hessian_of_the_loss(penalty: float):
    text = MLP + f"regularize {{\n  l2{{{penalty}}} on weights\n}}\n" * bool(penalty)
    module, state, batch = setting(text)
    names = list(gradient(module, state, batch))
    jacobian = differences(lambda s: module.predict(s, batch)["z"], state, names)
    z = module.predict(state, batch)["z"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    inner = np.einsum("ni,ij->nij", p, np.eye(4)) - np.einsum("ni,nj->nij", p, p)
    expected = np.einsum("ani,nij,bnj->ab", jacobian, inner / 4, jacobian)
    weights = np.concatenate([np.full(state[n].size, state[n].ndim == 2) for n in names])
    expected += penalty * np.diag(weights)
    tangents = unflat(np.eye(len(expected)), state, names)
    actual = flat(module.gauss_newton_products(state, batch, tangents), names, leading=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-8)


def test_the_cut_can_be_named():
    """Cut at the parameters' own affine map, the rest is exact; cut at the loss, nothing is."""
    text = MLP.replace("loss ce = cross_entropy(logits, y)", "loss ce = sum(logits^2) / n")
    module, state, batch = setting(text, cut="logits")
    names = list(gradient(module, state, batch))
    rng = np.random.default_rng(5)
    tangents = {n: rng.normal(size=(2, *state[n].shape)) for n in names}
    product = module.gauss_newton_products(state, batch, tangents)
    step = 1e-5
    for k in range(2):
        moved = [
            {**state, **{n: state[n] + s * step * tangents[n][k] for n in names}} for s in (1, -1)
        ]
        dz = (module.predict(moved[0], batch)["z"] - module.predict(moved[1], batch)["z"]) / (
            2 * step
        )
        energy = sum(float(np.sum(product[n][k] * tangents[n][k])) for n in names)
        assert energy == pytest.approx(2 / 4 * float(np.sum(dz**2)), rel=1e-6)


def test_linear_least_squares_has_one_hessian():
    text = MLP.split("logits")[0] + "loss f = squared_error(dense{4}(x), one_hot(y))\n"
    module, state, batch = setting(text)
    names = list(gradient(module, state, batch))
    rng = np.random.default_rng(5)
    tangents = {n: rng.normal(size=(3, *state[n].shape)) for n in names}
    exact = module.hessian_vector_products(state, batch, tangents)
    approximate = module.gauss_newton_products(state, batch, tangents)
    for name in names:
        np.testing.assert_allclose(exact[name], approximate[name], rtol=1e-10, atol=1e-12)


def test_a_loss_inside_a_definition_is_found():
    text = MLP.replace("loss ce = cross_entropy(logits, y)", "loss ce = mine(logits, y)")
    text = text.replace("model m\n", "model m\ndef mine(z, y) = 2 * cross_entropy(z, y)\n")
    module, state, batch = setting(text)
    plain, _, _ = setting(MLP)
    tangents = {n: np.ones((1, *a.shape)) for n, a in gradient(module, state, batch).items()}
    twice = module.gauss_newton_products(state, batch, tangents)
    once = plain.gauss_newton_products(state, batch, tangents)
    for name, value in twice.items():
        np.testing.assert_allclose(value, 2 * once[name], rtol=1e-12)


@pytest.mark.parametrize("name", PRODUCTS)
def test_memory_that_is_used_up_is_let_go(name: str):
    """When a function returns it holds what it was given, what it returns, and little else."""
    text = MLP.replace("dense{5} |> sigmoid", "dense{5} |> sigmoid |> dense{4} |> tanh |> dense{3}")
    module, state, batch = setting(text)
    tangents = {n: np.ones((2, *a.shape)) for n, a in gradient(module, state, batch).items()}
    held = {}

    def watch(frame, event, argument):
        if event == "return" and frame.f_code.co_name == name:
            held.update(frame.f_locals)

    sys.setprofile(watch)
    try:
        getattr(module, name)(state, batch, *([tangents] if name != PRODUCTS[0] else []))
    finally:
        sys.setprofile(None)
    made = [v for v in held if re.fullmatch(r"([dt]_)?(h|logits|ce|dense\w*|sigmoid\w*)(_\d+)?", v)]
    assert "state" in held
    assert len(made) < 4, made


def test_single_precision_and_python_interface():
    model = graphc.compile(MLP)
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(4, 3)), "y": rng.integers(0, 4, 4)}
    state = model.init(0)
    each = model.per_example_gradients(state, batch)
    assert {value.dtype for value in each.values()} == {np.dtype(np.float32)}
    tangents = {name: np.ones((2, *value.shape[1:])) for name, value in each.items()}
    assert model.hessian_vector_products(state, batch, tangents).keys() == each.keys()
    assert model.gauss_newton_products(state, batch, tangents).keys() == each.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "logits.dense1.b"}, "lack logits.dense1.b"),
        (lambda t: {**t, "w": t["logits.dense1.b"]}, "have w"),
        (lambda t: {**t, "logits.dense1.b": np.ones((1, 3))}, "have shape"),
        (lambda t: {k: np.float64(1) for k in t}, "first axis"),
    ],
)
def test_tangents_that_do_not_fit(change, message: str):
    module, state, batch = setting(MLP)
    tangents = {n: np.ones((2, *a.shape)) for n, a in gradient(module, state, batch).items()}
    with pytest.raises(ValueError, match=message):
        module.hessian_vector_products(state, batch, change(tangents))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (MLP, {"products": ["hessian"]}, "no function is called hessian"),
        (MLP, {"products": PRODUCTS, "cut": "logitz"}, "depends on no value `logitz`"),
        (MLP, {"products": PRODUCTS, "cut": "x"}, "`x` .* depends on no parameter"),
        (MLP, {"products": PRODUCTS, "cut": "y"}, "`y` .* depends on no parameter"),
        (MLP, {"products": PRODUCTS, "cut": "logits.dense1.W"}, "it is a parameter"),
        (
            "model m\nparam w: real = 1\nloss f = w^2\n",
            {"products": ["gauss_newton_products"]},
            "no loss of the prelude",
        ),
        (
            "model m\nparam w: real = 1\nloss f = w^2\n",
            {"products": ["per_example_gradients"]},
            "no batch",
        ),
        ("model m\nparam w: real = 1\noutput f = w^2\n", {"products": PRODUCTS}, "no loss"),
        (
            "model m\ninput x: real[n, 2]\nloss f = sum(x^2)\n",
            {"products": PRODUCTS},
            "learns nothing",
        ),
    ],
)
def test_what_cannot_be_had(text: str, options, message: str):
    with pytest.raises(graphc.RunError, match=message):
        graphc.compile(text, **options).source  # noqa: B018
