"""Small pieces of the sentences in error messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["count", "did_you_mean", "listing", "nearest", "type_text"]


def listing(names: Iterable[str], limit: int = 8) -> str:
    """``"a, b, c"``; past ``limit`` names, how many more there are."""
    known = list(names)
    shown = ", ".join(known[:limit])
    return shown if len(known) <= limit else f"{shown} and {len(known) - limit} more"


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The known names that look most like ``name``, best first; case does not count."""
    import difflib

    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)
    close = difflib.get_close_matches(name.casefold(), list(by_folded), n=limit, cutoff=0.5)
    return [by_folded[folded] for folded in close]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"did you mean 'x' or 'y'? "``, or nothing when no known name is near."""
    close = nearest(name, known)
    return f"did you mean {' or '.join(repr(c) for c in close)}? " if close else ""


def count(number: int, noun: str) -> str:
    """``"1 row"``, ``"2 rows"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def type_text(kind: str, shape: Sequence[object], classes: int | None = None) -> str:
    """A type as the model language writes it: ``real[n, 64]``, ``label{10}[n]``."""
    head = f"{kind}{{{classes}}}" if classes is not None else kind
    return f"{head}[{', '.join(str(d) for d in shape)}]" if shape else head
