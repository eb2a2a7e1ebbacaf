"""Objective, selectors, optimizers, regularisation, data, keys of sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from model_helpers import compiled, errors, lowered, start, values

from graphc.model import Settings
from graphc.model.program import OptimizerState
from graphc.ops import evaluate

NET = """
input  x: real[n, 4]
target y: label{3}[n]
h      = x |> dense{5} |> relu
logits = h |> dense{3}
loss ce = cross_entropy(logits, y)
metric accuracy = accuracy(logits, y)
"""
X = np.random.default_rng(0).normal(size=(6, 4))
Y = np.array([0, 1, 2, 0, 1, 2])


def groups(text: str) -> list[tuple[str, ...]]:
    return [group.parameters for group in compiled(NET + text).spec.groups]


# -------------------------------------------------------------------------------- objective


def test_a_loss_is_scalar_and_several_need_minimize() -> None:
    head = "param w: real = 2\n"
    assert errors(head + "loss a = [w, w]\n") == ["E401"]
    assert errors(head + "loss a = w\nloss b = w\n") == ["E404"]
    assert errors(head + "loss a = w\nloss b = w\nminimize a + 2 * b\n") == []
    assert errors(head + "loss a = w\nminimize a\nminimize a\n") == ["E402"]
    assert errors(head + "loss a = w\nminimize [a, a]\n") == ["E401"]
    got = values(head + "loss a = w\nloss b = w^2\nminimize a + 2 * b\n", part="evaluation")
    assert (got["objective"], got["gradient w"]) == (10, 9)


def test_the_batch_is_the_leading_dimension_that_all_share() -> None:
    assert compiled(NET).spec.batch == "n"
    assert compiled("input x: real[4]\noutput y = x\n").spec.batch is None
    assert errors("input x: real[n]\ntarget y: real[m]\nloss l = sum(x) + sum(y)\n") == ["E405"]
    assert errors("input x: real[n]\ntarget y: real\nloss l = sum(x) + y\n") == ["E405"]


# -------------------------------------------------------------------------------- optimizers


def test_optimizers_take_selectors_and_the_first_match_wins() -> None:
    w1, b1, w2, b2 = "h.dense1.W", "h.dense1.b", "logits.dense1.W", "logits.dense1.b"
    assert groups("") == [(w1, b1, w2, b2)]
    assert groups("train { optimizer = sgd{0.1} }") == [(w1, b1, w2, b2)]
    listed = "train { optimizer = [sgd{0.1} on %s, adam on params] }"
    assert groups(listed % "weights") == [(w1, w2), (b1, b2)]
    assert groups(listed % "biases") == [(b1, b2), (w1, w2)]
    assert groups(listed % "h.*") == [(w1, b1), (w2, b2)]
    assert groups(listed % "h") == [(w1, b1), (w2, b2)]
    assert groups(listed % "logits.W") == [(w2,), (w1, b1, b2)]
    assert groups(listed % "*.W") == [(w1, w2), (b1, b2)]
    assert groups("train { frozen on h.*\n optimizer = adam }") == [(w2, b2)]
    assert errors(NET + "train { frozen on head.* }") == ["E507"]
    assert errors(NET + "train { optimizer = sgd on nothing }") == ["E507"]
    assert errors(NET + "train { optimizer = [sgd on weights] }") == ["E605"]
    assert errors(NET + "train { optimizer = relu }") == ["E606"]


def test_an_optimizer_reads_the_new_value_of_a_state_and_run_time_scalars() -> None:
    text = (
        NET + "optimizer heavy{lr, mu = 0.5}(w, g) {\n  state v = 1\n  v' = mu * v + g\n"
        "  w' = w - lr * v' / t\n}\ntrain { optimizer = heavy{0.1 * cosine(epoch / epochs)} }\n"
    )
    (group,) = compiled(text).spec.groups
    assert group.states == (OptimizerState("v", 1.0),)
    operands = dict(zip(group.body.operands, ([2.0], [4.0], [1.0]), strict=True))
    operands = {id: np.array(value) for id, value in operands.items()}
    clocks = {"t": 2.0, "epoch": 0.0, "epochs": 10.0}
    w, v = evaluate(
        group.body.graph, group.body.results, clocks, operands=operands, dims={"size": 1}
    )
    assert v == pytest.approx(4.5)
    assert w == pytest.approx(2 - 0.1 * 4.5 / 2)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("(w) { w' = w }", "E601"),
        ("(w, g) { state m: real = 0\n w' = m }", "E602"),
        ("(w, g) { state m = 0\n m' = g }", "E603"),
        ("(w, g) { w' = w - sum(g) }", "E604"),
        ("(w, g) { return w }", "E334"),
    ],
)
def test_what_an_optimizer_must_be(body: str, code: str) -> None:
    text = f"{NET}optimizer o{body}\ntrain {{ optimizer = o }}\n"
    assert code in errors(text)


def test_run_time_scalars_belong_to_rates_optimizers_and_minimize() -> None:
    assert errors(NET + "minimize ce * epoch\n") == []
    assert errors(NET + "g = dropout{epoch / epochs}(x)\n") == []
    assert errors(NET + "g = gaussian_noise{step / steps}(x)\n") == []
    assert errors(NET + "regularize { dropout{0.5 * epoch / epochs} after h }\n") == []
    for wrong in ("g = x * epoch", "g = leaky_relu{epoch}(x)", "g = dense{steps}(x)"):
        assert set(errors(NET + wrong + "\n")) <= {"E308", "E222"}
        assert errors(NET + wrong + "\n"), wrong
    assert errors(NET + "g = dense{3, init = normal{0, epoch}}(x)\n") == ["E308"]
    assert errors(NET + "if epoch > 3 { a = 1 } else { a = 2 }\n") == ["E308"]


# ----------------------------------------------------------------------------- regularisation


def objective(text: str, part: str = "evaluation", **leaves: Any) -> float:
    got = values(text, {"x": X, "y": Y, **leaves}, part=part, n=6)
    return float(got["objective"])


def test_penalties_are_added_to_the_objective_of_training() -> None:
    first = start(lowered(NET))
    squares = sum((first[name] ** 2).sum() for name in ("h.dense1.W", "logits.dense1.W"))
    with_l2 = NET + "regularize { l2{0.1} on weights }\n"
    assert objective(with_l2) == pytest.approx(objective(NET) + 0.05 * squares)
    got = values(with_l2, {"x": X, "y": Y}, part="losses", n=6)
    assert got["objective"] == pytest.approx(objective(NET))


@pytest.mark.parametrize("place", ["after relu", "after h", "before logits", "after dense"])
def test_layers_are_spliced_in_where_selectors_say(place: str) -> None:
    double = "def double(x) = 2 * x\n"
    text = f"{NET}{double}regularize {{ double {place} }}\noutput o = logits\n"
    first = start(lowered(NET))
    h = np.maximum(X @ first["h.dense1.W"], 0)
    plain = h @ first["logits.dense1.W"]
    factor = 4 if place == "after dense" else 2
    logits = factor * plain
    shifted = logits - logits.max(-1, keepdims=True)
    ce = -(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))[np.arange(6), Y].mean()
    assert objective(text) == pytest.approx(ce)


def test_after_a_name_means_every_binding_of_it() -> None:
    text = (
        "input x: real[n, 4]\nparam w: real = 1\nh = w * x\nrepeat i in 1..2 { h = h + 1 }\n"
        "loss l = sum(h)\ndef double(x) = 2 * x\nregularize { double after h }\n"
    )
    got = values(text, {"x": np.ones((1, 4))}, part="evaluation", n=1)
    assert got["objective"] == 4 * (2 * (2 * (2 + 1) + 1))


def test_rules_are_checked() -> None:
    for rule, code in [
        ("dropout{0.2} after nothing", "E507"),
        ("l2{1} on nothing", "E507"),
        ("dropout{0.2} on weights", "E401"),
        ("l2{1} after h", "E510"),
        ("accuracy on weights", "E510"),
        ("dropout{0.2} before x", "E507"),
        ("dropout{0.2}", "E506"),
        ("rate = 3", "E501"),
    ]:
        assert errors(f"{NET}regularize {{ {rule} }}\n") == [code], rule


# --------------------------------------------------------------------------------------- keys


def test_the_train_section() -> None:
    text = (
        "train {\n  epochs = 3\n  batch = all\n  seed = 7\n  precision = f64\n"
        "  stop = early{patience = 5, watch = accuracy}\n}\n"
    )
    plan = compiled(NET + text).spec.train
    assert (plan.epochs, plan.batch, plan.seed, plan.precision) == (3, None, 7, "f64")
    assert (plan.patience, plan.watch, plan.mode) == (5, "accuracy", "max")
    sets = {"train.epochs": "9", "train.batch": "16", "train.optimizer": "sgd{0.5}"}
    spec = compiled(NET + text, Settings(sets=sets, precision="f32")).spec
    assert (spec.train.epochs, spec.train.batch, spec.train.precision) == (9, 16, "f32")
    assert spec.groups[0].title == "sgd{0.5}"


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ("train { epoch = 3 }", "E501"),
        ("train { epochs = 3\n epochs = 4 }", "E502"),
        ("train { epochs = 0 }", "E503"),
        ("train { batch = 1.5 }", "E503"),
        ("train { precision = f16 }", "E503"),
        ("train { watch = nothing }", "E504"),
        ("train { stop = late }", "E505"),
        ("train { stop = early{patiense = 3} }", "E501"),
        ("train { sgd{1} }", "E506"),
        ("train { }\ntrain { }", "E500"),
        ("prune { method = magnitude\n sparsity = 80%\n schedule = gradual }", ""),
        ("prune { method = magic }", "E503"),
        ("prune { sparsity = 100% }", "E503"),
        ("prune { sparcity = 80% }", "E501"),
        ("data { file = 3 }", "E503"),
        ('data { file = "a"\n train = "b" }', "E511"),
        ('data { test = "a" }', "E511"),
        ('data { file = "a"\n validation = "b" }', "E511"),
        ('data { train = "a"\n validation = "b"\n test = "c" }', ""),
        ('data { train = "a"\n test = "b"\n split = shuffled{0.1, 0.1} }', "E518"),
        ('data { train = "a"\n test = "b"\n split = shuffled{validation = 0.1, test = 0} }', ""),
        ('data { train = "a"\n validation = "b"\n split = ordered{0.1} }', "E518"),
        ('data { train = idx{x = "a", y = "b"}\n test = idx{x = "c", y = "d"} }', ""),
        ('data { train = idx{x = "a", y = "b"}\n test = "c.npz" }', ""),
        ('data { train = idx{x = "a", y = "b"}\n test = idx{x = "c"} }', "E520"),
        ('data { train = idx{x = "a"} }', "E515"),
        ("data { train = idx }", "E301"),
        ('data { train = idx("a") }', "E503"),
        ('data { file = "a"\n split = shuffled{0.5, 0.5} }', "E512"),
        ('data { file = "a"\n z = x }', "E501"),
    ],
)
def test_keys_are_checked(section: str, code: str) -> None:
    assert errors(f"{NET}{section}\n") == ([code] if code else [])


# --------------------------------------------------------------------------------------- data


@dataclass(frozen=True)
class Column:
    kind: str
    shape: tuple[int, ...] = ()
    classes: tuple[str, ...] | None = None


def prepared(text: str, columns: dict[str, Any], part: str = "prepare") -> dict[str, Any]:
    programs = lowered(NET + text)
    program = getattr(programs, part)
    ids = list(program.roots.values())
    leaves = {**start(programs), **columns}
    results = evaluate(program.graph, ids, leaves, dims={"n": 6})
    return {name: np.asarray(r) for (_, name), r in zip(program.roots, results, strict=True)}


def test_equations_turn_columns_into_inputs() -> None:
    text = 'data {\n  file = "a.npz"\n  scaled = images / 16\n  x = scaled\n  y = labels\n}\n'
    got = prepared(text, {"images": X, "labels": Y})
    np.testing.assert_allclose(got["x"], X / 16)
    assert got["y"].tolist() == Y.tolist()
    spec = compiled(NET + text).spec
    assert spec.data.columns == {"images": ("x",), "labels": ("y",)}
    assert spec.data.files == {"file": "a.npz"}


def test_files_of_columns_are_named_by_the_columns() -> None:
    files = 'train = idx{images = "a.gz", labels = "b"}'
    text = f"data {{\n  {files}\n  x = images / 255\n  y = labels\n}}\n"
    spec = compiled(NET + text).spec
    assert spec.data.files == {"train": {"images": "a.gz", "labels": "b"}}
    assert spec.data.columns == {"images": ("x",), "labels": ("y",)}


def test_a_list_of_columns_stands_side_by_side_and_is_standardised() -> None:
    text = 'data {\n  file = "a.csv"\n  x = standardise([a, b, c, d])\n}\n'
    columns = {name: X[:, i] for i, name in enumerate("abcd")}
    programs = lowered(NET + text)
    assert set(programs.spec.fitted) <= set(programs.spec.states)
    fitted = prepared(text, {**columns, "y": Y}, part="fit")
    got = prepared(text, {**columns, "y": Y, **fitted})
    np.testing.assert_allclose(got["x"], (X - X.mean(0)) / X.std(0))


def test_arrays_in_the_file_and_names_that_are_inputs() -> None:
    text = "data {\n  x = [[1, 2, 3, 4], [5, 6, 7, 8]]\n  y = [0, 2]\n}\n"
    assert compiled(NET + text).spec.data.arrays["y"] == (0, 2)
    assert errors(NET + "data {\n  x = [[1, 2], [5, 6]]\n  y = [0, 2]\n}\n") == ["E514"]
    assert errors(NET + "data {\n  x = [[1, 2, 3, 4]]\n}\n") == ["E513"]


def test_known_columns_are_checked() -> None:
    columns = {"a": Column("real"), "name": Column("text"), "kind": Column("text")}
    settings = Settings(columns=columns)
    head = NET + 'data {\n  file = "a.csv"\n  y = kind\n  '
    assert errors(head + "x = [a, a, a, a]\n}\n", settings) == []
    assert errors(head + "x = [a, b, a, a]\n}\n", settings) == ["E515"]
    assert errors(head + "x = [a, name, a, a]\n}\n", settings) == ["E516"]
    assert errors(head + "x = [a, a]\n}\n", settings) == ["E514"]


# ---------------------------------------------------------------------- all written by a user

OWN = """
input  x: real[n, 4]
target y: real[n, 3]
def soft(x) = x / (1 + abs(x))
  derivative 1 / (1 + abs(x))^2
