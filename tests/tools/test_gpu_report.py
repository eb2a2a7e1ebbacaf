"""What the check of a GPU tells: pytest's outcomes, transfers in a trace, the report, the command
line where there is no GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from gpu_check import gpu_tests, prepare, report
from gpu_check.device import problem
from gpu_check.memory import counted
from gpu_check.rows import Row

TOOL = Path(report.__file__).parent
RESULTS = TOOL.parent / "bench" / "RESULTS-gpu.md"


class TestMarked:
    @pytest.fixture
    def told(self, tmp_path) -> list[list[str]]:
        """What pytest tells of a file with one test of each kind, in a process of its own."""
        file = tmp_path / "test_some.py"
        file.write_text(
            "import pytest\n"
            "def test_unmarked(): assert False\n"
            "@pytest.mark.gpu\ndef test_right(): pass\n"
            "@pytest.mark.gpu\ndef test_wrong(): assert 1 == 2\n"
            "@pytest.mark.gpu\ndef test_skipped(): pytest.skip('no lark')\n"
        )
        code = (
            f"import sys; sys.path.insert(0, {str(TOOL.parent)!r})\n"
            "from pathlib import Path\n"
            "from gpu_check import gpu_tests\n"
            "def emit(what, status, detail='', **values):\n"
            "    print('\\nrow', what.partition('::')[2], status, detail, sep='|')\n"
            f"gpu_tests.run_tests(emit, [Path({str(file)!r})])\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told = [line.partition("row|")[2] for line in done.stdout.splitlines()]
        return [line.split("|") for line in told if line]

    def test_each_is_told(self, told):
        assert told == [
            ["test_right", "ok", ""],
            ["test_wrong", "failed", "assert 1 == 2"],
            ["test_skipped", "left out", "Skipped: no lark"],
        ]

    def test_files_are_found_by_their_mark(self):
        found = {path.name for path in gpu_tests.marked()}
        assert "test_training.py" in found
        assert "test_bench.py" not in found


def test_transfers_in_a_trace():
    names = ["Memcpy HtoD (Pinned -> Device)", "Memcpy DtoH (Device -> Pageable)"]
    events = [{"cat": "gpu_memcpy", "name": name} for name in [*names, "Memcpy DtoD", names[0]]]
    events += [{"cat": "kernel", "name": "dense_relu"}, {"cat": "cuda_runtime", "name": "x"}, {}]
    found = counted({"traceEvents": events})
    assert (found.to_device, found.to_host, found.kernels) == (2, 1, 1)


class TestReport:
    @pytest.fixture
    def made(self) -> report.Report:
        times = {"times": [2e-5, 1e-5, 3e-5], "first": 1.5}
        peer = {"times": [4e-5] * 3, "ratios": [2.0, 3.0, 1.5], "first": 20.0}
        value = {"precision": "f64", "quantity": "outputs", "error": 2e-12}
        wrong = {"precision": "f64", "quantity": "losses", "error": 3e-5}
        memory = {"predicted": 1000, "held": 900, "batch": 64}
        found = [
            Row("device", "machine", "GPU", "told", "NVIDIA H200"),
            Row("parity", "digits", "f64 outputs", "ok", "", value),
            Row("parity", "digits", "f64 losses", "failed", "3e-05, 1e-10 | allowed", wrong),
            Row("memory", "digits", "peak", "ok", "", memory),
            Row("benchmarks", "64-32-10", "graphc", "told", "", times),
            Row("benchmarks", "64-32-10", "PyTorch eager", "told", "", peer),
            Row("benchmarks", "64-32-10", "torch.compile", "left out", "no time was left"),
        ]
        planned = {
            "device": ("machine",),
            "parity": ("digits", "iris"),
            "memory": ("digits",),
            "tests": ("pytest",),
            "benchmarks": ("64-32-10",),
        }
        return report.Report(planned, found, 12.0)

    def test_figures(self, made):
        text = made.text()
        assert "2 checks passed, 1 failed, 3 were left out." in text
        assert "- GPU: NVIDIA H200" in text
        assert "| digits | 2e-12 | **3.0e-05** |" in text
        assert "| digits, 64 | 1,000 | 900 |  |  |  |" in text
        assert (
            "| 64-32-10, 32 | 20.0 (10.0–30.0) | 40.0 (40.0–40.0) | 2.00 (1.50–3.00) |  |  |  |  |"
        ) in text

    def test_what_is_not_there_is_said(self, made):
        text = made.text()
        assert "- parity, digits, f64 losses: 3e-05, 1e-10 \\| allowed" in text
        assert "- parity, iris, all of it: not reached" in text
        assert "- tests, pytest, all of it: not reached" in text
        assert "- benchmarks, 64-32-10, torch.compile: no time was left" in text
        assert not made.good

    def test_all_is_well(self, made):
        kept = [row for row in made.rows if not row.bad]
        made.rows, made.planned = kept, {part: items[:1] for part, items in made.planned.items()}
        assert not made.good
        made.rows.append(Row("tests", "pytest", "test_one", "ok"))
        assert made.good
        assert "1 passed, 0 failed, 0 skipped." in made.text()

    def test_the_file_that_is_committed(self):
        """It holds figures, or it is what the tool writes where none were measured."""
        text = RESULTS.read_text(encoding="utf-8")
        measured = "- GPU: " in text and "- CuPy: " in text
        assert measured or text == report.unmeasured()

    def test_unmeasured_says_what_and_how(self):
        text = report.unmeasured()
        for title in report.TITLES.values():
            assert f"## {title}\n\nUnmeasured" in text
        for network in prepare.BATCHES:
            assert network in text
        assert text.count(f"{report.COMMAND} --only") == 4


class TestCommand:
    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(TOOL), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @pytest.mark.skipif(not problem(), reason="there is a GPU here")
    def test_without_a_gpu_nothing_is_written(self, tmp_path):
        done = self.run("-o", tmp_path / "results.md")
        assert done.returncode == 2
        assert done.stderr.startswith("gpu_check: CuPy")
        assert not list(tmp_path.iterdir())

    def test_unmeasured(self, tmp_path):
        assert self.run("--unmeasured", "-o", tmp_path / "results.md").returncode == 0
        assert (tmp_path / "results.md").read_text() == report.unmeasured()


def test_batches_are_those_of_the_networks():
    from gpu_check.peers import NETWORKS

    assert {n.name: n.batch for n in NETWORKS.values()} == prepare.BATCHES
