"""Columns whose names are no words of the language are named in quotes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import graphc

MODEL = """model odd
input x: real[n, 3]
target y: label{2}[n]
logits = x |> dense{2}
loss ce = cross_entropy(logits, y)
output p = softmax(logits)
data {
  file = "odd.csv"
  x = standardise(["sepal length (cm)", epoch, "1a"])
  y = "the class"
}
train { epochs = 2 }
"""
ROWS = "\n".join(f"{k},{k % 3},{-k},{'ab'[k % 2]}" for k in range(10))


def test_quoted_names_are_columns(here: Path):
    Path("odd.csv").write_text(f"sepal length (cm),epoch,1a,the class\n{ROWS}\n")
    Path("odd.gc").write_text(MODEL)
    model = graphc.compile("odd.gc")
    assert list(model.spec.data.columns) == ["sepal length (cm)", "epoch", "1a", "the class"]
    run = model.train(folder=False)
    assert run.predict("odd.csv")["p"].shape == (10, 2)


def test_without_the_file_they_are_columns_too():
    model = graphc.compile(MODEL)
    raw = {"sepal length (cm)": [1.0, 2], "epoch": [3.0, 4], "1a": [5.0, 6]}
    raw = {name: np.array(column) for name, column in raw.items()}
    batch = model.module.prepare(raw, model.init())
    np.testing.assert_array_equal(batch["x"], [[1, 3, 5], [2, 4, 6]])
