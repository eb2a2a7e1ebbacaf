"""The diagonal of the Hessian propagated backwards, and the linear maps that it goes through."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.ops.matmul import Matmul
from graphc.passes.pointwise import Pieces

DIAGONAL, INPUTS, CURVATURES = NEW = (
    "backpropagated_diagonal",
    "layer_inputs",
    "layer_curvatures",
)
HESSIAN = "hessian_vector_products"

REALS, LABELS = "real[n, 4]", "label{4}[n]"
LOSSES = {
    "squared_error(z, y)": REALS,
    "sum_squared_error(z, y)": REALS,
    "absolute_error(z, y)": REALS,
    "huber(z, y)": REALS,
    "msle(exp(z), 0.5)": REALS,
    "cross_entropy(z, y)": LABELS,
    "cross_entropy{smoothing = 0.1}(z, y)": LABELS,
    "cross_entropy{smoothing = 0.1, weights = [1, 2, 3, 4]}(z, y)": LABELS,
    "soft_cross_entropy(z, softmax(y))": REALS,
    "binary_cross_entropy(z, sigmoid(y))": REALS,
    "binary_cross_entropy{from_logits = false}(sigmoid(z), sigmoid(y))": REALS,
    "squared_hinge(z, sign(y))": REALS,
    "multiclass_hinge(z, y)": LABELS,
    "squared_multiclass_hinge(z, y)": LABELS,
    "squared_multiclass_hinge(reshape{[-1, 2, 2]}(z), y)": "label{2}[n, 2]",
    "gaussian_nll(z[:, :2], z[:, 2:], y)": "real[n, 2]",
    "kl_gaussian(z[:, :2], z[:, 2:])": LABELS,
    "gaussian_nll_full(y / 2, reshape{[-1, 2, 2]}(exp(z)), y)": "real[n, 2]",
    "0.3 * cross_entropy(z, y) - 2 * squared_multiclass_hinge(z, y)": LABELS,
}
"""A loss of z [n, 4], and the type of its target."""


def text(z: str, loss: str, target: str, more: str = "", x: str = "real[n, 3]") -> str:
    return f"model m\ninput x: {x}\ntarget y: {target}\nz = {z}\nloss f = {loss}\n{more}"


def setting(source: str, products=(DIAGONAL, HESSIAN), rows: int = 5, seed: int = 0, **options):
    options = {"precision": "f64", **options}
    module = graphc.compile(source, products=products, **options).module
    draw = np.random.default_rng(seed)
    batch = {}
    for name, entry in {**module.signature["inputs"], **module.signature["targets"]}.items():
        shape = [size if isinstance(size, int) else rows for size in entry["shape"]]
        batch[name] = (
            draw.normal(size=shape)
            if entry["kind"] == "real"
            else draw.integers(0, entry["classes"], shape)
        )
    state = module.init(seed)
    for name, entry in module.signature["parameters"].items():
        state[name] = (0.7 * draw.normal(size=entry["shape"])).astype(module.REAL)
    return module, state, batch


def exact(module, state, batch):
    """The diagonal of the Hessian by its products with the unit vectors."""
    found = {}
    names = list(module.loss_and_gradients(state, batch)[1])
    for name in names:
        size = state[name].size
        tangents = {n: np.zeros((size, *state[n].shape)) for n in names}
        tangents[name] = np.eye(size).reshape(size, *state[name].shape)
        products = module.hessian_vector_products(state, batch, tangents)[name]
        found[name] = np.diagonal(products.reshape(size, size)).reshape(state[name].shape)
    return found


def agree(found, expected, tolerance: float = 1e-10):
    assert found.keys() == expected.keys()
    scale = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        assert found[name].shape == value.shape
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance * scale)


def check_exact(source: str, **options):
    module, state, batch = setting(source, **options)
    agree(module.backpropagated_diagonal(state, batch), exact(module, state, batch))


@pytest.mark.parametrize("loss", LOSSES)
def test_one_linear_layer_before_a_loss_is_exact(loss: str):
    check_exact(text("dense{4}(x)", loss, LOSSES[loss]))


def test_a_loss_of_what_all_examples_share_is_exact():
    """A Cholesky factor of no example's own: all its elements meet in one Hessian."""
    source = text("0.5 * x", "gaussian_nll_full(z, exp(L), y)", "real[n, 3]")
    check_exact(source.replace("z =", "param L: real[3, 3] = 0\nz ="))


