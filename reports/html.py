"""A run as one HTML file: no network, no second file, and readable with scripts switched off."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from harness.campaign.records import CaseRecord, RunRecord
from reports.case_view import CaseView
from reports.columns import as_json, columns, packed
from reports.view_model import complete, outline, view

SCRIPTS = ("report.js", "list.js")
MOST_BYTES = 10_000_000
CASE_BYTES = 5_000_000
"""A whole report stays below the first where the list of its cases lets it, the pages of its cases below the second."""
LEAST_BYTES = 1_000_000
"""The pages of cases may have so much at any rate."""


def render(run: RunRecord, cases: Sequence[CaseRecord], most_bytes: int = MOST_BYTES) -> str:
    """The report of a run. Cases that do not fit are in its list, which names the command that shows them."""
    style, script = asset("report.css"), "\n".join(asset(name) for name in SCRIPTS)
    chosen = outline(run, cases)
    examples = {example.key: example.title for example in run.examples}

    listed = packed(columns(cases, chosen.implementations, chosen.clusters, examples, run.store))
    room = min(CASE_BYTES, max(LEAST_BYTES, most_bytes - len(listed) - len(style) - len(script)))
    views: dict[int, CaseView] = {}
    bodies: dict[str, Markup] = {}
    template = environment().get_template("case.html")
    for position in chosen.order:
        one = view(run, cases, chosen, position)
        body = template.render(case=one)
        room -= len(body.encode("utf-8", "replace"))
        if room < 0 and views:
            break
        views[position] = one
        bodies[one.anchor] = Markup(body)  # noqa: S704 - a template of ours has escaped it
    pages = {position: chosen.anchors[position] for position in views}
    page = (
        environment()
        .get_template("page.html")
        .render(
            page=complete(run, cases, chosen, views),
            bodies=bodies,
            policy=content_policy(style, script),
            # The only texts that are not escaped: ours, and none can end its element; and JSON that is escaped as such.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            table=Markup(as_json({"packed": listed, "pages": pages})),  # noqa: S704
        )
    )
    return str(page)


def asset(name: str) -> str:
    """A file of ours that is put into the page as it is."""
    text = files("reports").joinpath("assets", name).read_text(encoding="utf-8")
    if "</" in text or "<!--" in text:
        raise ValueError(f"{name} holds '</' or '<!--', which could end the element that it is put into")
    return text


def content_policy(style: str, script: str) -> str:
    """What a browser may run and load: this style, this script if there is one, and nothing else."""
    runs = _hash(script) if script else "'none'"
    return (
        f"default-src 'none'; script-src {runs}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def environment() -> jinja2.Environment:
    """The templates; whatever they are given is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
