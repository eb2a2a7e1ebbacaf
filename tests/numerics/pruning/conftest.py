"""Where the quadratic lies that tests of pruning use."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
