"""What a page shows, as strings: everything is decided here and in the views, so that the templates only lay it out.

Every string comes out of a record as it is. The templates escape; nothing here is HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from harness.campaign.records import SEVERITY, CaseRecord, RunRecord
from reports.bug_view import Bug, bugs_view
from reports.case_view import CaseView, case_view
from reports.catalogue_view import Shelf, catalogue_view
from reports.clusters import Cluster, clusters
from reports.coverage import Coverage, coverage
from reports.finding_view import finding_badge, finding_of
from reports.looks import Look, link_text, looks, title_of
from reports.method_view import Method, method_view
from reports.selection import paged
from reports.sharing import texts_to_copy
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
    severity,
    show_command,
    size_text,
)

VACUOUS_LINKED = 3
GIVEN, TOLD = 100, 20
"""So many worked examples and case files, and so many generated cases, stand on the first page."""
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
    """An example and its cases, or those that were generated: of these, only what is not simply agreement.

    `agree` says how many of them agree, `more` how many rows stand in the list of all cases alone.
    """

    title: str
    source: str
    shows: str
    rows: tuple[CaseRow, ...]
    agree: str = ""
    more: str = ""


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
    catalogue: tuple[Shelf, ...]
    method: Method
    started: str
    took: str
    total: str
    number: str
    implementations: tuple[str, ...]
    counts: tuple[Count, ...]
    bugs: tuple[Bug, ...]
    bugs_title: str
    looks: tuple[Look, ...]
    looks_title: str
    groups: tuple[Group, ...]
    environment: tuple[Note, ...]
    signs: tuple[Sign, ...]
    cases: tuple[CaseView, ...]
    left_out: str
    show: str


def build(run: RunRecord, cases: Sequence[CaseRecord]) -> Page:
    """Decide everything that the page of a run says."""
    chosen = outline(run, cases)
    return complete(run, cases, chosen, {position: view(run, cases, chosen, position) for position in chosen.order})


@dataclass(frozen=True)
class Outline:
    """What is known before any case has a page: which may have one, the most important first, and its link."""

    implementations: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    anchors: tuple[str, ...]
    order: tuple[int, ...]


def outline(run: RunRecord, cases: Sequence[CaseRecord]) -> Outline:
    """Who takes part, the bugs, and which cases are to have a page."""
    names = run.implementations or list(
        dict.fromkeys(finding.implementation for case in cases for finding in case.findings)
    )
    anchors = _anchors(cases)
    order = tuple(position for position in paged(cases) if anchors[position])
    return Outline(tuple(names), tuple(clusters(cases)), tuple(anchors), order)


def view(run: RunRecord, cases: Sequence[CaseRecord], chosen: Outline, position: int) -> CaseView:
    """One case's page, without its neighbours."""
    case = cases[position]
    titles = {example.key: example.title for example in run.examples}
    example = titles.get(case.example, "")
    texts = texts_to_copy(case, run)
    return case_view(case, chosen.anchors[position], example, chosen.implementations, "", "", run.store, texts)


def complete(
    run: RunRecord, cases: Sequence[CaseRecord], chosen: Outline, views: Mapping[int, CaseView]
) -> Page:
    """The page with these cases on it."""
    anchors = anchors_of(chosen, views)
    implementations = chosen.implementations
    shown = sorted(views)
    linked = [anchors[position] for position in shown]
    neighbours = zip(shown, ["", *linked], [*linked[1:], ""], strict=False)
    first, first_title = looks(cases, anchors)
    bugs = bugs_view(run, cases, chosen.clusters, anchors)
    tested = coverage(run, cases, implementations)
    left = len(cases) - len(views)
    return Page(
        incomplete=incomplete(run, cases),
        headline=tuple(prose(sentence) for sentence in headline(run, cases)),
        vacuous=_vacuous(cases, anchors),
        coverage=tested,
        catalogue=catalogue_view(run.catalogue, tested) if run.catalogue and tested else (),
        method=method_view(run, cases, implementations),
        wrong=any(case.verdict in WRONG for case in cases),
        started=time_text(run.started),
        took=_took_time(run),
        total=_total(run, cases),
        number=counted(len(cases), "case"),
        implementations=implementations,
        counts=_counts(cases),
        bugs=bugs,
        bugs_title=counted(len(bugs), "distinct bug") if bugs else "",
        looks=() if bugs else first,
        looks_title=first_title,
        groups=_groups(run, cases, anchors, implementations),
        environment=tuple(Note(name, text) for name, text in run.environment.items()),
        signs=tuple(SIGNS[verdict] for verdict in SEVERITY),
        cases=tuple(replace(views[one], previous=before, next=after) for one, before, after in neighbours),
        left_out=f"{counted(left, 'case')} of {len(cases):,} {'has' if left == 1 else 'have'} no page here"
        if left
        else "",
        show=show_command(run.store, "CASE") if left and run.store else "",
    )


def anchors_of(chosen: Outline, views: Mapping[int, CaseView]) -> list[str]:
    """The links of all cases; empty for those without a page."""
    return [anchor if position in views else "" for position, anchor in enumerate(chosen.anchors)]


def time_text(text: str) -> str:
    """A time as people write it; a text that is none as it is.

    >>> time_text("2026-11-22T04:23:58+00:00"), time_text("yesterday")
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
    return f"{total}, {drawn:,} of them generated with {_seed(run)}" if drawn else total


def _seed(run: RunRecord) -> str:
    """What draws the same cases again."""
    return f"the seed {run.seed}{' and --extreme' if run.extreme else ''}"


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
    given = [(case, anchor) for case, anchor in zip(cases, anchors, strict=True) if not case.generated]
    for case, anchor in given[:GIVEN]:
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
    if len(given) > GIVEN:
        groups[-1] = replace(groups[-1], more=counted(len(given) - GIVEN, "more case"))
    drawn = [(case, anchor) for case, anchor in zip(cases, anchors, strict=True) if case.generated]
    if drawn:
        groups.append(_generated(run, drawn, implementations))
    return tuple(groups)


def _generated(run: RunRecord, drawn: Sequence[tuple[CaseRecord, str]], implementations: Sequence[str]) -> Group:
    told = [(case, anchor) for case, anchor in drawn if not harmless(case)]
    told.sort(key=lambda pair: -severity(pair[0].verdict))
    rows = tuple(_row(case, anchor, implementations) for case, anchor in told[:TOLD])
    agreeing = len(drawn) - len(told)
    partly = sum(case.verdict == "not implemented" for case, _ in drawn if harmless(case))
    agree = f"{counted(agreeing, 'generated case')} {'agrees' if agreeing == 1 else 'agree'}" if agreeing else ""
    agree += f", {partly:,} of them where they are implemented" if partly else ""
    shows = f"{counted(len(drawn), 'case')}, drawn at random; the same ones come again with {_seed(run)}."
    more = f"{counted(len(told) - TOLD, 'more case')} that does not simply agree" if len(told) > TOLD else ""
    more = more.replace("cases that does", "cases that do")
    return Group("Generated cases", "", shows, rows, agree, more)


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
