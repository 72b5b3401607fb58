"""Arrays of balls: exact values to any precision, each with a rigorous radius (python-flint's `arb`).

A ball [m +/- r] stands for a real number that is certainly inside it. Every operation returns a ball that
contains the exact result, rounded at `flint.ctx.prec` bits; see `precision`. Inputs are taken exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from harness.arrays.branches import Mask, decide
from harness.arrays.protocol import NumberArray, as_parts
from harness.arrays.vocabulary import broadcast_together
from harness.spec import Array, Shape


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute balls with `bits` bits inside the block."""
    import flint

    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


class BallArray(NumberArray):
    """An array of balls; `data` is an object array of `flint.arb`.

    >>> with precision(113):
    ...     print((BallArray.exact(1) / BallArray.exact([3, 4])).digits(5).tolist())
    ['0.33333', '0.25']
    """

    _level = 0

    def __init__(self, data: Array) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"BallArray({self.digits(17).tolist()})"

    @classmethod
    def exact(cls, given: Any) -> BallArray:
        """These very numbers, as balls of radius 0. Floats, integers and booleans, infinities and NaN."""
        if isinstance(given, BallArray):
            return given
        array = np.asarray(given)
        if array.dtype.kind == "O":
            balls = [_exact_integer(number) for number in array.ravel().tolist()]
        elif array.dtype.kind in "fiub":
            balls = [_exact(number) for number in array.ravel().tolist()]
        else:
            raise TypeError(f"BallArray.exact needs real numbers, got dtype {array.dtype}")
        return cls(_objects(balls, array.shape))

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """The shape of the array."""
        return self.data.shape

    def mid(self) -> Array:
        """The centres, as the nearest float64."""
        return np.array([float(ball.mid()) for ball in self.data.ravel()], np.float64).reshape(self.shape)

    def radius(self) -> Array:
        """Upper bounds of the radii, as float64; infinite where nothing is known."""
        return np.array([_radius(ball) for ball in self.data.ravel()], np.float64).reshape(self.shape)

    def float(self, dtype: Any = np.float64) -> Array:
        """The centres, correctly rounded to `dtype` (at most as wide as float64), whatever the dtype."""
        nearest = np.array([_to_odd(ball) for ball in self.data.ravel()], np.float64).reshape(self.shape)
        with np.errstate(all="ignore"):
            return self.mid() if np.dtype(dtype) == np.float64 else nearest.astype(dtype)

    def off(self, value: Array) -> tuple[Array, Array]:
        """How far a value lies off, as float64, and how sure that is: ``(value - exact, radius)``."""
        gap = BallArray.exact(value.astype(np.float64)) - self
        return gap.mid(), gap.radius()

    def digits(self, n: int = 20) -> Array:
        """Decimal strings of n significant digits, the last one correctly rounded from the centre.

        An exact value that needs fewer has fewer; a ball that knows fewer shows those; one that knows none
        is shown with its radius.
        """
        return _objects([_digits(ball, n) for ball in self.data.ravel()], self.shape)

    def _lift(self, x: Any) -> Any:
        return BallArray.exact(x)

    def _elementwise(self, name: str, *operands: Any) -> Any:
        return BallArray(as_parts(_OPERATIONS[name](*operands), object))

    def _rearrange(self, arrays: Sequence[Any], move: Callable[..., Any]) -> Any:
        return BallArray(as_parts(move(*(x.data for x in arrays)), object))

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        if not self.size:
            left = tuple(size for index, size in enumerate(self.shape) if index not in axes)
            return BallArray.exact(np.zeros(left))
        return BallArray(as_parts(np.add.reduce(self.data, axis=axes), object))

    def _select(self, mask: Mask, left: Any, right: Any) -> Any:
        return BallArray(as_parts(np.where(mask, left.data, right.data), object))

    def _isnan(self) -> Mask:
        return np.array([ball.is_nan() for ball in self.data.ravel()], bool).reshape(self.shape)

    def _largest(self, axis: int) -> Any:
        largest = np.max(self.mid(), axis=axis, keepdims=True)
        return BallArray.exact(np.where(np.isfinite(largest), largest, 0.0))

    def _cos_pi(self, k: int, n: int) -> Any:
        import flint

        return BallArray(_objects([flint.arb.cos_pi_fmpq(flint.fmpq(k, n))], ()))

    def _erf_slope(self) -> Any:
        import flint

        two_over_root_pi = 2 / flint.arb.pi().sqrt()
        return BallArray(np.asarray(np.exp(-(self * self)).data * two_over_root_pi))

    def _compare(self, name: str, left: Any, right: Any) -> tuple[Mask, Mask]:
        left, right = broadcast_together(left, right)
        gap = BallArray(as_parts(left.data - right.data, object))
        pairs = [_sign(ball) for ball in gap.data.ravel()]
        sign = np.array([sign for sign, _ in pairs], np.float64).reshape(gap.shape)
        undecided = np.array([unknown for _, unknown in pairs], bool).reshape(gap.shape)
        return decide(name, sign, gap.mid(), gap.radius(), gap.data, undecided)


def _objects(items: Sequence[Any], shape: Shape) -> Array:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)


def _exact(number: float | int | bool) -> Any:
    import flint

    if isinstance(number, float):
        return flint.arb(number) if math.isfinite(number) else _non_finite(number)
    return _exact_integer(int(number))


