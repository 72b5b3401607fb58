"""Gradient checking by central differences, on every element: the check that needs no derivative at all.

    d_i = (L(w + eps e_i) - L(w - eps e_i)) / (2 eps)

In float64 the best that can be had is about 1e-9 of the loss's size: rounding grows as 1/eps while truncation
grows as eps^2. In ball arithmetic rounding is no matter, so eps can be so small that truncation vanishes as well.

Where a program takes something for a constant that is none (`harness.stop_gradient`), its gradient is no derivative of
its loss, and differences disagree with it: see `is_cut`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.arrays import BallArray, Tape, precision, settling
from harness.case import Case
from harness.judge.walk import forward, given_as
from harness.registry import Cards
from harness.spec import Array
from harness.trace import LOSS

FLOAT_EPSILON = 1e-7
"""What tutorials use."""

BITS = 256
EXACT_EPSILON_EXPONENT = -64


def is_cut(case: Case, cards: Cards) -> bool:
    """Whether the gradient is stopped somewhere, so that differences have nothing to say of it."""
    tape = Tape()
    with precision(BITS), settling():
        forward(case.network, cards, given_as(lambda x: tape.variable(BallArray.exact(x)), case.values))
    return tape.cut


def float_differences(case: Case, cards: Cards, name: str) -> Array:
    """Central differences of the loss in float64 with respect to every element of one parameter."""
    given = {key: array.astype(np.float64) if array.dtype.kind == "f" else array for key, array in case.values.items()}

    def loss(moved: Any) -> Any:
        return forward(case.network, cards, {**given, name: moved}).values[LOSS]

    return _central(given[name], loss, lambda array, index, sign: _nudge(array, index, sign * FLOAT_EPSILON)) / (
        2 * FLOAT_EPSILON
    )


def exact_differences(case: Case, cards: Cards, name: str) -> BallArray:
    """The same with eps = 2**-64 in 256-bit ball arithmetic; what is left is the truncation, about eps^2.

    An element beside a kink that eps steps over gives the mean of the two sides' slopes, as differences do.
    """
    with precision(BITS):
        given = given_as(BallArray.exact, case.values)
        eps = BallArray.exact(2.0**EXACT_EPSILON_EXPONENT)

        def loss(moved: Any) -> Any:
            return forward(case.network, cards, {**given, name: moved}).values[LOSS]

        def nudge(array: Any, index: tuple[int, ...], sign: int) -> Any:
            unit = np.zeros(array.shape)
            unit[index] = sign
            return array + eps * BallArray.exact(unit)

        found = np.empty(given[name].shape, dtype=object)
        for index in np.ndindex(found.shape):
            rise = loss(nudge(given[name], index, 1)) - loss(nudge(given[name], index, -1))
            found[index] = (rise / (eps + eps)).data[()]
        return BallArray(found)


def relative_difference(gradient: Array, differences: Array) -> float:
    """||g - d|| / (||g|| + ||d||), the figure that tutorials print; 0 when both vanish."""
    g, d = gradient.astype(np.float64).ravel(), differences.ravel()
    size = float(np.linalg.norm(g) + np.linalg.norm(d))
    return float(np.linalg.norm(g - d)) / size if size else 0.0


def _central(
    array: Array, loss: Callable[[Any], Any], nudge: Callable[[Array, tuple[int, ...], int], Array]
) -> Array:
    found = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        found[index] = loss(nudge(array, index, 1)) - loss(nudge(array, index, -1))
    return found


def _nudge(array: Array, index: tuple[int, ...], by: float) -> Array:
    moved = array.copy()
    moved[index] += by
    return moved
