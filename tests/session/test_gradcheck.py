"""`gradcheck`: what it compares, what it leaves out, and that it misses no wrong derivative."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.ops.functions import Tanh
from graphc.session.gradchecking import gradcheck
from graphc.session.model import compile
from graphc.session.trial import make_trial

MLP = """
model mlp
input  x: real[n, 3]
target y: label{4}[n]
logits = x |> dense{5} |> tanh |> dense{4}
loss ce = cross_entropy(logits, y)
"""

SCALAR = "model scalar\nparam w: real = 0.7\nparam v: real[2] = [1, -2]\n"


def statuses(found) -> dict[str, str]:
    return {check.name: check.status for check in found.parameters}


def test_every_entry_of_a_small_model():
    found = gradcheck(MLP)
    assert found.ok
    assert found.origin.startswith("a batch drawn by its types")
    assert not found.training
    assert [check.first.checked for check in found.parameters] == [15, 5, 20, 4]
    assert [check.second.checked for check in found.parameters] == [15 * 44, 5 * 44, 20 * 44, 176]
    assert found.worst.error < 1e-6


def test_directions_and_some_entries_of_a_large_parameter():
    found = gradcheck(MLP.replace("dense{5}", "dense{100}"), directions=2)
    assert found.ok
    assert [check.first.checked for check in found.parameters] == [4, 4, 4, 4]
    assert [check.second.checked for check in found.parameters] == [600, 200, 800, 8]


def test_by_the_definition_alone():
    """The claimed derivative is the only thing that is wrong, by a thousandth."""
    cube = "def cube(x) = x^3\n  derivative {} * x^2\nloss f = cube(w) + sum(v^2)\n"
    assert gradcheck(SCALAR + cube.format("3")).ok
    found = gradcheck(SCALAR + cube.format("3.003"))
    assert statuses(found) == {"w": "WRONG", "v": "ok"}
    assert not found.ok
    assert found.worst.parameter == "w"
    assert found.worst.error == pytest.approx(1e-3, rel=0.01)
    assert found.worst.exact == pytest.approx(1.001 * found.worst.numeric)


def test_a_wrong_first_derivative_of_an_operator(monkeypatch):
    monkeypatch.setattr(Tanh, "partial", lambda self, i, xs, y: 1.001 * (1.0 - y * y))
    first = {check.name: check.first.error for check in gradcheck(MLP).parameters}
    assert first["logits.dense1.W"] > 5e-4
    assert first["logits.dense2.W"] < 1e-6


@pytest.mark.parametrize("factor", [1.0, 1.001])
def test_a_wrong_second_derivative_behind_a_right_first_one(monkeypatch, factor):
    """1 − y² by its value; by its derivative −2·factor·y."""

    def partial(self, i, xs, y):
        value = 1.0 - y * y
        return factor * value + (1.0 - factor) * value.apply("stop_gradient")

    monkeypatch.setattr(Tanh, "partial", partial)
    found = gradcheck(MLP)
    right = factor == 1.0
    assert found.ok == right
    for check in found.parameters:
        assert check.first.error < 1e-6
    if not right:
        assert statuses(found)["logits.dense1.W"] == "WRONG"
        assert found.worst.order == 2
        assert found.worst.error > 1e-5


def test_a_wrong_derivative_is_not_excused_by_kinks(monkeypatch):
    """Widths at which every direction meets a kink of relu somewhere near."""
    text = MLP.replace("tanh", "relu").replace("dense{5}", "dense{400}").replace("x |>", "4*x |>")
    assert gradcheck(text).ok
    from graphc.ops.reductions import Sum

    right = Sum.vjp
    monkeypatch.setattr(Sum, "vjp", lambda self, *rest: 1.001 * right(self, *rest))
    found = gradcheck(text)
    assert not found.ok
    assert found.worst.error > 5e-4


BENT = """
model bent
param v: real[2] = [0, 1]
def bent(x) = abs(x)
  derivative where(x < 0, -1, 1)
loss f = sum(v^2) + sum(bent(v))
"""


def test_points_at_kinks_are_counted_and_left_out(monkeypatch):
    monkeypatch.setattr("graphc.session.trial._MOVES", (0.0,))
    (v,) = gradcheck(BENT).parameters
    assert (v.status, v.first.checked, v.first.kinks) == ("ok", 1, 1)
    assert v.first.worst.entry == "[1]"
    (v,) = gradcheck(BENT.replace("-1, 1)", "-1, 1.001)")).parameters
    assert (v.status, v.first.kinks) == ("WRONG", 1)


def test_a_parameter_with_nothing_but_kinks_is_told_apart(monkeypatch):
    monkeypatch.setattr("graphc.session.trial._MOVES", (0.0,))
    found = gradcheck(BENT.replace("[0, 1]", "[0, 0]"))
    assert found.named("kinks") == ["v"]
    assert found.ok


def test_what_stop_gradient_hides_is_no_error():
    found = gradcheck(SCALAR + "loss f = stop_gradient(w) * sum(v^3)\n")
    assert statuses(found) == {"w": "stopped", "v": "ok"}
    assert found.ok
    assert found.worst.parameter == "v"


def test_a_stop_gradient_inside_of_a_definition_of_the_file():
    text = "def held(x) = stop_gradient(x)\nloss f = held(w) * sum(v^3)\n"
    assert statuses(gradcheck(SCALAR + text)) == {"w": "stopped", "v": "ok"}


def test_a_stop_gradient_that_hides_nothing():
    text = "def lse(x) {\n m = stop_gradient(max(x))\n return log(sum(exp(x - m))) + m\n}\n"
    found = gradcheck(SCALAR + text + "loss f = w * lse(v)\n")
    assert statuses(found) == {"w": "ok", "v": "ok"}


def test_beside_a_stop_gradient_wrong_is_wrong():
    text = "def cube(x) = x^3\n  derivative 3.003 * x^2\nloss f = stop_gradient(w) * sum(cube(v))\n"
    assert statuses(gradcheck(SCALAR + text)) == {"w": "stopped", "v": "WRONG"}


def test_training_has_an_objective_of_its_own():
    text = MLP.replace("tanh |>", "tanh |> dropout{0.3} |>")
    found = gradcheck(text)
    assert found.ok
    assert found.training
    assert [check.first.checked for check in found.parameters] == [30, 10, 40, 8]
    wrong = """
