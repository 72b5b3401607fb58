"""Every classic mistake in random cases: after how many it is caught, and by which special ones otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.alarms import DTYPES
from benchmarks.bugs import BUGS, Bug
from benchmarks.planting import Caught, caught, differs, plant, random_cases
from benchmarks.population import REGIMES
from harness.campaign.records import SEVERITY, Verdict
from harness.case import Dtype
from harness.judge.oracle import Undecided

TRIES = 5
USUAL = "he"


@dataclass(frozen=True)
class Tried:
    """A mistake in a few cases of one regime: how many it changes, and what the judge says of those."""

    changed: int
    found: tuple[Caught | None, ...]

    @property
    def first(self) -> int | None:
        """The first case in which it is caught, counted from 1."""
        return next((index for index, one in enumerate(self.found, start=1) if one and one.seen), None)

    @property
    def times(self) -> int:
        """In how many cases it is caught."""
        return sum(one is not None and one.seen for one in self.found)

    @property
    def gravest(self) -> Verdict | None:
        """What is said of it at most."""
        verdicts = [one.verdict for one in self.found if one]
        return max(verdicts, key=SEVERITY.index) if verdicts else None


@dataclass(frozen=True)
class Row:
    """One mistake in one dtype: usual numbers, and, where these do not show it, each special regime."""

    bug: Bug
    dtype: Dtype
    usual: Tried
    special: Mapping[str, Tried]


def measure_bugs(seed: int, *, out_of_time: Callable[[], bool], bugs: Sequence[Bug] = BUGS) -> list[Row]:
    """A row per mistake and dtype, in order, until time is out."""
    rows: list[Row] = []
    for bug in bugs:
        for dtype in DTYPES:
            if out_of_time():
                return rows
            usual = tried(bug, dtype, USUAL, seed)
            special: dict[str, Tried] = {}
            if usual.first is None and not bug.in_optimizer:
                special = {regime: tried(bug, dtype, regime, seed) for regime in REGIMES if regime != USUAL}
            rows.append(Row(bug, dtype, usual, special))
    return rows


def tried(bug: Bug, dtype: Dtype, regime: str, seed: int) -> Tried:
    """Plant it in `TRIES` random cases; what changes no number is not judged."""
    changed = 0
    found: list[Caught | None] = []
    for case, node in random_cases(bug, dtype, regime, TRIES, seed):
        trace = plant(bug, case, node)
        if trace is None or not differs(case, trace):
            found.append(None)
            continue
        changed += 1
        try:
            found.append(caught(bug, case, node, trace))
        except Undecided:
            found.append(None)
    return Tried(changed, tuple(found))
