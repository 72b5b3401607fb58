"""How bounds and verdicts come about, with the numbers of one run."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.campaign.records import SEVERITY, CaseRecord, Finding, RunRecord, Verdict, as_float
from reports.finding_view import finding_of
from reports.sharpness import change_text
from reports.verdict_view import Badge, badge
from reports.wording import SUPERSCRIPT, short

BITS = {"float16": 11, "float32": 24, "float64": 53}
"""The digits of a significand; the unit roundoff is 2 to minus that."""
BINS = (256, 1024, 4096, 16384, 65536)
"""Cases are counted together where their balls have up to so many bits."""
BUDGETS, ORIGIN, EXACT = "rounding budgets, in u", "rounding budgets from", "exact values"


@dataclass(frozen=True)
class DtypeRow:
    """A dtype: its unit roundoff, and in how many cases it was."""

    name: str
    power: str
    roundoff: str
    cases: str


@dataclass(frozen=True)
class VerdictRow:
    """How many cases have a verdict as a whole, and in each implementation."""

    badge: Badge
    cases: str
    each: tuple[str, ...]
    none: bool


@dataclass(frozen=True)
class SharpnessRow:
    """What the gradients' test would have seen, in one dtype and implementation, and which passes say nothing."""

    dtype: str
    implementation: str
    cases: str
    half: str
    most: str
    numbers: str
    vacuous: str
    share: str


@dataclass(frozen=True)
class Method:
    """The numbers of a run that its method speaks of."""

    implementations: tuple[str, ...]
    dtypes: tuple[DtypeRow, ...]
    budgets: tuple[tuple[str, str], ...]
    origin: str
    verdicts: tuple[VerdictRow, ...]
    sharpness: tuple[SharpnessRow, ...]
    tiers: tuple[tuple[str, str], ...]


def method_view(run: RunRecord, cases: Sequence[CaseRecord], implementations: Sequence[str]) -> Method:
    """The run's own numbers."""
    return Method(
        implementations=tuple(implementations),
        dtypes=tuple(_dtypes(cases)),
        budgets=tuple(_budgets(run.environment.get(BUDGETS, ""))),
        origin=run.environment.get(ORIGIN, ""),
        verdicts=tuple(_verdicts(cases, implementations)),
        sharpness=tuple(_sharpness(cases, implementations)),
        tiers=tuple(_tiers(cases)),
    )


def _dtypes(cases: Sequence[CaseRecord]) -> Iterable[DtypeRow]:
    counts = Counter(case.dtype for case in cases)
    for name, bits in BITS.items():
        yield DtypeRow(name, f"2{str(-bits).translate(SUPERSCRIPT)}", short(2.0**-bits), f"{counts[name]:,}")


def _budgets(text: str) -> Iterable[tuple[str, str]]:
    """Functions and their budgets, out of the line that the environment has.

    >>> list(_budgets("divide 2, exp 6.5"))
    [('divide', '2'), ('exp', '6.5')]
    """
    for part in filter(None, text.split(", ")):
        name, _, number = part.rpartition(" ")
        yield name, number


def _verdicts(cases: Sequence[CaseRecord], implementations: Sequence[str]) -> Iterable[VerdictRow]:
    whole = Counter(case.verdict for case in cases)
    each: Mapping[str, Counter[Verdict]] = {who: Counter() for who in implementations}
    for case in cases:
        for finding in case.findings:
            if finding.implementation in each:
                each[finding.implementation][finding.verdict] += 1
    for verdict in SEVERITY:
        numbers = [each[who][verdict] for who in implementations]
        none = not whole[verdict] and not any(numbers)
        yield VerdictRow(badge(verdict), f"{whole[verdict]:,}", tuple(f"{one:,}" for one in numbers), none)


def _sharpness(cases: Sequence[CaseRecord], implementations: Sequence[str]) -> Iterable[SharpnessRow]:
    found: dict[tuple[str, str], list[Finding]] = {}
    for case in cases:
        for who in implementations:
            finding = finding_of(case, who)
            if finding is not None and finding.numbers:
                found.setdefault((case.dtype, who), []).append(finding)
    for (dtype, who), findings in sorted(found.items(), key=lambda item: item[0][0]):
        seen = sorted(as_float(one.sharpness) for one in findings)
        half, most = (change_text(seen[math.ceil(share * len(seen)) - 1]) for share in (0.5, 0.9))
        vacuous, numbers = sum(one.vacuous for one in findings), sum(one.numbers for one in findings)
        share = short(100 * vacuous / numbers) + " %"
        yield SharpnessRow(dtype, who, f"{len(seen):,}", half, most, f"{numbers:,}", f"{vacuous:,}", share)


def _tiers(cases: Sequence[CaseRecord]) -> Iterable[tuple[str, str]]:
    """How the exact values were had, and in how many cases."""
    counts = Counter(case.notes[EXACT].partition(", up to step")[0] for case in cases if EXACT in case.notes)
    binned: dict[tuple[int, str], int] = {}
    for tier, number in counts.items():
        found = re.fullmatch(r"ball arithmetic with ([0-9,]+) bits", tier)
        most = next((most for most in BINS if found and int(found[1].replace(",", "")) <= most), 0)
        name = f"ball arithmetic with up to {most:,} bits" if most else tier
        binned[most, name] = binned.get((most, name), 0) + number
    for (_, name), number in sorted(binned.items()):
        yield name, f"{number:,}"
    missing = len(cases) - counts.total()
    if missing:
        yield "not recorded, or there is none", f"{missing:,}"
