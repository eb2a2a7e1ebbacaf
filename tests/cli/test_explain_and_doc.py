"""`graphc explain` and `graphc doc`: what they print and how they refuse."""

from __future__ import annotations

import pytest


def test_explain_shows_both_paths_and_their_sum(say, models) -> None:
    said = say("explain", models / "logistic.gc", "w")
    assert said.status == 0
    assert "w → z → y → fit → objective" in said.out
    assert "w → decay → objective" in said.out
    assert "= 0.00068436" in said.out


def test_explain_in_latex_and_as_json(say, models) -> None:
    latex = say("explain", models / "circuit.gc", "z", "--latex").out
    assert latex.startswith("\\begin{align*}")
    told = say("explain", models / "circuit.gc", "z", "--json").json
    assert told["ok"] is True
    assert told["gradient"] == 3
    assert told["steps"][0]["contributions"][0]["through"] == "f"


def test_explain_takes_examples_and_settings(say, models) -> None:
    said = say("explain", models / "logistic.gc", "w", "--at", "x=2", "--set", "lambda=0.5")
    assert "x          = 2" in said.out
    assert "0.25·w²" in said.out


@pytest.mark.parametrize(
    ("name", "help"), [("bb", "did you mean 'b'"), ("nothing", "its values are b, decay")]
)
def test_explain_refuses_an_unknown_name(refused, models, name: str, help: str) -> None:
    assert help in refused("explain", models / "logistic.gc", name)


def test_explain_shows_the_errors_of_a_model(say, here) -> None:
    (here / "bad.gc").write_text("model bad\nparam w: real = 1\nloss f = w * q\n")
    said = say("explain", "bad.gc", "w")
    assert said.status == 1
    assert "unknown name `q`" in said.err


def test_doc_lists_everything(say) -> None:
    out = say("doc").out
    for line in ("prelude/activations.gc", "  sigmoid(x)  ", "primitives", "graphc doc NAME"):
        assert line in out


def test_doc_of_a_definition(say) -> None:
    out = say("doc", "sigmoid").out
    assert "The logistic function" in out
    assert "  σ(x) = 1 / (1+exp(−x))" in out
    assert "  x̄ = ȳ·σ(x)·(1−σ(x))" in out
    assert "def sigmoid(x)" in out
    assert r"\sigma\left(x\right)" in say("doc", "sigmoid", "--latex").out
    assert say("doc", "sigmoid", "--json").json["signature"] == "sigmoid(x)"


def test_doc_of_primitives(say) -> None:
    assert "x̄ = ȳ·exp(x)" in say("doc", "exp").out
    assert "w̄ = xᵀ·ȳ" in say("doc", "matmul").out
    assert "max(x, w)" in say("doc", "max").out
    assert "low = 0" in say("doc", "uniform").out


def test_doc_of_a_model_file(say, models) -> None:
    assert "swish_like" in say("doc", "--model", models / "custom.gc").out
    assert "1+exp(−x)" in say("doc", "swish_like", "--model", models / "custom.gc").out


def test_doc_suggests_the_nearest_name(refused) -> None:
    assert "did you mean 'sigmoid'" in refused("doc", "sigmod")
