"""``python tools/gpu_check``: the package in this folder and the checkout are found from here."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

if __name__ == "__main__":
    from gpu_check.command import main

    sys.exit(main())
