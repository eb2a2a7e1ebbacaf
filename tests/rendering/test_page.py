"""The page of a picture as text: what it holds, and that nothing in it can get out of its place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hostile import ATTACK, FILE, MODEL, hostile_diagram, hostile_moments

import graphc
from graphc.rendering.pictures.page import Listing, to_page
from graphc.rendering.pictures.placing import place
from graphc.rendering.pictures.wording import visible

KB = 1024


class Read(HTMLParser):
    """A page as a browser takes it apart: elements, their attributes, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[-1] += data

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and text of the elements with a name."""
        pairs = zip(self.elements, self.texts, strict=True)
        return [(attributes, text) for (name, attributes), text in pairs if name == tag]

    @property
    def data(self) -> Any:
        """What the page's script is given."""
        return json.loads(self.all("script")[0][1])


@pytest.fixture(scope="module")
def steps(models: Path) -> str:
    return graphc.render(models / "logistic.gc", "steps").html


def hand_made() -> str:
    """A page of hostile text throughout, also where the language allows none."""
    listing = Listing(ATTACK, 1, (ATTACK, ATTACK), (1, 0))
    return to_page(place(hostile_diagram()), hostile_moments(), listing, listing)


def written(here: Path) -> str:
    """The page of a model with a hostile text in a file with a hostile name."""
    path = here / FILE
    path.write_text(MODEL, "utf-8", newline="")
    return graphc.render(path, "steps").html


@pytest.fixture(params=[lambda here: hand_made(), written], ids=["by hand", "of a model"])
def hostile(request: pytest.FixtureRequest, here: Path) -> str:
    page: str = request.param(here)
    return page


def test_the_same_picture_gives_the_same_page(models, steps):
    assert graphc.render(models / "logistic.gc", "steps").html == steps


def test_a_small_story_is_a_small_page(steps):
    assert len(steps.encode()) < 500 * KB


def test_the_data_say_what_the_picture_shows(models, steps):
    picture = graphc.render(models / "logistic.gc", "steps")
    data = Read(steps).data
    assert list(data["boxes"]) == [box.key for box in picture.diagram.boxes]
    assert [moment["title"] for moment in data["moments"]] == [m.title for m in picture.moments]
    for what in ("values", "gradients", "arrows"):
        told: set[str] = set()
        for moment, entry in zip(picture.moments, data["moments"], strict=True):
            told |= set(entry[what])
            assert told == getattr(moment, what), "what is known once stays known"
    assert data["model"]["lines"] == (models / "logistic.gc").read_text("utf-8").split("\n")
    generated = data["generated"]
    first, lines = generated["first"], generated["lines"]
    source = picture.model.source.split("\n")
    assert source[first - 1 : first - 1 + len(lines)] == lines
    assert len(generated["places"]) == len(lines)
    assert {10, 11, 13, 14, 15} <= set(generated["places"])


def test_the_policy_allows_this_script_alone(steps):
    page = Read(steps)
    (policy,) = [a for a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    data, script = page.all("script")
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy["content"].split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{digest}'",
        "style-src 'unsafe-inline'",
        "img-src data:",
    ]
    assert data[0] == {"type": "application/json", "id": "data"}
    assert script[0] == {}


def test_the_page_names_no_other_place(steps):
    assert set(re.findall(r"https?:[^\s\"'<>]*", steps)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(eval|fetch|import|XMLHttpRequest|innerHTML|outerHTML)\b", steps)
    for tag, attributes in Read(steps).elements:
        assert tag not in ("link", "img", "iframe", "object", "base", "form"), tag
        assert not {"src", "href", "xlink:href", "action"} & set(attributes), (tag, attributes)


def test_script_and_style_cannot_end_their_elements():
    for name in ("page.js", "page.css"):
        path = Path(graphc.__file__).parent / "rendering" / "pictures" / name
        text = path.read_text("utf-8")
        assert text
        assert not re.search(r"</|<!--", text)


def test_without_script_the_picture_is_there(steps):
    """The SVG stands in the page as it is, not made by the script."""
    page = Read(steps)
    assert [a.get("id") for a, _ in page.all("main")] == ["picture"]
    assert len(page.all("svg")) == 1
    shown = {text for _, text in page.all("text")}
    assert {"z = w·x + b", "z̄ = −0.0528771"} <= shown


def test_hostile_text_stays_text(hostile, steps):
    page, calm = Read(hostile), Read(steps)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in calm.elements} | {"circle"}
    assert len(page.all("script")) == 2
    assert page.all("script")[1] == calm.all("script")[1]
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert hostile.count("<script") == hostile.count("</script") == 2
    assert hostile.count("<!--") == 0


def test_hostile_text_is_shown_with_escapes(hostile):
    """Letters that turn text around, or end lines for some readers, are spelled out."""
    data = Read(hostile).data
    text = json.dumps(data, ensure_ascii=False)
    assert "window.__hit = 1" in text
    assert "</script>" in text
    assert not {letter for letter in hostile.replace("\n", "") if not letter.isprintable()}
    assert "\\\\u202e" in text


def test_every_kind_of_text_comes_through():
    data = Read(hand_made()).data
    told = visible(ATTACK)
    assert data["title"] == f"picture{told}"
    assert data["boxes"]["a"]["name"] == f"a{told}"
    assert data["boxes"]["a"]["lines"][0] == ["name", told]
    assert [frame["title"] for frame in data["frames"].values()] == [f"title{told}"]
    assert data["moments"][0]["caption"] == [f"caption{told}"]
    assert data["model"]["lines"] == [told, told]


def test_tabs_of_a_model_are_room(here):
    data = Read(written(here)).data
    assert data["model"]["lines"][4].startswith("input  x: real = 1.5    # </script>")
