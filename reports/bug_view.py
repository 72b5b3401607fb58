"""The distinct bugs of a run: a table of them, and a page for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.campaign.records import AGREEING, CaseRecord, RunRecord
from reports.clusters import Cluster, sentence_of
from reports.graph import cut
from reports.looks import link_text, title_of
from reports.verdict_view import Badge, Note, Prose, badge, prose
from reports.wording import commands, counted, listing, ratio_text, show_command

MOST, LINKED, KINDS, NAME = 100, 25, 6, 34
"""So many bugs have a page, so many cases of each are linked there, so many kinds of a thing are counted, and a case's
name in the table of bugs is so long."""


@dataclass(frozen=True)
class BugCase:
    """A case that shows a bug. Without a page of its own it has no anchor, but still an id."""

    anchor: str
    id: str
    title: str
    name: str
    size: str


@dataclass(frozen=True)
class Bug:
    """One distinct bug: in the table of them, and on a page of its own."""

    anchor: str
    badge: Badge
    what: str
    shows: str
    who: str
    others: str
    number: str
    noun: str
    worst: str
    sentence: Prose
    detail: Prose
    smallest: BugCase
    cases: tuple[BugCase, ...]
    more: str
    common: tuple[Note, ...]
    again: tuple[Note, ...]


def bugs_view(
    run: RunRecord, cases: Sequence[CaseRecord], found: Sequence[Cluster], anchors: Sequence[str]
) -> tuple[Bug, ...]:
    """The gravest bugs, each with its smallest case."""
    return tuple(_bug(run, cases, one, anchors) for one in found[:MOST])


def _bug(run: RunRecord, cases: Sequence[CaseRecord], one: Cluster, anchors: Sequence[str]) -> Bug:
    key, members = one.key, one.members
    smallest = cases[one.smallest]
    finding = one.example
    # Those with a page come first: they are what can be looked at here.
    listed = sorted(members, key=lambda position: (position != one.smallest, not anchors[position]))[:LINKED]
    left = len(members) - len(listed)
    right = [other.implementation for other in smallest.findings if other.verdict in AGREEING]
    again = [Note(name, text) for name, text in commands(smallest, run.store)]
    if run.store:
        again.insert(0, Note("told in the terminal", show_command(run.store, smallest.id)))
    return Bug(
        anchor=key.anchor,
        badge=badge(key.verdict),
        what=key.what,
        shows=key.shows,
        who=listing(list(key.who)),
        others=f"{listing(right)} {'agrees' if len(right) == 1 else 'agree'} with the exact values there."
        if right
        else "No other implementation agrees with the exact values there: suspect the card or its bound as well.",
        number=f"{len(members):,}",
        noun="case" if len(members) == 1 else "cases",
        worst=ratio_text(one.worst) if key.verdict == "mismatch" else "–",
        sentence=prose(sentence_of(key, len(members))),
        detail=prose(" ".join(text for text in (finding.sentence, finding.detail) if text)) if finding else (),
        smallest=_member(cases, anchors, one.smallest),
        cases=tuple(_member(cases, anchors, position) for position in listed),
        more=counted(left, "more case") if left else "",
        common=_common([cases[position] for position in members]),
        again=tuple(again),
    )


def _member(cases: Sequence[CaseRecord], anchors: Sequence[str], position: int) -> BugCase:
    case = cases[position]
    numbers = max((finding.numbers for finding in case.findings), default=0)
    size = counted(numbers, "number") if numbers else ""
    return BugCase(anchors[position], case.id, title_of(case), cut(link_text(case), NAME), size)


def _common(members: Sequence[CaseRecord]) -> tuple[Note, ...]:
    """What the cases of a bug have in common, and what not: how many of them have each dtype, optimizer and so on."""
    kinds: tuple[tuple[str, Callable[[CaseRecord], str]], ...] = (
        ("dtype", lambda case: case.dtype),
        ("optimizer", lambda case: (case.tested.optimizer if case.tested else case.optimizer) or "none"),
        ("layers in the network", lambda case: str(case.tested.depth) if case.tested else "not recorded"),
        ("numbers", lambda case: (case.tested.regime or "given") if case.tested else "not recorded"),
    )
    notes = []
    for name, of in kinds:
        counts: dict[str, int] = {}
        for case in members:
            counts[of(case)] = counts.get(of(case), 0) + 1
        ordered = sorted(counts, key=lambda value: -counts[value])
        told = [f"{value} in all" if len(ordered) == 1 else f"{value}: {counts[value]:,}" for value in ordered[:KINDS]]
        if len(ordered) > KINDS:
            told.append(f"{len(ordered) - KINDS:,} more")
        notes.append(Note(name, ", ".join(told)))
    return tuple(notes)
