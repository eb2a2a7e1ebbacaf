"""Parameters, states, layers, repeat, if, definitions with derivatives, used files, hypers."""

from __future__ import annotations

import numpy as np
import pytest
from model_helpers import codes, compiled, errors, lowered, start, values

from graphc.model import Settings
from graphc.ops import evaluate

LOGISTIC = """
hyper lambda = 0.1
input  x: real = 1.5
target t: real = 1.0
param  w: real = 0.8
param  b: real = -0.2
z = w * x + b
y = sigmoid(z)
loss fit   = 1/2 * (y - t)^2
loss decay = lambda/2 * w^2
minimize fit + decay
"""
CIRCUIT = "param x: real = -2\nparam y: real = 5\nparam z: real = -4\nloss f = (x + y) * z\n"
X = np.arange(12.0).reshape(3, 4) / 10


def test_the_circuit_by_hand() -> None:
    got = values(CIRCUIT, part="evaluation")
    assert got["objective"] == -12
    assert [got[f"gradient {name}"] for name in "xyz"] == [-4, -4, 3]


def test_the_logistic_by_hand() -> None:
    got = values(LOGISTIC, {"x": 1.5, "t": 1.0}, part="evaluation")
    assert got["objective"] == pytest.approx(0.0681647, abs=1e-7)
    assert got["gradient w"] == pytest.approx(0.00068436, abs=1e-7)
    assert got["gradient b"] == pytest.approx(-0.0528771, abs=1e-7)


# ------------------------------------------------------------------------------ definitions


def test_a_stated_derivative_is_used_and_can_be_differentiated() -> None:
    text = (
        "def square(x) = x * x\n  derivative 2 * x\n"
        "def odd(x) = x * x\n  derivative 7\n"
        "def ident(x) = exp(x)\n  derivative ident\n"
        "param a: real = 3\nparam b: real = 3\nparam c: real = 0.5\n"
        "loss l = square(a) + odd(b) + ident(c)\n"
    )
    got = values(text, part="evaluation")
    assert got["gradient a"] == 6
    assert got["gradient b"] == 7
    assert got["gradient c"] == pytest.approx(np.exp(0.5))


def test_a_derivative_belongs_to_element_wise_definitions_of_one_tensor() -> None:
    head = "input x: real[n]\n"
    for wrong in (
        "def f(x) = x - mean(x)\n  derivative 1\nloss l = sum(f(x))\n",
        "def f(x, y) = x * y\n  derivative 1\nloss l = sum(f(x, x))\n",
        "def f(x) = x\n  derivative [1, 2]\nloss l = sum(f(x))\n",
    ):
        assert errors(head + wrong) == ["E316"]


def test_definitions_stand_anywhere_and_see_hypers_but_not_the_model() -> None:
    text = "hyper k = 3\ninput x: real\noutput y = f(x)\ndef f(x) = k * x\n"
    assert values(text, {"x": 2.0})["y"] == 6
    assert errors("input x: real\na = 2 * x\ndef f(x) = a * x\noutput y = f(x)\n") == ["E301"]
    assert errors("def f(x) = g(x)\ndef g(x) = f(x)\ninput x: real\noutput y = f(x)\n") == ["E328"]


def test_names_are_checked_in_code_that_is_not_used() -> None:
    assert errors("def f(x) = nothing * x\n") == ["E301"]
    assert errors("def f(x) = nothing(x)\n") == ["E302"]
    assert errors("if false { a = b } else { a = 1 }\n") == ["E301"]
    assert errors("a = b if false else 1\n") == ["E301"]


def test_several_values() -> None:
    text = "def two(x) {\n  return x, 2 * x\n}\ninput x: real\na, b = two(x)\noutput c = a + b\n"
    assert values(text, {"x": 1.0})["c"] == 3
    assert errors(text + "d = two(x)\n") == ["E314"]
    assert errors(text + "d, e, f = two(x)\n") == ["E314"]
    assert errors(text + "d = sigmoid(two(x))\n") == ["E314"]


# -------------------------------------------------------------------- names and sharing


def test_parameters_are_named_by_the_text() -> None:
    text = (
        "input x: real[n, 4]\nh = x |> dense{3} |> relu |> dense{2}\n"
        "g = dense{2, bias = false}(x)\nenc = dense{3}\na = enc(x)\nb = enc(2 * x)\n"
        "metric m = mean(dense{1}(x))\noutput o = sum(h) + sum(g) + sum(a) + sum(b) + sum(g.W)\n"
    )
    spec = compiled(text).spec
    assert list(spec.parameters) == [
        "h.dense1.W",
        "h.dense1.b",
        "h.dense2.W",
        "h.dense2.b",
        "g.dense1.W",
        "enc.W",
        "enc.b",
        "m.dense1.W",
        "m.dense1.b",
    ]
    assert spec.aliases == {"g.W": "g.dense1.W", "m.W": "m.dense1.W", "m.b": "m.dense1.b"}


