"""The generated modules that a check runs: where they lie, whether they are of this checkout."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "MANIFEST",
    "NETWORKS",
    "ROOT",
    "Entry",
    "StaleError",
    "fingerprint",
    "load_module",
    "read_manifest",
    "write_manifest",
]

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = Path(__file__).resolve().with_name("networks")
MANIFEST = "manifest.json"

_numbers = itertools.count(1)


class StaleError(Exception):
    """Modules cannot be used; the message says why, and how to make them."""


@dataclass(frozen=True)
class Entry:
    """A model in one precision.

    ``files`` are its modules by target. ``lacking`` says why functions on request are not there,
    ``problem`` why there are no modules at all. ``batch`` is that of its train section, for which
    training is predicted to take ``device_bytes``; None where that cannot be told.
    """

    name: str
    precision: str
    kind: str
    files: dict[str, str] = field(default_factory=dict)
    products: list[str] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)
    batch: int = 1
    driver: str = ""
    device_bytes: int | None = None
    problem: str = ""


def fingerprint(root: Path = ROOT) -> str:
    """Of everything that decides what modules are made: the compiler, the models, this tool."""
    digest = hashlib.sha256()
    for path in sorted(_sources(root)):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    yield from root.glob("graphc/**/*.py")
    yield from root.glob("graphc/**/*.gc")
    yield from root.glob("grammar/*.lark")
    yield from root.glob("models/*.gc")
    yield from root.glob("tools/gpu_check/networks/*.gc")
    yield root / "tools" / "gpu_check" / "prepare.py"


def write_manifest(folder: Path, entries: list[Entry], of: str) -> None:
    """``of`` is the fingerprint of what they were made of."""
    content = {"fingerprint": of, "entries": [asdict(entry) for entry in entries]}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_manifest(folder: Path, *, current: bool = True) -> list[Entry]:
    """What was prepared. StaleError where nothing was, or for another state of the checkout where
    it is to be of the ``current`` one."""
    path = folder / MANIFEST
    if not path.exists():
        raise StaleError(f"no modules are prepared in {folder}")
    content = json.loads(path.read_text(encoding="utf-8"))
    if current and content["fingerprint"] != fingerprint():
        raise StaleError(f"the modules in {folder} are of another state of the checkout")
    return [Entry(**entry) for entry in content["entries"]]


def load_module(path: Path) -> Any:
    """A generated module, from its file."""
    spec = importlib.util.spec_from_file_location(f"gpu_check_module_{next(_numbers)}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
