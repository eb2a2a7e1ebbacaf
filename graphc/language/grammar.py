"""Where the grammar is: inside the installed package, or beside it in a checkout.

The wheel carries ``grammar/graphc.lark`` as ``graphc/grammar/graphc.lark``.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["grammar_text"]

_FILE = "graphc.lark"


def grammar_text() -> str:
    """The text of the grammar.

    Raises FileNotFoundError when neither place has it, which means a damaged installation.
    """
    packaged = resources.files("graphc").joinpath("grammar", _FILE)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    checkout = Path(__file__).resolve().parents[2] / "grammar" / _FILE
    return checkout.read_text(encoding="utf-8")
