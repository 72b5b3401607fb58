"""Under attack and for everybody: five hundred payloads run nothing, and axe finds no barrier in any view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser

from property_tests import report_fixtures as fixtures
from property_tests.report_browser import Visit, chromium, keep, visiting
from property_tests.report_payloads import PAYLOADS, POLICY, payload_run, rendered
from reports import html
from reports.comparison import compare_runs
from reports.comparison_view import as_html

pytestmark = pytest.mark.browser

@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


VIEWS = ("#cases", "#cases?text=onerror&sort=title", "#coverage", "#catalogue", "#method", "#row")


def attack(visit: Visit, path: Path) -> list[str]:
    """Look around as a user would: every page, the list, a case without a page; and what came of it."""
    page = visit.page
    page.wait_for_timeout(100)
    for fragment in (*VIEWS, "#cases?" + PAYLOADS[30]):
        page.evaluate("hash => { location.hash = hash; }", fragment)
        page.wait_for_timeout(60)
    page.evaluate("location.hash = '#cases?sort=title'")
    page.wait_for_timeout(60)
    for number in (5, 200, 490):  # cases without a page
        page.evaluate("name => { location.hash = '#case=' + encodeURIComponent(name); }", PAYLOADS[number - 1])
        page.wait_for_timeout(60)
    opened = "one.classList.add('shown'); one.open = true;"
    page.evaluate(f"for (const one of document.querySelectorAll('.page, details')) {{ {opened} }}")
    page.wait_for_timeout(200)
    found = ["a payload ran"] if page.evaluate("window.PWNED") else []
    found += [f"asked for {url}" for url in visit.requests if not url.startswith(path.as_uri())]
    return found + visit.errors


def test_five_hundred_payloads_run_nothing_even_without_the_policy(browser: Browser, tmp_path: Path):
    assert len(set(PAYLOADS)) == 500
    path = tmp_path / "payloads.html"
    text = rendered()
    assert text.count('<article class="page case"') == 400, "every fifth has no page"
    path.write_text(text, encoding="utf-8")
    with visiting(browser, path) as visit:
        assert attack(visit, path) == []
        assert visit.page.locator(".virtual").get_attribute("aria-rowcount") == "501"


def test_the_comparison_runs_nothing_either(browser: Browser, tmp_path: Path):
    run, cases = payload_run()
    page = as_html(compare_runs(run, cases[:300], fixtures.run(implementations=run.implementations), cases[200:]))
    path = tmp_path / "compared.html"
    path.write_text(re.sub(POLICY, "", page), encoding="utf-8")
    with visiting(browser, path) as visit:
        visit.page.wait_for_timeout(150)
        assert not visit.page.evaluate("window.PWNED")
        assert len(visit.requests) == 1
        assert visit.errors == []
    assert "script-src 'none'" in page.replace("&#39;", "'")


@pytest.mark.parametrize(
    "planted",
    [
        {"careless": True},
        {"asset": ("list.js", 'stub.querySelector("h1").textContent = title(row);',
                   'stub.querySelector("h1").innerHTML = title(row);')},
        {"asset": ("list.js", "made.append(...children);",
                   "for (const one of children) typeof one === 'string' ? made.insertAdjacentHTML('beforeend', one) : "
                   "made.append(one);")},
    ],
)  # fmt: skip
def test_planted_markup_runs(browser: Browser, tmp_path: Path, planted: dict):
    path = tmp_path / "planted.html"
    path.write_text(rendered(**planted), encoding="utf-8")
    with visiting(browser, path) as visit:
        visit.page.set_default_timeout(10_000)
        try:
            found = attack(visit, path)
        except Exception as error:  # noqa: BLE001 - a payload may leave nothing of the page
            found = [str(error)]
        assert found != []


AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
RULES = {
    "light": "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']",
    "dark": "['color-contrast']",
}
"""In the dark only the colours are other ones."""


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("views")
    run, cases = fixtures.generated_run()
    wrong = fixtures.mismatch()
    wrong = msgspec.structs.replace(wrong, quantities=[*wrong.quantities[:6], *wrong.quantities[-2:]])
    cases = [cases[0], cases[2], wrong, fixtures.deep(3)]
    report, compared = folder / "report.html", folder / "compared.html"
    report.write_text(html.render(run, cases), encoding="utf-8")
    bug = re.findall(r'id="(bug-[0-9a-f]+)"', report.read_text(encoding="utf-8"))[0]
    compared.write_text(as_html(compare_runs(*fixtures.good_run(), *fixtures.mixed_run())), encoding="utf-8")
    names = ("overview", "cases", "case=7f3c09a1e2b44d10", f"case={wrong.id}", "case=deed000000000014", bug)
    names += (f"case={cases[1].id}", "coverage", "catalogue", "card=layers.dense", "method")
    return [*((report, f"#{name}") for name in names), (compared, "")]


def barriers(visit: Visit, theme: str = "light") -> list[str]:
    """What axe finds, and where."""
    visit.page.evaluate(AXE)
    where = "one.nodes.slice(0, 3).map(node => node.target.join(' ')).join(', ')"
    told = f"one => one.id + ': ' + one.help + ' at ' + {where}"
    asked = f"axe.run({{ runOnly: {RULES[theme]} }})"
    return list(visit.page.evaluate(f"async () => (await {asked}).violations.map({told})"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view(browser: Browser, views: list[tuple[Path, str]], theme: str):
    for path, fragment in views:
        with visiting(browser, path, fragment, color_scheme=theme, bypass_csp=True) as visit:
            assert visit.page.locator(".page:visible").count() == 1
            assert barriers(visit, theme) == [], fragment
            keep(visit.page, f"{fragment or path.stem} {theme}".lstrip("#"))


BARRIERS = {
    "html-has-lang": ('<html lang="en">', "<html>"),
    "color-contrast": ("--soft: #595f67", "--soft: #b9bfc7"),
    "select-name": ('element("label", {}, label, field[name])', 'element("div", {}, field[name])'),
    "landmark": ("<main>", "<div>"),
}


def test_planted_barriers_are_found(browser: Browser, views: list[tuple[Path, str]], tmp_path: Path):
    text = views[0][0].read_text(encoding="utf-8")
    for old, new in BARRIERS.values():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "planted.html"
    path.write_text(re.sub(POLICY, "", text), encoding="utf-8")
    with visiting(browser, path, "#cases") as visit:
        found = barriers(visit)
    assert [rule for rule in BARRIERS if not any(rule in one for one in found)] == []
