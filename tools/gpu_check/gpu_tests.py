"""The tests that are marked ``gpu``, by pytest, in this process."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from gpu_check.prepared import ROOT
from gpu_check.rows import Emit

__all__ = ["marked", "run_tests"]

MARK = "mark.gpu"


def marked(tests: Path = ROOT / "tests") -> list[Path]:
    """Files that mark a test ``gpu``; others are not even imported, for what they need may lack."""
    return [p for p in sorted(tests.glob("**/test_*.py")) if MARK in p.read_text(encoding="utf-8")]


def run_tests(emit: Emit, files: list[Path] | None = None) -> None:
    """A row a test."""
    if importlib.util.find_spec("pytest") is None:
        emit("pytest", "left out", "pytest is not installed")
        return
    import pytest

    found = marked() if files is None else files
    if not found:
        emit("pytest", "told", "no test is marked gpu")
        return
    outcomes = _Outcomes(emit)
    options = ["-c", str(ROOT / "pyproject.toml"), "-o", "addopts=", "-m", "gpu", "-q"]
    options += ["--import-mode=importlib", "-p", "no:cacheprovider"]
    sys.path.insert(0, str(ROOT))
    status = int(pytest.main([*options, *map(str, found)], plugins=[outcomes]))
    if status not in (0, 1) or not outcomes.told:
        emit("pytest", "failed", f"pytest ends with status {status}, {outcomes.told} tests told")


class _Outcomes:
    """A plugin that tells each test as it ends."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.told = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.passed and report.when != "call":
            return
        self.told += 1
        if report.passed:
            self._emit(report.nodeid, "ok", seconds=report.duration)
        elif report.skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else "skipped"
            self._emit(report.nodeid, "left out", why)
        else:
            self._emit(report.nodeid, "failed", _last_line(report.longreprtext))

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.told += 1
            self._emit(report.nodeid, "failed", _last_line(report.longreprtext))


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E ")]
    return (errors or lines or ["failed"])[0].removeprefix("E").strip()
