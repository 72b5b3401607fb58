"""Which cases of a run have a page of their own, and reading no more of a store than a report shows.

A record is a hundred thousand bytes, most of them numbers. All records are read once, without their numbers; then the
few that are shown in full are read by their rows. So a store that is larger than memory has a report.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from sys import intern
from typing import Any

import msgspec

from harness.campaign.records import CaseRecord, Finding, Number, RunRecord, Tested, Verdict
from harness.campaign.store import read_rows, read_run
from reports.clusters import BUGS, clusters
from reports.wording import AGREEING, harmless, largest

PAGES = 150
"""A run of at most so many cases has a page for each; of a larger one, so many cases are chosen."""
GIVEN, SAMPLE, WORST, FAULTY = 60, 12, 2, 50
"""Of those that somebody chose, of those that agree, by chance, of each verdict, and of the faulty ones: so many."""


class _Slim(msgspec.Struct, frozen=True, gc=False):
    """A case's record without its numbers."""

    id: str
    title: str
    verdict: Verdict
    headline: str
    dtype: str
    steps: int
    optimizer: str = ""
    generated: int = 0
    tested: Tested | None = None
    example: str = ""
    key: str = ""
    findings: list[Finding] = []


_NOTHING: list[Any] = []


def read(path: Path) -> tuple[RunRecord, list[CaseRecord]]:
    """A run as a report shows it: every case, and all numbers of those that have a page."""
    run = read_run(path)
    numbers, cases = [], []
    for number, slim in read_rows(path, _Slim):
        numbers.append(number)
        cases.append(_abridged(slim))
    where = {numbers[position]: position for position in paged(cases)}
    for number, case in read_rows(path, CaseRecord, list(where)):
        cases[where[number]] = case
    return run, cases


def _abridged(slim: _Slim) -> CaseRecord:
    """A case without its numbers; the sentences on implementations that agree are dropped as well."""
    return CaseRecord(
        id=slim.id,
        title=slim.title,
        verdict=slim.verdict,
        headline=slim.headline if slim.verdict in BUGS else "",
        dtype=intern(slim.dtype),
        steps=slim.steps,
        optimizer=intern(slim.optimizer),
        generated=slim.generated,
        abridged=True,
        tested=slim.tested and _shared(slim.tested),
        example=intern(slim.example),
        key=slim.key,
        findings=[_brief(finding) for finding in slim.findings],
        graph=_NOTHING, quantities=_NOTHING, kinks=_NOTHING, printed=_NOTHING, remarks=_NOTHING, curves=_NOTHING,
        flow=_NOTHING, gradient_checks=_NOTHING, notes=_NONE, seconds=_NONE,
    )  # fmt: skip


_NONE: dict[str, Any] = {}


def _shared(tested: Tested) -> Tested:
    """The same facts, with one copy of every name in memory."""
    return Tested(
        cards=[intern(name) for name in tested.cards],
        optimizer=intern(tested.optimizer),
        schedule=intern(tested.schedule),
        clip=intern(tested.clip),
        dtype=intern(tested.dtype),
        depth=tested.depth,
        steps=tested.steps,
        regime=intern(tested.regime),
        specials=[intern(name) for name in tested.specials],
        non_finite=[intern(name) for name in tested.non_finite],
        branching=tested.branching or _NOTHING,
    )


def _brief(finding: Finding) -> Finding:
    if finding.verdict not in AGREEING:
        return finding
    return Finding(
        implementation=intern(finding.implementation),
        verdict=finding.verdict,
        worst_ratio=finding.worst_ratio,
        worst_ulps=finding.worst_ulps,
        sentence="",
        numbers=finding.numbers,
        vacuous=finding.vacuous,
        sharpness=finding.sharpness,
    )


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
