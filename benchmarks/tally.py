"""What a judgement says about many numbers, counted so that counts can be added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from harness.campaign.records import SEVERITY, Verdict
from harness.judge.judge import Judgement
from harness.spec import Array
from harness.trace import Quantity

EDGES = np.geomspace(1e-9, 1e6, 15 * 40 + 1)
"""Ratios are counted in bins, 40 to a decade: medians and quantiles are good to 3 %."""

FAULTS: tuple[Verdict, ...] = ("mismatch", "non-finite")
"""The verdicts that call a program wrong."""

_FAULTS = [SEVERITY.index(verdict) for verdict in FAULTS]
_OPEN = [SEVERITY.index(verdict) for verdict in ("ill-conditioned", "undecided")]


def _no_ratios() -> Array:
    return np.zeros(EDGES.size + 1, dtype=np.int64)


@dataclass(frozen=True)
class Tally:
    """Counts over nets and numbers; `a + b` counts both.

    `faulty` are numbers called mismatch or non-finite, `accused` the nets that have any. `open` are numbers of which
    nothing could be said, `vacuous` those that passed although their bound is as large as they are. `ratios` counts
    error / bound in the bins of `EDGES`, over numbers whose bound is neither 0 nor infinite.
    """

    nets: int = 0
    accused: int = 0
    undecided: int = 0
    crashed: int = 0
    numbers: int = 0
    faulty: int = 0
    open: int = 0
    vacuous: int = 0
    branches: int = 0
    worst: float = 0.0
    ratios: Array = field(default_factory=_no_ratios)

    def __add__(self, other: Tally) -> Tally:
        added = {one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        return Tally(**{**added, "worst": max(self.worst, other.worst)})

    def quantile(self, share: float) -> float:
        """The ratio below which this share of the numbers lies: the upper edge of its bin."""
        below = np.cumsum(self.ratios)
        if not below[-1]:
            return 0.0
        position = int(np.searchsorted(below, share * below[-1]))
        return 0.0 if position == 0 else float(min(EDGES[min(position, EDGES.size - 1)], self.worst))


def of_judgement(judged: Judgement, values: Mapping[Quantity, Array]) -> Tally:
    """The counts of one judged trace."""
    total = Tally(nets=1)
    for quantity, comparison in judged.comparisons.items():
        verdicts = comparison.verdicts
        sharpness = sharpness_of(judged, quantity, values[quantity])
        value = np.asarray(values[quantity])
        passed = ~np.isin(verdicts, [*_FAULTS, *_OPEN])
        exact_zero = (value == 0) & (comparison.errors == 0)
        counted = passed & np.isfinite(sharpness) & (sharpness > 0)
        ratios = comparison.ratios[counted]
        total += Tally(
            numbers=verdicts.size,
            faulty=int(np.isin(verdicts, _FAULTS).sum()),
            open=int(np.isin(verdicts, _OPEN).sum()),
            vacuous=int((passed & (sharpness >= 1) & ~exact_zero).sum()),
            branches=int((verdicts == SEVERITY.index("undetermined branch")).sum()),
            worst=float(ratios.max(initial=0.0)),
            ratios=np.bincount(np.searchsorted(EDGES, ratios), minlength=EDGES.size + 1),
        )
    return total + Tally(accused=int(total.faulty > 0))


def sharpness_of(judged: Judgement, quantity: Quantity, value: Array) -> Array:
    """The smallest relative change that would have been seen, by element: bound / |value|."""
    if quantity in judged.sharpness:
        return judged.sharpness[quantity]
    with np.errstate(all="ignore"):
        bound = judged.bounds[quantity]
        sharpness: Array = np.where(bound == 0, 0.0, bound / np.abs(np.asarray(value, dtype=np.float64)))
    return sharpness
