"""What graphc keeps between two starts, in the user's cache folder: data, nothing that runs.

An entry is a JSON text below the digest of that text. Whatever is wrong with one (it is torn, or of
somebody's making) it counts as missing; whatever stands in the way of writing one (a home that is
read-only or not there) it is not written. Either way the value is made anew: nobody is told,
nothing fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["cache_folder", "load_entry", "save_entry"]

MAX_BYTES = 16_000_000
KEPT_SECONDS = 30 * 24 * 3600
"""An entry as old as this goes when another of its kind comes: it may be that of a version that is
not used any more."""


def cache_folder(
    environment: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Path | None:
    """The folder of the entries, which need not exist: ``graphc`` in ``XDG_CACHE_HOME``, else where
    the platform keeps caches. None without an absolute path to put it below."""
    if environment.get("XDG_CACHE_HOME"):
        base = environment["XDG_CACHE_HOME"]
    elif platform == "win32":
        base = environment.get("LOCALAPPDATA", "")
    else:
        caches = ("Library", "Caches") if platform == "darwin" else (".cache",)
        base = os.path.join(environment.get("HOME", ""), *caches)
    return Path(base) / "graphc" if os.path.isabs(base) else None


def load_entry(kind: str, key: str) -> Any | None:
    """The value saved as ``key``; None where there is none that can be read."""
    folder = cache_folder()
    if folder is None:
        return None
    path = folder / _file_name(kind, key)
    try:
        # A pipe or a device of that name might never end.
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        digest, _, body = path.read_bytes().partition(b"\n")
        return json.loads(body) if digest == _digest(body) else None
    except (OSError, ValueError, RecursionError):
        return None


def save_entry(kind: str, key: str, value: Any) -> None:
    """Save a value that JSON can hold, if there is a place to save it.

    The file appears whole or not at all, whoever else reads or writes it at the same time.
    """
    body = json.dumps(value, separators=(",", ":")).encode()
    folder = cache_folder()
    if folder is None:
        return
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder / _file_name(kind, key), _digest(body) + b"\n" + body)
        _drop_old(folder, kind)


def _file_name(kind: str, key: str) -> str:
    return f"{kind}-{key}.json"


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _drop_old(folder: Path, kind: str) -> None:
    for path in folder.glob(f"{kind}-*"):
        if path.stat().st_mtime < time.time() - KEPT_SECONDS:
            path.unlink()
