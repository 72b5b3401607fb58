"""What a page shows, as strings: everything is decided here and in the views, so that the templates only lay it out.

Every string comes out of a record as it is. The templates escape; nothing here is HTML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.campaign.records import SEVERITY, CaseRecord, RunRecord
from reports import graph
from reports.case_view import CaseView, case_view
from reports.finding_view import finding_badge, finding_of
from reports.sharpness import VACUOUS_SIGN, vacuous_totals, vacuous_warning
from reports.verdict_view import NOT_RECORDED, Badge, Note, Prose, badge, prose
from reports.wording import (
    AGREEING,
    SIGNS,
    WRONG,
    Sign,
    counted,
    headline,
    incomplete,
    largest,
    ratio_text,
    severity,
    size_text,
)

VACUOUS_LINKED, LINK_LENGTH = 3, 70
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
    """One case in the table of all."""

    anchor: str
    title: str
    badge: Badge
    implementations: tuple[Badge, ...]
    ulps: str
    ratio: str


@dataclass(frozen=True)
class Group:
    """An example and its cases."""

    title: str
    source: str
    shows: str
    rows: tuple[CaseRow, ...]


@dataclass(frozen=True)
class Look:
    """A case to look at first, and why. `alike` are cases of the same example with the same verdict."""

    anchor: str
    title: str
    badge: Badge
    sentence: Prose
    alike: tuple[tuple[str, str], ...] = ()


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
    views = tuple(
        case_view(case, anchor, titles.get(case.example, ""), implementations, before, after)
        for case, anchor, before, after in zip(cases, anchors, ["", *anchors], [*anchors[1:], ""], strict=False)
    )
    looks, looks_title = _looks(cases, anchors)
    return Page(
        incomplete=incomplete(run, cases),
        headline=tuple(prose(sentence) for sentence in headline(run, cases)),
        vacuous=_vacuous(cases, anchors),
        wrong=any(case.verdict in WRONG for case in cases),
        started=_time(run.started),
        took=_took_time(run),
        total=counted(len(cases), "case"),
        implementations=tuple(implementations),
        counts=_counts(cases),
        looks=looks,
        looks_title=looks_title,
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
    """One id per case: the case's own where it can be one, so that a link stays good from run to run."""
    anchors: list[str] = []
    taken: set[str] = set()
    for number, case in enumerate(cases):
        anchor = f"case={case.id}"
        if not _SAFE_ID.fullmatch(case.id) or anchor in taken:
            anchor = f"case=~{number}"
        taken.add(anchor)
        anchors.append(anchor)
    return anchors


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


def _looks(cases: Sequence[CaseRecord], anchors: Sequence[str]) -> tuple[tuple[Look, ...], str]:
    def size(pair: tuple[CaseRecord, str]) -> tuple[int, float]:
        return severity(pair[0].verdict), largest(finding.worst_ratio for finding in pair[0].findings)

    chosen = [pair for pair in zip(cases, anchors, strict=True) if pair[0].verdict in WRONG]
    title = "Look here first"
    most = 8
    if not chosen:
        chosen = [pair for pair in zip(cases, anchors, strict=True) if pair[0].verdict not in AGREEING]
        title = "Worth a look"
        most = 4
    alike: dict[tuple[str, ...], list[tuple[CaseRecord, str]]] = {}
    for case, anchor in sorted(chosen, key=size, reverse=True):
        key = (case.example, case.verdict) if case.example and case.verdict not in WRONG else (anchor,)
        alike.setdefault(key, []).append((case, anchor))
    looks = []
    for (case, anchor), *others in list(alike.values())[:most]:
        links = tuple((other, graph.cut(_title(one), LINK_LENGTH)) for one, other in others[:most])
        looks.append(Look(anchor, _title(case), badge(case.verdict), prose(_reason(case)), links))
    return tuple(looks), title


def _vacuous(cases: Sequence[CaseRecord], anchors: Sequence[str]) -> Vacuous | None:
    found = [(vacuous_totals([case])[0], anchor, _title(case)) for case, anchor in zip(cases, anchors, strict=True)]
    empty = sorted((one for one in found if one[0]), key=lambda one: -one[0])
    if not empty:
        return None
    links = tuple((anchor, graph.cut(title, LINK_LENGTH)) for _, anchor, title in empty[:VACUOUS_LINKED])
    more = counted(len(empty) - len(links), "more case") if len(empty) > len(links) else ""
    return Vacuous(VACUOUS_SIGN, vacuous_warning(cases), links, more)


def _title(case: CaseRecord) -> str:
    return case.title or case.key or case.id


def _reason(case: CaseRecord) -> str:
    worst = max(case.findings, key=lambda finding: severity(finding.verdict), default=None)
    return case.headline or (worst.sentence if worst else "")


def _groups(
    run: RunRecord, cases: Sequence[CaseRecord], anchors: Sequence[str], implementations: Sequence[str]
) -> tuple[Group, ...]:
    known = {example.key: example for example in run.examples}
    rows: dict[str, list[CaseRow]] = {example.key: [] for example in run.examples}
    for case, anchor in zip(cases, anchors, strict=True):
        rows.setdefault(case.example, []).append(_row(case, anchor, implementations))
    groups = []
    for key, members in rows.items():
        if key in known:
            example = known[key]
            groups.append(Group(example.title, example.source, example.shows, tuple(members)))
        elif key:
            groups.append(Group(key, "", "", tuple(members)))
    if rows.get(""):
        title = "Generated cases" if groups else "Cases"
        groups.append(Group(title, "", "", tuple(rows[""])))
    return tuple(groups)


def _row(case: CaseRecord, anchor: str, implementations: Sequence[str]) -> CaseRow:
    badges = []
    for name in implementations:
        finding = finding_of(case, name)
        badges.append(finding_badge(finding) if finding else NOT_RECORDED)
    return CaseRow(
        anchor=anchor,
        title=_title(case),
        badge=badge(case.verdict),
        implementations=tuple(badges),
        ulps=size_text(largest(finding.worst_ulps for finding in case.findings)) if case.findings else "–",
        ratio=ratio_text(largest(finding.worst_ratio for finding in case.findings)) if case.findings else "–",
    )