SINGLE = ("sigmoid", "tanh", "silu", "gelu", "softplus", "x * sigmoid(x)", "x^3 / (1 + x^2)")


@pytest.mark.parametrize("function", SINGLE)
def test_a_chain_of_single_units_is_exact(function: str):
    """Nothing is dropped, also where a unit's input enters its function in several ways."""
    before = f"model m\ndef unit(x) = {function if 'x' in function else f'{function}(x)'}\n"
    source = text(
        "unit(unit(x * w) * v)",
        "squared_error(z, y)",
        "real[n, 1]",
        x="real[n, 1]",
    ).replace("model m\n", before + "param w: real = 1\nparam v: real = 1\n")
    check_exact(source, rows=1)
    written = function.replace("x", "s") if "x" in function else f"{function}(s)"
    in_place = source.replace("z = ", "s = x * w\nz = v * ").replace(
        "unit(unit(x * w) * v)", written
    )
    check_exact(in_place, rows=1)


# ---------------------------------------------------------------------- by hand


def by_hand(state, batch, f, slope, bend):
    """LeCun, Denker and Solla (1990), appendix: E the mean squared error of three layers."""
    names = [f"z.dense{i}" for i in (1, 2, 3)]
    xs, zs = [batch["x"]], []
    for name in names:
        zs.append(xs[-1] @ state[f"{name}.W"] + state[f"{name}.b"])
        xs.append(f(zs[-1]))
    count = batch["y"].size
    g = 2 * (zs[-1] - batch["y"]) / count
    h = np.full_like(g, 2 / count)
    found = {}
    for i in (2, 1, 0):
        found[f"{names[i]}.W"] = (xs[i] ** 2).T @ h
        found[f"{names[i]}.b"] = h.sum(axis=0)
        if i:
            W, z = state[f"{names[i]}.W"], zs[i - 1]
            d, e = g @ W.T, h @ (W**2).T
            g, h = d * slope(z), e * slope(z) ** 2 + d * bend(z)
    return found


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


BY_HAND = {
    "sigmoid": (
        sigmoid,
        lambda z: sigmoid(z) * (1 - sigmoid(z)),
        lambda z: sigmoid(z) * (1 - sigmoid(z)) * (1 - 2 * sigmoid(z)),
    ),
    "tanh": (
        np.tanh,
        lambda z: 1 - np.tanh(z) ** 2,
        lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2),
    ),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0), np.zeros_like),
}


def deep(function: str) -> str:
    layers = f"x |> dense{{5}} |> {function} |> dense{{4}} |> {function} |> dense{{2}}"
    return text(layers, "squared_error(z, y)", "real[n, 2]")


@pytest.mark.parametrize("function", BY_HAND)
def test_three_layers_are_the_recursion_of_the_paper(function: str):
    module, state, batch = setting(deep(function), products=[DIAGONAL])
    agree(
        module.backpropagated_diagonal(state, batch),
        by_hand(state, batch, *BY_HAND[function]),
        1e-12,
    )


def test_a_convolution_is_the_same_recursion_over_its_windows():
    source = text(
        "x |> conv2d{2, 3, stride = 2} |> tanh |> flatten |> dense{2}",
        "squared_error(z, y)",
        "real[n, 2]",
        x="real[n, 5, 7, 2]",
    )
    module, state, batch = setting(source, products=NEW)
    W, b = state["z.conv2d1.W"], state["z.conv2d1.b"]
    windows = np.lib.stride_tricks.sliding_window_view(batch["x"], (3, 3), axis=(1, 2))
    windows = windows[:, ::2, ::2]  # [n, rows, columns, channels, down, across]
    t = np.tanh(np.einsum("nrcxda,daxu->nrcu", windows, W) + b)
    V = state["z.dense1.W"]
    z = t.reshape(5, -1) @ V + state["z.dense1.b"]
    g, h = 2 * (z - batch["y"]) / z.size, np.full_like(z, 2 / z.size)
    d, e = (g @ V.T).reshape(t.shape), (h @ (V**2).T).reshape(t.shape)
    below = e * (1 - t**2) ** 2 - d * 2 * t * (1 - t**2)
    expected = {
        "z.conv2d1.W": np.einsum("nrcxda,nrcu->daxu", windows**2, below),
        "z.conv2d1.b": below.sum(axis=(0, 1, 2)),
        "z.dense1.W": (t.reshape(5, -1) ** 2).T @ h,
        "z.dense1.b": h.sum(axis=0),
    }
    agree(module.backpropagated_diagonal(state, batch), expected, 1e-12)
    rows = np.moveaxis(windows, 3, 5).reshape(5 * 2 * 3, 18)
    inputs, curvatures = (getattr(module, f)(state, batch)["z.conv2d1.W"] for f in NEW[1:])
    np.testing.assert_allclose(inputs, rows, rtol=1e-12)
    np.testing.assert_allclose(curvatures, 5 * below.reshape(30, 2), rtol=1e-11)


