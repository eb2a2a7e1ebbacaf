"""The README, the CI script and the package say the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile

import pytest

import graphc

START = (
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/graphc train models/digits.gc"
)
TESTS = '.venv/bin/pip install -q -e ".[test]" && .venv/bin/python -m pytest'


def test_readme_has_the_two_commands_on_lines_of_their_own(root):
    lines = (root / "README.md").read_text().splitlines()
    assert lines.count(START) == 1
    assert lines.count(TESTS) == 1


def test_ci_runs_the_test_command_of_the_readme(root):
    script = (root / ".ci" / "run").read_text()
    assert os.access(root / ".ci" / "run", os.X_OK)
    pattern = re.search(r"grep -m1 -E '([^']+)' README\.md", script)[1]
    found = re.findall(pattern, (root / "README.md").read_text(), re.MULTILINE)
    assert found == [TESTS]


def test_readme_shows_the_model_as_it_is(root):
    assert (root / "models" / "digits.gc").read_text().strip() in (root / "README.md").read_text()


@pytest.mark.slow
def test_the_wheel_carries_grammar_and_prelude(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", tmp_path, root],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert graphc.__version__ in wheel.name
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "graphc/grammar/graphc.lark" in names
    assert {f"graphc/prelude/{p.name}" for p in (root / "graphc/prelude").glob("*.gc")} <= names
    assert not any(name.startswith(("tests/", "models/", "tools/")) for name in names)
