"""Generated source is formatted, deterministic, and equal to its golden file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import graphc

GOLDEN = Path(__file__).parent.parent / "golden"
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


@pytest.fixture(params=[*MODELS, ODD], ids=[*(p.stem for p in MODELS), "odd"])
def source(request: pytest.FixtureRequest) -> str:
    return graphc.compile(request.param).source


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


@pytest.mark.parametrize("name", ["circuit", "logistic", "digits", "iris"])
def test_golden(name: str, models: Path, request: pytest.FixtureRequest):
    """Read the diff when this fails; ``--update-goldens`` accepts it."""
    path = GOLDEN / f"{name}.py.txt"
    source = graphc.compile(models / f"{name}.gc").source
    if request.config.getoption("--update-goldens"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8")