def cube(x) = x^3
  derivative 3.01 * x^2
loss f = (cube(w) if training else w^2) + sum(v^2)
"""
    found = gradcheck(SCALAR + wrong)
    assert statuses(found)["w"] == "WRONG"
    assert found.worst.training


@pytest.mark.parametrize(
    "text",
    [
        "loss f = w * sum(v^2)\nloss g = exp(w)\nminimize f + 2 * g\n",
        "input k: int = 3\nloss f = w * k + sum(v^2)\n",
        "input x: real[n]\ninput k: int[n]\ninput c: bool[n]\nh = where(c, w * x, x * k * w^2)\n"
        "loss f = mean(h^2) + sum(v)\n",
        "input x: real[a, b]\nloss f = w * mean(x^2) + sum(v)\n",
        "input x: real\ntarget t: real\nloss f = (w * x - t)^2 + sum(v)\n",
        "state s: real = 2\ns' = s + w\nloss f = s * w^2 + sum(v)\n",
        "loss f = log(v[0]) * w\nloss g = sum(v^2)\nminimize f + g\n",
        "loss f = w^2 + sum(v)\nminimize step / steps * f + sum(v^2)\n",
    ],
)
def test_models_of_many_kinds(text):
    found = gradcheck(SCALAR + text)
    assert statuses(found) == {"w": "ok", "v": "ok"}
    assert found.worst.error < 1e-6


def test_what_a_schedule_starts_with_nothing_of_is_checked():
    text = "def cube(x) = x^3\n  derivative 3.003 * x^2\nloss f = w^2 + sum(v)\n"
    text += "minimize f + epoch / epochs * cube(w)\n"
    assert statuses(gradcheck(SCALAR + text))["w"] == "WRONG"


def test_frozen_parameters_are_named():
    found = gradcheck(SCALAR + "loss f = w * sum(v^2)\ntrain { frozen on v }\n")
    assert found.frozen == ("v",)
    assert statuses(found) == {"w": "ok"}


def test_a_large_factor_and_a_small_one():
    for factor in ("1e12", "1e-12"):
        assert gradcheck(SCALAR + f"loss f = {factor} * (w^3 * sum(v^2))\n").ok
        text = f"def cube(x) = x^3\n  derivative 3.003 * x^2\nloss f = {factor} * cube(w)\n"
        assert not gradcheck("model m\nparam w: real = 1\n" + text).ok


def test_rows_of_the_models_data(kinds):
    found = gradcheck(kinds.path, rows=5)
    assert found.ok
    assert found.origin == "5 rows of its training data"
    model = compile(kinds.path, precision="f64")
    trial = make_trial(model, rows=6)
    assert set(trial.batch["y"].tolist()) == {0, 1, 2}
    kinds.data.unlink()
    assert "its data are not there" in gradcheck(kinds.path).origin


def test_data_given_from_outside(line_data):
    text = "model m\ninput x: real[n]\ntarget y: real[n]\nparam a: real = 1\n"
    text += "loss f = mean((a * x - y)^2)\n"
    assert gradcheck(text, data=line_data).origin == "8 rows of its training data"
    assert gradcheck(text, data=line_data, rows=100).origin == "32 rows of its training data"


def test_a_folder_without_the_data_is_an_error(kinds, tmp_path_factory):
    with pytest.raises(graphc.RunError, match="no data file"):
        gradcheck(kinds.path, data=tmp_path_factory.mktemp("empty"))


def test_the_same_seed_gives_the_same_answer():
    assert gradcheck(MLP, seed=3).as_json() == gradcheck(MLP, seed=3).as_json()
    assert gradcheck(MLP, seed=3).as_json() != gradcheck(MLP, seed=4).as_json()


def test_parameters_are_moved_from_zero():
    trial = make_trial(compile(MLP, precision="f64"), seed=0)
    assert np.all(trial.state["logits.dense1.b"] != 0)
    assert trial.moved == 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("param w: real = 1\noutput f = w\n", "no loss"),
        ("input x: real[n]\nloss f = sum(x^2)\n", "learns nothing"),
        ("param w: real = -1\nloss f = log(w)\n", "not finite"),
        ("param w: real = 1\ninput x: real = 0\nloss f = w / x\n", "not finite"),
    ],
)
def test_what_cannot_be_checked(text, message):
    with pytest.raises(graphc.RunError, match=message):
        gradcheck("model m\n" + text)


@pytest.mark.parametrize(
    "options",
    [{"rows": 0}, {"directions": 0}, {"tolerance": 0}, {"seed": -1}, {"tolerance": np.nan}],
)
def test_options_out_of_range(options):
    with pytest.raises(graphc.RunError, match="above 0"):
        gradcheck(MLP, **options)