def _exact_integer(number: Any) -> Any:
    import flint

    if isinstance(number, flint.arb):
        return number
    if not isinstance(number, int):
        raise TypeError(f"BallArray.exact needs real numbers, got {type(number).__name__}")
    with precision(max(flint.ctx.prec, number.bit_length() + 1)):
        return flint.arb(number)


def _non_finite(number: float) -> Any:
    import flint

    if math.isnan(number):
        return flint.arb.nan()
    return flint.arb.pos_inf() if number > 0 else flint.arb.neg_inf()


def _radius(ball: Any) -> float:
    if ball.is_nan():
        return math.inf
    radius = float(ball.rad())
    return radius if ball.is_exact() else max(radius, 5e-324)


def _sign(ball: Any) -> tuple[float, bool]:
    """The sign of a ball, and whether it is unknown because the ball straddles zero."""
    if ball > 0:
        return 1.0, False
    if ball < 0:
        return -1.0, False
    if ball.is_zero():
        return 0.0, False
    return math.nan, not ball.is_nan()


def _fraction(ball: Any) -> Fraction:
    mantissa, exponent = (int(part) for part in ball.mid().man_exp())
    return Fraction(mantissa * 2**exponent) if exponent >= 0 else Fraction(mantissa, 2**-exponent)


def _to_odd(ball: Any) -> float:
    """The centre rounded to odd in float64, so that a second rounding to a narrower type is correct."""
    import flint

    centre = ball.mid()
    nearest = float(centre)
    if not math.isfinite(nearest) or nearest == 0.0:
        return nearest
    exact = flint.arb(nearest)
    if exact == centre or int(np.float64(nearest).view(np.int64)) & 1:
        return nearest
    return math.nextafter(nearest, math.inf if centre > exact else -math.inf)


FAR = 20_000
"""A binary exponent beyond which a number is not written out as a fraction: that would take forever."""


def _digits(ball: Any, n: int) -> str:
    if not ball.is_finite():
        return str(float(ball.mid())) if not ball.is_nan() else "nan"
    if ball.is_zero():
        return "0"
    known = n if ball.is_exact() else min(n, int(ball.rel_accuracy_bits() * math.log10(2)))
    if known < 1:
        return str(ball.str(5))
    if abs(int(ball.mid().man_exp()[1])) > FAR:
        return str(ball.mid().str(known, radius=False))
    value = _fraction(ball)
    context = Context(prec=known, Emin=-(10**9), Emax=10**9)
    text = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    if ball.is_exact() and Fraction(text) == value:
        text = text.normalize(context)
        if value.denominator == 1 and text.adjusted() < known:
            text = text.quantize(Decimal(1), context=context)
    return str(text).replace("E", "e")


def _over(function: Callable[..., Any], count: int) -> Callable[..., Array]:
    mapped = np.frompyfunc(function, count, 1)
    return lambda *operands: mapped(*(x.data for x in operands))


def _log(ball: Any) -> Any:
    return _non_finite(-math.inf) if ball.is_zero() else ball.log()


def _log1p(ball: Any) -> Any:
    return _non_finite(-math.inf) if ball.is_exact() and ball == -1 else ball.log1p()


def _logaddexp(left: Any, right: Any) -> Any:
    """log(e^a + e^b) = a + log1p(e^(b-a)), a being the larger, as far as the centres tell."""
    if left.mid() < right.mid():
        left, right = right, left
    if not left.is_finite() or not right.is_finite():
        return left if not left.is_nan() and left.is_exact() and not right.is_nan() else left + right
    return left + (right - left).exp().log1p()


def _power(base: Any, exponent: Any) -> Array:
    import flint

    def run(ball: Any) -> Any:
        if ball.is_zero():
            return ball if exponent > 0 else flint.arb.nan()
        return ball**exponent if isinstance(exponent, int) else ball ** flint.arb(exponent)

    return np.asarray(np.frompyfunc(run, 1, 1)(base.data))


def _matmul(left: Any, right: Any) -> Array:
    """Matrix products through `arb_mat`; stacks of them one by one."""
    import flint

    a, b = left.data, right.data
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    if not rows or not inner or not columns or 0 in stack:
        return BallArray.exact(np.zeros((*stack, rows, columns))).data
    product = np.empty((*stack, rows, columns), dtype=object)
    a = np.broadcast_to(a, (*stack, rows, inner))
    b = np.broadcast_to(b, (*stack, inner, columns))
    for place in np.ndindex(stack):
        one = flint.arb_mat(rows, inner, list(a[place].ravel()))
        other = flint.arb_mat(inner, columns, list(b[place].ravel()))
        product[place] = _objects((one * other).entries(), (rows, columns))
    return product


_OPERATIONS: Mapping[str, Callable[..., Array]] = {
    "add": lambda a, b: a.data + b.data,
    "subtract": lambda a, b: a.data - b.data,
    "multiply": lambda a, b: a.data * b.data,
    "divide": lambda a, b: a.data / b.data,
    "negative": lambda a: -a.data,
    "power": _power,
    "matmul": _matmul,
    "exp": _over(lambda x: x.exp(), 1),
    "expm1": _over(lambda x: x.expm1(), 1),
    "log": _over(_log, 1),
    "log1p": _over(_log1p, 1),
    "tanh": _over(lambda x: x.tanh(), 1),
    "sqrt": _over(lambda x: x.sqrt(), 1),
    "logaddexp": _over(_logaddexp, 2),
    "erf": _over(lambda x: x.erf(), 1),
}

__all__ = ["BallArray", "precision"]
