"""The parts of the benchmark that decide what stands in its file; nothing here is timed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "bench"))

import bench
import first_step
import first_steps
from first_steps import Case

PYTHON = [sys.executable, "-c"]


def test_a_section_that_is_not_measured_stays():
    text = "# Results\n\nBy.\n\n## A\n\nfirst\n\n| a |\n\n## B\n\nsecond\n"
    assert bench.section(text, "A") == ["first", "", "| a |"]
    assert bench.section(text, "B") == ["second"]
    assert bench.section(text, "C") == []


def test_tables():
    cases = {
        "graphc": Case([0.5, 0.25, 1.0], [2.0, 2.0, 2.0]),
        "jax": Case([2.0, 2.0, 3.0], [3.0, 3.0, 3.0]),
        "torch": Case(problem="over 300 s"),
    }
    assert first_steps.figures(cases, "calls") == [
        "0.50 (0.25–1.00)", "2.00 (2.00–3.00)", "over 300 s", "4.0", ""
    ]  # fmt: skip
    lines = first_steps.table("first call", {10: first_steps.figures(cases, "processes")})
    assert lines[0].startswith("| layers, first call | graphc, s | JAX `jit`, s | `torch.compile`")
    assert lines[2].startswith("| 10 | 2.00 (2.00–2.00) | 3.00 (3.00–3.00) | over 300 s | 1.5 | ")
    assert len({line.count("|") for line in lines}) == 1


class TestProcess:
    @pytest.fixture
    def output(self, tmp_path: Path) -> Path:
        return tmp_path / "output"

    def run(self, code: str, output: Path) -> dict[str, object]:
        return first_steps.run([*PYTHON, code], dict(os.environ), output)

    def test_last_line(self, output: Path):
        found = {"seconds": 1.5, "version": "that"}
        assert self.run(f"print('hello'); print({json.dumps(found)!r})", output) == found

    def test_failure(self, output: Path):
        assert self.run("raise SystemExit(3)", output) == {"error": "exit status 3"}

    def test_limit(self, output: Path, monkeypatch: pytest.MonkeyPatch):
        """It is over, and so is what it started."""
        monkeypatch.setattr(first_steps, "LIMIT", 1)
        child = "import time; time.sleep(99)"
        code = f"import subprocess; subprocess.run({[*PYTHON, child]!r})"
        assert self.run(code, output) == {"error": "over 1 s"}


def test_first_step_of_graphc():
    found = first_step.main("graphc", 2)
    assert found.keys() == {"seconds", "version"}
    assert found["seconds"] > 0


def test_a_peer_that_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    assert first_step.main("jax", 2) == {"error": "not installed"}


def test_a_peer_that_fails(monkeypatch: pytest.MonkeyPatch):
    def fail(layers: int) -> first_step.Found:
        raise RecursionError("maximum | depth\nmore")

    monkeypatch.setitem(first_step.PEERS, "jax", fail)
    assert first_step.main("jax", 2) == {"error": "RecursionError: maximum | depth"}


def test_graphc_must_not_fail(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(first_steps, "run", lambda *_: {"error": "exit status 1"})
    assert first_steps.measure("jax", 2, Case()) == ""
    with pytest.raises(SystemExit, match="graphc cannot train the deep network: exit status 1"):
        first_steps.measure("graphc", 2, Case())
