"""Bounded arrays: a value, and how far rounding may take it, side by side (running error analysis).

For the exact real value e of an element (of balls, on the same inputs), its centre c and radius r:

    |v - e| <= r   for every correct floating-point evaluation v

in any order and blocking of sums, with or without FMA, with every function within its budget, and with
subnormal inputs and results flushed to zero or not. c is itself such an evaluation, so |e| <= |c| + r, and
|v| <= |c| + 2r; the formulas below use these two, so that second-order terms are inside. What they leave
out is the float64 rounding of c and r themselves: a relative 2^-50 or so of terms that are part of r, and
that the last step, times `INFLATION`, covers.

An infinite radius says that nothing can be said: division by what may be 0, log near 0, overflow. Of what has
overflowed a `floor` of its magnitude is kept, through additions: 1 / (1 + e^800) is 0, and known to be.
Branches follow the centre. What a `where` or a comparison would do on the other side of a kink is not in
the radius; the comparison is reported (see `harness.arrays.branches`) and can be forced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from harness.arrays import exactness
from harness.arrays.bounded_functions import FUNCTIONS
from harness.arrays.branches import TRUTH, Mask, decide
from harness.arrays.error_model import ErrorModel
from harness.arrays.protocol import NumberArray, as_parts
from harness.arrays.radii import largest_of, nothing, nowhere
from harness.arrays.vocabulary import broadcast_together
from harness.spec import Array, Shape

INFLATION = 1 + 2.0**-30
"""Covers the rounding of the radius's own arithmetic."""
ABSORBING = 2.0**-80
"""A sum with a number so much smaller, in whatever type, is the larger of the two."""


