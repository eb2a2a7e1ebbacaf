"""What the tests of this folder share: modules beside them, and a model's modules side by side."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
for folder in ("tools", "tests/models", "tests/backends/kernels", "tests/backends/cupy"):
    sys.path.insert(0, str(ROOT / folder))

from both_targets import Both, compiled, side_by_side  # noqa: E402


@pytest.fixture(scope="session")
def compiled_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., object]:
    """An example model, ``whole`` with the functions on request, compiled once."""
    folder = tmp_path_factory.mktemp("models")
    return functools.cache(lambda name, whole: compiled(name, folder, whole=whole))


@pytest.fixture
def both(cupy, compiled_model) -> Callable[..., Both]:
    """The modules of an example model, the one for CuPy over the stand-in."""
    return lambda name, whole=False: side_by_side(compiled_model(name, whole), cupy)
