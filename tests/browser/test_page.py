"""The page of a picture in a real browser: what a person does with mouse and keys, and sees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import ATTACK, FILE, MODEL, hostile_diagram, hostile_moments

import graphc
from graphc.rendering.pictures.page import Listing, to_page
from graphc.rendering.pictures.placing import place
from graphc.rendering.pictures.wording import visible

pytestmark = pytest.mark.browser

NESTED = """
model nested

input  x: real[n, 4]
target t: real[n, 2]

layer mlp{k}(x) = x |> dense{k} |> tanh |> dense{2}

y = x |> mlp{3}

loss fit = mean((y - t)^2)
"""

DANGLING = """
() => {
  const shown = (element) => element && element.getClientRects().length > 0;
  const thing = (id) => [...document.querySelectorAll("[data-thing]")]
    .find((element) => element.dataset.thing === id);
  return [...document.querySelectorAll(".arrow, .proxy")]
    .filter((arrow) => !arrow.classList.contains("gone"))
    .filter((arrow) => !shown(thing(arrow.dataset.tail)) || !shown(thing(arrow.dataset.head)))
    .map((arrow) => `${arrow.dataset.tail} to ${arrow.dataset.head}`);
}
"""
"""Arrows of which an end cannot be seen."""


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "nested.gc"
    path.write_text(NESTED, "utf-8")
    return path


@pytest.fixture
def story(open_page: Any) -> Any:
    """The steps of `logistic`, at the first."""
    return open_page("logistic", "steps")


@pytest.fixture
def dense(open_page: Any) -> Any:
    """`digits` with its dense layers open."""
    return open_page("digits", "joint", expand="dense")


def title(page: Any) -> str:
    return str(page.locator("#caption h1").inner_text())


def marked(page: Any, mark: str) -> set[str]:
    """Names of the boxes and folded frames with a mark."""
    shown = page.locator(f"#picture [data-thing].{mark}:not(.gone)")
    return set(shown.evaluate_all("found => found.map((e) => e.dataset.thing)"))


def lines(page: Any, text: str, mark: str) -> list[int]:
    """Numbers of the lines of a text with a mark."""
    numbers = page.locator(f"#{text} .{mark} .number")
    return [int(number) for number in numbers.all_inner_texts()]


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Waits for what comes a moment later. The page's policy forbids Playwright's own way."""
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(30)
    raise AssertionError("it did not come")


def seen(page: Any, selector: str) -> bool:
    """Whether an element is inside of the window and of everything that scrolls around it."""
    return bool(
        page.locator(selector).first.evaluate(
            """(element) => new Promise((done) => {
              new IntersectionObserver((found) => done(found[0].intersectionRatio > 0.9))
                .observe(element);
            })"""
        )
    )


# ------------------------------------------------------------------------------ steps


def test_keys_go_through_the_steps(story):
    moments = graphc_moments()
    assert title(story) == moments[0]
    for key, at in (
        ("ArrowRight", 1),
        ("PageDown", 2),
        ("ArrowRight", 3),
        ("ArrowLeft", 2),
        ("PageUp", 1),
        ("End", len(moments) - 1),
        ("ArrowRight", len(moments) - 1),
        ("Home", 0),
        ("ArrowLeft", 0),
    ):
        story.keyboard.press(key)
        assert title(story) == moments[at], key
        assert story.locator("#step").input_value() == str(at + 1)


def graphc_moments() -> list[str]:
    root = Path(__file__).parents[2]
    picture = graphc.render(root / "models" / "logistic.gc", "steps")
    return [moment.title for moment in picture.moments]


def test_the_slider_is_drawn_with_the_mouse(story):
    box = story.locator("#step").bounding_box()
    middle = box["y"] + box["height"] / 2
    story.mouse.move(box["x"] + 9, middle)
    story.mouse.down()
    story.mouse.move(box["x"] + box["width"] - 3, middle, steps=12)
    story.mouse.up()
    assert title(story) == "Finished: the gradients"
    story.mouse.click(box["x"] + box["width"] / 2, middle)
    assert story.locator("#step").input_value() in ("8", "9")


