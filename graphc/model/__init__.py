"""Syntax tree to program: names, attributes, types, shapes, and every error a user can make.

:func:`elaborate` takes a text and gives a :class:`Program` (a graph with its roots and the
:class:`ModelSpec`), or raises CompileError with everything that is wrong. It transforms nothing:
projections, penalties, gradients are the passes' work.
"""

from graphc.model.data_files import named_files
from graphc.model.elaborate import elaborate
from graphc.model.program import PRODUCTS, ModelSpec, Program, Programs, PrunePlan
from graphc.model.settings import Settings

__all__ = [
    "PRODUCTS",
    "ModelSpec",
    "Program",
    "Programs",
    "PrunePlan",
    "Settings",
    "elaborate",
    "named_files",
]