class BoundedArray(NumberArray):
    """An array of values with rounding bounds: float64 arrays `centre` and `radius`, and the model.

    >>> x = BoundedArray.given([0.5, 0.1], ErrorModel.of("float64"))
    >>> (x * 4).radius.tolist(), bool((x * 3).radius[1] > 0)
    ([0.0, 0.0], True)
    """

    _level = 0

    def __init__(self, centre: Array, radius: Array, model: ErrorModel, floor: Array | None = None) -> None:
        self.centre = centre
        self.radius = radius
        self.model = model
        self.floor = floor

    def __repr__(self) -> str:
        return f"BoundedArray({self.centre!r}, {self.radius!r}, {self.model.dtype})"

    @classmethod
    def given(cls, array: Any, model: ErrorModel) -> BoundedArray:
        """Inputs that every implementation is given alike: radius 0."""
        centre = np.asarray(array, dtype=np.float64)
        return cls(centre, nowhere(centre.shape), model)

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """The shape of the array."""
        return self.centre.shape

    def widened(self, other: BoundedArray) -> BoundedArray:
        """The same value where it may be computed in another way too: the radius holds both."""
        return BoundedArray(self.centre, envelope(self, other), self.model)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype whose rounding is bounded."""
        return self.model.dtype

    def _lift(self, x: Any) -> Any:
        """A constant: radius 0 where the dtype holds it, else u |c|, as rounding it to the dtype costs."""
        if isinstance(x, BoundedArray):
            return x
        centre = np.asarray(x, dtype=np.float64)
        with np.errstate(all="ignore"):
            held = centre.astype(self.model.dtype) == centre
        if held.all():
            return BoundedArray(centre, nowhere(centre.shape), self.model)
        size = np.abs(centre)
        lost = np.where(size < self.model.tiny, self.model.tiny, self.model.u * size)
        return BoundedArray(centre, np.where(held | ~np.isfinite(centre), 0.0, lost), self.model)

    def _elementwise(self, name: str, *operands: Any) -> Any:
        if name == "negative":
            return BoundedArray(-operands[0].centre, operands[0].radius, self.model)
        return FORMULAS[name](self.model, *operands)

    def _rearrange(self, arrays: Sequence[Any], move: Callable[..., Any]) -> Any:
        centre = as_parts(move(*(x.centre for x in arrays)), np.float64)
        return BoundedArray(centre, as_parts(move(*(x.radius for x in arrays)), np.float64), self.model)

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        """R = sum r + gamma_(n-1) sum V, for n terms that are not exactly 0; exact sums cost nothing."""
        c, r, model = self.centre, _daz(self), self.model
        absolute = np.abs(c)
        total = np.sum(r, axis=axes)
        count = np.sum(~_is_zero(self), axis=axes)
        exact = (count <= 1) | exactness.exact_sum(c, self.radius, axes, model.u, model.tiny)
        rounding = model.gamma(np.maximum(count - 1, 0)) * np.sum(absolute + 2 * r, axis=axes)
        rounding = rounding + count * model.tiny
        # A partial sum may overflow though the sum does not.
        exact, rounding = _unless_overflowing(np.sum(absolute + 2 * r, axis=axes), model, exact, rounding)
        c, r = np.sum(c, axis=axes), total + np.where(exact, 0.0, rounding)
        return _finish(model, c, r, zero=(c == 0) & (r == 0))

    def _select(self, mask: Mask, left: Any, right: Any) -> Any:
        return BoundedArray(
            np.where(mask, left.centre, right.centre), np.where(mask, left.radius, right.radius), self.model
        )

    def _isnan(self) -> Mask:
        return np.isnan(self.centre)

    def _largest(self, axis: int) -> Any:
        largest = np.max(self.centre, axis=axis, keepdims=True)
        return BoundedArray(largest, np.zeros(largest.shape), self.model)

    def _cos_pi(self, k: int, n: int) -> Any:
        """R = u (3 a + 2): pi and two products round the angle a, and |cos'| <= 1; the cosine itself, measured as the
        budgets are, is off by 1.03 u at most. cos 0 is exact.
        """
        angle = np.pi * k / n
        centre = np.asarray(np.cos(angle))
        return _finish(self.model, centre, np.asarray(self.model.u * (3 * angle + 2) if k else 0.0), zero=False)

    def _compare(self, name: str, left: Any, right: Any) -> tuple[Mask, Mask]:
        """The gap of two evaluations lies within r_a + r_b of the exact gap: comparing rounds nothing."""
        left, right = broadcast_together(left, right)
        gap = left.centre - right.centre
        radius = (_daz(left) + _daz(right)) * INFLATION
        return decide(name, np.sign(gap), gap, np.where(np.isnan(radius), np.inf, radius))

    def _choose(self, name: str, left: Any, right: Any) -> Any:
        """|max(a, b) - max(a', b')| <= max(|a - a'|, |b - b'|), so the larger radius, where either may win.

        Where the gap is beyond its radius, or the choice is forced, the chosen operand's own radius. But an
        operand of which nothing is known may be nan, and nan is what is chosen, always.
        """
        left, right = broadcast_together(left, right)
        gap, reach = left.centre - right.centre, (_daz(left) + _daz(right)) * INFLATION
        taken = self._compare(name, left, right)[0]
        chosen = self._select(taken | left._isnan(), left, right)
        own = taken == TRUTH[name](np.sign(gap))
        either = own & ~(np.abs(gap) > reach)
        wider = np.maximum(left.radius, right.radius)
        radius = np.where(either | np.isinf(wider), wider, chosen.radius)
        return BoundedArray(chosen.centre, radius, self.model)

    def _absolute(self) -> Any:
        """||v| - |e|| <= |v - e|."""
        taken, tie = self._compare("absolute", self, self._lift(np.zeros(self.shape)))
        centre = np.where(taken, self.centre, np.where(tie, 0.0, -self.centre))
        return BoundedArray(centre, self.radius, self.model)

    def _sign(self) -> Any:
        sign = super()._sign()
        return BoundedArray(sign.centre, np.where(np.isinf(self.radius), np.inf, 0.0), self.model)


def envelope(one: Any, other: Any) -> Array:
    """The radius around the centre of `one` that holds every evaluation of both."""
    with np.errstate(all="ignore"):
        apart = np.asarray(np.abs(one.centre - other.centre), dtype=np.float64)
        wider: Array = np.maximum(one.radius, np.where(apart > 0, apart, 0.0) + other.radius)
    return wider


def _is_zero(x: BoundedArray) -> Mask:
    """Exactly 0 in every evaluation."""
    zero: Mask = x.centre == 0
    return zero & (x.radius == 0) if zero.any() else zero


def _reach(x: BoundedArray) -> tuple[Array, Array]:
    """The radius of an operand, including that its subnormal values may be read as zeros; and V = |c| + 2r."""
    size, r, tiny = np.abs(x.centre), x.radius, x.model.tiny
    if nothing(r):
        if size.min(initial=np.inf) >= tiny:
            return r, size
        near = (size < tiny) & (size != 0)
    else:
        near = (size - 2 * r < tiny) & ((size != 0) | (r > 0))
    r = r + np.where(near, tiny, 0.0) if near.any() else r
    return r, size + 2 * r


def _unless_overflowing(size: Array, model: ErrorModel, exact: Array, rounding: Array) -> tuple[Array, Array]:
    """Where the magnitudes of a sum's terms add up beyond the format, nothing is exact and nothing bounded."""
    if size.max(initial=0.0) <= model.largest:
        return exact, rounding
    held = size <= model.largest
    return exact & held, np.where(held, rounding, np.inf)


