"""Exact values of large arrays: centres of a wider floating-point type, each with a radius that is certain.

A ball of arbitrary precision costs about a microsecond per operation and number. Where there are millions, the centre
is computed in float64 (for float32 cases) or extended precision (for float64 cases) instead, and the radius is what a
running error analysis says of that computation (`harness.arrays.blocks.centre_share`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.arrays.ball import BallArray, precision
from harness.spec import Array, Shape

BITS = 160
"""Enough for two float64 numbers, one after the other."""


class WideArray:
    """Results, not to be computed with: what a judgement asks of exact values.

    >>> third = WideArray(np.array([1 / np.longdouble(3)]), np.array([1e-20]))
    >>> third.digits(25).tolist(), third.float(np.float32).tolist()
    (['0.3333333333333333333'], [0.3333333432674408])
    """

    def __init__(self, centre: Array, radius: Array) -> None:
        self.centre = centre
        self._radius = np.asarray(radius, np.float64)

    @property
    def shape(self) -> Shape:
        """The shape of the array."""
        return self.centre.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.centre.size

    def reshape(self, *shape: int) -> WideArray:
        """As `numpy.ndarray.reshape`."""
        return WideArray(self.centre.reshape(*shape), self._radius.reshape(*shape))

    def __getitem__(self, key: Any) -> WideArray:
        return WideArray(np.asarray(self.centre[key]), np.asarray(self._radius[key]))

    def mid(self) -> Array:
        """The centres, as float64."""
        return self.centre.astype(np.float64)

    def radius(self) -> Array:
        """Upper bounds of the radii; infinite where nothing is known."""
        return np.where(np.isnan(self._radius), np.inf, self._radius)

    def float(self, dtype: Any = np.float64) -> Array:
        """The centres, rounded to `dtype`."""
        with np.errstate(all="ignore"):
            return self.centre.astype(dtype)

    def off(self, value: Array) -> tuple[Array, Array]:
        """How far a value lies off, as float64, and how sure that is: ``(value - exact, radius)``."""
        with np.errstate(all="ignore"):
            return (value.astype(self.centre.dtype) - self.centre).astype(np.float64), self.radius()

    def digits(self, n: int = 20) -> Array:
        """As `BallArray.digits`: no digit is shown that the radius leaves open."""
        return self.ball().digits(n)

    def ball(self) -> BallArray:
        """The same numbers as balls."""
        import flint

        high = self.centre.astype(np.float64)
        with np.errstate(all="ignore"):
            low = np.where(np.isfinite(high), self.centre - high, 0.0).astype(np.float64)
        balls, radius = np.empty(self.shape, dtype=object), self.radius()
        with precision(BITS):
            for index in np.ndindex(self.shape):
                known = float(radius[index])
                width = flint.arb(0, known) if known < np.inf else flint.arb.nan()
                balls[index] = BallArray.exact(high[index]).data[()] + flint.arb(float(low[index])) + width
        return BallArray(balls)


__all__ = ["WideArray"]
