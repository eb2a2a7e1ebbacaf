"""The model language: text to syntax tree and back.

:func:`parse` reads a text and reports what is wrong with its form, :func:`outline` only finds its
definitions; :func:`format_file` and :func:`format_expr` write a tree in one canonical way;
:mod:`graphc.language.tree` says what a tree is made of. Names, types, shapes and everything else
that a text means belong to the model room. This room alone knows of lark.
"""

from __future__ import annotations

from graphc.language import tree
from graphc.language.format import format_expr, format_file
from graphc.language.outline import outline
from graphc.language.parse import parse

__all__ = ["format_expr", "format_file", "outline", "parse", "tree"]
