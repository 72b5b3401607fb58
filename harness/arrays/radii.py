"""What the kinds of number with a radius have in common: no radius at all, and the largest magnitude."""

from __future__ import annotations

import numpy as np

from harness.spec import Array, Shape


def nowhere(shape: Shape) -> Array:
    """The radius of numbers that are exact: one 0, repeated without memory.

    >>> nothing(nowhere((2, 3)).T), nothing(np.zeros((2, 3)))
    (True, False)
    """
    return np.ndarray(shape, np.float64, bytes(8), strides=(0,) * len(shape))


def nothing(r: Array) -> bool:
    """Whether this is such a radius, or one that was moved from it: its strides tell, with no look at all of it."""
    return r.strides.count(0) == r.ndim and r.size > 0 and not r.item(0)


def largest_of(x: Array) -> float:
    """The largest magnitude; 0 of nothing, NaN where something is."""
    return float(max(x.max(initial=0.0), -x.min(initial=0.0)))


__all__ = ["largest_of", "nothing", "nowhere"]