def test_a_name_is_bound_once() -> None:
    assert errors("a = 1\na = 2\n") == ["E335"]
    assert errors("hyper a = 1\na = 2\n") == ["E335"]
    assert errors("input a: real\nloss a = a\n") == ["E335"]
    assert errors("a = 1\nif true { a = 2 }\n") == ["E335"]


def test_a_shared_layer_takes_one_shape() -> None:
    text = "input x: real[n, 4]\nenc = dense{3}\na = enc(x)\nb = enc(a)\n"
    assert errors(text) == ["E317"]


# ---------------------------------------------------------------------------- repeat and if


def test_repeat_rebinds_names_from_outside_and_keeps_the_others() -> None:
    text = (
        "input x: real[n, 4]\nh = x\nenc = dense{4, bias = false}\n"
        "repeat block in 1..3 {\n  inner = h + block\n"
        "  h = inner |> enc |> dense{4, bias = false}\n}\n"
        "output last = h\noutput second = block[2].inner\n"
    )
    programs = lowered(text)
    assert list(programs.spec.parameters) == [
        "enc.W",
        *(f"block[{i}].h.dense1.W" for i in (1, 2, 3)),
    ]
    first = start(programs)
    got = values(text, {"x": X}, n=3)
    h = X
    for i in (1, 2, 3):
        if i == 2:
            np.testing.assert_allclose(got["second"], h + 2)
        h = (h + i) @ first["enc.W"] @ first[f"block[{i}].h.dense1.W"]
    np.testing.assert_allclose(got["last"], h)


def test_repeats_nest_and_ranges_include_both_ends() -> None:
    text = (
        "s = 0\nrepeat i in 1..3 {\n  repeat j in i..3 {\n"
        "    if j > 2 { s = s + i * j }\n    t = j\n  }\n}\n"
        "output a = s + 0.0\noutput b = i[2].j[3].t + 0.0\nz = 5\nrepeat k in 2..1 { z = 7 }\n"
        "output c = z + 0.0\n"
    )
    got = values(text)
    assert (got["a"], got["b"], got["c"]) == (3 + 6 + 9, 3, 5)
    assert errors("repeat i in 1..2 { a = i }\nb = i[3].a\n") == ["E311"]
    assert errors("repeat i in 1..2 { a = i }\nb = a\n") == ["E301"]


def test_if_binds_in_both_branches_or_not_at_all() -> None:
    head = "hyper deep = true\n"
    both = head + "if deep { a = 1 } else { a = 2 }\noutput b = a + 0.0\n"
    assert values(both)["b"] == 1
    assert values(both, settings=Settings(sets={"deep": "false"}))["b"] == 2
    assert errors(head + "if deep { a = 1 }\noutput b = a + 0.0\n") == ["E307"]
    chain = (
        head + "if not deep { a = 1 } else if deep { a = 2 } else { a = 3 }\noutput b = a + 0.0\n"
    )
    assert values(chain)["b"] == 2


TRAINING = """
input x: real[n, 4]
h = x
repeat i in 1..2 {
  if training { h = 2 * h } else { h = 3 * h }
}
g = dense{4}(x) if training else dense{4}(x)
loss l = sum(h) + 0 * sum(g)
"""


def test_training_decides_branches_that_share_their_parameters() -> None:
    programs = lowered(TRAINING)
    assert list(programs.spec.parameters) == ["g.dense1.W", "g.dense1.b"]
    leaves = {**start(programs), "x": X}
    for part, factor in ((programs.training, 4), (programs.evaluation, 9)):
        (objective,) = evaluate(part.graph, [part.roots["objective", ""]], leaves, dims={"n": 3})
        assert objective == pytest.approx(factor * X.sum())


def test_projections_declare_the_same_parameters() -> None:
    head = "input x: real[n, 4]\nlayer a(x) {\n  "
    tail = "\n  return h\n}\nloss l = sum(a(x))\n"
    one = "if training {\n    param w: real = 1\n    h = w * x\n  } else { h = x }"
    other = "if training { h = x } else {\n    param w: real = 1\n    h = w * x\n  }"
    shapes = "if training { h = sum(dense{3}(x)) } else { h = sum(dense{4}(x)) }"
    assert errors(head + one + tail) == ["E306"]
    assert errors(head + other + tail) == ["E306"]
    assert set(errors(head + shapes + tail)) == {"E306"}


# ----------------------------------------------------------------------------------- states

