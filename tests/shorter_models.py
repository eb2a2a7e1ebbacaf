"""The example models, those that repeat themselves with less of it: for tests that take long."""

from __future__ import annotations

from pathlib import Path

__all__ = ["MODELS", "NAMES", "SHORTER", "shorter"]

MODELS = Path(__file__).resolve().parent.parent / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.gc"))
SHORTER = {"lstm": ("[n, 100]", "[n, 3]"), "transformer": ("depth = 2", "depth = 1")}
"""Models that repeat themselves, with less of it: a text and what stands in its place."""


def shorter(name: str, folder: Path) -> Path:
    """The model file, or a copy of it with less of the same, away from its data."""
    path = MODELS / f"{name}.gc"
    if name not in SHORTER:
        return path
    old, new = SHORTER[name]
    text = path.read_text(encoding="utf-8")
    assert old in text
    copy = folder / path.name
    copy.write_text(text.replace(old, new), encoding="utf-8")
    return copy
