"""Files that are written whole or not at all.

The bytes go to a temporary name in the same folder, are flushed to the disk, and take the place
of the old file in one step. Whatever goes wrong on the way, a second Ctrl-C included, the old
file stands and the temporary is removed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from graphc.runtime.errors import RunError

__all__ = ["json_ready", "read_regular", "uninterrupted", "write_atomic", "write_json_atomic"]


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the file at ``path`` by ``data``. RunError when the disk does not let it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            _write_through(temporary, data)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)
    except OSError as problem:
        raise RunError(
            f"cannot write {path}: {problem.strerror or problem}",
            help="free some disk space or check the permissions; an older file stands as it was",
        ) from problem


def write_json_atomic(path: Path, value: Any) -> None:
    """Replace the file at ``path`` by ``value`` as indented JSON."""
    text = json.dumps(json_ready(value), indent=2, ensure_ascii=False, allow_nan=False)
    # A path that is not text in this locale has lone surrogates; JSON writes them as escapes.
    write_atomic(path, (text + "\n").encode(errors="backslashreplace"))


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds a Ctrl-C back until the block is done: several files that belong together."""
    before = signal.getsignal(signal.SIGINT)
    # Only this handler raises KeyboardInterrupt, and only the main thread may change it.
    if (
        before is not signal.default_int_handler
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file. OSError for any other: reading a pipe would wait for ever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.read_bytes()


def json_ready(value: Any) -> Any:
    """``value`` with arrays as lists and NumPy scalars as Python's; NaN and infinities are None,
    because JSON has no word for them."""
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return json_ready(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_through(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the renaming itself durable, where the system can (Windows cannot open a folder)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