NORM = """
input x: real[n, 4]
layer norm{momentum = 0.9, eps = 1e-5}(x) {
  state mu: real[dim{-1}(x)] = 0
  state var: real[dim{-1}(x)] = 1
  param g: real[dim{-1}(x)] = 1
  if training {
    m = mean{0}(x)
    v = variance{0}(x)
    mu' = momentum * mu + (1 - momentum) * m
    var' = momentum * var + (1 - momentum) * v
  } else {
    m = mu
    v = var
  }
  return g * (x - m) / sqrt(v + eps)
}
h = norm(x)
output y = h
loss l = sum(h^2)
"""


def test_a_normalisation_with_running_statistics_written_by_a_user() -> None:
    programs = lowered(NORM)
    assert list(programs.spec.states) == ["h.norm1.mu", "h.norm1.var"]
    got = values(NORM, {"x": X}, n=3)
    np.testing.assert_allclose(got["y"], X / np.sqrt(1 + 1e-5))
    step = values(NORM, {"x": X}, part="training", n=3)
    np.testing.assert_allclose(step["next h.norm1.mu"], 0.1 * X.mean(0))
    np.testing.assert_allclose(step["next h.norm1.var"], 0.9 + 0.1 * X.var(0))
    assert step["objective"] == pytest.approx((((X - X.mean(0)) ** 2) / (X.var(0) + 1e-5)).sum())
    assert programs.evaluation is not None
    assert not programs.evaluation.named("next")


def test_a_layer_with_state_steps_once() -> None:
    shared = NORM.replace("h = norm(x)", "n1 = norm\nh = n1(x) + n1(2 * x)")
    assert errors(shared) == ["E319"]
    assert errors("state s: real = 0\ns' = 1\ns' = 2\n") == ["E319"]
    assert errors("a = 1\na' = 2\n") == ["E337"]


def test_states_commit_together_and_carry_no_gradient() -> None:
    text = (
        "param w: real = 2\nstate a: real = 3\nstate b: real = 5\n"
        "a' = b\nb' = a * w\nloss l = w * a + b'\n"
    )
    got = values(text, part="training")
    assert (got["next a"], got["next b"]) == (5, 6)
    assert got["objective"] == 2 * 3 + 6
    assert got["gradient w"] == 3


# ---------------------------------------------------------------------- used files, hypers


def test_used_files_hold_definitions_and_are_not_transitive() -> None:
    files = {
        "lib/a.gc": 'use "b.gc"\ndef outer(x) = inner(x)\n',
        "lib/b.gc": "def inner(x) = 3 * x\n",
        "c.gc": 'use "d.gc"\ndef f(x) = x\n',
        "d.gc": 'use "c.gc"\ndef g(x) = x\n',
        "e.gc": "a = 1\n",
        "f.gc": "hyper h = 1\n",
        "g.gc": "def outer(x) = x\n",
    }
    settings = Settings(files=files)
    head = 'use "lib/a.gc"\ninput x: real\n'
    assert values(head + "output y = outer(x)\n", {"x": 2.0}, settings=settings)["y"] == 6
    assert set(compiled(head, settings).spec.files) == {"lib/a.gc", "lib/b.gc"}
    assert errors(head + "output y = inner(x)\n", settings) == ["E302"]
    assert errors('use "c.gc"\n', settings) == ["E350"]
    assert errors('use "e.gc"\n', settings) == ["E347"]
    assert errors('use "f.gc"\n', settings) == ["E347"]
    assert errors('use "lib/a.gc"\nuse "g.gc"\n', settings) == ["E348"]
    assert errors('use "g.gc"\ndef outer(x) = x\n', settings) == ["E348"]
    assert errors('use "g.gc"\nuse "./g.gc"\n', settings) == ["E349"]
    assert errors('use "nowhere.gc"\n', settings) == ["E351"]


def test_hypers_may_use_earlier_ones_and_can_be_set() -> None:
    text = 'hyper a = 3\nhyper b = a // 2\nhyper word = "x"\noutput c = a + 10.0 * b\n'
    assert values(text)["c"] == 13
    assert values(text, settings=Settings(sets={"a": "8"}))["c"] == 48
    assert compiled(text, Settings(sets={"word": "fast"})).spec.hypers["word"] == "fast"
    assert compiled(text, Settings(sets={"a": "2 * 3"})).spec.hypers["b"] == 3
    for name, given in [("nope", "3"), ("a", "true"), ("a", '"x"'), ("train.epoch", "3")]:
        assert "E353" in errors(text, Settings(sets={name: given})), name


def test_examples_and_what_the_command_line_gives_for_them() -> None:
    spec = compiled(LOGISTIC, Settings(examples={"x": "2"})).spec
    assert (spec.inputs["x"].example, spec.inputs["t"].example) == (2, 1.0)
    assert errors(LOGISTIC, Settings(examples={"q": "2"})) == ["E353"]
    assert errors("input x: real[n] = [1, 2]\ntarget y: real[n] = [1]\n") == ["E221"]


def test_warnings_do_not_stop_a_compilation() -> None:
    assert codes("hyper spare = 1\n") == ["W102"]