layer affine{units}(x) {
  param W: real[dim{-1}(x), units] ~ normal{0, 0.5}
  param b: real[units] = 0
  return x @ W + b
}
def squares(p, t) = mean((p - t)^2)
optimizer plain{lr}(w, g) { w' = w - lr * g }
h = x |> affine{5} |> soft
p = h |> affine{3}
loss fit = squares(p, y)
train { optimizer = plain{0.1} }
"""


def test_activation_layer_loss_and_optimizer_of_a_user() -> None:
    programs = lowered(OWN)
    leaves = {**start(programs), "x": X, "y": np.ones((6, 3))}
    program = programs.evaluation
    assert program is not None
    names = [name for role, name in program.roots if role == "gradient"]
    assert tuple(names) == programs.spec.groups[0].parameters

    def fit(given: dict[str, Any]) -> float:
        (value,) = evaluate(program.graph, [program.roots["objective", ""]], given, dims={"n": 6})
        return float(value)

    for name in names:
        (gradient,) = evaluate(
            program.graph, [program.roots["gradient", name]], leaves, dims={"n": 6}
        )
        direction = np.ones_like(leaves[name])
        above = fit({**leaves, name: leaves[name] + 1e-6 * direction})
        below = fit({**leaves, name: leaves[name] - 1e-6 * direction})
        assert (above - below) / 2e-6 == pytest.approx(np.sum(gradient), abs=1e-7)
