"""Derivations as a student reads them, and their numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.ir import is_real
from graphc.rendering.layout import WIDTH, width
from graphc.rendering.naming import named_values
from graphc.session.explaining import as_json

LOGISTIC_W = """\
∂objective/∂w in logistic
w̄ and ∂fit stand for ∂objective/∂w and ∂objective/∂fit

forward
  x          = 1.5                                  logistic.gc:5
  t          = 1                                    logistic.gc:6
  w          = 0.8                                  logistic.gc:7
  b          = −0.2                                 logistic.gc:8
  z          = w·x + b                 = 1          logistic.gc:10
  y          = σ(z) = 1 / (1+exp(−z))  = 0.731059   logistic.gc:11
  fit        = 0.5·(y−t)²              = 0.0361647  logistic.gc:13
  decay      = 0.05·w²                 = 0.032      logistic.gc:14
  objective  = fit + decay             = 0.0681647  logistic.gc:15

backward, from objective to w
  ∂objective  = 1
  ∂decay      = ∂objective       = 1                                    through objective
  ∂fit        = ∂objective       = 1                                    through objective
  ȳ           = ∂fit·(y−t)       = 1 · (−0.268941) = −0.268941          through fit
  z̄           = ȳ·σ(z)·(1−σ(z))  = (−0.268941) · 0.196612 = −0.0528771  through y
  w̄           = z̄·x              = (−0.0528771) · 1.5 = −0.0793156      through z
              + ∂decay·0.1·w     = 1 · 0.08 = 0.08                      through decay
                                 = 0.000684361, the sum

2 paths from w to objective
  w → z → y → fit → objective  −0.0793156
  w → decay → objective        0.08

∂objective/∂w = z̄·x + ∂decay·0.1·w
              = −0.0793156 + 0.08
              = 0.000684361
"""

CIRCUIT_X = """\
∂f/∂x in circuit
x̄ stands for ∂f/∂x

forward
  x  = −2            circuit.gc:3
  y  = 5             circuit.gc:4
  z  = −4            circuit.gc:5
  q  = x + y  = 3    circuit.gc:7
  f  = q·z    = −12  circuit.gc:9

backward, from f to x
  f̄  = 1
  q̄  = f̄·z  = 1 · (−4) = −4  through f
  x̄  = q̄    = −4             through q

the only path from x to f
  x → q → f  −4

∂f/∂x = q̄
      = −4
