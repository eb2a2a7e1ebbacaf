"""What tests of several rooms need: where things are, and graphc in a process of its own."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

# Tests run beside each other; BLAS threads of several processes would only get in each other's way.
# NumPy looks when it is loaded, so it comes after this.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parent.parent

sys.path.append(str(Path(__file__).parent))  # what tests of several rooms use lies here

Graphc = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def models(root: Path) -> Path:
    """The folder of example models."""
    return root / "models"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def graphc_process(here: Path) -> Graphc:
    """Runs `graphc ARGUMENTS` in a process of its own, in the working folder."""

    def call(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "graphc", *map(str, arguments)]
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            command,
            cwd=here,
            capture_output=options.pop("capture_output", True),
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            **options,
        )

    return call


@pytest.fixture
def cupy() -> Iterator[ModuleType]:
    """The stand-in for CuPy, which `import cupy` finds as long as the test runs."""
    import standin

    with standin.installed() as module:
        yield module


@pytest.fixture
def no_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are laid out by the Graphviz of the wheel, wherever the tests run."""
    from graphc.rendering.pictures import engines

    monkeypatch.setattr(engines.shutil, "which", lambda name: None)


IDX_TYPES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array: np.ndarray) -> bytes:
    """An array as the bytes of an IDX file."""
    head = bytes([0, 0, IDX_TYPES[array.dtype.str[1:]], array.ndim])
    sizes = np.array(array.shape, dtype=">u4").tobytes()
    return head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="session")
def write_idx() -> Callable[[Path, np.ndarray], Path]:
    """Writes an array as an IDX file, packed where the name ends in .gz."""

    def write(path: Path, array: np.ndarray) -> Path:
        data = idx_bytes(array)
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
        return path

    return write


def pytest_addoption(parser: pytest.Parser) -> None:
    """One flag for every golden file; read the diff before you commit it."""
    parser.addoption("--update-goldens", action="store_true", help="rewrite expected outputs")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that is marked ``gpu`` is skipped, with the reason, where none works."""
    if item.get_closest_marker("gpu") is not None and (reason := _no_gpu()):
        pytest.skip(reason)


@cache
def _no_gpu() -> str:
    """Why no GPU can be used; empty where one can."""
    sys.path.append(str(ROOT / "tools"))
    from gpu_check.device import problem

    return problem()
