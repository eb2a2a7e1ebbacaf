"""What pictures cost: whole processes from a cold start, and the size of a page."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from figures import ROOT, spread

__all__ = ["drawing"]

Seconds = Callable[..., list[float]]
NODES = 300


def drawing(seconds: Seconds, repeat: int) -> list[str]:
    """Pictures with the Graphviz of the wheel; with that of the system where it has one."""
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.gc"
        large.write_text(random_graph(NODES))
        rows = [
            ("joint view of digits as SVG", render("models/digits.gc", f"{folder}/d.svg")),
            (
                "steps of logistic as a page",
                render("models/logistic.gc", f"{folder}/l.html", "steps"),
            ),
            (f"{NODES} values as SVG", render(str(large), f"{folder}/n.svg", "forward")),
            (
                "the same model checked only",
                [sys.executable, "-m", "graphc", "check", str(large), "-q"],
            ),
        ]
        lines = ["| picture, whole process | ms, median (range) |", "|---|---|"]
        for name, command in rows:
            lines.append(f"| {name} | {spread(seconds(command, repeat, path=no_dot()), 1e-3)} |")
        page = Path(f"{folder}/l.html").stat().st_size
    return [*lines, "", f"The page of logistic's steps has {page / 1000:.0f} KB."]


def render(model: str, out: str, view: str = "joint") -> list[str]:
    """The command that draws."""
    return [sys.executable, "-m", "graphc", "render", model, "--view", view, "-o", out, "-q"]


def no_dot() -> str:
    """A search path without programs, so that no `dot` is found."""
    return str(ROOT / "tools")


def random_graph(nodes: int) -> str:
    """A model of so many values, each read by a few later ones."""
    draw = random.Random(0)
    lines, read = ["model large", "param z0: real = 1"], set()
    for i in range(1, nodes):
        near, far = (max(0, i - 1 - draw.randrange(k)) for k in (3, 12))
        read |= {near, far}
        lines.append(f"z{i} = tanh(z{near} + {i % 5} * z{far})")
    unread = (f"z{i}" for i in range(nodes) if i not in read)
    return "\n".join([*lines, f"loss l = {' + '.join(unread)}", ""])