def _daz(x: BoundedArray) -> Array:
    """The radius of an operand, including that its subnormal values may be read as zeros."""
    return _reach(x)[0]


def _finish(model: ErrorModel, c: Any, r: Any, zero: Any) -> BoundedArray:
    """The result: flushing added, the radius inflated; infinite where it is nan or the result may overflow.

    A nan radius is 0 times infinity: an operand of which nothing is known, not even that it is a number.

    `zero` says where the result is exactly 0 in every evaluation; elsewhere a 0 may have underflowed. `r` is
    overwritten: it has to be the caller's own, and no operand's.
    """
    floor = None
    if not r.min(initial=np.inf) * ABSORBING > model.tiny:
        r = np.where(np.abs(c) - 2 * r >= model.tiny, r, r + model.tiny)
    r *= INFLATION
    if not largest_of(c) + 2 * r.max(initial=0.0) <= model.largest:
        size = np.abs(c)
        held = size + 2 * r <= model.largest
        floor = np.where(held | ~(size - 2 * r > 0), 0.0, np.minimum(size - 2 * r, model.largest))
        r = np.where(held, r, np.inf)
    if np.any(zero):
        c, r = np.where(zero, 0.0, c), np.where(zero, 0.0, r)
    return BoundedArray(np.asarray(c), np.asarray(r), model, floor)


def _add(model: ErrorModel, a: BoundedArray, b: BoundedArray) -> BoundedArray:
    """R = r_a + r_b + u (|c| + 2 (r_a + r_b)); no rounding beside an exact 0, or where the sum is exact."""
    c = a.centre + b.centre
    r = _daz(a) + _daz(b)
    exact = r == 0
    if exact.any():
        exact = exact & exactness.exact_addition(a.centre, b.centre, c, model.dtype)
    exact = exact | _is_zero(a) | _is_zero(b)
    r = r + np.where(exact, 0.0, model.u * (np.abs(c) + 2 * r))
    result = _finish(model, c, r, zero=(c == 0) & (r == 0))
    if a.floor is not None or b.floor is not None:
        result.floor = np.maximum(_floor_of_sum(a, b), _floor_of_sum(b, a))
    return result


def _floor_of_sum(large: BoundedArray, small: BoundedArray) -> Array:
    """|a + b| >= |a| - |b|, less a rounding; 0 where that says nothing."""
    if large.floor is None:
        return np.zeros(())
    left = (large.floor - np.abs(small.centre) - 2 * small.radius) * (1 - 2 * large.model.u)
    return np.where(np.isfinite(left) & (left > 0), left, 0.0)


def _subtract(model: ErrorModel, a: BoundedArray, b: BoundedArray) -> BoundedArray:
    """As addition."""
    return _add(model, a, BoundedArray(-b.centre, b.radius, model))


