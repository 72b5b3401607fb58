"""The page in Firefox: opened from a file, scrolled to its end, under attack, and by its addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.campaign.slim import read_run_slim
from property_tests.report_firefox import Firefox, Keys, firefox
from property_tests.report_payloads import PAYLOADS, POLICY, rendered
from property_tests.report_stores import synthetic_store
from reports import html, looks, selection
from reports.clusters import clusters

pytestmark = pytest.mark.browser

CASES = 10_000
ROWS = ".virtual tbody tr[id]"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox")) as started:
        yield started


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    return read_run_slim(synthetic_store(tmp_path_factory.mktemp("stores") / "results.sqlite", CASES), selection.paged)


@pytest.fixture(scope="module")
def report(records: tuple, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten thousand cases, few of them with a page."""
    path = tmp_path_factory.mktemp("reports") / "large.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "CASE_BYTES", 300_000)
        path.write_text(html.render(*records), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def planted(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """The same page with a mistake, which its policy would refuse."""
    folder = tmp_path_factory.mktemp("planted")

    def make(old: str, new: str) -> Path:
        text = re.sub(POLICY, "", report.read_text(encoding="utf-8"))
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the page"
        path = folder / f"{len(list(folder.iterdir()))}.html"
        path.write_text(text.replace(old, new), encoding="utf-8")
        return path

    return make


def check_opened(browser: Firefox, path: Path) -> None:
    """No complaint, no request, and rows that are painted."""
    browser.open(path)
    assert browser.errors() == []
    assert browser.requests() == []
    assert browser.ink(browser.find("#headline")[0]) > 0.01
    browser.open(path, "#cases")
    rows = browser.find(ROWS)
    assert 5 <= len(rows) <= 40
    assert browser.ink(*browser.find(f"{ROWS} a")) > 0.01
    assert browser.errors() == []


def check_last_row(browser: Firefox, path: Path, last: int = CASES + 1) -> None:
    """By the wheel and by a key, the last row is reached and painted, and the first again."""
    browser.open(path, "#cases")
    for down in (True, False):
        browser.wheel(".sheet", 20_000_000 if down else -20_000_000)
        check_painted(browser, -1 if down else 0, last if down else 2)
    for key, at, index in ((Keys.END, -1, last), (Keys.ARROW_UP, -2, last - 1), (Keys.HOME, 0, 2), ("j", 1, 3)):
        browser.press(".virtual", key)
        check_painted(browser, at, index)
        assert browser.find(".virtual tr[aria-selected=true]") == [browser.find(ROWS)[at]]


def check_painted(browser: Firefox, at: int, index: int) -> None:
    """Where the so manieth row in sight should be, the row with this number is painted."""
    row = browser.find(ROWS)[at]
    assert row.get_attribute("aria-rowindex") == str(index)
    link = row.find_element("css selector", "a")
    assert browser.ink(link) > 0.01
    assert browser.run(HIT, link), "something else lies above it"


HIT = """
    const box = arguments[0].getBoundingClientRect();
    return document.elementFromPoint(box.left + 5, box.top + box.height / 2) === arguments[0];
"""


def check_addresses(browser: Firefox, path: Path, records: tuple) -> None:
    """Each address, opened in a fresh tab, shows its view."""
    run, cases = records
    away = next(case for case in cases if case.abridged and case.verdict == "rounding")
    bug = max(clusters(cases), key=lambda one: len(one.members))
    near = re.findall(r'<article class="page case" id="([^"]+)"', path.read_text(encoding="utf-8"))[0]
    words = {
        "": "Worked examples",
        "coverage": "What was tested",
        "method": "How bounds and verdicts come about",
        near: f"{near} ",
        f"case={away.id}": f"gradparity show {run.store} {away.id}",
        bug.key.anchor: bug.key.what,
        f"cases?bug={bug.key.anchor}": f"{len(bug.members)} of {CASES:,} cases",
        f"cases?text={away.id}": looks.title_of(away),
    }
    for fragment, text in words.items():
        browser.open(path, f"#{fragment}")
        (view,) = browser.run(SHOWN)
        assert text in view, fragment
        assert browser.errors() == []


SHOWN = """
    const shown = [...document.querySelectorAll(".page")].filter(one => one.offsetParent);
    return shown.map(one => one.id + " " + one.textContent);
"""


def test_opens_from_a_file_and_shows_rows(browser: Firefox, report: Path):
    check_opened(browser, report)


def test_the_last_of_many_rows_is_reached_and_painted(browser: Firefox, report: Path):
    check_last_row(browser, report)


def test_every_address_opens_in_a_fresh_tab(browser: Firefox, report: Path, records: tuple):
    check_addresses(browser, report, records)


@pytest.fixture(scope="module")
def payloads() -> str:
    return rendered(policy=True)


VIEWS = ("#cases", "#cases?text=onerror&sort=title", "#coverage", "#catalogue", "#method", "#row")
ATTACK = """
    for (const one of document.querySelectorAll(".page, details")) { one.classList.add("shown"); one.open = true; }
    return Boolean(window.wrappedJSObject.PWNED);
"""


def attack(browser: Firefox, path: Path) -> list[str]:
    """Look around as a user would, and open everything; and what came of it."""
    away = [f"#case={PAYLOADS[number - 1]}" for number in (5, 200, 490)]  # cases without a page
    browser.open(path)
    for fragment in (*VIEWS, *away, "#cases?sort=title"):
        browser.run("location.hash = arguments[0];", fragment)
        browser.settle()
    browser.run(ATTACK)
    browser.settle(10)
    found = ["a payload ran"] if browser.run("return Boolean(window.wrappedJSObject.PWNED);") else []
    return [*found, *(f"asked for {address}" for address in browser.requests()), *browser.errors()]


@pytest.mark.parametrize("policy", [True, False])
def test_five_hundred_payloads_run_nothing(browser: Firefox, payloads: str, tmp_path: Path, policy: bool):
    path = tmp_path / "payloads.html"
    path.write_text(payloads if policy else re.sub(POLICY, "", payloads), encoding="utf-8")
    assert attack(browser, path) == []
    assert browser.find(".virtual")[0].get_attribute("aria-rowcount") == str(len(PAYLOADS) + 1)


# The checks above, seen to fail.


def test_planted_markup_runs(browser: Firefox, tmp_path: Path):
    path = tmp_path / "careless.html"
    path.write_text(rendered(careless=True), encoding="utf-8")
    browser.open(path)
    assert "a payload ran" in attack(browser, path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("const routes = [];", "const routes = []; console.nothing();"),
        ("const routes = [];", "const routes = []; fetch('http://evil.example/').catch(() => 0);"),
        (".virtual tbody tr { height: 34px; }", ".virtual tbody tr { height: 34px; visibility: hidden; }"),
    ],
)
def test_planted_trouble_at_opening_is_seen(browser: Firefox, planted: Callable, old: str, new: str):
    with pytest.raises(AssertionError):
        check_opened(browser, planted(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".window { position: sticky; top: 0;", ".window {"),
        ("/ travel() * beyond)", "/ travel() * beyond * 0.999)"),
        ("End: rows.length - 1", "End: rows.length - 2"),
    ],
)
def test_planted_unreachable_rows_are_seen(browser: Firefox, planted: Callable, old: str, new: str):
    with pytest.raises(AssertionError):
        check_last_row(browser, planted(old, new))


def test_planted_dead_addresses_are_seen(browser: Firefox, planted: Callable, records: tuple):
    path = planted("for (const route of routes)", "for (const route of [])")
    with pytest.raises((AssertionError, ValueError)):
        check_addresses(browser, path, records)
