"""What a page shows, as strings: everything is decided here and in the views, so that the templates only lay it out.

Every string comes out of a record as it is. The templates escape; nothing here is HTML.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.campaign.records import SEVERITY, CaseRecord, RunRecord
from reports.case_view import CaseView, case_view
from reports.coverage import Coverage, coverage
from reports.finding_view import finding_badge, finding_of
from reports.looks import Look, link_text, looks, title_of
from reports.sharpness import VACUOUS_SIGN, vacuous_totals, vacuous_warning
from reports.verdict_view import NOT_RECORDED, Badge, Note, Prose, badge, prose
from reports.wording import (
    SIGNS,
    WRONG,
    Sign,
    counted,
    harmless,
    headline,
    incomplete,
    largest,
    ratio_text,
    size_text,
)

VACUOUS_LINKED = 3
_SAFE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True)
class Count:
    """How many cases have a verdict, and where their part of the bar lies, in percent."""

    badge: Badge
    number: str
    noun: str
    start: str
    share: str


@dataclass(frozen=True)
class CaseRow:
    """One case in the table of all. A case without a page of its own has no anchor."""

    anchor: str
    id: str
    title: str
    badge: Badge
    implementations: tuple[Badge, ...]
    ulps: str
    ratio: str


@dataclass(frozen=True)
class Group:
    """An example and its cases, or those that were generated: of these, the ones that agree are `folded`."""

    title: str
    source: str
    shows: str
    rows: tuple[CaseRow, ...]
    folded: tuple[CaseRow, ...] = ()
    folded_title: str = ""
    folded_note: str = ""


@dataclass(frozen=True)
class Vacuous:
    """That some passes say nothing, and the cases with the most of them."""

    symbol: str
    text: str
    cases: tuple[tuple[str, str], ...]
    more: str


@dataclass(frozen=True)
class Page:
    """The whole report."""

    incomplete: str
    headline: tuple[Prose, ...]
    wrong: bool
    vacuous: Vacuous | None
    coverage: Coverage | None
    started: str
    took: str
    total: str
    implementations: tuple[str, ...]
    counts: tuple[Count, ...]
    looks: tuple[Look, ...]
    looks_title: str
    groups: tuple[Group, ...]
    environment: tuple[Note, ...]
    signs: tuple[Sign, ...]
    cases: tuple[CaseView, ...]


def build(run: RunRecord, cases: Sequence[CaseRecord]) -> Page:
    """Decide everything that the page of a run says."""
    implementations = run.implementations or list(
        dict.fromkeys(finding.implementation for case in cases for finding in case.findings)
    )
    anchors = _anchors(cases)
    titles = {example.key: example.title for example in run.examples}
    shown = [(case, anchor) for case, anchor in zip(cases, anchors, strict=True) if anchor]
    paged = [anchor for _, anchor in shown]
    views = tuple(
        case_view(case, anchor, titles.get(case.example, ""), implementations, before, after, run.store)
        for (case, anchor), before, after in zip(shown, ["", *paged], [*paged[1:], ""], strict=False)
    )
    first, first_title = looks(cases, anchors)
    return Page(
        incomplete=incomplete(run, cases),
        headline=tuple(prose(sentence) for sentence in headline(run, cases)),
        vacuous=_vacuous(cases, anchors),
        coverage=coverage(run, cases, implementations),
        wrong=any(case.verdict in WRONG for case in cases),
        started=_time(run.started),
        took=_took_time(run),
        total=_total(run, cases),
        implementations=tuple(implementations),
        counts=_counts(cases),
        looks=first,
        looks_title=first_title,
        groups=_groups(run, cases, anchors, implementations),
        environment=tuple(Note(name, text) for name, text in run.environment.items()),
        signs=tuple(SIGNS[verdict] for verdict in SEVERITY),
        cases=views,
    )


def _time(text: str) -> str:
    """A time as people write it; a text that is none as it is.

    >>> _time("2026-11-22T04:23:58+00:00"), _time("yesterday")
    ('2026-11-22 04:23:58 UTC', 'yesterday')
    """
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError):
        return text


def _took_time(run: RunRecord) -> str:
    try:
        seconds = (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _anchors(cases: Sequence[CaseRecord]) -> list[str]:
    """One id per case: the case's own where it can be one, so that a link stays good from run to run.

    Empty for a case that has no page.
    """
    anchors: list[str] = []
    taken: set[str] = set()
    for number, case in enumerate(cases):
        if case.abridged:
            anchors.append("")
            continue
        anchor = f"case={case.id}"
        if not _SAFE_ID.fullmatch(case.id) or anchor in taken:
            anchor = f"case=~{number}"
        taken.add(anchor)
        anchors.append(anchor)
    return anchors


def _total(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    total = counted(len(cases), "case")
    drawn = sum(case.generated > 0 for case in cases)
    return f"{total}, {drawn:,} of them generated with the seed {run.seed}" if drawn else total


def _counts(cases: Sequence[CaseRecord]) -> tuple[Count, ...]:
    shown = []
    start = 0.0
    for verdict in SEVERITY:
        number = sum(1 for case in cases if case.verdict == verdict)
        if number or verdict in ("rounding", "undetermined branch", "mismatch"):
            share = 100 * number / max(len(cases), 1)
            noun = "case" if number == 1 else "cases"
            shown.append(Count(badge(verdict), f"{number:,}", noun, f"{start:.3f}", f"{share:.3f}"))
            start += share
    return tuple(shown)


def _vacuous(cases: Sequence[CaseRecord], anchors: Sequence[str]) -> Vacuous | None:
    found = [(vacuous_totals([case])[0], anchor, link_text(case)) for case, anchor in zip(cases, anchors, strict=True)]
    empty = sorted((one for one in found if one[0]), key=lambda one: -one[0])
    if not empty:
        return None
    paged = [one for one in empty if one[1]]
    links = tuple((anchor, text) for _, anchor, text in paged[:VACUOUS_LINKED])
    more = counted(len(empty) - len(links), "more case") if len(empty) > len(links) else ""
    return Vacuous(VACUOUS_SIGN, vacuous_warning(cases), links, more)


def _groups(
    run: RunRecord, cases: Sequence[CaseRecord], anchors: Sequence[str], implementations: Sequence[str]
) -> tuple[Group, ...]:
    known = {example.key: example for example in run.examples}
    rows: dict[str, list[CaseRow]] = {example.key: [] for example in run.examples}
    drawn = [(case, anchor) for case, anchor in zip(cases, anchors, strict=True) if case.generated]
    for case, anchor in zip(cases, anchors, strict=True):
        if not case.generated:
            rows.setdefault(case.example, []).append(_row(case, anchor, implementations))
    groups = []
    for key, members in rows.items():
        if key in known:
            example = known[key]
            groups.append(Group(example.title, example.source, example.shows, tuple(members)))
        elif key:
            groups.append(Group(key, "", "", tuple(members)))
    if rows.get(""):
        groups.append(Group("Cases", "", "", tuple(rows[""])))
    if drawn:
        groups.append(_generated(run, drawn, implementations))
    return tuple(groups)


def _generated(run: RunRecord, drawn: Sequence[tuple[CaseRecord, str]], implementations: Sequence[str]) -> Group:
    rows: dict[bool, list[CaseRow]] = {True: [], False: []}
    for case, anchor in drawn:
        rows[harmless(case)].append(_row(case, anchor, implementations))
    told, folded = rows[False], rows[True]
    partly = sum(case.verdict == "not implemented" for case, _ in drawn if harmless(case))
    agree = f"{counted(len(folded), 'generated case')} {'agrees' if len(folded) == 1 else 'agree'}" if folded else ""
    agree += f", {partly:,} of them where they are implemented" if partly else ""
    note = ""
    if not all(row.anchor for row in (*told, *folded)):
        note = f"Those without a link have no page here: gradparity explain {shlex.quote(run.store)} CASE shows one."
    shows = f"{counted(len(drawn), 'case')}, drawn at random; the seed {run.seed} draws the same ones again."
    return Group("Generated cases", "", shows, tuple(told), tuple(folded), agree, note)


def _row(case: CaseRecord, anchor: str, implementations: Sequence[str]) -> CaseRow:
    badges = []
    for name in implementations:
        finding = finding_of(case, name)
        badges.append(finding_badge(finding) if finding else NOT_RECORDED)
    return CaseRow(
        anchor=anchor,
        id=case.id,
        title=title_of(case),
        badge=badge(case.verdict),
        implementations=tuple(badges),
        ulps=size_text(largest(finding.worst_ulps for finding in case.findings)) if case.findings else "–",
        ratio=ratio_text(largest(finding.worst_ratio for finding in case.findings)) if case.findings else "–",
    )
