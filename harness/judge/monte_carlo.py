"""Rounding thresholds for black boxes: how far a correct evaluation lies from the exact value, all but surely.

An implementation that hides its intermediates can only be judged end to end. The proof of `bounds` then grows
with the product of the norms of the layers, about ten times every two layers, and lets ever larger mistakes
pass. Here the card's own NumPy source is run once over `SampledArray`: K draws of the rounding of the whole
program, forward and backward, by which the true derivatives of everything are seen.

If the error e of an element and its draws t_1 ... t_K are independent and normal with mean 0 and one variance,

    e / rms(t)  has Student's t distribution with K degrees of freedom

(no mean is subtracted, so none is lost), and |e| > q rms(t), with q the distribution's quantile, happens with
the stated probability, the false alarm. More draws make q smaller: 12.6 for 16, 8.5 for 32, 7.2 for 64.

What is not so: roundings are not draws. e is one program's error, a fixed number; the same input gives it again.
Roundings of different results are not independent (those of equal results are drawn alike, see `sampled`), an
element whose error comes from few of them is bounded, not normal (its draws hardly vary, and q is on the
safe side), products of two errors have a mean, and the elements of one array err together, so that false
alarms come in crowds. The probability is therefore one by which q is chosen, not one that is guaranteed. An
error above the threshold is suspicious; one above the bound of `step_bounds` is wrong. Where a few roundings are
all there is, q times their spread is more than the worst case, and the smaller of the two may be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from harness.arrays import ErrorModel, precision
from harness.arrays.sampled import SampledArray, Sampling
from harness.case import Network
from harness.judge.bounds import Bounds
from harness.judge.walk import Choices, backward, differentiated, forward, given_as
from harness.registry import Cards
from harness.spec import Array

FALSE_ALARM = 1e-9
"""The probability, for one element, that a correct evaluation is called suspicious."""
DRAWS = 32


@lru_cache
def student_quantile(degrees: int, false_alarm: float = FALSE_ALARM) -> float:
    """The q with P(|T| > q) = false_alarm, for T of Student's distribution with so many degrees of freedom.

    P(|T| > q) = I_x(K/2, 1/2) at x = K / (K + q^2), the regularized incomplete beta function (Abramowitz, Stegun
    26.7.1); inverted by bisection.

    >>> [round(student_quantile(draws), 1) for draws in (16, 32, 64)]
    [12.6, 8.5, 7.2]
    """
    from flint import arb

    if degrees < 1 or not 0 < false_alarm < 1:
        raise ValueError(f"needs at least 1 degree of freedom and a probability, got {degrees}, {false_alarm}")
    half, freedom = arb(1) / 2, arb(degrees)
    low, high = arb(0), arb(1)
    with precision(128):

        def beyond(q: Any) -> bool:
            x = freedom / (freedom + q * q)
            return bool(x.beta_lower(freedom / 2, half, regularized=True) < false_alarm)

        while not beyond(high):
            low, high = high, 2 * high
        for _ in range(60):
            middle = ((low + high) / 2).mid()
            low, high = (low, middle) if beyond(middle) else (middle, high)
        return float(high.mid())


def monte_carlo_bounds(
    network: Network,
    cards: Cards,
    given: Mapping[str, Array],
    model: ErrorModel,
    choices: Choices | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Bounds:
    """The thresholds of every value and gradient of a pass that starts from exactly these numbers.

    As `step_bounds`, whose place it can take; deterministic for a seed. The comparisons that it reports have
    the threshold of their gap as radius, so `straddling` finds the undetermined branches. Infinite where
    nothing can be said.
    """
    quantile = student_quantile(draws)
    sampling = Sampling(model, draws, quantile, np.random.default_rng(seed))
    with np.errstate(all="ignore"):
        numbers = given_as(lambda array: SampledArray.given(array, sampling), given)
        walk = forward(network, cards, numbers, choices)
        grads = backward(network, cards, walk, SampledArray.given(1.0, sampling))
        thresholds = {name: np.zeros(np.shape(walk.values[name])) for name in differentiated(network)}
        thresholds |= {name: _threshold(grad, quantile) for name, grad in grads.items()}
        values = {name: _threshold(value, quantile) for name, value in walk.values.items()}
    return Bounds(values, thresholds, walk.comparisons)


def _threshold(number: Any, quantile: float) -> Array:
    if isinstance(number, SampledArray):
        return np.asarray(quantile * number.spread(), dtype=np.float64)
    return np.zeros(np.shape(number))


__all__ = ["DRAWS", "FALSE_ALARM", "monte_carlo_bounds", "student_quantile"]
