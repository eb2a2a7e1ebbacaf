"""The long proof that the digits example learns: ten seeds, each trained in full."""

from __future__ import annotations

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