"""

CIRCUIT_LATEX = r"""\begin{align*}
q &= x + y = 3 \\
f &= q \cdot z = -12 \\
\bar{f} &= 1 \\
\bar{q} &= \bar{f} \cdot z = -4 \\
\bar{x} &= \bar{q} = -4 \\
\frac{\partial f}{\partial x} &= \bar{x} = -4
\end{align*}
"""


def test_both_paths_into_w(models) -> None:
    assert graphc.explain(models / "logistic.gc", "w").text == LOGISTIC_W


def test_the_circuit(models) -> None:
    explained = graphc.explain(models / "circuit.gc", "x")
    assert explained.text == CIRCUIT_X
    assert explained.latex == CIRCUIT_LATEX


def test_steps_as_data(models) -> None:
    explained = graphc.explain(models / "logistic.gc", "w")
    assert [step.name for step in explained.steps] == ["w", "z", "y", "fit", "decay", "objective"]
    step = explained.steps[0]
    assert (step.kind, step.type, step.span.line) == ("parameter", "real", 7)
    through = [(item.through, float(item.value)) for item in step.contributions]
    assert through == [("z", pytest.approx(-0.0793156)), ("decay", pytest.approx(0.08))]
    assert float(explained.gradient) == pytest.approx(0.00068436, abs=5e-9)
    assert as_json(explained)["steps"][0]["contributions"][0]["local"]["unicode"] == "x"


@pytest.mark.parametrize("name", ["w", "b", "x", "t", "z", "y", "fit"])
def test_numbers_are_the_derivatives(models, name: str) -> None:
    """Every value of the model, by moving it alone."""

    def objective(**moved: float) -> float:
        v = {"x": 1.5, "t": 1.0, "w": 0.8, "b": -0.2, **moved}
        z = moved.get("z", v["w"] * v["x"] + v["b"])
        y = moved.get("y", 1 / (1 + np.exp(-z)))
        fit = moved.get("fit", 0.5 * (y - v["t"]) ** 2)
        return float(fit + 0.05 * v["w"] ** 2)

    explained = graphc.explain(models / "logistic.gc", name)
    at = float(explained.steps[0].value)
    slope = (objective(**{name: at + 1e-6}) - objective(**{name: at - 1e-6})) / 2e-6
    assert float(explained.gradient) == pytest.approx(slope, rel=1e-6, abs=1e-9)
    shares = [path.value for path in explained.derivation.paths]
    assert sum(shares) == pytest.approx(float(explained.gradient), abs=1e-12)


def test_gradients_of_a_network_are_those_of_the_module(models) -> None:
    at = {"x": [[0, 1], [1, 1], [1, 0]], "y": [[1], [0], [1]]}
    model = graphc.compile(models / "xor.gc", at=at, precision="f64")
    _, gradients = model.loss_and_gradients()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            graphc.explain(model, name).gradient, gradient, rtol=1e-9, atol=1e-12
        )


def test_a_network_without_examples_is_explained_in_formulas(models) -> None:
    text = graphc.explain(models / "digits.gc", "h.dense1.W").text
    for line in (
        "in digits, in evaluation, where dropout{0.2} is the identity",
        "[c] is 1 where c holds, else 0",
        "= x·h.dense1.W + h.dense1.b            : [n, 64]",
        "∂logits      = ∂ce·(softmax(logits)−one_hot(y)) / n",
        "= ∂logits·logits.dense1.Wᵀ",
        "= h̄·[h.dense2 > 0]",
        "∂h.dense1.W  = xᵀ·∂h.dense1",
        "+ ∂objective·0.0001·h.dense1.W",
    ):
        assert line in text
    assert "= dropout" not in text


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "models").glob("*.gc")))
def test_every_value_of_every_model_is_explained_in_100_columns(path: Path) -> None:
    model = graphc.compile(path)
    for name in explained_names(model):
        text = graphc.explain(model, name).text
        assert text.startswith("∂")
        assert max(map(width, text.splitlines())) <= WIDTH, text


def explained_names(model: graphc.Model) -> list[str]:
    known = set(named_values(model.checked.program.graph).values())
    types = {node.name: node.type for node in model.checked.program.graph if node.name}
    return sorted(n for n in known if "#" in n or is_real(types[n]))


MODEL = """model m
input x: real[n, 2] = [[1, 2], [3, 4], [0, 1]]
param v: real[2] = [0.5, -1]
def two(a, b) { return a + b, a * b }
h = x * v
repeat i in 1..3 {
  h = tanh(h) + x
  u = 2 * h
}
p, q = two(h, x)
s = sum{axis = 1}(p * q)
loss f = mean(s^2)
metric g = sum(x > 0)
"""


def test_values_bound_again_and_calls_with_several_values() -> None:
    explained = graphc.explain(MODEL, "v")
    names = [step.name for step in explained.steps]
    assert names == ["v", "h#1", "h#2", "h#3", "h#4", "p", "q", "s", "f"]
    model = graphc.compile(MODEL, precision="f64")
    _, gradients = model.loss_and_gradients()
    np.testing.assert_allclose(explained.gradient, gradients["v"], rtol=1e-9)
    assert "p̄ + q̄·x" in explained.text
    assert graphc.explain(MODEL, "h").derivation.name == "h#4"


def test_paths_through_one_of_several_values() -> None:
    """The share of a path counts the value that it goes through and no other."""
    text = """model m
