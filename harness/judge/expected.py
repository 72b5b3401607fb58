"""What one operation makes of an implementation's own numbers, and the verdict on what the implementation has there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.arrays.radii import largest_of
from harness.campaign.records import SEVERITY
from harness.judge.compare import Comparison, flushable
from harness.spec import Array


@dataclass(frozen=True)
class Expected:
    """What one operation makes of an implementation's own numbers: between `low` and `high`, within `radius`.

    `centre` is the value on the side that the card takes; `low` and `high` differ from it only at exact ties. `either`
    is the same for comparisons that are nearer to their kink than rounding can tell; None where there is none such.
    `nan` is where a comparison with NaN decides, which has no outcome. `tainted` are the cases in which something that
    goes in is NaN: by one correct formula it spreads (0 * NaN), by another not.
    """

    centre: Array
    radius: Array
    low: Array
    high: Array
    either: Expected | None = None
    nan: Array | None = None
    tainted: Array | None = None

    def holds(self, value: Array) -> bool:
        """Whether all that is compared passes, as it mostly does, by the first test of `compare` alone."""
        with np.errstate(all="ignore"):
            errors = np.asarray(value - self.centre, dtype=np.float64)
            if not (np.abs(errors, out=errors) <= self.radius).all():
                return False
            # And so is the centre, rounded to the dtype.
            return bool(largest_of(value) + self.radius.max(initial=0.0) <= np.finfo(value.dtype).max)

    def compare(self, value: Array) -> Comparison:
        """Judge the implementation's own value of the same quantity."""
        with np.errstate(all="ignore"):
            errors = np.asarray(value - self.centre, dtype=np.float64)
            sizes = np.abs(errors)
            nearest = np.asarray(self.centre).astype(value.dtype)
            radius = self.radius + flushable(nearest)
            outside = sizes
            if self.low is not self.centre:
                outside = np.maximum(self.low - value, value - self.high)
            ratios = np.where(sizes == 0, 0.0, sizes / radius)
            ulps = np.where(errors == 0, 0.0, errors / np.spacing(np.abs(nearest)).astype(np.float64))
        verdicts = np.where(sizes <= radius, _ROUNDING, _MISMATCH)
        if self.either is not None:
            with np.errstate(all="ignore"):
                beyond = np.maximum(self.either.low - value, value - self.either.high)
            admissible = beyond <= self.either.radius + flushable(nearest)
            verdicts = np.where((sizes > radius) & admissible, _UNDETERMINED, verdicts)
        verdicts = np.where((sizes > radius) & (outside <= radius), _CONVENTION, verdicts)
        wild = np.isfinite(value) != np.isfinite(nearest)
        verdicts = np.where(wild & (verdicts != _UNDETERMINED), _NON_FINITE, verdicts)
        verdicts = np.where(np.isinf(self.radius), _ILL, verdicts)
        if self.nan is not None:
            verdicts = np.where(self.nan & (verdicts > _ROUNDING), _UNDECIDED, verdicts)
        if self.tainted is not None:
            verdicts = np.where(self.tainted & np.isnan(value) & (verdicts == _NON_FINITE), _UNDECIDED, verdicts)
        verdicts = np.where((value == nearest) | (np.isnan(value) & np.isnan(self.centre)), _EXACT, verdicts)
        return Comparison(errors, ulps, ratios, verdicts)


_EXACT, _ROUNDING, _UNDETERMINED, _CONVENTION, _ILL, _UNDECIDED, _NON_FINITE, _MISMATCH = (
    SEVERITY.index(verdict)
    for verdict in (
        "exact", "rounding", "undetermined branch", "convention",
        "ill-conditioned", "undecided", "non-finite", "mismatch",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Local:
    """The judgement of one quantity: what was expected of it, and what it is. Details are computed when asked for."""

    expected: Expected
    value: Array

    @property
    def radius(self) -> Array:
        """The radius that it was held to."""
        return self.expected.radius

    @cached_property
    def holds(self) -> bool:
        """Whether every element of every case passes, seen at once; where it is false, the verdicts decide."""
        return self.expected.holds(self.value)

    @cached_property
    def comparison(self) -> Comparison:
        """Element by element."""
        return self.expected.compare(self.value)

    @property
    def wrong(self) -> bool:
        """Whether some element is outside its bound."""
        return not self.holds and bool((self.comparison.verdicts == _MISMATCH).any())


__all__ = ["Expected", "Local"]
