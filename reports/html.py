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
from reports.view_model import build


def render(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """The report of a run."""
    style, script = asset("report.css"), asset("report.js")
    page = build(run, cases)
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            policy=content_policy(style, script),
            # The only two texts that are not escaped: ours, and neither can end its element.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
        )
    )


def asset(name: str) -> str:
    """A file of ours that is put into the page as it is."""
    text = files("reports").joinpath("assets", name).read_text(encoding="utf-8")
    if "</" in text or "<!--" in text:
        raise ValueError(f"{name} holds '</' or '<!--', which could end the element that it is put into")
    return text


def content_policy(style: str, script: str) -> str:
    """What a browser may run and load: this style, this script, and nothing else."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
