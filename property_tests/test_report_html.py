"""The page as text: nothing in it that a record could have put there, and nothing that needs a network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import jinja2
import pytest

from property_tests import report_fixtures as fixtures
from reports import html

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "script", "body", "header", "nav", "main", "article", "section", "div"),
    *(
        "h1",
        "h2",
        "br",
        "h3",
        "p",
        "a",
        "span",
        "b",
        "i",
        "u",
        "em",
        "small",
        "code",
        "mark",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
    ),
    *("dd", "details", "summary", "figure", "figcaption", "pre", "table", "thead", "tbody", "tr", "th", "td", "label"),
    *("caption", "input", "select", "option", "output", "button", "kbd"),
    *("svg", "desc", "g", "path", "rect", "circle", "polyline", "text", "tspan"),
}


class Reader(HTMLParser):
    """What a browser would make of the page, as far as it matters here."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: str = ""
        self.raw: dict[str, list[str]] = {"style": [], "script": [], "data": []}
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in <{tag}>"
        if tag in ("style", "script"):
            self.inside = "data" if ("type", "application/json") in attrs else tag
            self.raw[self.inside].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script"):
            self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.raw[self.inside][-1] += data
        else:
            self.texts.append(data)


def faults(page: str) -> list[str]:
    """Everything that is wrong with a page; empty for a good one."""
    reader = Reader(page)
    found = []
    ids: list[str] = []
    links: list[str] = []
    policy = ""
    for tag, attributes in reader.elements:
        if tag not in ELEMENTS:
            found.append(f"unexpected element <{tag}>")
        for name, value in attributes.items():
            if name == "style" or name.startswith("on"):
                found.append(f"attribute {name} on <{tag}>")
            if name in (
                "src",
                "srcset",
                "data",
                "action",
                "formaction",
                "xlink:href",
                "poster",
                "background",
                "srcdoc",
            ):
                found.append(f"{name}={value!r} on <{tag}> could load something")
            if name == "id":
                ids.append(value)
            if name == "href":
                links.append(value)
        if attributes.get("http-equiv", "").lower() == "content-security-policy":
            policy = attributes["content"]
    found += [f"link to {link!r}" for link in links if not link.startswith("#")]
    found += [f"dead link {link!r}" for link in set(links) if link[1:] not in ids]
    found += [f"id {name!r} twice" for name in {name for name in ids if ids.count(name) > 1}]
    found += [f"id {name!r} is not safe" for name in ids if not re.fullmatch(r"[\w=~.-]+", name, re.ASCII)]
    for kind in ("style", "script"):
        if len(reader.raw[kind]) != 1:
            found.append(f"{len(reader.raw[kind])} <{kind}> elements")
        for text in reader.raw[kind]:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            if f"{kind}-src 'sha256-{digest}';" not in policy:
                found.append(f"the policy does not fit the <{kind}>")
            if re.search(r"https?:|url\(|@import", text):
                found.append(f"the <{kind}> could load something")
    for text in reader.raw["data"]:
        found += [f"the data holds {character!r}" for character in "<>&\u2028\u2029" if character in text]
        try:
            json.loads(text)
        except ValueError:
            found.append("the data is no JSON")
    if not policy.startswith("default-src 'none'; "):
        found.append("the policy does not start with default-src 'none'")
    return found


def visible(page: str) -> str:
    return " ".join(Reader(page).texts)


@pytest.mark.parametrize("make", [fixtures.good_run, fixtures.mixed_run, fixtures.hostile_run, fixtures.generated_run])
def test_the_page_holds_only_what_it_should(make):
    assert faults(html.render(*make())) == []


def test_hostile_strings_are_shown_as_they_are():
    page = html.render(*fixtures.hostile_run())
    text = visible(page)
    for payload in fixtures.HOSTILE:
        assert payload in text, payload
    assert "49" not in re.findall(r"\b49\b", text)


def test_an_empty_run_has_a_page():
    page = html.render(fixtures.run(examples=[], environment={}, implementations=[], finished=""), [])
    assert faults(page) == []
    assert "INCOMPLETE" in visible(page)
    assert "No case has been judged" in visible(page)


def test_forty_cases_stay_under_three_megabytes():
    run, cases = fixtures.run(), [fixtures.agreeing(k, steps=3) for k in range(40)]
    assert min(len(case.quantities) for case in cases) >= 75
    size = len(html.render(run, cases).encode())
    assert size < 3_000_000, f"{size:,} bytes"


def test_the_same_run_gives_the_same_bytes():
    assert html.render(*fixtures.mixed_run()) == html.render(*fixtures.mixed_run())


def test_markup_is_marked_safe_in_one_place_only():
    loader = html.environment().loader
    assert loader is not None
    for name in loader.list_templates():
        source = loader.get_source(html.environment(), name)[0]
        assert not re.search(r"\|\s*safe|autoescape", source), name


def test_the_script_writes_no_markup():
    for name in html.SCRIPTS:
        assert not writes_markup(html.asset(name)), name


def writes_markup(script: str) -> bool:
    """Whether a script could turn text into elements or code, or ask a network for anything."""
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc|\beval\b|"
        r"Function\(|fetch\(|import\b|XMLHttpRequest|sendBeacon|WebSocket|setAttribute\([\"']on|setTimeout\([\"']"
    )
    return re.search(forbidden, script) is not None


# Each check above, seen to fail.


@pytest.mark.parametrize("planted", ["line.innerHTML = name;", "fetch('//x')", "made.setAttribute('onclick', x)"])
def test_planted_markup_in_a_script_is_found(planted: str):
    assert writes_markup(html.asset("list.js") + planted)


def test_planted_json_without_escapes_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(html, "packed", json.dumps)
    monkeypatch.setattr(html, "as_json", json.dumps)
    assert any("data" in fault or "<script>" in fault for fault in faults(html.render(*fixtures.hostile_run())))


def test_planted_missing_escape_is_found(monkeypatch: pytest.MonkeyPatch):
    careless = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=False,  # noqa: S701
        undefined=jinja2.StrictUndefined,
    )
    monkeypatch.setattr(html, "environment", lambda: careless)
    found = faults(html.render(*fixtures.hostile_run()))
    assert "unexpected element <img>" in found
    assert any("<script> elements" in fault for fault in found)
    assert any(fault.startswith("attribute on") for fault in found)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("--paper:", "--paper :", "the policy does not fit the <style>"),
        ('"use strict";', '"use sloppy";', "the policy does not fit the <script>"),
        ("default-src &#39;none&#39;", "default-src *", "the policy does not start with default-src 'none'"),
        ("<main>", '<main style="color:red">', "attribute style on <main>"),
        ("<main>", '<main onclick="x()">', "attribute onclick on <main>"),
        ("<main>", '<main><a href="https://example.org/">x</a>', "link to 'https://example.org/'"),
        ("<main>", '<main><a href="#nowhere">x</a>', "dead link '#nowhere'"),
        ("<main>", '<main><p id="overview">', "id 'overview' twice"),
        ("<main>", '<main><img src="http://x/y">', "unexpected element <img>"),
    ],
)
def test_planted_faults_are_found(old: str, new: str, fault: str):
    page = html.render(*fixtures.good_run())
    assert old in page
    assert fault in faults(page.replace(old, new, 1))


def test_an_undefined_name_in_a_template_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        html.environment().from_string("{{ page.nothing.at_all }}").render(page=1)


def test_an_asset_that_could_end_its_element_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "report.js").write_text("'</script>'")
    monkeypatch.setattr(html, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="could end"):
        html.asset("report.js")
