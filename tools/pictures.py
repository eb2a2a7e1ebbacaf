"""Draws the pictures of the README and of docs: every view of four models, what `graphc show`
draws of a run, and what pruning leaves.

    python tools/pictures.py                   # rewrites docs/pictures
    python tools/pictures.py --monks FOLDER    # and MONK's problem 1, from its tables

The figure of the lottery ticket is that of `tools/proofs/lottery.py`.

`tests/golden` draws the graphs again and compares: the Graphviz of the wheel places boxes alike on
every machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import graphc  # noqa: E402, what the path leads to
from graphc.session.showing import show_curves, show_surface, show_weights  # noqa: E402

OTHERS = ("lottery.svg", "monks1-removed.svg")
"""Pictures that need data which do not ship."""
FOLDER = ROOT / "docs" / "pictures"
MODELS = ("logistic", "circuit", "xor", "digits")
STEPS = {"circuit": (1, 3, 5, 8), "logistic": (3, 10, 15)}
"""Steps that are drawn one by one, from 1; all others are in the pages."""


def graphs() -> Iterator[tuple[str, str]]:
    """File name and text of every picture of a graph."""
    for name in MODELS:
        model = graphc.compile(ROOT / "models" / f"{name}.gc")
        values = name == "xor"
        for view in ("forward", "backward", "joint"):
            yield f"{name}-{view}.svg", _drawn(model, view, values=values).svg
        story = _drawn(model, "steps", values=values)
        for number in STEPS.get(name, (len(story.frames),)):
            yield f"{name}-steps-{number:02}.svg", story.frames[number - 1]
        if name in STEPS:
            yield f"{name}-steps.html", story.html
        if name != "circuit":
            yield f"{name}-passes.svg", _drawn(model, "passes").svg
    for name in ("logistic", "digits"):
        model = graphc.compile(ROOT / "models" / f"{name}.gc")
        yield f"{name}-joint.dot", graphc.render(model, "joint").dot
    digits = graphc.compile(ROOT / "models" / "digits.gc")
    yield "digits-regularize.svg", _drawn(digits, "passes", stage="regularize").svg
    yield "digits-row.svg", _drawn(digits, "joint", row=3).svg
    lstm = graphc.compile(ROOT / "models" / "lstm.gc")
    yield "lstm-expanded.svg", _drawn(lstm, "forward", expand="lstm").svg
    yield "digits-expanded.svg", _drawn(digits, "forward", expand="dense").svg


def _drawn(model: graphc.Model, view: str, **options: object) -> graphc.Picture:
    picture = graphc.render(model, view, **options)  # type: ignore[arg-type]
    picture.engine = "wheel"
    return picture


def runs() -> Iterator[tuple[str, str]]:
    """Pictures of what a run of digits learned, and of what pruning left of it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run = graphc.compile(ROOT / "models" / "digits.gc").train(folder="digits-1")
        yield "digits-curves.svg", show_curves(run).svg
        yield "digits-weights.svg", show_weights(run, "h.dense1.W", shape=(8, 8)).svg
        yield "digits-surface.svg", show_surface(run).svg
        pruned = graphc.prune(run, folder="digits-1-pruned-1", compact=False).run
        yield "digits-removed.svg", graphc.render(pruned, "removed").svg
        yield "digits-pruning.svg", graphc.show_pruning(pruned).svg
        os.chdir(ROOT)


def monks(data: str) -> Iterator[tuple[str, str]]:
    """MONK's problem 1 as far as Optimal Brain Surgeon prunes it, of the best seed of 20."""
    with tempfile.TemporaryDirectory() as folder:
        model = graphc.compile(ROOT / "models" / "monks1.gc", data=data)
        run = model.train(seed=17, folder=Path(folder) / "monks1-1")
        pruned = graphc.prune(run, folder=Path(folder) / "monks1-1-pruned-1", compact=False).run
        yield "monks1-removed.svg", graphc.render(pruned, "removed").svg


def main() -> None:
    """Rewrite the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--monks", metavar="FOLDER", help="where the tables of MONK's problems lie")
    data = parser.parse_args().monks
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        if old.name not in OTHERS:
            old.unlink()
    for name, text in (*graphs(), *runs(), *(monks(data) if data else ())):
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
