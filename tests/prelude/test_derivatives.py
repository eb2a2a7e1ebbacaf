"""Every definition of the prelude in a model whose self-test passes: a new one is covered at once.

The self-test compares gradients with finite differences in f64, checks that the Hessian is
symmetric, and that the trainer's steps equal the plain functions.
"""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.model.prelude import load_prelude

HOME = load_prelude()
ATTRIBUTES = {
    "gaussian_noise": "{0.1}",
    "l1": "{0.1}",
    "l2": "{0.1}",
    "constant": "{0.5}",
    "dense": "{3}",
    "step_decay": "{0.5, 2}",
}
ARGUMENTS = {"inverse_sqrt": "w^2 * x"}
"""What to apply a definition to where it takes positive numbers only."""
NEEDS_LABELS = {"cross_entropy", "accuracy"}
DATA_ONLY = {"standardise", "rescale"}


def names(kind: str, count: int) -> list[str]:
    return [
        name
        for name, definition in HOME.definitions.items()
        if definition.tree.kind == kind
        and len(definition.tree.parameters) == count
        and name not in DATA_ONLY
    ]


def self_test(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = graphc.compile("model m\n" + text).module
    assert module._selftest() == 0, capsys.readouterr().out  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", names("def", 1) + names("layer", 1))
def test_of_one_tensor(name: str, capsys: pytest.CaptureFixture[str]):
    use = f"{name}{ATTRIBUTES.get(name, '')}"
    self_test(
        f"input x: real[n, 4]\nparam w: real[4] = [0.5, -1.5, 0.7, 1.2]\n"
        f"h = {use}({ARGUMENTS.get(name, 'w * x')})\nloss f = sum(h * h + h) / n\n",
        capsys,
    )


@pytest.mark.parametrize("name", names("def", 2))
def test_of_prediction_and_target(name: str, capsys: pytest.CaptureFixture[str]):
    target = "label{4}[n]" if name in NEEDS_LABELS else "real[n, 4]"
    self_test(
        f"input x: real[n, 4]\ntarget y: {target}\nparam w: real[4] = [0.5, -1.5, 0.7, 1.2]\n"
        f"h = {name}(w * x, y)\nloss f = h + h^2 + sum(w^2)\n",
        capsys,
    )


@pytest.mark.parametrize("name", names("def", 0))
def test_initialisers(name: str, capsys: pytest.CaptureFixture[str]):
    use = f"{name}{ATTRIBUTES.get(name, '')}"
    text = f"input x: real[n, 400]\nparam W: real[400, 300] ~ {use}\nloss f = mean((x @ W)^2)\n"
    state = graphc.compile("model m\n" + text).init(0)
    spread = {"he": 2 / 400, "xavier": 2 / 700}.get(name.split("_")[0], 0.0)
    assert float(np.var(state["W"])) == pytest.approx(spread, rel=0.02, abs=1e-12)
    assert float(np.mean(state["W"])) == pytest.approx(0.5 * (name == "constant"), abs=1e-3)


@pytest.mark.parametrize("name", names("optimizer", 2))
def test_optimizers(name: str, capsys: pytest.CaptureFixture[str]):
    self_test(
        "input x: real[n, 4]\ntarget y: real[n, 2]\n"
        "loss f = squared_error(x |> dense{3} |> tanh |> dense{2}, y)\n"
        f"train {{ optimizer = {name}{{}} }}\n",
        capsys,
    )


def test_every_definition_is_of_a_kind_that_is_tested():
    tested = {
        *names("def", 0), *names("def", 1), *names("def", 2),
        *names("layer", 1), *names("optimizer", 2), *DATA_ONLY,
    }  # fmt: skip
    assert tested == set(HOME.definitions)
