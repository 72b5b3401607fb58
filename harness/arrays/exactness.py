"""When floating-point arithmetic rounds nothing: then every correct evaluation gives the same number.

The lattice rule: if every term is a multiple of 2^q and the terms' magnitudes add up to at most 2^(p+q), with
p the digits of the format, then every partial sum, in whatever order, is a multiple of 2^q that the format
holds. So integer-valued networks are computed exactly, and a zero there is a zero.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.arrays.branches import Mask
from harness.spec import Array

NO_LATTICE = -(10**6)
"""The exponent of something that lies on no lattice: far below every format's smallest."""
ALL_LATTICES = 10**6
"""The exponent of 0, which lies on every lattice."""
FEW = 4
"""So many terms are looked at before all of them."""
MARGIN = 1 - 2.0**-30
"""Covers the rounding of the sum of magnitudes itself."""


def power_of_two(x: Array) -> Mask:
    """Where |x| is a power of two: a factor that only moves the exponent."""
    fraction = np.frexp(x)[0]
    return np.asarray(np.abs(fraction) == 0.5)


def any_plain(x: Array, r: Array, zero: Mask, axis: int) -> Mask:
    """Where everything along the axis is an exact power of two or 0; one False where that is nowhere.

    The first element already tells of most.
    """
    first = [slice(None)] * x.ndim
    first[axis] = slice(None, 1)
    at = tuple(first)
    if not (zero[at] | power_of_two(x[at])).any():
        return np.zeros((), dtype=bool)
    plain: Mask = np.all(zero | (power_of_two(x) & (r == 0)), axis=axis, keepdims=True)
    return plain


def _held(x: Array, dtype: np.dtype[Any]) -> Mask:
    """Where the dtype holds this float64 number, as a normal number or zero."""
    held = np.asarray(x.astype(dtype) == x)
    return held & ((x == 0) | (np.abs(x) >= np.finfo(dtype).tiny)) if held.any() else held


def exact_addition(a: Array, b: Array, c: Array, dtype: np.dtype[Any]) -> Mask:
    """Where a + b = c without rounding (Knuth's two-sum finds no remainder), and the dtype holds c."""
    back = c - a
    return np.asarray(((a - (c - back)) + (b - back) == 0) & _held(c, dtype))


def exact_product(a: Array, b: Array, c: Array, dtype: np.dtype[Any]) -> Mask:
    """Where a b = c without rounding, by counting digits, and the dtype holds c.

    A product of numbers of m and n binary digits has at most m + n; it fits into float64 if that is 53.
    """
    held = _held(c, dtype)
    if not held.any():
        return held
    digits_a, digits_b = (np.frexp(x)[1] - lattice(x) for x in (a, b))
    return np.asarray(((digits_a + digits_b <= 53) | (a == 0) | (b == 0)) & held)


def _has_few(x: Array, digits: int) -> Mask:
    """Where a number has at most so many binary digits, as Veltkamp's splitting leaves no rest; or is too large."""
    shifted = x * (2.0 ** (np.finfo(x.dtype).nmant + 1 - digits) + 1)
    return np.asarray((shifted - (shifted - x) == x) | ~np.isfinite(shifted))


def lattice(x: Array) -> Array:
    """The exponent q of the largest power of two that divides each number.

    >>> lattice(np.array([12.0, 0.75, 0.0])).tolist()
    [2, -2, 1000000]
    """
    fraction, exponent = np.frexp(x)
    scaled = np.where(np.isfinite(x), fraction, 0.0) * 2.0**53
    whole = scaled.astype(np.int64)
    lowest = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    q = np.where(whole == 0, ALL_LATTICES, exponent.astype(np.int64) - 53 + lowest)
    # A number of a wider type may have more than 53 digits: float64 lacks its lattice.
    return np.where(np.isfinite(x) & (whole == scaled), q, NO_LATTICE)


def _common(c: Array, r: Array, axis: Any) -> Array:
    """The lattice that holds all numbers along the axis; none, if one of them is not exact."""
    along = np.min(lattice(c), axis=axis, keepdims=True, initial=ALL_LATTICES)
    return np.where(np.any(r != 0, axis=axis, keepdims=True), NO_LATTICE, along)


def _fits(total: Array, q: Array, u: float, tiny: float) -> Mask:
    """Whether multiples of 2^q with magnitudes that sum to `total` are added exactly: total <= 2^q / u."""
    q = np.minimum(q, 1000)
    step = np.ldexp(1.0, np.maximum(q, -1070))
    return np.asarray((step >= tiny) & (total <= step / u * MARGIN))


def exact_sum(c: Array, r: Array, axes: tuple[int, ...], u: float, tiny: float) -> Mask:
    """Where the sum over the axes is exact in any order. The first term tells of most that they are not."""
    total = np.sum(np.abs(c), axis=axes, keepdims=True)
    first = tuple(slice(None, 1) if axis in axes else slice(None) for axis in range(c.ndim))
    if not _fits(total, lattice(c[first]), u, tiny).any():
        return np.zeros((), dtype=bool)
    return np.asarray(np.squeeze(_fits(total, _common(c, r, axes), u, tiny), axis=axes))


def exact_products(a: Array, ra: Array, b: Array, rb: Array, size: Array, u: float, tiny: float) -> Mask:
    """Where an element of a @ b is exact in any order; `size` is |a| @ |b|.

    The first term tells of most products that no element is (then one False is the answer): with factors of m and n
    digits it is at least 2^(m + n - 2) steps of its lattice, and has to be at most 1 / u of them. Of the others a few
    terms tell, as a sum's lattice is no coarser than theirs; the smallest sum of a row first, on the coarsest of them.
    """
    digits = (3 - math.frexp(u)[1]) // 2
    if not (_has_few(a[..., :1], digits).any() or _has_few(b[..., :1, :], digits).any()):
        return np.zeros((), dtype=bool)
    few_a, few_b = (..., slice(None, FEW)), (..., slice(None, FEW), slice(None))
    coarse_a, coarse_b = _common(a[few_a], ra[few_a], -1), _common(b[few_b], rb[few_b], -2)
    least = np.fmin.reduce(size, axis=-1, keepdims=True, initial=np.inf)
    coarsest = coarse_b.max(axis=-1, keepdims=True, initial=NO_LATTICE)
    if not _fits(least, coarse_a + coarsest, u, tiny).any() or not _fits(size, coarse_a + coarse_b, u, tiny).any():
        return np.zeros((), dtype=bool)
    return _fits(size, _common(a, ra, -1) + _common(b, rb, -2), u, tiny)


__all__ = ["any_plain", "exact_addition", "exact_product", "exact_products", "exact_sum", "lattice", "power_of_two"]
