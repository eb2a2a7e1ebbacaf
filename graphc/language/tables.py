"""The parser, from tables that are made once a grammar and kept in the cache.

To make the tables takes Lark ten times as long as to load them. They are kept as JSON, never as the
pickle that Lark's own cache holds: what is loaded is data, of which Lark makes rules, terminals and
numbers and nothing else. The options and the code that the parser runs come from here.

How Lark writes its tables down is its own affair and may change: an entry is read by the version of
Lark that wrote it only, and where there is no way to save or load one, the grammar is read as if
there were no cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from typing import Any

import lark
from lark import Lark, Transformer
from lark.grammar import Rule
from lark.lexer import TerminalDef

from graphc.language.cache import load_entry, save_entry

__all__ = ["make_parser"]

_KIND = "parser"
_FORMAT = 1
"""Of the entries; it rises when what :func:`_saved` gives changes its form."""

_OPTIONS = {"start": ["file"], "parser": "lalr", "lexer": "contextual"}
_RESOLVED = {**_OPTIONS, "priority": "normal"}
"""The options of a parser that has been made, in which nothing is left to Lark's choice."""


def make_parser(grammar: str, builder: Transformer[Any, Any]) -> Lark:
    """A parser of ``grammar`` that calls ``builder``, from saved tables where there are some."""
    key = _key(grammar)
    saved = load_entry(_KIND, key)
    if saved is not None:
        # Lark does not say how it fails, here and below; the tables can always be made anew.
        with contextlib.suppress(Exception):
            return _loaded(saved, builder)
    parser = Lark(grammar, transformer=builder, **_OPTIONS)
    with contextlib.suppress(Exception):
        save_entry(_KIND, key, _saved(parser))
    return parser


def _key(grammar: str) -> str:
    """Another one for each thing that the tables depend on."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    parts = "\0".join((str(_FORMAT), lark.__version__, python, grammar))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _saved(parser: Lark) -> dict[str, Any]:
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    return {"parser": data["parser"], "rules": data["rules"], "memo": memo}


def _loaded(saved: dict[str, Any], builder: Transformer[Any, Any]) -> Lark:
    """The parser that was saved. Raises whatever Lark does where ``saved`` is nothing such.

    Given a file, ``Lark.load`` unpickles it; given what such a file would hold, it takes that.
    """
    table = saved["parser"]["parser"]
    table["tokens"] = _numbered(table["tokens"])
    table["states"] = _numbered(
        {state: _numbered(actions) for state, actions in table["states"].items()}
    )
    options = {**_RESOLVED, "transformer": builder}
    data = {"parser": saved["parser"], "rules": saved["rules"], "options": options}
    return Lark.load({"data": data, "memo": _numbered(saved["memo"])})


def _numbered(mapping: dict[str, Any]) -> dict[int, Any]:
    """The same with whole numbers for keys, which JSON writes as texts."""
    return {int(key): value for key, value in mapping.items()}
