"""The cases to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.campaign.records import AGREEING, CaseRecord
from reports import graph
from reports.verdict_view import Badge, Prose, badge, prose
from reports.wording import WRONG, harmless, largest, severity

MOST_WRONG, MOST_ELSE, LINK_LENGTH = 8, 4, 70


@dataclass(frozen=True)
class Look:
    """A case to look at first, and why. `alike` are cases of which much the same can be said; `more` have no page."""

    anchor: str
    title: str
    badge: Badge
    sentence: Prose
    alike: tuple[tuple[str, str], ...] = ()
    more: int = 0


def looks(cases: Sequence[CaseRecord], anchors: Sequence[str]) -> tuple[tuple[Look, ...], str]:
    """What is wrong, or if nothing is, what does not simply agree; and the title above it."""
    pairs = list(zip(cases, anchors, strict=True))
    title, most = "Look here first", MOST_WRONG
    chosen = [pair for pair in pairs if pair[0].verdict in WRONG]
    if not chosen:
        title, most = "Worth a look", MOST_ELSE
        chosen = [
            pair for pair in pairs if pair[0].verdict not in AGREEING and not (pair[0].generated and harmless(pair[0]))
        ]
    alike: dict[tuple[str, ...], list[tuple[CaseRecord, str]]] = {}
    for case, anchor in sorted(chosen, key=_size, reverse=True):
        alike.setdefault(_kind(case, anchor), []).append((case, anchor))
    made = []
    for group in list(alike.values())[:most]:
        # One that has a page stands for those that have none.
        (case, anchor), *others = sorted(group, key=lambda pair: pair[0].abridged)
        linked = [(one, where) for one, where in others if where][:most]
        links = tuple((where, link_text(one)) for one, where in linked)
        more = len(others) - len(links)
        made.append(Look(anchor, title_of(case), badge(case.verdict), prose(_reason(case)), links, more))
    return tuple(made), title


def title_of(case: CaseRecord) -> str:
    """What a case is called."""
    return case.title or case.key or case.id


def link_text(case: CaseRecord) -> str:
    """What a case is called in a sentence: a generated one by its number."""
    return f"#{case.generated:,}" if case.generated else graph.cut(title_of(case), LINK_LENGTH)


def _kind(case: CaseRecord, anchor: str) -> tuple[str, ...]:
    """What cases have in common of which one is enough: a worked example, or the place of what was found."""
    if case.generated:
        worst = max(case.findings, key=lambda finding: severity(finding.verdict), default=None)
        return ("generated", case.verdict, *((worst.implementation, worst.op or worst.sentence) if worst else ()))
    return (case.example, case.verdict) if case.example and case.verdict not in WRONG else (anchor or case.id,)


def _size(pair: tuple[CaseRecord, str]) -> tuple[bool, int, float]:
    """The more telling, the larger: where nothing is wrong, the cases that somebody chose come first."""
    verdict = pair[0].verdict
    ratio = largest(finding.worst_ratio for finding in pair[0].findings)
    return verdict in WRONG or not pair[0].generated, severity(verdict), ratio


def _reason(case: CaseRecord) -> str:
    worst = max(case.findings, key=lambda finding: severity(finding.verdict), default=None)
    return case.headline or (worst.sentence if worst else "")