def test_the_slider_takes_one_step_a_key(story):
    story.locator("#step").focus()
    for key, at in (("ArrowRight", "2"), ("ArrowUp", "3"), ("PageDown", "4"), ("Home", "1")):
        story.keyboard.press(key)
        assert story.locator("#step").input_value() == at
    assert story.locator("#step").get_attribute("aria-valuetext") == "step 1 of 16: Start"


def test_buttons_go_through_the_steps(story):
    for name, at in (("next", 2), ("last", 16), ("previous", 15), ("first", 1)):
        story.get_by_role("button", name=f"{name} step").click()
        assert story.locator("#caption .count").inner_text() == f"step {at} of 16"


def test_what_is_not_known_yet_is_not_shown(story):
    value = story.locator("#box-z text.value")
    gradient = story.locator("#box-z text.gradient")
    arrow = story.locator("#gradient-y-z")
    known = []
    for _ in range(16):
        known.append((value.is_visible(), gradient.is_visible(), arrow.is_visible()))
        story.keyboard.press("ArrowRight")
    assert known[0] == (False, False, False)
    assert known[1] == (True, False, False)
    assert known[10] == known[15] == (True, True, True)
    assert known == sorted(known), "what is known once stays known"


def test_a_contribution_is_told_with_numbers(open_page):
    page = open_page("logistic", "steps", "#step=11")
    told = page.locator("#caption").inner_text()
    assert "Backward: y → z" in told
    assert "∂y/∂z = σ(z)·(1−σ(z)) = 0.196612" in told
    assert "upstream: ȳ = −0.268941" in told
    assert "(−0.268941) · 0.196612 = −0.0528771" in told
    assert "z̄ is finished" in told


def test_what_is_spoken_of_stands_out(open_page):
    page = open_page("logistic", "steps", "#step=11")
    assert marked(page, "active") == {"y", "z"}
    assert page.locator(".halo.active").count() == 2
    assert page.locator(".arrow.active").get_attribute("id") == "gradient-y-z"
    width = "element => getComputedStyle(element).strokeWidth"
    heavy = page.locator("#gradient-y-z path:not(.hit)").first.evaluate(width)
    light = page.locator("#gradient-fit-y path:not(.hit)").first.evaluate(width)
    assert float(heavy[:-2]) > 2 * float(light[:-2])
    assert lines(page, "model", "now") == [10, 11]
    assert seen(page, "#model .now")
    assert seen(page, "#generated .now >> nth=-1"), "gradients are at the end"


def test_the_address_keeps_the_step(story, open_page):
    story.keyboard.press("End")
    until(story, lambda: story.evaluate("location.hash") == "#step=16")
    story.evaluate("location.hash = '#step=3'")
    until(story, lambda: story.locator("#step").input_value() == "3")
    assert title(story) == "Forward: y"
    assert title(open_page("logistic", "steps", "#step=7")) == "Backward: start at objective"
    assert title(open_page("logistic", "steps", "#step=999")) == "Finished: the gradients"
    assert title(open_page("logistic", "steps", "#other")) == "Start"


def test_play_goes_on_by_itself_and_pauses(open_page):
    page = open_page("logistic", "steps")
    page.clock.install()
    page.reload()
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="pause").is_visible()
    page.clock.fast_forward(6000)
    assert title(page) == "Forward: z"
    page.keyboard.press("Space")
    page.clock.fast_forward(20000)
    assert title(page) == "Forward: z"
    page.keyboard.press("End")
    page.get_by_role("button", name="play").click()
    assert title(page) == "Start"
    for _ in range(20):
        page.clock.fast_forward(9000)
    assert title(page) == "Finished: the gradients"
    assert page.get_by_role("button", name="play").is_visible()


def test_a_picture_without_a_story_has_no_slider(dense):
    assert dense.locator("#step, #caption").count() == 0
    dense.keyboard.press("ArrowRight")
    dense.keyboard.press("Space")
    assert dense.locator("#model").is_visible()


# ------------------------------------------------------------------- hover and trace


def test_hover_shows_exact_numbers_that_are_known(story):
    tip = story.locator("#tip")
    assert tip.is_hidden()
    story.keyboard.press("End")
    story.locator("#box-y").hover()
    assert "y = 0.7310585786300049" in tip.inner_text()
    assert "ȳ = -0.2689414213699951" in tip.inner_text()
    assert "11  y = sigmoid(z)" in tip.inner_text()
    story.mouse.move(5, 450)
    assert tip.is_hidden()
    story.keyboard.press("Home")
    story.locator("#box-y").hover()
    assert tip.is_visible()
    assert "0.73" not in tip.inner_text()


