"""Every definition of the prelude in a model whose self-test passes: a new one is covered at once.

The self-test compares gradients with finite differences in f64, checks that the Hessian is
symmetric, and that the trainer's steps equal the plain functions.
"""

from __future__ import annotations

import pytest
from prelude_uses import DATA_ONLY, DEFINITIONS, USES, model_with, names, use_of

import graphc

IN_A_MODEL = [
    name
    for name in names("def") + names("layer")
    if DEFINITIONS[name].tree.parameters or name in USES
]


def self_test(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = graphc.compile(text).module
    assert module._selftest() == 0, capsys.readouterr().out  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", IN_A_MODEL)
def test_definition_in_a_model(name: str, capsys: pytest.CaptureFixture[str]):
    self_test(model_with(use_of(name)), capsys)


VARIANTS = [
    "cross_entropy{smoothing = 0.1}(v, label)",
    "cross_entropy{weights = [1, 2, 0.5, 3]}(v, label)",
    "cross_entropy{0.1, [1, 2, 0.5, 3]}(v, label)",
    "binary_cross_entropy{from_logits = false}(sigmoid(v), sigmoid(y))",
    "prelu{shared = false}(v)",
    "dense{3, bias = false}(v)",
    "logsumexp{keep = true}(v)",
    "logsumexp{0}(v)",
    "residual{tanh}(v)",
    'conv2d{4, 3, stride = [2, 1], padding = "same", groups = 2}(images * w[0])',
    "conv2d{2, 2, padding = [1, 0], dilation = [2, 1], bias = false}(images * w[0])",
    'conv1d{4, 3, 2, "same", groups = 2, bias = false}(series * w)',
    'max_pool2d{3, 2, "same"}(images * w[0])',
    "avg_pool2d{3, 2, padding = 1}(images * w[0])",
    "max_pool1d{2, 1, padding = 1}(series * w)",
    'avg_pool1d{2, padding = "same"}(series * w)',
    "attention{causal = true}(series * w, series, series)",
    "multi_head_attention{2, causal = true, bias = false}(series * w)",
]


@pytest.mark.parametrize("use", VARIANTS)
def test_other_attributes(use: str, capsys: pytest.CaptureFixture[str]):
    self_test(model_with(use), capsys)


@pytest.mark.parametrize("name", names("optimizer", 2))
def test_optimizers(name: str, capsys: pytest.CaptureFixture[str]):
    self_test(
        "model m\ninput x: real[n, 4]\ntarget y: real[n, 2]\n"
        "loss f = squared_error(x |> dense{3} |> tanh |> dense{2}, y)\n"
        f"train {{ optimizer = {name}{{}} }}\n",
        capsys,
    )


def test_every_definition_is_of_a_kind_that_is_tested():
    tested = {*IN_A_MODEL, *names("def", 0), *names("optimizer", 2), *DATA_ONLY}
    assert tested == set(DEFINITIONS)
    assert set(USES) <= set(DEFINITIONS)
