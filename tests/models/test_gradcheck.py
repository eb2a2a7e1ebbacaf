"""Every model in models/ has the derivatives of its objective: the folder drives these tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from shorter_models import shorter

from graphc.session.gradchecking import gradcheck

MODELS = Path(__file__).resolve().parents[2] / "models"
EACH = pytest.mark.parametrize("path", sorted(MODELS.glob("*.gc")), ids=lambda path: path.stem)


@EACH
def test_gradcheck(path, tmp_path):
    """Where a model's data are not there, its batch is drawn by the types of its inputs. Large
    models are checked whole in the second tier."""
    found = gradcheck(shorter(path.stem, tmp_path), directions=1)
    assert {check.name: check.status for check in found.parameters} == dict.fromkeys(
        (check.name for check in found.parameters), "ok"
    ), found.worst


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("seed", [1, 2])
def test_gradcheck_elsewhere(path, seed, tmp_path):
    if seed > 1:
        path = shorter(path.stem, tmp_path)
    found = gradcheck(path, seed=seed)
    assert found.ok, found.worst
