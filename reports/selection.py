"""Which cases of a run have a page of their own."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.campaign.records import CaseRecord, Number, Verdict
from reports.clusters import clusters
from reports.wording import harmless, largest

PAGES = 150
"""A run of at most so many cases has a page for each; of a larger one, so many cases are chosen."""
GIVEN, SAMPLE, WORST, FAULTY = 60, 12, 2, 50
"""Of those that somebody chose, of those that agree, by chance, of each verdict, and of the faulty ones: so many."""


def paged(cases: Sequence[CaseRecord]) -> list[int]:
    """The positions of the cases that have a page, what matters most first.

    The smallest case of every bug, the worked examples and case files, the worst of each verdict, those in which
    something is wrong, and some by chance, of which the same ones are drawn again for the same run.
    """
    chosen: dict[int, None] = {}
    found = clusters(cases)
    chosen.update(dict.fromkeys(one.smallest for one in found))
    given = [position for position, case in enumerate(cases) if not case.generated]
    chosen.update(dict.fromkeys(given[:GIVEN]))
    verdicts: dict[Verdict, list[tuple[float, int]]] = {}
    for position, case in enumerate(cases):
        verdicts.setdefault(case.verdict, []).append((_worst(case), position))
    for members in verdicts.values():
        chosen.update((position, None) for _, position in sorted(members, reverse=True)[:WORST])
    faulty = [position for one in found for position in one.members]
    chosen.update(dict.fromkeys(faulty[:FAULTY]))
    agreeing = [position for position, case in enumerate(cases) if harmless(case)]
    dice = random.Random(len(cases))  # noqa: S311 - a sample, not a secret
    chosen.update(dict.fromkeys(dice.sample(agreeing, min(SAMPLE, len(agreeing)))))
    if len(cases) <= PAGES:
        chosen.update(dict.fromkeys(range(len(cases))))
    return list(chosen)[:PAGES]


def _worst(case: CaseRecord) -> float:
    """The largest error / bound of a case; one that is no number counts as none."""
    ratios: list[Number] = [finding.worst_ratio for finding in case.findings]
    worst = largest(ratios)
    return worst if worst == worst else 0.0