def _multiply(model: ErrorModel, a: BoundedArray, b: BoundedArray) -> BoundedArray:
    """R = r_a V_b + E_a r_b + u V_a V_b, with E = |c| + r and V = |c| + 2r.

    0 times anything is 0. A power of two scales the radius and rounds nothing; nor does an exact product.
    """
    c = a.centre * b.centre
    (ra, va), (rb, vb) = _reach(a), _reach(b)
    sure_a, sure_b = ra == 0, rb == 0
    exact = exactness.power_of_two(a.centre) & sure_a | exactness.power_of_two(b.centre) & sure_b
    if (sure_a & sure_b & ~exact).any():
        exact = exact | (sure_a & sure_b & exactness.exact_product(a.centre, b.centre, c, model.dtype))
    r = ra * vb + (va - ra) * rb + np.where(exact, 0.0, model.u * va * vb)
    finite = np.isfinite(va) & np.isfinite(vb)
    return _finish(model, c, r, zero=(_is_zero(a) | _is_zero(b)) & finite)


def _divide(model: ErrorModel, a: BoundedArray, b: BoundedArray) -> BoundedArray:
    """R = r_a / L + Q r_b / L + B u V_a / L, with L = |c_b| - 2 r_b and Q = E_a / (|c_b| - r_b).

    For |a/b - a'/b'| <= (|a - a'| + |a'/b'| |b - b'|) / |b|. Infinite unless L > 0; but where b has overflowed, the
    quotient is within V_a / F of 0, F being the floor of |b|.
    """
    c = a.centre / b.centre
    ra, rb = _daz(a), _daz(b)
    va, least = np.abs(a.centre) + 2 * ra, np.abs(b.centre) - 2 * rb
    exact = exactness.power_of_two(b.centre) & (rb == 0)
    rounding = np.where(exact, 0.0, model.budgets["divide"] * model.u * va / least)
    r = ra / least + (va - ra) / (least + rb) * rb / least + rounding
    r = np.where(least > 0, r, np.inf)
    if b.floor is not None:
        c = np.where(np.isinf(rb) & (b.floor > 0), 0.0 * np.sign(c), c)
        r = np.where(np.isinf(rb) & (b.floor > 0), (1 + 4 * model.u) * va / b.floor + model.tiny, r)
    return _finish(model, c, r, zero=_is_zero(a) & (least > 0) & np.isfinite(least))


def _power(model: ErrorModel, a: BoundedArray, n: float) -> BoundedArray:
    """R = |n| S^(n-1) r + (B + k) u S^n, with S the end of [|c| - 2r, |c| + 2r] at which each is largest.

    k = |n| for whole n: that many products one after another are a correct evaluation too. Below the
    first power the low end is the largest, and has to be above 0; so has a base under a broken exponent.
    """
    c, r = np.power(a.centre, n), _daz(a)
    low, high = np.abs(a.centre) - 2 * r, np.abs(a.centre) + 2 * r
    whole = isinstance(n, int)
    slope = abs(n) * np.power(high if n >= 1 else low, n - 1)
    budget = model.budgets["power"] + (abs(n) if whole else 0.0)
    bound = slope * r + budget * model.u * np.power(high if n > 0 else low, n)
    legal = (low > 0) | (n >= 1) if whole else (a.centre - 2 * r > 0)
    return _finish(model, c, np.where(legal, bound, np.inf), zero=_is_zero(a) & (n > 0))


def _exp(model: ErrorModel, a: BoundedArray) -> BoundedArray:
    """R = e^(c+r) (e^r - 1) + B u e^(c+2r): |e^v - e^e| = e^e |e^(v-e) - 1|. e^0 = 1 is exact.

    The first term is below e^(c+2r), which stands for it where r is large: e^r may overflow where e^c is 0.
    """
    c, r = np.exp(a.centre), _daz(a)
    most = np.exp(a.centre + 2 * r)
    moved = np.where(r < 1, c * np.exp(r) * np.expm1(r), most)
    rounding = model.budgets["exp"] * model.u * most
    result = _finish(model, c, moved + np.where(_is_zero(a), 0.0, rounding), zero=False)
    if result.floor is not None:
        beyond = a.centre - 2 * r > np.log(model.largest)
        result.floor = np.where(beyond, model.largest * (1 - 2.0**-20), result.floor)
    return result


