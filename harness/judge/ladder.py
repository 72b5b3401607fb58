"""The precision ladder: one implementation, the same numbers, in float32 and in float64.

Rounding errors are proportional to u, to first order: e_p = k u_p |g|, where k depends on the network and on the
order of operations, and both are the same in both precisions. u shrinks by 2**29 from one rung to the next, and
so does rounding. A mistake of relative size b stays what it is. So with |g| the largest magnitude of the exact
tensor, and errors likewise the largest of the tensor,

    ratio = (e_64 / u_64) / max(e_32 / u_32, |g|)

is about 1 for rounding, whatever k, and 2**29 for a mistake. |g| stands in where float32 happened to be exact:
one rounding at least is expected of it. Whoever knows only these two ends puts the threshold where both are as
far away, in the geometric mean: 2**14.5. Rounding would have to fall on the unluckiest side in one precision
and on the luckiest in the other by a factor of 23,000; a mistake is seen from b = 2**14.5 k u_64 on, which is
2.6e-12 k.

No operation is modelled, no budget is used: a mistake in the rounding bounds cannot hide here, and a judgement
by the bounds can be checked against this one.

**No digits left.** The proportionality holds while k u_32 is well below 1. Beyond, float32 has lost the tensor, k
is not known from it, and nothing follows: 1 - tanh(z)**2 at z = 12 is 0 in float32, an error of 1 and no more,
and to 6 digits right in float64. Further out both are 0, and where such a term meets others, both may even agree
on the same wrong number. This cannot be told from a mistake by looking at results. So before an error is said not
to shrink, the float32 bound of the tensor (`harness.judge.bounds`) has to be below |g|: the bounds may excuse a
tensor, they never accuse one. Deep in a network, where bounds are wide, that excuses more than it has to.

**Kinks.** Errors are taken on the branches that the float64 run took, where rounding leaves them open; where it
hides them, tensors are excused. If the float32 run took others, e_32 is larger and less is seen, never more. An
exact tie is decided, and another convention there (0 or 1 for the slope of a ReLU at 0) does not shrink.

Only step 0 is compared: later the two runs stand at different parameters. Higham, Accuracy and Stability of
Numerical Algorithms (2002), section 1.20, on the same experiment as a test of what causes an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from harness.arrays import ErrorModel, Known
from harness.case import Case, Dtype
from harness.judge.bounds import Bounds, step_bounds
from harness.judge.judge import check_trace
from harness.judge.kinks import read_branches, undetermined_of
from harness.judge.oracle import Exact, exact_step
from harness.protocol import Implementation
from harness.registry import Cards
from harness.spec import Array
from harness.trace import Quantity, Trace

U32, U64 = 2.0**-24, 2.0**-53

THRESHOLD = (U32 / U64) ** 0.5
"""2**14.5, the geometric mean of the ratio of rounding, 1, and that of a mistake, u_32 / u_64 = 2**29."""

Verdict = Literal["shrinks", "does not shrink", "no digits left"]


@dataclass(frozen=True)
class Rung:
    """One tensor: its largest errors in both precisions, its largest exact magnitude, and what they come to.

    An error is infinite where the result, or the exact value, is not a finite number.
    """

    err32: float
    err64: float
    magnitude: float
    ratio: float
    verdict: Verdict


def ladder(case: Case, implementation: Implementation, cards: Cards) -> dict[Quantity, Rung]:
    """Climb: every value and gradient of step 0, in the network's order.

    The numbers are the case's, rounded to float32 first if they are not yet; its dtype is of no matter.

    Raises:
        Undecided: the exact value could not be had.
        ImplementationError: a trace breaks the contract. What `run` itself raises comes through as it is.
    """
    low, high = at_precision(case, "float32"), at_precision(case, "float64")
    shapes = cards.check(low) | {name: array.shape for name, array in low.values.items()}
    run32, run64 = implementation.run(low), implementation.run(high)
    check_trace(low, shapes, run32)
    check_trace(high, shapes, run64)
    exact, hidden = _exact(high, cards, run64)
    reach = step_bounds(case.network, cards, high.values, ErrorModel.of("float32"))
    return {
        quantity: rung(run32.quantities[quantity], value, _of(exact, quantity), _of(reach, quantity), hidden)
        for quantity, value in run64.quantities.items()
        if quantity.kind in ("value", "grad") and quantity.step == 0 and quantity in run32.quantities
    }


def at_precision(case: Case, dtype: Dtype) -> Case:
    """Step 0 alone, with the same float32 numbers in either dtype."""
    with np.errstate(over="ignore"):
        values = {
            name: array.astype(np.float32).astype(dtype) if array.dtype.kind == "f" else array
            for name, array in case.values.items()
        }
    return replace(case, values=values, dtype=dtype, steps=0, record=())


def _exact(case: Case, cards: Cards, run: Trace) -> tuple[Exact, bool]:
    """The exact values on the float64 run's own branches; and whether it hides one that rounding leaves open."""
    model = ErrorModel.of("float64")
    undetermined = undetermined_of(step_bounds(case.network, cards, case.values, model).comparisons)
    if not undetermined:
        return exact_step(case.network, cards, case.values), False
    choices = read_branches(case, cards, run, 0, case.values, undetermined, model)
    return exact_step(case.network, cards, case.values, choices), choices is None


def _of(table: Exact | Bounds, quantity: Quantity) -> Any:
    found: Mapping[str, Any] = table.values if quantity.kind == "value" else table.grads
    return found[quantity.name]


def rung(low: Array, high: Array, exact: Known, reach: Array, hidden: bool = False) -> Rung:
    """One tensor on the ladder: its float32 and float64 results, the exact one, and the float32 bound."""
    magnitude = _largest(np.abs(exact.mid()))
    err32, err64 = _error(low, exact), _error(high, exact)
    units = max(err32 / U32, magnitude)
    ratio = err64 / U64 / units if err64 and units < np.inf else 0.0
    verdict: Verdict = "no digits left"
    if ratio <= THRESHOLD and err32 < np.inf and (err64 < magnitude or err64 == 0):
        verdict = "shrinks"
    elif ratio > THRESHOLD and not hidden and _largest(reach) < magnitude:
        verdict = "does not shrink"
    return Rung(err32, err64, magnitude, ratio, verdict)


def _error(value: Array, exact: Known) -> float:
    """The largest error, less what the exact value itself is unsure of."""
    finite = np.isfinite(value) & np.isfinite(exact.mid())
    if not finite.all():
        return np.inf
    off, unsure = exact.off(np.asarray(value))
    return _largest(np.maximum(np.abs(off) - unsure, 0.0))


def _largest(array: Array) -> float:
    """The largest of an array; 0 of none, infinite where one is not a number."""
    return float(np.max(np.where(np.isnan(array), np.inf, array), initial=0.0))
