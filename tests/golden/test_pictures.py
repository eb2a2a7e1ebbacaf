"""The pictures in docs/pictures are what the code draws today.

`python tools/pictures.py` rewrites them; look at every one that changed. The pictures of runs hold
numbers of a training and are not compared.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pictures import FOLDER, graphs

OF_RUNS = {
    "digits-curves.svg",
    "digits-pruning.svg",
    "digits-removed.svg",
    "digits-surface.svg",
    "digits-weights.svg",
    "lottery.svg",
    "monks1-removed.svg",
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return dict(graphs())


def rounded(text: str) -> str:
    """The text with long numbers to nine digits: processors differ in the last ones."""
    return re.sub(r"\d+\.\d{9,}(e-?\d+)?", lambda number: f"{float(number[0]):.9g}", text)


def test_every_picture_is_as_it_was(drawn: dict[str, str]):
    changed = [
        name
        for name, text in drawn.items()
        if not (FOLDER / name).is_file()
        or rounded((FOLDER / name).read_text("utf-8")) != rounded(text)
    ]
    assert changed == []


def test_there_is_no_other_picture(drawn: dict[str, str]):
    assert {path.name for path in FOLDER.iterdir()} == {*drawn, *OF_RUNS}


def test_documents_show_pictures_that_are_there(root: Path):
    shown = [
        part.split(")")[0]
        for name in ("README.md", "docs/pictures.md")
        for part in (root / name).read_text("utf-8").split("](")[1:]
    ]
    links = [link for link in shown if not link.startswith(("http", "#"))]
    assert links
    for name in ("README.md", "docs/pictures.md"):
        for part in (root / name).read_text("utf-8").split("](")[1:]:
            link = part.split(")")[0]
            assert ((root / name).parent / link).exists(), f"{name}: {link}"
