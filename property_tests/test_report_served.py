"""The report as a CI server shows it: under a policy that runs no script and takes no style out of the page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from property_tests import report_fixtures as fixtures
from property_tests.report_browser import chromium, keep
from property_tests.report_pixels import Box, ink
from reports import html

pytestmark = pytest.mark.browser

POLICY = "default-src 'none'; style-src 'self'; sandbox"
"""As Jenkins sends it for what a build has archived, without its pictures."""


class Handler(SimpleHTTPRequestHandler):
    """Files with the policy, and no log."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def report() -> str:
    """A kink, a bug, and a case that agrees."""
    run, cases = fixtures.generated_run()
    return html.render(run, [*cases[:2], fixtures.mismatch()])


@contextmanager
def visited(browser: Browser, folder: Path, text: str, **options: str) -> Iterator[tuple[Page, list[str]]]:
    """A report at a server, and what the browser has refused."""
    (folder / "report.html").write_text(text, encoding="utf-8")
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)  # type: ignore[arg-type]
    with served(folder) as address:
        page = context.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        page.goto(f"{address}/report.html")
        yield page, refused
        context.close()


def check_summary(page: Page, refused: list[str]) -> None:
    """Without style and script: the headline, the bugs and the counts can be read, from the top and in this order."""
    assert any("style" in one for one in refused), "the policy of the server was not in force"
    assert any("script" in one for one in refused)
    picture = page.screenshot(full_page=True)
    above = 0.0
    for selector, words in (
        ("#headline", "jax disagrees with the exact value"),
        (".bugs tbody tr", "mismatch"),
        (".counts ul", "undetermined branch"),
        (".cases tbody tr:nth-child(2)", "4-3-4 network"),
    ):
        shown = page.locator(selector).first
        assert words in shown.inner_text(), selector
        box = shown.bounding_box()
        assert box is not None
        assert box["y"] >= above, f"{selector} stands out of order"
        assert ink(picture, Box(box["x"], box["y"], box["width"], box["height"])) > 0.002, f"{selector} is blank"
        above = box["y"]
    counts = page.locator(".counts").first.bounding_box()
    assert counts is not None
    assert counts["y"] + counts["height"] < 800, "the summary is to be seen without scrolling"
    assert page.locator(".filter:visible, .sheet:visible").count() == 0, "what needs a script is not there"
    assert page.locator(".plainlist").is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_summary_can_be_read_without_style_and_script(browser: Browser, tmp_path: Path, theme: str):
    with visited(browser, tmp_path, report(), color_scheme=theme) as (page, refused):
        check_summary(page, refused)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        keep(page, f"served {theme}")


# The check above, seen to fail.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<h1 id="headline">', '<h1 id="headline" hidden>'),
        ('<div class="counts">', '<div class="counts" hidden>'),
        ('<h1 id="headline">', '<h1 id="headline"><svg width="600" height="900"></svg>'),
        ('<div class="sheet" hidden>', '<div class="sheet">list'),
    ],
)
def test_planted_unreadable_summaries_are_seen(browser: Browser, tmp_path: Path, old: str, new: str):
    text = report()
    assert text.count(old) == 1
    with visited(browser, tmp_path, text.replace(old, new)) as visit, pytest.raises(AssertionError):
        check_summary(*visit)
