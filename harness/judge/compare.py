"""One array against the exact one: error, units in the last place, error / bound, and a verdict per element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.arrays import Known
from harness.campaign.records import SEVERITY, Verdict
from harness.spec import Array


@dataclass(frozen=True)
class Comparison:
    """Element by element, over an array of any shape.

    `errors` are v - exact; `ulps` the same in units in the last place of the exact value in the dtype (NaN where
    the exact value is zero and the error is not); `ratios` are |error| / bound, with 0 / 0 = 0. `verdicts` holds
    indices into `SEVERITY`.
    """

    errors: Array
    ulps: Array
    ratios: Array
    verdicts: Array

    def case(self, number: int) -> Comparison:
        """Of a comparison over a block of cases, that of one of them."""
        return Comparison(self.errors[number], self.ulps[number], self.ratios[number], self.verdicts[number])

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict of any element; an empty array is exact."""
        return SEVERITY[int(self.verdicts.max())] if self.verdicts.size else "exact"

    @property
    def worst_ratio(self) -> float:
        """The largest |error| / bound; 0 when there is none that is a number."""
        known = self.ratios[~np.isnan(self.ratios)]
        return float(known.max()) if known.size else 0.0

    @property
    def worst(self) -> int:
        """The flat index of the element to look at first: gravest verdict, then largest ratio, then error."""
        if not self.verdicts.size:
            return -1
        keys = [np.nan_to_num(np.abs(array).ravel(), nan=-1.0) for array in (self.errors, self.ratios)]
        return int(np.lexsort((*keys, np.maximum(self.verdicts.ravel(), _ROUNDING)))[-1])


_EXACT, _ROUNDING, _ILL, _NON_FINITE, _UNDECIDED, _MISMATCH = (
    SEVERITY.index(verdict)
    for verdict in ("exact", "rounding", "ill-conditioned", "non-finite", "undecided", "mismatch")
)


def compare(value: Array, exact: Known, bound: Array) -> Comparison:
    """Judge `value` against the exact one under `bound` (float64, of its shape, infinite where nothing is known).

    `exact` means: no other number of the dtype is nearer to the exact value. A result that overflows where the
    rounded exact value overflows too is exact as well. Where real arithmetic has no value, as for a NaN
    among the inputs, nothing is decided.
    """
    nearest = exact.float(value.dtype)
    bound = bound + flushable(nearest)
    finite = np.isfinite(value)
    exact_finite = np.isfinite(exact.mid())
    with np.errstate(all="ignore"):
        off, unsure = exact.off(np.where(finite, value, 0))
        errors = np.where(finite & exact_finite, off, np.nan)
        # The oracle's own radius counts against the implementation only beyond the bound, never within it.
        sizes = np.maximum(np.abs(errors) - unsure, 0.0)
        ratios = np.where(errors == 0, 0.0, np.divide(sizes, bound))
        ratios = np.where((sizes == 0) & (bound == 0), 0.0, ratios)
        ulps = np.where(errors == 0, 0.0, errors / np.spacing(np.abs(nearest)).astype(np.float64))
        ulps = np.where((nearest == 0) & (errors != 0), np.nan, ulps)
    verdicts = np.where(sizes <= bound, _ROUNDING, _MISMATCH)
    verdicts = np.where(np.isinf(bound), _ILL, verdicts)
    verdicts = np.where(finite != np.isfinite(nearest), _NON_FINITE, verdicts)
    verdicts = np.where(~finite & np.isfinite(nearest) & np.isinf(bound), _ILL, verdicts)
    verdicts = np.where(value == nearest, _EXACT, verdicts)
    verdicts = np.where(np.isnan(exact.mid()), _UNDECIDED, verdicts)
    return Comparison(errors, ulps, ratios, verdicts)


def flushable(nearest: Array) -> Array:
    """What a subnormal may lose, wherever it passes: the smallest normal number, where the value is below it."""
    tiny = np.finfo(nearest.dtype).tiny
    return np.where((np.abs(nearest) < tiny) & (nearest != 0), np.float64(tiny), 0.0)


def on_own_branch(own: Comparison, default: Comparison) -> Comparison:
    """Judge by the branch that the implementation itself took, and say where that is not the exact value's.

    Right on its own side and right on the exact value's: the verdict there. Right on its own side only:
    `undetermined branch`. Wrong on its own side is wrong, even if the other side would excuse it.
    """
    right = [_EXACT, _ROUNDING]
    own_right, default_right = np.isin(own.verdicts, right), np.isin(default.verdicts, right)
    verdicts = np.where(own_right & default_right, default.verdicts, own.verdicts)
    verdicts = np.where(own_right & ~default_right, SEVERITY.index("undetermined branch"), verdicts)
    return Comparison(default.errors, default.ulps, own.ratios, verdicts)


def excused(comparison: Comparison, reason: Verdict) -> Comparison:
    """The same, with `mismatch` turned into `reason`: what follows from another choice of subgradient, or of side.

    Where nothing is decided, for NaN, or on another side, being no number is no fault either.
    """
    wrong = [_MISMATCH] if reason == "convention" else [_MISMATCH, _NON_FINITE]
    verdicts = np.where(np.isin(comparison.verdicts, wrong), SEVERITY.index(reason), comparison.verdicts)
    return Comparison(comparison.errors, comparison.ulps, comparison.ratios, verdicts)


def beyond(comparison: Comparison, threshold: Array) -> Comparison:
    """The same, with `suspicious` for what passes under its bound but lies beyond a sharper, statistical threshold."""
    with np.errstate(all="ignore"):
        far = (np.abs(comparison.errors) > threshold) & (comparison.verdicts == _ROUNDING)
    verdicts = np.where(far, SEVERITY.index("suspicious"), comparison.verdicts)
    return Comparison(comparison.errors, comparison.ulps, comparison.ratios, verdicts)


def decided_by(own: Comparison, whole: Comparison) -> Comparison:
    """The whole's judgement, but where its bound is infinite, what was found of the operation itself."""
    open_ended = whole.verdicts == _ILL
    verdicts = np.where(open_ended, own.verdicts, whole.verdicts)
    return Comparison(whole.errors, whole.ulps, np.where(open_ended, own.ratios, whole.ratios), verdicts)


def both(one: Comparison, other: Comparison) -> Comparison:
    """Two judgements of the same elements: the graver verdict of each, with its ratio; the errors of the first.

    Of two that say alike, the ratio is the second's. `exact` is the first's to say.
    """
    graver = one.verdicts > other.verdicts
    passes = (one.verdicts <= _ROUNDING) & (other.verdicts <= _ROUNDING)
    verdicts = np.where(passes, one.verdicts, np.maximum(one.verdicts, other.verdicts))
    return Comparison(one.errors, one.ulps, np.where(graver & ~passes, one.ratios, other.ratios), verdicts)
