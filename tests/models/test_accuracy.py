"""The long proof that the examples learn: ten seeds of digits, LeNet-300-100 on MNIST itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import graphc


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "custom"])
def test_ten_seeds(name: str, models: Path):
    model = graphc.compile(models / f"{name}.gc")
    accuracies = [
        model.train(seed=seed, folder=False).evaluate("test")["metrics"]["accuracy"]
        for seed in range(1, 11)
    ]
    assert np.mean(accuracies) >= 0.965
    assert min(accuracies) >= 0.94


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("GRAPHC_MNIST"), reason="GRAPHC_MNIST names no folder of MNIST's four files"
)
def test_lenet300(models: Path):
    model = graphc.compile(models / "lenet300.gc", data=os.environ["GRAPHC_MNIST"])
    run = model.train(folder=False)
    assert run.evaluate("test")["metrics"]["accuracy"] >= 0.978
