"""The report at scale: how long it takes to build, how large it is, how quickly a browser answers.

Synthetic stores, drawn by a seed (`property_tests/report_stores.py`), from a thousand cases to as many as are asked
for. Everything is measured in headless Chromium on the page as a user has it, opened from a file: a time ends when the
frame after the change has been drawn. Firefox, where it is installed, opens the list and goes to its last row. Writes
docs/report.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report_page import page
from harness.campaign.slim import read_run_slim
from property_tests.report_firefox import FIREFOX, Keys, firefox
from property_tests.report_stores import synthetic_store
from reports import html, selection

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIZES = (1_000, 10_000, 100_000)
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run")
REPETITIONS = 3
DRAWN = "const drawn = () => new Promise(r => requestAnimationFrame(() => setTimeout(r)));"
LISTED = "while (!document.querySelector('html.listed')) await new Promise(r => setTimeout(r, 5));"
TIMED = f"async (work) => {{ {DRAWN} const t = performance.now(); WORK; await drawn(); return performance.now() - t; }}"
ASK = (
    "const e = document.querySelector('.filter label:nth-of-type(NTH) :is(input, select)'); e.value = work; "
    "e.dispatchEvent(new Event(e.tagName === 'INPUT' ? 'input' : 'change', { bubbles: true }))"
)
SORT = "document.querySelectorAll('.virtual thead button')[work].click()"
OPEN = "location.hash = work; await drawn()"


@dataclass(frozen=True)
class Figures:
    """What was measured of one size; times in seconds, sizes in bytes."""

    cases: int
    store: int
    read: float
    built: float
    memory: int
    size: int
    pages: int
    elements: int
    ready: float
    heap: int
    filtered: float
    searched: float
    searched_first: float
    sorted: float
    sorted_by_title: float
    opened: float
    opened_elsewhere: float
    last_row: bool
    firefox_ready: float | None
    firefox_last_row: bool | None
    load: float


def build(cases: int, folder: Path, seed: int) -> tuple[Path, dict[str, Any]]:
    """A report on a new store; the memory is that of the whole process at its largest, so far."""
    store = synthetic_store(folder / f"{cases}.sqlite", cases, seed)
    began = time.perf_counter()
    run, records = read_run_slim(store, selection.paged)
    read = time.perf_counter()
    text = html.render(run, records)
    page = folder / f"{cases}.html"
    page.write_text(text, encoding="utf-8")
    built = time.perf_counter()
    figures = {
        "cases": cases,
        "store": store.stat().st_size,
        "read": read - began,
        "built": built - began,
        "memory": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "size": page.stat().st_size,
        "pages": text.count('<article class="page case"'),
    }
    store.unlink()
    return page, figures


def browse(browser: Browser, path: Path) -> dict[str, Any]:
    """Every time is the median of several, in a page that has just been opened."""
    seen: dict[str, list[float]] = {}
    found: dict[str, Any] = {}

    def timed(name: str, work: str, value: object) -> None:
        seen.setdefault(name, []).append(tab.evaluate(TIMED.replace("WORK", work), value) / 1000)

    for _ in range(REPETITIONS):
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        began = time.perf_counter()
        tab.goto(path.as_uri())
        tab.evaluate(f"async () => {{ {DRAWN} {LISTED} await drawn(); }}")
        seen.setdefault("ready", []).append(time.perf_counter() - began)
        found["elements"] = tab.evaluate("document.querySelectorAll('*').length")
        rows = tab.locator(".virtual tbody tr[id]")
        case = tab.locator(".bugs td a, .cases tbody th a").first.get_attribute("href")
        timed("opened", OPEN, case)
        timed("list", OPEN, "#cases")
        timed("searched_first", ASK.replace("NTH", "1"), "lion")
        timed("searched", ASK.replace("NTH", "1"), "layer_norm")
        timed("searched", ASK.replace("NTH", "1"), "")
        timed("filtered", ASK.replace("NTH", "2"), "mismatch")
        timed("filtered", ASK.replace("NTH", "2"), "")
        timed("sorted_by_title", SORT, 0)
        for column in (1, 2, 3, -1 + tab.locator(".virtual thead button").count()):
            timed("sorted", SORT, column)
        tab.locator(".virtual").focus()
        tab.keyboard.press("End")
        total = int(tab.locator(".virtual").get_attribute("aria-rowcount") or 0)
        found["last_row"] = rows.last.get_attribute("aria-rowindex") == str(total) and rows.last.is_visible()
        elsewhere = tab.locator(".virtual .elsewhere a")
        timed("opened_elsewhere", OPEN, elsewhere.last.get_attribute("href") if elsewhere.count() else "#row")
        found["heap"] = tab.evaluate("performance.memory ? performance.memory.usedJSHeapSize : 0")
        tab.close()
    return found | {name: statistics.median(values) for name, values in seen.items() if name != "list"}


def browse_in_firefox(path: Path, folder: Path) -> dict[str, Any]:
    """When the list is there, and whether its last row is: by a key, and by the wheel."""
    if not FIREFOX.exists():
        return {"firefox_ready": None, "firefox_last_row": None}
    rows, total = ".virtual tbody tr[id]", "return document.querySelector('.virtual').getAttribute('aria-rowcount')"
    with firefox(folder) as browser:
        browser.open(path, "#cases")
        began = time.perf_counter()
        browser.open(path, "#cases", patience=60)
        ready, last = time.perf_counter() - began, browser.run(total)
        reached = []
        for go in (lambda: browser.press(".virtual", Keys.END), lambda: browser.wheel(".sheet", 20_000_000)):
            go()
            row = browser.find(rows)[-1]
            reached.append(row.get_attribute("aria-rowindex") == last and browser.ink(row) > 0)
            browser.press(".virtual", Keys.HOME)
    return {"firefox_ready": ready, "firefox_last_row": all(reached)}


def measured(sizes: tuple[int, ...], seed: int) -> list[Figures]:
    """All figures, size by size."""
    from playwright.sync_api import sync_playwright

    figures = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        for cases in sizes:
            path, built = build(cases, Path(folder), seed)
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
            seen = browse(browser, path)
            browser.close()
            seen |= browse_in_firefox(path, Path(tempfile.mkdtemp(dir=folder)))
            figures.append(Figures(**built, **seen, load=os.getloadavg()[1]))
            sys.stderr.write(f"{cases:,} cases measured\n")
    return figures


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="docs/report.md, to write the figures there")
    options = parser.parse_args()
    if not CHROMIUM.exists():
        sys.stderr.write(f"report: {CHROMIUM} is missing, so nothing was measured\n")
        return
    text = page(measured(tuple(options.cases), options.seed), options.seed)
    sys.stdout.write(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