def test_hover_shows_the_exact_contribution_of_an_arrow(story):
    story.keyboard.press("End")
    story.locator("#gradient-z-sum-w text").first.hover()
    assert "contribution = -0.07931563917640007" in story.locator("#tip").inner_text()


def test_there_is_one_tooltip_and_not_two(story):
    assert story.locator("svg title").count() == 0
    assert story.locator("svg").get_attribute("aria-label") == "logistic, steps"


def test_the_keyboard_reaches_boxes_and_shows_their_numbers(story):
    story.keyboard.press("End")
    story.locator("#box-x").focus()
    names = []
    for _ in range(4):
        names.append(story.evaluate("document.activeElement.dataset.name"))
        assert story.locator("#tip").is_visible()
        story.keyboard.press("ArrowDown")
    assert names == ["x", "t", "w", "b"]
    stops = story.locator("svg [tabindex='0']")
    assert stops.count() == 1, "Tab passes the picture in one step"


def test_trace_marks_what_comes_before_and_after(story):
    story.locator("#box-z").hover()
    assert marked(story, "chosen") == {"z"}
    assert marked(story, "above") == {"w", "x", "b"}
    assert marked(story, "below") == {"y", "fit", "objective"}
    assert story.locator("#forward-w-z.kept").count() == 1
    assert story.locator("#forward-w-decay.kept").count() == 0
    assert "3 before (solid), 3 after (dashed)" in story.locator("#status").inner_text()
    opacity = "element => Number(getComputedStyle(element).opacity)"
    until(story, lambda: story.locator("#box-decay").evaluate(opacity) < 0.3)
    assert story.locator("#box-y").evaluate(opacity) == 1
    story.mouse.move(5, 450)
    assert marked(story, "kept") == set()


def test_enter_and_click_pin_the_trace_and_escape_clears(story):
    story.locator("#box-y").click()
    story.mouse.move(5, 450)
    assert marked(story, "chosen") == {"y"}
    story.keyboard.press("Escape")
    assert marked(story, "chosen") == set()
    story.locator("#box-fit").focus()
    story.keyboard.press("Enter")
    story.locator("#search").focus()
    assert marked(story, "chosen") == {"fit"}
    assert story.locator("#box-fit").get_attribute("aria-pressed") == "true"
    story.keyboard.press("Escape")
    assert story.locator("svg.dimmed").count() == 0


# ----------------------------------------------------------------------------- search


def test_search_marks_counts_and_goes_to_matches(dense):
    dense.keyboard.press("/")
    dense.keyboard.type("RELU1")
    assert dense.evaluate("document.activeElement.id") == "search"
    found = marked(dense, "found")
    assert "h.relu1" in found
    assert "x" not in found
    assert dense.locator("#count").inner_text() == f"{len(found)} found"
    for key in ("+", "+", "+", "+", "+", "+"):
        dense.evaluate(f"dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}' }}))")
    for at in range(len(found)):
        dense.keyboard.press("Enter")
        assert dense.locator("#count").inner_text() == f"{at + 1} of {len(found)}"
        until(dense, lambda: seen(dense, "#picture .here .shape"))
    dense.keyboard.press("Escape")
    assert dense.locator("#search").input_value() == ""
    assert marked(dense, "found") == set()
    assert dense.locator("svg.dimmed").count() == 0


def test_search_finds_signs_by_the_keys_of_a_keyboard(story):
    story.keyboard.press("End")
    story.locator("#search").fill("-0.0528771")
    assert marked(story, "found") == {"z", "b"}
    story.locator("#search").fill("nowhere")
    assert story.locator("#count").inner_text() == "none found"


def test_keys_of_the_page_are_letters_in_the_search(dense):
    dense.keyboard.press("/")
    dense.keyboard.type("f+0 ?")
    assert dense.locator("#search").input_value() == "f+0 ?"
    assert dense.locator(".compact:visible").count() == 0
    assert not dense.locator("#help").is_visible()