def two(a, b) { return a * b, a + b }
param a: real = 2
param b: real = 3
p, q = two(a, b)
loss f = p^2 + 5 * q
"""
    paths = graphc.explain(text, "a").derivation.paths
    assert {path.names[1]: float(path.value) for path in paths} == {"p": 36, "q": 5}


NORMED = """model m
input x: real[n, 2] = [[1, 2], [3, 4], [5, 9]]
input y: real[n, 1] = [[1], [2], [3]]
h = x |> batch_norm
o = h |> dense{1, init = constant{0.5}} |> dropout{0.5}
loss f = squared_error(o, y)
"""


@pytest.mark.parametrize("name", ["x", "o.dense1.W", "h.batch_norm1.gain"])
def test_a_layer_with_states_and_one_with_a_draw(name: str) -> None:
    explained = graphc.explain(NORMED, name)
    scale = 1 / np.sqrt(1 + 1e-5)
    x, y = np.array([[1.0, 2], [3, 4], [5, 9]]), np.array([[1.0], [2], [3]])
    out = 2 * (x * scale @ [[0.5], [0.5]] - y) / 3
    expected = {
        "x": out @ [[0.5, 0.5]] * scale,
        "o.dense1.W": (x * scale).T @ out,
        "h.batch_norm1.gain": (out @ [[0.5, 0.5]] * x * scale).sum(0),
    }
    np.testing.assert_allclose(explained.gradient, expected[name], rtol=1e-12)
    assert "in m, in evaluation, where dropout{0.5} is the identity" in explained.text
    assert "; n is 3" in explained.text
    assert "dropout{0.5}(o.dense1) = o.dense1" in explained.text


def test_vectors_and_labels_read_as_in_a_textbook() -> None:
    text = """model m
input x: real[2] = [1, 2]
target y: label{3} = 2
param W: real[2, 3] = [[0.1, 0.2, -0.3], [0.4, -0.5, 0.6]]
p = softmax(x @ W)
loss ce = -log(pick(p, y))
"""
    explained = graphc.explain(text, "W")
    assert "p̄    = −∂ce·one_hot(y) / p[y]" in explained.text
    assert "W̄    = x ⊗ " in explained.text
    z = np.array([1.0, 2]) @ [[0.1, 0.2, -0.3], [0.4, -0.5, 0.6]]
    delta = np.exp(z) / np.exp(z).sum() - [0, 0, 1]
    np.testing.assert_allclose(explained.gradient, np.outer([1, 2], delta), rtol=1e-12)


def test_a_value_without_influence() -> None:
    explained = graphc.explain(MODEL, "u")
    assert "the objective does not depend on u" in explained.text
    assert explained.gradient == 0
    assert "&= 0" in explained.latex
    stopped = "model m\nparam w: real = 2\nz = stop_gradient(w)\nloss f = z^2\n"
    assert "no derivative flows" in graphc.explain(stopped, "w").text


def test_an_example_given_for_the_moment(models) -> None:
    explained = graphc.explain(models / "logistic.gc", "x", at={"x": 2}, set={"lambda": 0})
    assert float(explained.steps[0].value) == 2


def test_thousands_of_steps_stay_readable() -> None:
    loop = "repeat i in 1..1000 {\n  h = tanh(h) + v\n}\n"
    text = f"model m\nparam v: real = 0.5\nh = v\n{loop}loss f = h^2\n"
    explained = graphc.explain(text, "v")
    assert explained.derivation.step_count == 1002
    assert "962 steps in the middle are left out; --all shows them" in explained.text
    assert "more contributions; --all shows them" in explained.text
    assert explained.text.count("\n") < 250
    whole = graphc.explain(text, "v", all=True)
    assert len(whole.steps) == 1002
    assert float(whole.gradient) == pytest.approx(float(explained.gradient))


def test_what_cannot_be_explained() -> None:
    with pytest.raises(graphc.RunError, match="no value vv"):
        graphc.explain(MODEL, "vv")
    with pytest.raises(graphc.RunError, match="has no loss"):
        graphc.explain("model m\nparam w: real = 1\noutput y = w\n", "w")
    with pytest.raises(graphc.RunError, match="no derivative by it"):
        graphc.explain(
            "model m\ninput y: label{2}[n]\nparam w: real[2] = 1\nloss f = mean(w[y])\n", "y"
        )
    with pytest.raises(graphc.CompileError):
        graphc.explain("model m\nloss f = x\n", "x")


def test_an_element_of_a_parameter() -> None:
    explained = graphc.explain("model m\nparam w: real[3] = [1, 2, 3]\nloss f = w[1]\n", "w")
    np.testing.assert_array_equal(explained.gradient, [0, 1, 0])
