"""A run as a report shows it: all cases without their numbers, and a few of them whole.

A record is a hundred thousand bytes, most of them numbers. All records are read once, without their numbers; then the
few that are shown in full are read by their rows. So a store that is larger than memory has a report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from sys import intern
from typing import Any

import msgspec

from harness.campaign.records import AGAINST, AGREEING, CaseRecord, Finding, RunRecord, Tested, Verdict
from harness.campaign.store import read_rows, read_run


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
    notes: dict[str, str] = {}


_NOTHING: list[Any] = []


def read_run_slim(
    path: Path, whole: Callable[[Sequence[CaseRecord]], Sequence[int]]
) -> tuple[RunRecord, list[CaseRecord]]:
    """Every case of a run, with all numbers at the positions that `whole` chooses, and with none elsewhere."""
    run = read_run(path)
    numbers, cases = [], []
    for number, slim in read_rows(path, _Slim):
        numbers.append(number)
        cases.append(_abridged(slim))
    where = {numbers[position]: position for position in whole(cases)}
    for number, case in read_rows(path, CaseRecord, list(where)):
        cases[where[number]] = case
    return run, cases


def _abridged(slim: _Slim) -> CaseRecord:
    """A case without its numbers; the sentences on implementations that agree are dropped as well."""
    return CaseRecord(
        id=slim.id,
        title=slim.title,
        verdict=slim.verdict,
        headline=slim.headline if slim.verdict in AGAINST else "",
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
        flow=_NOTHING, gradient_checks=_NOTHING, notes=_tier(slim.notes.get("exact values", "")), seconds=_NONE,
    )  # fmt: skip


_NONE: dict[str, Any] = {}


@cache
def _tier(exact: str) -> dict[str, str]:
    """The one note that is kept, how the exact values were had; with one copy of it in memory."""
    return {"exact values": exact} if exact else _NONE


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


__all__ = ["read_run_slim"]
