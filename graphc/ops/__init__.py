"""The primitive operators, one family a file, each operator in one class.

Importing this room fills ``graphc.ir.OPERATORS``. Composite operators do not live here: they are
definitions in ``graphc/prelude``.
"""

from graphc.ops import (
    arithmetic,
    cumulative,
    einsum,
    functions,
    gathering,
    indexing,
    labels,
    leaves,
    logic,
    matmul,
    random,
    reductions,
    shapes,
    sorting,
    windows,
)
from graphc.ops.evaluate import evaluate

__all__ = [
    "arithmetic",
    "cumulative",
    "einsum",
    "evaluate",
    "functions",
    "gathering",
    "indexing",
    "labels",
    "leaves",
    "logic",
    "matmul",
    "random",
    "reductions",
    "shapes",
    "sorting",
    "windows",
]