# ---------------------------------------------------------------------------- folding


def test_a_frame_folds_into_one_box_and_unfolds(dense):
    before = dense.locator("#picture .box:visible").count()
    dense.locator(".handle", has_text="h.dense2").click()
    compact = dense.locator(".compact:visible")
    assert compact.count() == 1
    assert "h.dense2: dense{64}" in compact.text_content()
    assert "2 values" in compact.text_content()
    assert dense.locator("#box-matmul2").is_hidden()
    assert dense.locator("#box-add2").is_hidden()
    assert dense.locator("#forward-matmul2-add2").is_hidden()
    assert dense.locator("#box-matmul1").is_visible()
    forward = dense.locator(".proxy.forward")
    pairs = forward.evaluate_all("all => all.map((e) => [e.dataset.tail, e.dataset.head])")
    me = "frame h.dense2"
    expected = [["h.dense2.W", me], ["h.dense2.b", me], ["h.relu1", me], [me, "h"]]
    assert sorted(pairs) == sorted(expected)
    assert dense.evaluate(DANGLING) == []
    compact.click()
    assert dense.locator("#picture .box:visible").count() == before
    assert dense.locator(".proxy").count() == 0
    assert dense.evaluate(DANGLING) == []


def test_folds_by_the_keyboard(dense):
    handle = dense.locator(".handle", has_text="logits")
    assert handle.get_attribute("aria-expanded") == "true"
    handle.focus()
    dense.keyboard.press("Enter")
    assert dense.locator("#box-matmul3").is_hidden()
    assert dense.evaluate("document.activeElement.dataset.thing") == "frame logits"
    dense.keyboard.press("Enter")
    assert dense.locator("#box-matmul3").is_visible()
    assert dense.evaluate("document.activeElement.matches('.handle')")


def test_f_folds_and_unfolds_everything(dense):
    boxes = dense.locator("#picture .box:visible").count()
    dense.keyboard.press("f")
    assert dense.locator(".compact:visible").count() == 3
    assert dense.evaluate(DANGLING) == []
    ends = dense.locator(".proxy").evaluate_all(
        "all => all.map((e) => [e.getAttribute('class'), e.dataset.tail, e.dataset.head].join())"
    )
    assert len(ends) == len(set(ends)), "no arrow is drawn twice"
    dense.keyboard.press("f")
    assert dense.locator("#picture .box:visible").count() == boxes


def test_frames_in_frames(open_page, nested):
    page = open_page(nested, "joint", depth=3)
    inner = page.locator(".handle", has_text="dense1")
    outer = page.locator(".handle", has_text="y: mlp")
    inner.click()
    assert page.locator(".compact:visible").count() == 1
    outer.click()
    assert page.locator(".compact:visible").count() == 1
    assert "mlp" in page.locator(".compact:visible").text_content()
    assert inner.is_hidden()
    assert page.evaluate(DANGLING) == []
    page.locator(".compact:visible").click()
    assert "dense1" in page.locator(".compact:visible").text_content()
    assert page.evaluate(DANGLING) == []
    page.keyboard.press("f")
    page.keyboard.press("f")
    assert page.locator(".compact:visible").count() == 0


def test_a_folded_frame_stands_for_its_boxes(dense):
    dense.locator(".handle", has_text="h.dense2").click()
    dense.locator("#box-h\\.relu1").hover()
    assert "frame h.dense2" in marked(dense, "below")
    dense.locator("#search").fill("matmul2")
    dense.mouse.move(5, 450)
    assert "frame h.dense2" in marked(dense, "found")
    assert "matmul2" not in marked(dense, "found")


def test_steps_go_through_folded_frames(open_page, nested):
    page = open_page(nested, "steps", depth=3)
    page.keyboard.press("f")
    for _ in range(page.evaluate("Number(document.querySelector('#step').max)")):
        assert page.evaluate(DANGLING) == []
        assert marked(page, "active") or page.locator(".halo.active").count() == 0
        page.keyboard.press("ArrowRight")
    assert page.locator(".proxy.gradient:visible").count() > 0
    page.keyboard.press("Home")
    assert page.locator(".proxy.gradient:visible").count() == 0


# ------------------------------------------------------------------------------ links


