"""Texts from outside: a model's, whatever lies at its path, and settings given from Python.

Every mistake is a RunError, none a hang.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from graphc.diagnostics import Source
from graphc.runtime import RunError
from graphc.runtime.wording import did_you_mean

__all__ = ["MAX_BYTES", "as_texts", "read_model"]

MAX_BYTES = 8_000_000
"""Longer texts are refused before they are read whole."""


def read_model(path_or_text: str | os.PathLike[str]) -> Source:
    """The text at a path; a string with a line break is a text itself."""
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return Source("<text>", path_or_text)
    path = Path(path_or_text)
    return Source(str(path), _decoded(path, _bytes(path)))


def as_texts(settings: Mapping[str, object]) -> dict[str, str]:
    """Settings from Python as the command line would write them."""
    return {name: _text(value) for name, value in settings.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, np.ndarray | np.generic):
        return _text(value.tolist())
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(item) for item in value)}]"
    return str(value)


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            # Opening a pipe waits for a writer, and a device may have no end at all.
            raise RunError(f"{path} is not a regular file", help="save the model as a file")
        # One byte more than allowed is enough to know.
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as problem:
        raise RunError(f"there is no model file {path}", help=_elsewhere(path)) from problem
    except IsADirectoryError as problem:
        raise RunError(
            f"{path} is a folder, not a model file", help="give the .gc file in it, or a run folder"
        ) from problem
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise RunError(
            f"cannot read {_shortened(path)}: {reason}", help="check the path and its permissions"
        ) from problem
    if len(data) > MAX_BYTES:
        raise RunError(
            f"{path} has more than {MAX_BYTES // 1_000_000} MB: it is no model file",
            help="put data into files that the data section names",
        )
    return data


def _decoded(path: Path, data: bytes) -> str:
    if b"\0" in data:
        raise RunError(
            f"{path} holds binary data, not a model text", help="give a text file that ends in .gc"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise RunError(
            f"{path} is not UTF-8 text: line {line} has the byte 0x{data[problem.start]:02x}",
            help="save it as UTF-8",
        ) from problem


def _elsewhere(path: Path) -> str:
    """Model files that lie where this one was looked for."""
    try:
        found = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".gc"]
    except OSError:
        return f"there is no folder {path.parent} either"
    near = did_you_mean(path.name, found)
    return near.strip() or "give the path of a file that ends in .gc"


def _shortened(path: Path) -> str:
    text = str(path).replace("\0", "\\0")
    return text if len(text) <= 200 else f"{text[:200]}…"
