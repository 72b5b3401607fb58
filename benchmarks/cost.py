"""What judging costs, side by side with the three bare implementations, in CPU time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.alarms import DTYPES
from benchmarks.judgement import a_case, milliseconds
from harness import Implementation, installed_cards
from harness.case import Case, Dtype
from harness.judge.judge import judge
from harness.judge.screen import screen
from harness.registry import Cards
from harness.trace import Trace

SIZES = {31: (4, 3, 4), 1_001: (12, 25, 25, 1), 100_350: (300, 250, 100)}
BLOCK, BLOCK_AT_MOST = 300_000, 64
"""A block holds so many parameters, and at most so many cases."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one size and dtype: a run of each implementation, and judging one trace.

    `screened` is the local judgement of one trace alone, in a block of many (`harness.judge.screen`).
    """

    params: int
    dtype: Dtype
    runs: Mapping[str, float]
    judged: float
    screened: float


def _screened(cases: Sequence[Case], cards: Cards, traces: Sequence[Trace]) -> list[int]:
    return screen(cases, cards, traces).suspicious()


def _copied(case: Case) -> Case:
    """Another case for all that screening knows: it computes once what several traces of one case have in common."""
    return replace(case, values={name: array.copy() for name, array in case.values.items()})


def measure_cost(
    programs: Sequence[Implementation], *, out_of_time: Callable[[], bool], sizes: Sequence[int] = tuple(SIZES)
) -> list[Cost]:
    """A row for each size and dtype, until time is out."""
    rows: list[Cost] = []
    cards = installed_cards()
    for size in sizes:
        for dtype in DTYPES:
            if out_of_time():
                return rows
            case = a_case(SIZES[size], dtype)
            runs = {one.name: milliseconds(partial(one.run, case)) for one in programs}
            traces = [one.run(case) for one in programs]
            judged = milliseconds(partial(judge, case, cards, traces[0]))
            params = sum(array.size for array in case.params.values())
            number = min(BLOCK_AT_MOST, max(1, BLOCK // (len(traces) * params)))
            cases = [_copied(case) for _ in range(number)]
            each = [one for one in cases for _ in traces]
            screened = milliseconds(partial(_screened, each, cards, traces * number)) / len(each)
            rows.append(Cost(params, dtype, runs, judged, screened))
    return rows