def test_a_box_leads_to_its_lines(story):
    story.locator("#box-y").click()
    assert lines(story, "model", "linked") == [11]
    generated = story.locator("#generated .linked").all_inner_texts()
    assert len(generated) > 4
    assert all("logistic.gc:11" in line for line in generated)
    assert seen(story, "#model .linked")
    assert seen(story, "#generated .linked")
    story.locator("#box-y").click()
    assert lines(story, "model", "linked") == []


def test_a_line_of_the_model_leads_to_boxes_and_generated_lines(story):
    story.locator("#model [role=option]", has_text="z = w * x + b").click()
    assert marked(story, "linked") == {"z"}
    assert story.locator("#generated .linked").count() >= 2
    assert seen(story, "#generated .linked")


def test_a_generated_line_leads_back(story):
    story.locator("#generated [role=option]", has_text="np.exp").first.click()
    assert marked(story, "linked") == {"y"}
    assert lines(story, "model", "linked") == [11]
    story.keyboard.press("Escape")
    assert marked(story, "linked") == set()
    story.locator("#generated [role=option]", has_text="def ").click()
    assert marked(story, "linked") == set()


def test_lines_are_followed_by_the_keyboard(story):
    story.locator("#model [role=option][tabindex='0']").focus()
    for _ in range(9):
        story.keyboard.press("ArrowDown")
    story.keyboard.press("Enter")
    assert lines(story, "model", "linked") == [10]
    assert marked(story, "linked") == {"z"}


# ------------------------------------------------------------------------------- view


def test_wheel_and_keys_zoom_and_dragging_pans(story):
    box = story.locator("#box-z .shape")
    before = box.bounding_box()
    story.mouse.move(before["x"] + 5, before["y"] + 5)
    story.mouse.wheel(0, -300)
    until(story, lambda: box.bounding_box()["width"] > before["width"])
    near = box.bounding_box()
    assert abs(near["x"] + 5 * near["width"] / before["width"] - before["x"] - 5) < 1.5
    story.mouse.move(60, 700)
    story.mouse.down()
    story.mouse.move(140, 650, steps=5)
    story.mouse.up()
    moved = box.bounding_box()
    assert moved["x"] - near["x"] == pytest.approx(80, abs=5)
    assert moved["y"] - near["y"] == pytest.approx(-50, abs=5)
    assert marked(story, "chosen") == set()
    story.keyboard.press("0")
    assert box.bounding_box() == before
    story.keyboard.press("+")
    assert box.bounding_box()["width"] == pytest.approx(1.25 * before["width"])
    story.keyboard.press("-")
    story.keyboard.press("Shift+ArrowRight")
    assert box.bounding_box()["x"] == pytest.approx(before["x"] - 60, abs=0.5)


def test_dragging_is_no_click(story):
    story.locator("#box-z").click()
    area = story.locator("#box-y .shape").bounding_box()
    story.mouse.move(area["x"] + 20, area["y"] + 20)
    story.mouse.down()
    story.mouse.move(area["x"] + 90, area["y"] + 60, steps=4)
    story.mouse.up()
    pinned = story.locator("svg [aria-pressed=true]")
    assert pinned.evaluate_all("all => all.map((e) => e.dataset.name)") == ["z"]


def test_steps_bring_what_they_speak_of_into_view(open_page):
    page = open_page("logistic", "steps")
    for _ in range(5):
        page.keyboard.press("+")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    until(page, lambda: seen(page, "#box-w .shape"))


def test_a_large_story_opens_where_its_step_is(open_page):
    page = open_page("transformer", "steps", "#step=60")
    (first, *_) = sorted(marked(page, "active"))
    until(page, lambda: seen(page, f'[data-thing="{first}"] .shape'))
    name = page.locator(f'[data-thing="{first}"] text.name').first.bounding_box()
    assert name["height"] > 7, "it can be read"


def test_help_lists_the_keys(story):
    story.keyboard.press("?")
    told = story.locator("#help").inner_text()
    for words in ("previous and next step", "play and pause", "search", "fold", "zoom", "Esc"):
        assert words in told
    story.keyboard.press("ArrowRight")
    assert title(story) == "Start", "help is read before anything else happens"
    story.keyboard.press("Escape")
    assert story.locator("#help").is_hidden()


