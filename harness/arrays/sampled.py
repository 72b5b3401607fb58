"""Sampled arrays: a value, and K random draws of what rounding adds to it (Monte-Carlo error analysis).

An element is a centre c and K tangents t_1 ... t_K: each is what one imagined evaluation is off by. An
operation z = f(x, y) gives every draw

    t_z = f(c_x + t_x, c_y + t_y) - f(c_x, c_y) + s sd        s of mean 0 and variance 1, at random

so the draws of one element and of its neighbours go through the program together, and what cancels in the
program cancels in them. That is the whole difference with `BoundedArray`, whose radius grows with the product
of the norms of the layers. With u the unit roundoff and c the result, the noise's standard deviation sd is

    + - x                         0.6 u |c|; 0 where rounding is proved away, by the rules of `BoundedArray`
    a sum of n + 1 terms          0.6 u max(sqrt n, n / 10) sum |x|
    a matrix product              0.6 u max(sqrt n, n / 10) |A| |B|, n the roundings of one element
    any other function            half its budget (`ErrorModel.budgets`) times u |c|
    wherever flushing may happen  the smallest normal number besides, once for each term

where 0.6 u is the spread of one rounding (uniform within +-u it is 0.58 u). The square root is that of
independent roundings (Higham, Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci.
Comput. 41, 2019). But a number added n times over may always be rounded in one direction: by half a unit in the
last place each, (1/3 + f) / (1 + f)^2 n u of a sum (1 + f) 2^k, at most 0.375 n u. NumPy and XLA come near
that. With n / 10 it is 6.25 standard deviations. The differences are written so that they keep their digits, as
e^c (e^t - 1) for exp: they are not linearized, and products have their t_x t_y.

With signs of their own alone, the errors of equal rows would average out; but these are equal, and add up. So
half of the noise's variance has signs that are a hash of the result, drawn anew in every operation: the same for
results of one operation that are equal, but for 8 of 53 bits. The other half has signs of its own: results may be
equal and have been rounded on different ways.

Infinite tangents say that nothing can be said: the noise reaches a pole, or the result may overflow. Branches
follow the centre, as those of `BoundedArray` do, and are reported and forced as its are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from harness.arrays import exactness
from harness.arrays.branches import TRUTH, Mask, decide
from harness.arrays.error_model import ErrorModel
from harness.arrays.protocol import NumberArray, as_parts
from harness.arrays.sampled_differences import DIFFERENCES, ENDS
from harness.arrays.vocabulary import broadcast_together, function
from harness.spec import Array, Shape

ONE_ROUNDING = 0.6
"""The standard deviation of one rounding, in units of u |c|."""
EQUAL_ADDENDS = 10.0
"""A sum of n + 1 terms has the noise of at least n / 10 roundings: equal terms round in one direction."""
NEAR_FLUSH = 16.0
"""A result below 16 times the smallest normal number may be flushed to zero in some evaluation."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """What the sampled arrays of one run have in common: the model, K, and where the signs come from.

    `reach` times its root mean square is how far an element may be off: a comparison nearer than that to its
    kink is undetermined, and a denominator nearer than that to 0 is not to be divided by.
    """

    model: ErrorModel
    draws: int
    reach: float
    generator: np.random.Generator

    def noise(self, sd: Array, result: Array) -> Array:
        """K draws of mean 0 and standard deviation sd: (s + s') sd / sqrt 2, with s a hash of the result."""
        words = -(-self.draws // 64)
        salt = self.generator.integers(2**64, size=words, dtype=np.uint64)
        alike = np.array(result, np.float64, order="C")[..., None].view(np.uint64) >> np.uint64(8)
        tied = _mixed(alike ^ salt)
        own = self.generator.integers(2**64, size=tied.shape, dtype=np.uint64)
        bits = [np.unpackbits(x.view(np.uint8), axis=-1, count=self.draws) for x in (tied, own)]
        return np.asarray((bits[0] + bits[1] - 1.0) * (np.sqrt(2.0) * sd[..., None]))


def _mixed(x: Array) -> Array:
    """A hash of 64 bits: the finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x


class SampledArray(NumberArray):
    """Values with draws of their rounding: float64 arrays `centre` and `tangents`, one axis longer.

    `exact` is true where every correct evaluation gives this very number; all tangents are 0 there, and the
    number is 0 or a normal one.

    >>> x = SampledArray.given([0.5, 0.1], Sampling(ErrorModel.of("float64"), 32, 8.5, np.random.default_rng(0)))
    >>> (x * 4).spread().tolist(), bool((x * 3).spread()[1] > 0)
    ([0.0, 0.0], True)
    """

    _level = 0

    def __init__(self, centre: Array, tangents: Array, exact: Mask, sampling: Sampling) -> None:
        self.centre = centre
        self.tangents = tangents
        self.exact = exact
        self.sampling = sampling

    def __repr__(self) -> str:
        return f"SampledArray({self.centre!r}, +- {self.spread()!r}, {self.sampling.model.dtype})"

    @classmethod
    def given(cls, array: Any, sampling: Sampling) -> SampledArray:
        """Inputs that every implementation is given alike: no noise, unless they are subnormal."""
        centre = np.asarray(array, dtype=np.float64)
        return _finish(sampling, centre, np.zeros((*centre.shape, sampling.draws)), 0.0, _normal(sampling, centre))

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """The shape of the array."""
        return self.centre.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype whose rounding is sampled."""
        return self.sampling.model.dtype

    def widened(self, other: SampledArray) -> SampledArray:
        """The same value where it may be computed in another way too: of each element, the noisier draws."""
        noisier = self._select(self.spread() >= other.spread(), self, other)
        return SampledArray(self.centre, noisier.tangents, self.exact & other.exact, self.sampling)

    def spread(self) -> Array:
        """The root mean square of the tangents, about 0, in which nothing underflows; infinite if unknown."""
        return _rms(self.tangents)

    def _lift(self, x: Any) -> Any:
        """A constant; where the dtype does not hold it, with the noise that rounding it costs."""
        if isinstance(x, SampledArray):
            return x
        s, c = self.sampling, np.asarray(x, dtype=np.float64)
        with np.errstate(all="ignore"):
            held = (c.astype(s.model.dtype) == c) & _normal(s, c)
            return _finish(s, c, np.zeros((*c.shape, s.draws)), ONE_ROUNDING * s.model.u * np.abs(c), held)

    def _elementwise(self, name: str, *operands: Any) -> Any:
        if name == "negative":
            x = operands[0]
            return SampledArray(-x.centre, -x.tangents, x.exact, self.sampling)
        return FORMULAS[name](self.sampling, *operands)

    def _rearrange(self, arrays: Sequence[Any], move: Callable[..., Any]) -> Any:
        """The move is made by the elements' places, once, and not by every draw."""
        starts = np.cumsum([0, *(x.size for x in arrays)])
        numbered = [start + np.arange(x.size).reshape(x.shape) for start, x in zip(starts, arrays, strict=False)]
        places = as_parts(move(*numbered), np.int64)
        flat = [(x.centre.ravel(), x.tangents.reshape(-1, self.sampling.draws), x.exact.ravel()) for x in arrays]
        c, t, exact = flat[0] if len(flat) == 1 else map(np.concatenate, zip(*flat, strict=True))
        return SampledArray(c[places], t[places], exact[places], self.sampling)

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        """The tangents add up; the additions' noise as in the table above, 0 where the sum is exact."""
        model, size = self.sampling.model, np.abs(self.centre)
        count = np.sum(~_is_zero(self), axis=axes)
        known = np.all(self.exact, axis=axes)
        bare = (count <= 1) | exactness.exact_sum(self.centre, ~self.exact, axes, model.u, model.tiny)
        total = np.sum(size, axis=axes)
        sd = np.where(bare, 0.0, _of_sum(model, np.maximum(count - 1, 0), total) + count * model.tiny)
        centre, tangents = np.sum(self.centre, axis=axes), np.sum(self.tangents, axis=axes)
        return _finish(self.sampling, centre, tangents, sd, bare & known, total)

    def _select(self, mask: Mask, left: Any, right: Any) -> Any:
        return SampledArray(
            np.where(mask, left.centre, right.centre),
            np.where(mask[..., None], left.tangents, right.tangents),
            np.where(mask, left.exact, right.exact),
            self.sampling,
        )

    def _isnan(self) -> Mask:
        return np.isnan(self.centre)

    def _largest(self, axis: int) -> Any:
        return SampledArray.given(np.max(self.centre, axis=axis, keepdims=True), self.sampling)

    def _gap(self, left: Any, right: Any) -> tuple[Array, Array]:
        """left - right, and how far it may be off: what both operands have in common cancels."""
        with np.errstate(all="ignore"):
            return left.centre - right.centre, self.sampling.reach * _rms(left.tangents - right.tangents)

    def _compare(self, name: str, left: Any, right: Any) -> tuple[Mask, Mask]:
        gap, radius = self._gap(*broadcast_together(left, right))
        return decide(name, np.sign(gap), gap, radius)

    def _choose(self, name: str, left: Any, right: Any) -> Any:
        """|max(a, b) - max(a', b')| <= max(|a - a'|, |b - b'|): the noisier operand's draws, where either may win.

        Beyond the gap's reach, or where the choice is forced: the chosen operand's own.
        """
        left, right = broadcast_together(left, right)
        gap, reach = self._gap(left, right)
        taken = decide(name, np.sign(gap), gap, reach)[0]
        chosen, noisier = self._select(taken | left._isnan(), left, right), left.widened(right)
        either = (taken == TRUTH[name](np.sign(gap))) & ~(np.abs(gap) > reach) | ~_known(noisier)
        drawn = self._select(either, noisier, chosen)
        return SampledArray(chosen.centre, drawn.tangents, drawn.exact, self.sampling)

    def _absolute(self) -> Any:
        taken, tie = self._compare("absolute", self, self._lift(np.zeros(self.shape)))
        sign = np.where(taken | tie, 1.0, -1.0)
        centre = np.where(tie, 0.0, sign * self.centre)
        return SampledArray(centre, sign[..., None] * self.tangents, self.exact, self.sampling)

    def _sign(self) -> Any:
        sign, known = super()._sign(), _known(self)
        tangents = np.where(known[..., None], sign.tangents, np.inf)
        return SampledArray(sign.centre, tangents, sign.exact & known, self.sampling)


def _rms(tangents: Array) -> Array:
    largest = np.max(np.abs(tangents), axis=-1)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    rms = scale * np.sqrt(np.mean(np.square(tangents / scale[..., None]), axis=-1))
    return np.where(np.isnan(rms), np.inf, rms)


def _is_zero(x: SampledArray) -> Mask:
    """Exactly 0 in every evaluation."""
    return np.asarray((x.centre == 0) & x.exact)


def _of_sum(model: ErrorModel, roundings: Array, size: Array) -> Array:
    """The noise of adding terms with magnitudes that sum to `size`."""
    return np.asarray(ONE_ROUNDING * model.u * np.maximum(np.sqrt(roundings), roundings / EQUAL_ADDENDS) * size)


def _finish(s: Sampling, c: Any, t: Array, sd: Any, exact: Any, largest: Any = 0.0) -> SampledArray:
    """The result, its noise added, and flushing's; infinite tangents where nothing is known of it.

    `largest` is the largest magnitude met on the way there, beside |c|: a partial sum may overflow.
    """
    size = np.abs(c)
    sd = np.where(exact, 0.0, sd + np.where(size < NEAR_FLUSH * s.model.tiny, s.model.tiny, 0.0))
    if np.any(sd):
        t = t + s.noise(sd, c)
    known = np.isfinite(np.sum(t, axis=-1)) & (np.maximum(size, largest) <= s.model.largest)
    exact = np.broadcast_to(exact, size.shape)
    if not known.all():
        t, exact = np.where(known[..., None], t, np.inf), exact & known
    return SampledArray(np.asarray(c), t, exact, s)


def _normal(s: Sampling, c: Array) -> Mask:
    """Where a number is not one that some evaluations flush."""
    return np.asarray((c == 0) | (np.abs(c) >= s.model.tiny))


def _add(s: Sampling, a: SampledArray, b: SampledArray) -> SampledArray:
    """t = t_a + t_b. No rounding beside an exact 0, or where the sum is exact."""
    c, both = a.centre + b.centre, a.exact & b.exact
    bare = both & exactness.exact_addition(a.centre, b.centre, c, s.model.dtype)
    bare = bare | _is_zero(a) | _is_zero(b)
    sd = np.where(bare, 0.0, ONE_ROUNDING * s.model.u * np.abs(c))
    return _finish(s, c, a.tangents + b.tangents, sd, bare & both)


def _multiply(s: Sampling, a: SampledArray, b: SampledArray) -> SampledArray:
    """t = t_a b + a t_b + t_a t_b. A power of two rounds nothing, nor does an exact product; 0 absorbs."""
    c, both = a.centre * b.centre, a.exact & b.exact
    bare = exactness.power_of_two(a.centre) & a.exact | exactness.power_of_two(b.centre) & b.exact
    bare = bare | (both & exactness.exact_product(a.centre, b.centre, c, s.model.dtype))
    t = a.tangents * (b.centre[..., None] + b.tangents) + a.centre[..., None] * b.tangents
    zero = _is_zero(a) | _is_zero(b)
    sd = np.where(bare | zero, 0.0, ONE_ROUNDING * s.model.u * np.abs(c))
    return _finish(s, c, t, sd, zero | bare & both & (c != 0) & _normal(s, c))


def _divide(s: Sampling, a: SampledArray, b: SampledArray) -> SampledArray:
    """t = (t_a - c t_b) / (b + t_b); unknown where b may be 0."""
    c = a.centre / b.centre
    bare = exactness.power_of_two(b.centre) & b.exact
    t = (a.tangents - c[..., None] * b.tangents) / (b.centre[..., None] + b.tangents)
    exact, sd = _is_zero(a) | (bare & a.exact & (c != 0) & _normal(s, c)), np.where(bare, 0.0, _half(s, "divide", c))
    return _finish(s, c, np.where(_clear(s, b)[..., None], t, np.inf), sd, exact)


def _known(x: SampledArray) -> Mask:
    return np.asarray(np.isfinite(x.tangents[..., 0]))


def _clear(s: Sampling, x: SampledArray) -> Mask:
    """Where x is further from 0 than its noise reaches."""
    return np.asarray(np.abs(x.centre) > s.reach * x.spread())


def _half(s: Sampling, name: str, size: Array) -> Array:
    """The noise of a function: a budget is the worst that was seen."""
    return np.asarray(0.5 * s.model.budgets[name] * s.model.u * np.abs(size))


def _power(s: Sampling, a: SampledArray, n: float) -> SampledArray:
    """t = c ((1 + t/a)^n - 1) = c (e^(n log(1 + t/a)) - 1), and near a = 0 the difference itself.

    A whole exponent may also be n products, one after another. Below the first power, or with a broken
    exponent, a has to be clear of 0.
    """
    c, clear, whole = np.power(a.centre, n), _clear(s, a), isinstance(n, int)
    relative = np.expm1(n * np.log1p(a.tangents / a.centre[..., None]))
    near = np.power(a.centre[..., None] + a.tangents, n) - c[..., None]
    legal = (clear | (n >= 1) if whole else clear & (a.centre > 0)) | (_is_zero(a) & (n > 0))
    t = np.where(clear[..., None], c[..., None] * relative, near)
    sd = _half(s, "power", c) + (ONE_ROUNDING * np.sqrt(abs(n)) if whole else 0.0) * s.model.u * np.abs(c)
    return _finish(s, c, np.where(legal[..., None], t, np.inf), sd, _is_zero(a) & (n > 0))


def _function(name: str, s: Sampling, a: SampledArray) -> SampledArray:
    """A function of one number, with half its budget as noise; exact at log 1, and elsewhere at 0."""
    c = function(name)(a.centre)
    exact = a.exact & (a.centre == (1.0 if name == "log" else 0.0))
    known = _known(a) & (a.centre > ENDS[name] + s.reach * a.spread() if name in ENDS else True)
    t = DIFFERENCES[name](a.centre[..., None], a.tangents, c[..., None])
    t = np.where((known & ~exact)[..., None], t, np.where(exact, 0.0, np.inf)[..., None])
    return _finish(s, c, t, _half(s, name, c), exact & np.isfinite(c))


def _logaddexp(s: Sampling, a: SampledArray, b: SampledArray) -> SampledArray:
    """t = log(1 + p (e^t_a - 1) + (1 - p) (e^t_b - 1)), with p = e^(a - c) the weight of the first.

    An evaluation is max(a, b) + L, L = log(1 + e^-d), d = |a - b|: rounding d costs u d of L, and the sum may
    cancel, so that L counts beside |c|.
    """
    c, gap = np.logaddexp(a.centre, b.centre), np.abs(a.centre - b.centre)
    first, second = np.exp(a.centre - c)[..., None], np.exp(b.centre - c)[..., None]
    t = np.log1p(first * np.expm1(a.tangents) + second * np.expm1(b.tangents))
    t = np.where((_known(a) & _known(b))[..., None], t, np.inf)
    tail = np.log1p(np.exp(-gap))
    sd = _half(s, "logaddexp", np.abs(c) + tail) + ONE_ROUNDING * s.model.u * tail * gap
    return _finish(s, c, t, sd, exact=False)


def _matmul(s: Sampling, a: SampledArray, b: SampledArray) -> SampledArray:
    """t = t_a B + A t_b + t_a t_b (matrix products); roundings counted as `BoundedArray` counts them."""
    model, c = s.model, a.centre @ b.centre
    zero_a, zero_b = _is_zero(a), _is_zero(b)
    terms = (~zero_a).astype(np.float64) @ (~zero_b).astype(np.float64)
    plain_a = np.all(zero_a | (exactness.power_of_two(a.centre) & a.exact), axis=-1, keepdims=True)
    plain_b = np.all(zero_b | (exactness.power_of_two(b.centre) & b.exact), axis=-2, keepdims=True)
    roundings = np.maximum(terms - (plain_a | plain_b), 0.0)
    size = np.abs(a.centre) @ np.abs(b.centre)
    lattice = exactness.exact_products(a.centre, ~a.exact, b.centre, ~b.exact, size, model.u, model.tiny)
    bare = lattice | (roundings == 0)
    sd = np.where(bare, 0.0, _of_sum(model, roundings, size) + 2 * terms * model.tiny)
    return _finish(s, c, _through(s, a, b, c.shape), sd, lattice | (terms == 0), size)


def _through(s: Sampling, a: SampledArray, b: SampledArray, shape: Shape) -> Array:
    """The tangents of a product of matrices, at the least cost: an exact factor has none."""
    t = np.zeros((*shape, s.draws))
    if not b.exact.all():
        wide = b.tangents.reshape((*b.shape[:-1], -1))
        t = (a.centre @ wide).reshape(t.shape)
    if a.exact.all():
        return t
    if b.exact.all():
        return np.asarray(t + np.swapaxes(b.centre, -1, -2)[..., None, :, :] @ a.tangents)
    each = np.moveaxis(a.tangents, -1, -3) @ np.moveaxis(b.centre[..., None] + b.tangents, -1, -3)
    return np.asarray(t + np.moveaxis(each, -3, -1))


FORMULAS: Mapping[str, Callable[..., SampledArray]] = {
    "add": _add,
    "subtract": lambda s, a, b: _add(s, a, -b),
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "matmul": _matmul,
    "logaddexp": _logaddexp,
    **{name: partial(_function, name) for name in DIFFERENCES},
}
"""The draws of every primitive (negation is exact)."""
