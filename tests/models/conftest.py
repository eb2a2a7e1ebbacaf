"""What several test files use is a module beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from features import LARGE
from shorter_models import shorter


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model file, of a large model a copy with less of the same."""
    given: Path = request.param
    return shorter(given.stem, tmp_path) if given.stem in LARGE else given