def test_browser_shortcuts_are_left_alone(story):
    story.keyboard.press("Control+ArrowRight")
    story.keyboard.press("Alt+ArrowRight")
    assert title(story) == "Start"


@pytest.mark.parametrize("width", [1400, 800, 480])
def test_everything_is_in_the_window(story, width):
    story.set_viewport_size({"width": width, "height": 1000})
    story.wait_for_timeout(100)
    overflow = "document.documentElement.scrollWidth - innerWidth"
    assert story.evaluate(overflow) <= 0
    picture, panel = (story.locator(s).bounding_box() for s in ("#picture", "#panel"))
    assert picture["width"] > 300
    assert picture["height"] > 300
    assert panel["x"] + panel["width"] <= width + 1
    assert seen(story, "#caption h1")
    assert (panel["y"] >= picture["y"] + picture["height"] - 1) == (width < 900)


def test_everything_that_is_operated_has_a_name(dense, story):
    for page in (dense, story):
        operated = page.locator("button, input, [role=button], [role=listbox]")
        nameless = operated.evaluate_all(
            "all => all.filter((e) => !e.getAttribute('aria-label')).map((e) => e.outerHTML)"
        )
        assert nameless == []


def test_reduced_motion_is_respected(story):
    story.emulate_media(reduced_motion="reduce")
    duration = "getComputedStyle(document.querySelector('#box-z')).transitionDuration"
    assert story.evaluate(duration) == "0s"


def test_without_script_the_picture_is_shown_whole(open_page):
    page = open_page("logistic", "steps", script=False)
    assert page.locator("#box-z text.gradient").is_visible()
    assert page.locator("#step").count() == 0
    assert page.locator("#box-z title").count() == 1


# ---------------------------------------------------------------------------- hostile


def test_a_hostile_model_runs_no_script(open_page, here):
    path = here / FILE
    path.write_text(MODEL, "utf-8", newline="")
    page = open_page(path, "steps")
    assert page.evaluate("window.__hit") is None
    text = page.locator("#model").inner_text()
    assert "</svg><script>window.__hit = 1</script>" in text
    assert "\\u202e" in text
    page.keyboard.press("End")
    page.locator("#box-y").hover()
    assert "שלום" in page.locator("#tip").inner_text()
    assert page.evaluate("window.__hit") is None


def test_hostile_text_of_every_kind_is_shown_as_text(open_page, here):
    listing = Listing(ATTACK, 1, (ATTACK, ATTACK), (1, 0))
    file = here / "page.html"
    page_text = to_page(place(hostile_diagram()), hostile_moments(), listing, listing)
    file.write_text(page_text, "utf-8")
    page = open_page(file)
    told = visible(ATTACK)
    assert page.title() == f"picture{told}"
    assert title(page) == f"title{told}"
    assert told in page.locator("#caption p").last.inner_text()
    assert told in page.locator("#generated .lines").inner_text()
    page.locator("#box-a").hover()
    assert told in page.locator("#tip").inner_text()
    page.locator("#search").fill("</script>")
    page.keyboard.press("f")
    page.locator(".handle").click()
    page.locator(".compact").hover()
    assert told in page.locator("#tip").inner_text()
    page.locator(".compact").click()
    assert page.locator("img, b").count() == 0
    assert page.evaluate("window.__hit") is None


def test_the_policy_stops_what_is_put_into_the_page(browser, page_file):
    """The page's own defence, were text ever to become markup."""
    text = page_file("logistic", "steps").read_text("utf-8")
    evil = "<script>window.__hit = 1</script><img src=x onerror='window.__hit = 1'>"
    changed = page_file("logistic", "steps").with_name("changed.html")
    changed.write_text(text.replace("</main>", f"{evil}</main>"), "utf-8")
    page = browser.new_page()
    page.goto(changed.as_uri())
    assert page.evaluate("window.__hit") is None
    assert title(page) == "Start"
    page.close()


def test_data_are_the_moments_of_the_picture(open_page):
    page = open_page("logistic", "steps")
    data = json.loads(page.locator("#data").text_content())
    assert [moment["title"] for moment in data["moments"]] == graphc_moments()
    assert re.fullmatch(r"step 1 of \d+", page.locator("#caption .count").inner_text())
