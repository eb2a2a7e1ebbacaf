"""A headless Chromium, pages of pictures in files, and what a page must never do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import graphc

NAMES = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1400, "height": 900}

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium. Who asks for these tests wants them: without one they fail."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail(f"no browser: install one of {', '.join(NAMES)}, as apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("no Playwright: pip install -e '.[browser]'")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if root else []
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def page_file(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes the page of a model, once for each way to draw it."""
    made: dict[str, Path] = {}

    def write(model: str | Path, view: str, **options: Any) -> Path:
        key = repr((model, view, options))
        if key not in made:
            source = model if isinstance(model, Path) else models / f"{model}.gc"
            made[key] = tmp_path_factory.mktemp("page") / "page.html"
            graphc.render(source, view, **options).save(made[key])
        return made[key]

    return write


@pytest.fixture
def open_page(browser: Any, page_file: Callable[..., Path]) -> Iterator[Open]:
    """Opens the page of a model, or a file; in the end nothing was said, asked for or broken."""
    heard: list[str] = []
    asked: set[str] = set()
    wanted: set[str] = set()
    contexts: list[Any] = []

    def open_it(
        model: str | Path, view: str = "", hash: str = "", script: bool = True, **options: Any
    ) -> Any:
        path = page_file(model, view, **options) if view else Path(model)
        context = browser.new_context(viewport=SIZE, java_script_enabled=script)
        contexts.append(context)
        context.set_default_timeout(5000)
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("request", lambda request: asked.add(request.url.partition("#")[0]))
        wanted.add(path.as_uri())
        page.goto(path.as_uri() + hash)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert heard == []
    assert asked == wanted
