"""Opening a report in headless Chromium, and what happens while it is open."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; a test that needs one fails where there is none."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: these tests need Debian's chromium (apt-get install chromium)")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


class Visit:
    """A page that is open, and what happened while it was."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.errors.append("a dialog opened"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))


def settle(page: Page) -> None:
    """Wait until the list of cases is unpacked, where there is one; a broken page is not waited for long."""
    waiting = "document.getElementById('cases') !== null && !document.documentElement.classList.contains('listed')"
    with suppress(Error):  # a page that runs what it should not may be on its way elsewhere
        for _ in range(100):
            if not page.evaluate(waiting):
                return
            page.wait_for_timeout(20)


@contextmanager
def visiting(browser: Browser, path: Path, fragment: str = "", **options: object) -> Iterator[Visit]:
    """A page opened in a fresh tab of a fresh profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)  # type: ignore[arg-type]
    try:
        visit = Visit(context.new_page())
        visit.page.goto(path.as_uri() + fragment)
        if options.get("java_script_enabled", True):
            settle(visit.page)
        yield visit
    finally:
        context.close()


def keep(page: Page, name: str) -> None:
    """Keep a picture of a view, on a wide and on a narrow screen, in the folder that the environment names, if any."""
    folder = os.environ.get("GRADPARITY_SCREENSHOTS")
    for width, height in ((1280, 800), (390, 844)) if folder else ():
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=Path(folder or "") / f"{re.sub(r'[^0-9A-Za-z]+', '-', name)}-{width}.png", full_page=True)


def inside(page: Page, selector: str) -> bool:
    """Whether an element is to be seen without scrolling."""
    box = page.locator(selector).bounding_box()
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 800
