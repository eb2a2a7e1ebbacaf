"""Generated source is formatted, deterministic, and names nothing that is not there."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from shorter_models import SHORTER

import graphc

MODELS = sorted((Path(__file__).parent.parent.parent / "models").glob("*.gc"))

ODD = """model odd
input x: real[n, 3]
target y: real[n]
h = x |> dense{4} |> tanh
a = (h * 2)[:, 1:3] ^ 3
b = concat(a, [1.5, 2.5] * a)
loss f = mean((sum{axis = 1}(b) - y)^2) + 0.5 * max(b)
train { optimizer = [sgd{0.1 / (1 + epoch)} on weights, momentum{1e-3} on params] }
"""
PRODUCTS = ("per_example_gradients", "hessian_vector_products", "gauss_newton_products")


@cache
def with_products(model: Path | str) -> str:
    """Source with those of the three functions that the model can have."""
    possible = []
    for name in PRODUCTS:
        with contextlib.suppress(graphc.RunError):
            assert f"def {name}(" in graphc.compile(model, products=[name]).source
            possible.append(name)
    assert "hessian_vector_products" in possible
    return graphc.compile(model, products=possible).source


def each(compile: Callable[[Path | str], str], kind: str) -> list:
    """Every model as a parameter; the second-order functions of the largest take long."""
    slow = {"lstm"} if compile is with_products else set()

    def shortened(path: Path) -> str:
        old, new = SHORTER[path.stem]
        return path.read_text(encoding="utf-8").replace(old, new)

    return [
        *(
            pytest.param(
                (compile, shortened(path) if path.stem in slow else path),
                id=f"{path.stem}{kind}",
                marks=pytest.mark.slow if path.stem in slow else (),
            )
            for path in MODELS
        ),
        pytest.param((compile, ODD), id=f"odd{kind}"),
    ]


@cache
def plain(model: Path | str) -> str:
    return graphc.compile(model).source


@pytest.fixture(params=[*each(plain, ""), *each(with_products, " with products")])
def source(request: pytest.FixtureRequest) -> str:
    compile, model = request.param
    return compile(model)


def ruff(*arguments: str, text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruff", *arguments, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_it_is_formatted(source: str):
    options = ("--isolated", "--config", "line-length=100")
    formatted = ruff("format", *options, text=source)
    assert formatted.returncode == 0, formatted.stderr
    assert formatted.stdout == source


def test_it_names_nothing_that_is_not_there(source: str):
    checked = ruff("check", "--isolated", "--select", "F", text=source)
    assert checked.returncode == 0, checked.stdout


def test_it_is_deterministic(models: Path):
    path = models / "digits.gc"
    assert graphc.compile(path).source == graphc.compile(path).source
