"""Makes the modules beside the tests importable, and ``prelude_uses`` of the prelude's tests."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "prelude")]