@pytest.mark.parametrize("wrong", ["matmul", "functions", "second"])
def test_a_wrong_factor_is_found(wrong: str, monkeypatch):
    if wrong == "matmul":
        monkeypatch.setattr(Matmul, "squared_vjp", Matmul.vjp)
    else:
        right = Pieces.derivatives

        def changed(self, builder, end):
            return {
                id: (a, None) if wrong == "second" else (a * 0.5, b)
                for id, (a, b) in right(self, builder, end).items()
            }

        monkeypatch.setattr(Pieces, "derivatives", changed)
    with pytest.raises(AssertionError):
        test_three_layers_are_the_recursion_of_the_paper("sigmoid")


def test_what_is_written_twice_is_one_value():
    source = text("(x @ W) * tanh(x @ W)", "sum_squared_error(z, y)", REALS)
    check_exact(source.replace("z =", "param W: real[3, 4] = 0\nz ="))


def test_a_shared_weight_has_the_sum_over_its_uses():
    source = text("tanh(x @ V) @ W", "squared_error(z, y)", "real[n, 3]")
    source = source.replace("z =", "param V: real[3, 3] = 0\nparam W: real[3, 3] = 0\nz =")
    module, state, batch = setting(source)
    shared, _, _ = setting(source.replace("@ V", "@ W"))
    state["V"] = state["W"]
    apart = module.backpropagated_diagonal(state, batch)
    found = shared.backpropagated_diagonal(state, batch)["W"]
    np.testing.assert_allclose(found, apart["V"] + apart["W"], rtol=1e-12)


# ---------------------------------------------------------------------- penalties

PENALTIES = {
    "l2{0.3}": lambda w: 0.3 + 0 * w,
    "l1{0.3}": lambda w: 0 * w,
    "elastic_net{0.4, mix = 0.25}": lambda w: 0.3 + 0 * w,
    "weight_elimination{0.2}": lambda w: 0.2 * 2 * (1 - 3 * w**2) / (1 + w**2) ** 3,
}


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties_are_exact(penalty: str):
    module, state, batch = setting(deep("tanh"), products=[DIAGONAL])
    more = f"regularize {{\n  {penalty} on weights\n}}\n"
    with_it, _, _ = setting(deep("tanh") + more, products=[DIAGONAL])
    plain = module.backpropagated_diagonal(state, batch)
    found = with_it.backpropagated_diagonal(state, batch)
    for name, value in plain.items():
        expected = PENALTIES[penalty](state[name]) if name.endswith("W") else 0 * value
        np.testing.assert_allclose(found[name] - value, expected, rtol=1e-10, atol=1e-12)


def test_the_norm_of_a_weight_is_exact():
    """One square root over a sum: exact, though every element meets every other."""
    check_exact(
        text("dense{4}(x)", "squared_error(z, y)", REALS, "minimize f + sqrt(sum(z'^2))")
        .replace("z'", "W")
        .replace("model m\n", "model m\nparam W: real[2, 3] = 1\n")
    )


