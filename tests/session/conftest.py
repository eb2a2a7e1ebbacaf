"""Small models and data in memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import graphc

LINE = """
model line                         # a straight line through points in memory

input  x: real[n]
target y: real[n]
param  a: real = 0
param  b: real = 0

guess = a * x + b

loss   error = mean((guess - y)^2)
metric worst = max(abs(guess - y))
output value = guess

train {
  epochs    = 40
  batch     = 8
  optimizer = sgd{0.1}
}
"""

KINDS = """
model kinds                        # classes as text, in a file

hyper width = 8 "hidden units"

input  x: real[n, 2]
target y: label{3}[n]

logits = x |> dense{width} |> tanh |> dense{3}

loss   ce       = cross_entropy(logits, y)
metric accuracy = accuracy(logits, y)
output probs    = softmax(logits)

data {
  file  = "points.csv"
  x     = standardise([east, north])
  y     = kind
  split = stratified{validation = 0.2, test = 0.2, seed = 3}
}

train {
  epochs    = 12
  batch     = 16
  optimizer = adam{lr = 0.02}
}
"""

NAMES = ("fir", "oak", "yew")


def _points(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    kind = np.arange(count) % 3
    centres = np.array([[0, 0], [30, 0], [0, 40]])
    return centres[kind] + draw.normal(size=(count, 2)), kind


@pytest.fixture
def line() -> graphc.Model:
    return graphc.compile(LINE)


@pytest.fixture
def line_data() -> dict[str, np.ndarray]:
    x = np.linspace(-1, 1, 32)
    return {"x": x, "y": 3 * x + 1}


@pytest.fixture
def kinds(here: Path) -> SimpleNamespace:
    """A model file with its CSV file in the working folder."""
    points, kind = _points(90)
    rows = [f"{e},{n},{NAMES[k]}" for (e, n), k in zip(points.tolist(), kind, strict=True)]
    (here / "points.csv").write_text("east,north,kind\n" + "\n".join(rows) + "\n")
    (here / "kinds.gc").write_text(KINDS)
    return SimpleNamespace(
        path=here / "kinds.gc", data=here / "points.csv", points=points, kind=kind, folder=here
    )