def _function(name: str, model: ErrorModel, a: BoundedArray) -> BoundedArray:
    """As `harness.arrays.bounded_functions` says; exactly 0 where the operand is exactly 0, or 1 for log."""
    c, r = FUNCTIONS[name](model, a.centre, _daz(a))
    return _finish(model, c, r, zero=(a.centre == (1 if name == "log" else 0)) & (a.radius == 0))


def _logaddexp(model: ErrorModel, a: BoundedArray, b: BoundedArray) -> BoundedArray:
    """R = D + u (B (|c| + 2 D + L) + |d| L), with D = s(d) r_a + s(-d) r_b, d = a - b, L = log1p(e^-|d|).

    The two slopes s(d) = 1 / (1 + e^-d) and s(-d) are positive and add up to 1, so D is no more than max(r_a, r_b).
    An evaluation is max(a, b) + L: the rounding of d costs u|d| of L, and the sum may cancel, so that L counts beside
    |c|. d at its widest, L and s at their largest.
    """
    c = np.logaddexp(a.centre, b.centre)
    ra, rb = _daz(a), _daz(b)
    d, reach, moved = a.centre - b.centre, 2 * (ra + rb), np.maximum(ra, rb)
    sloped = ra / (1 + np.exp(-d - reach)) + rb / (1 + np.exp(d - reach))
    moved, gap = np.where(sloped < moved, sloped, moved), np.abs(d)
    tail = np.log1p(np.exp(-np.maximum(gap - 2 * (ra + rb), 0.0)))
    rounding = model.budgets["logaddexp"] * (np.abs(c) + 2 * moved + tail) + tail * (gap + 2 * (ra + rb))
    return _finish(model, c, moved + model.u * rounding, zero=False)


def _matmul(model: ErrorModel, a: BoundedArray, b: BoundedArray) -> BoundedArray:
    """R = r_a V_b + E_a r_b + gamma_n V_a V_b (matrix products), n counting the roundings of one element.

    Of the k terms without an exact 0, k products (none, where all their left or all their right factors
    are powers of two) and k - 1 additions. Sums on a lattice are exact: see `exactness.exact_sum`.
    """
    (ra, va), (rb, vb) = _reach(a), _reach(b)
    zero_a, zero_b = _is_zero(a), _is_zero(b)
    terms: Any = float(a.centre.shape[-1])
    if zero_a.any() or zero_b.any():
        terms = (~zero_a).astype(np.float64) @ (~zero_b).astype(np.float64)
    plain = exactness.any_plain(a.centre, ra, zero_a, -1), exactness.any_plain(b.centre, rb, zero_b, -2)
    roundings = np.maximum(terms - (plain[0] | plain[1]), 0.0)
    size = va @ vb
    on_lattice = exactness.exact_products(a.centre, ra, b.centre, rb, size, model.u, model.tiny)
    r = model.gamma(roundings) * size
    r += 2 * terms * model.tiny
    exact, r = _unless_overflowing(size, model, on_lattice | (roundings == 0), r)
    if np.any(exact):
        r = np.where(exact, 0.0, r)
    if not nothing(ra) and ra.any():
        r = r + ra @ vb
    if not nothing(rb) and rb.any():
        r = r + (va - ra) @ rb
    c = a.centre @ b.centre
    zero = (terms == 0) | on_lattice & (c == 0) if np.any(on_lattice) else terms == 0
    # 0 times what may be infinite may be no number.
    return _finish(model, c, r, zero=zero & np.isfinite(c) & np.isfinite(size) if np.any(zero) else zero)


FORMULAS: Mapping[str, Callable[..., BoundedArray]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "matmul": _matmul,
    "exp": _exp,
    "logaddexp": _logaddexp,
    **{name: partial(_function, name) for name in FUNCTIONS},
}
"""The bound of every primitive (negation is exact)."""

__all__ = ["FORMULAS", "INFLATION", "BoundedArray", "envelope"]
