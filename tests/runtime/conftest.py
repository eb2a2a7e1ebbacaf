from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def toy():
    """The hand-written module, loaded afresh, so that a test may change it."""
    path = Path(__file__).with_name("toy_module.py")
    spec = importlib.util.spec_from_file_location("toy_module", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