# ---------------------------------------------------------------------- linear maps


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_the_diagonal_is_made_of_inputs_and_curvatures(fuse: bool, precision: str):
    source = text(
        'x |> conv1d{3, 2, padding = "same"} |> tanh |> layer_norm |> flatten |> dense{4}',
        "cross_entropy(z, y)",
        LABELS,
        x="real[n, 4, 3]",
    )
    module, state, batch = setting(source, products=NEW, fuse=fuse, precision=precision)
    whole, inputs, curvatures = (getattr(module, name)(state, batch) for name in NEW)
    assert inputs.keys() == curvatures.keys() == {"z.conv1d1.W", "z.dense1.W"}
    for name in inputs:
        assert inputs[name].dtype == curvatures[name].dtype == whole[name].dtype == module.REAL
        found = (inputs[name] ** 2).T @ curvatures[name] / 5
        expected = whole[name].reshape(found.shape)
        tolerance = 1e-10 if precision == "f64" else 1e-4
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_curvatures_of_an_example_are_those_it_has_alone():
    source = text("x |> dense{3} |> tanh |> dense{4}", "cross_entropy(z, y)", LABELS)
    module, state, batch = setting(source, products=NEW)
    together = module.layer_curvatures(state, batch)
    for row in range(5):
        alone = module.layer_curvatures(state, {k: v[row : row + 1] for k, v in batch.items()})
        for name, value in alone.items():
            np.testing.assert_allclose(together[name][row : row + 1], value, rtol=1e-10, atol=1e-14)


def test_which_weights_are_the_matrix_of_one_map():
    """Shared, transposed and looked up weights are left out; penalties do not count as a use."""
    source = (
        text(
            "concat{axis = 1}(used, tied, turned, scaled)",
            "squared_error(z, 0.5) + 0.1 * sum(A^2)",
            LABELS,
            "regularize {\n  l2{0.1} on params\n}\n",
        )
        .replace(
            "z = ",
            "param A: real[3, 2] = 1\nparam B: real[3, 3] = 1\nparam C: real[2, 3] = 1\n"
            "param D: real[3, 2] = 1\nparam v: real[3] = 1\n"
            "used = x @ A\ntied = x @ B @ B\nturned = x @ transpose(C)\nscaled = x @ (2 * D)\n"
            "flat = expand{-1}(x @ v)\nz = ",
        )
        .replace("scaled)", "scaled, flat)")
    )
    module, state, batch = setting(source, products=NEW)
    inputs, curvatures = (getattr(module, name)(state, batch) for name in NEW[1:])
    assert {n: a.shape for n, a in inputs.items()} == {"A": (5, 3), "v": (5, 3)}
    assert {n: a.shape for n, a in curvatures.items()} == {"A": (5, 2), "v": (5, 1)}
    np.testing.assert_allclose(curvatures["A"], 2 / 10, rtol=1e-12)


@pytest.mark.parametrize("name", NEW[1:])
def test_a_model_without_such_weights_says_so(name: str):
    source = text("x * w", "squared_error(z, 1)", LABELS).replace("z =", "param w: real = 1\nz =")
    with pytest.raises(graphc.RunError, match="no weight that is used once"):
        graphc.compile(source, products=[name]).source  # noqa: B018


def test_the_python_interface():
    model = graphc.compile(text("x |> dense{3} |> tanh |> dense{4}", "cross_entropy(z, y)", LABELS))
    draw = np.random.default_rng(0)
    batch = {"x": draw.normal(size=(5, 3)), "y": draw.integers(0, 4, 5)}
    state = model.init(0)
    whole = model.backpropagated_diagonal(state, batch)
    assert {n: a.shape for n, a in whole.items()} == {
        n: info.type.shape for n, info in model.spec.parameters.items()
    }
    assert model.layer_inputs(state, batch)["z.dense2.W"].shape == (5, 3)
    assert model.layer_curvatures(state, batch)["z.dense2.W"].shape == (5, 4)


def test_deep_down_it_resembles_the_exact_diagonal():
    """No equality: cross terms are dropped. But large is large."""
    module, state, batch = setting(deep("tanh"), rows=200)
    truth = exact(module, state, batch)
    found = module.backpropagated_diagonal(state, batch)
    a, b = (np.concatenate([np.ravel(v[n]) for n in truth]) for v in (found, truth))
    correlation = np.corrcoef(a, b)[0, 1]
    print(f"correlation with the exact diagonal {correlation:.3f}")
    assert correlation > 0.6
