"""The comparison of two runs as a page: it says what the text says, holds only what it should, and is written whole."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from harness.campaign.records import CaseRecord
from harness.campaign.store import Store
from harness.cli import main
from property_tests import report_fixtures as fixtures
from property_tests.report_payloads import PAYLOADS, payload_run
from property_tests.test_report_html import Reader, visible
from reports import comparison_view
from reports.comparison import KINDS, Comparison, compare_runs


def two_runs() -> Comparison:
    """One broken, one fixed, one with a larger error; an implementation that only the new run has."""
    run, old = fixtures.mixed_run()
    changes = {
        1: {"verdict": "mismatch", "worst_ratio": 812.0, "place": "grad W1 at step 0"},
        2: {"worst_ratio": 0.999},
        5: {"verdict": "rounding", "worst_ratio": 0.5},
    }
    new = [changed(case, changes.get(position, {})) for position, case in enumerate(old)]
    environment = {**run.environment, "torch": "2.14.0"}
    later = msgspec.structs.replace(run, environment=environment, implementations=[*run.implementations, "mine"])
    return compare_runs(run, old, later, new[:-1])


def changed(case: CaseRecord, changes: dict[str, object]) -> CaseRecord:
    findings = [
        msgspec.structs.replace(one, **changes) if one.implementation == "jax" else one for one in case.findings
    ]
    quantities = [] if changes else case.quantities
    return msgspec.structs.replace(case, findings=findings, quantities=quantities)


def test_the_page_counts_what_the_comparison_counts():
    found = two_runs()
    page = comparison_view.build(found)
    assert {section.badge.word: section.number for section in page.sections} == {
        kind: f"{found.counts[kind]:,}" for kind in KINDS
    }
    assert page.headline == "Of 21 verdicts, 1 is broken and 1 is fixed."
    assert page.wrong
    broken = page.sections[0].rows[0]
    assert (broken.implementation, broken.old.word, broken.new.word) == ("jax", "rounding", "mismatch")
    text = visible(comparison_view.as_html(found))
    for words in ("mine: only the new run has it", "2.14.0", "1 case only in the old run", "2026-11-22 03:48:12 UTC"):
        assert words in text


def test_planted_loss_of_a_kind_is_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(comparison_view, "KINDS", KINDS[1:])
    with pytest.raises(AssertionError):
        test_the_page_counts_what_the_comparison_counts()


def test_of_very_many_changes_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(comparison_view, "SHOWN", 0)
    section = comparison_view.build(two_runs()).sections[0]
    assert section.rows == ()
    assert section.more.startswith("and 1 more")


def test_payloads_are_text():
    run, cases = payload_run()
    page = comparison_view.as_html(compare_runs(run, cases[:300], run, cases[200:]))
    reader = Reader(page)
    assert {tag for tag, _ in reader.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "header", "a", "span", "nav", "main", "div", "h1", "h2"),
        *("p", "section", "ul", "li", "dl", "dt", "dd", "i", "b", "u", "small", "table", "thead", "tbody", "tr", "th"),
        *("td", "code", "details", "summary"),
    }
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)
    text = visible(page)
    assert [payload for payload in PAYLOADS[:200] if payload not in text] == [], "the cases of the old run alone"


def test_the_command_writes_the_page(tmp_path: Path):
    run, cases = fixtures.good_run()
    for name in ("old", "new"):
        with Store(tmp_path / f"{name}.sqlite") as store:
            store.describe(run)
            for case in cases:
                store.add(case, b"{}")
    page = tmp_path / "compared.html"
    arguments = [str(tmp_path / "old.sqlite"), str(tmp_path / "new.sqlite"), "--html", str(page)]
    result = CliRunner().invoke(main, ["compare", *arguments])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"report: {page}"
    assert "No verdict has changed" in page.read_text(encoding="utf-8")
