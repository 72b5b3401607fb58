"""Elementary functions to calibrate: where to look, and the exact values there.

Points are stratified: every binade of normal numbers that the function has ordinary results for, its own range
evenly (up to 1000), and neighbourhoods of its special places (0, the 1 of log, the -1 of log1p, the joints of argument
reduction, the ends of its range), each at all distances down to one unit in the last place; mantissas are
random, the seed is fixed.

The exact values are balls (python-flint's arb) of `BITS` bits for both dtypes, at every point; a point is used
only where the ball is narrower than 2**-20 u. Nothing is compared with a wider floating-point type. Left out are
points where an operand or the result is subnormal, or the result lies within 1024 u of overflow: the bounds
model flushing and overflow apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from harness.arrays import BallArray, precision
from harness.arrays.exactness import power_of_two
from harness.case import Dtype
from harness.spec import Array

BITS = 160
POINTS = 50_000
"""Points per function and dtype: all of them take a few seconds."""

DTYPES: tuple[Dtype, ...] = ("float32", "float64")


@dataclass(frozen=True)
class Function:
    """A function to calibrate: its exact value over balls, and where to look.

    The range is `low` to `high`, evenly, and every binade within it; `places` are looked at from nearby. A
    limit is made from the dtype's `finfo`, because ranges end where results do.
    """

    exact: Callable[..., Any]
    low: Callable[[Any], float] = lambda info: -float(info.max)
    high: Callable[[Any], float] = lambda info: float(info.max)
    places: tuple[float, ...] = (0.0,)


def _log_tiny(info: Any) -> float:
    return math.log(float(info.tiny))


def _log_max(info: Any) -> float:
    return math.log(float(info.max))


def _saturation(info: Any) -> float:
    """Where exp(-x) is u / 4: beyond, tanh and sigmoid are 1 and expm1 is -1."""
    return -math.log(float(info.eps) / 8)


_JOINTS = tuple(k * math.log(2) / 2 for k in range(-5, 6))
"""Argument reduction changes over at odd multiples of log(2) / 2, and is exact nowhere but at 0."""

UNARY: Mapping[str, Function] = {
    "exp": Function(np.exp, _log_tiny, _log_max, _JOINTS),
    "expm1": Function(np.expm1, lambda info: -1.5 * _saturation(info), _log_max, _JOINTS),
    "log": Function(np.log, lambda info: 0.0, places=(1.0, 2.0, 0.5, math.sqrt(2), math.sqrt(0.5))),
    "log1p": Function(
        np.log1p, lambda info: -1.0, places=(0.0, -1.0, 1.0, math.sqrt(2) - 1, 1 - math.sqrt(2), math.sqrt(0.5) - 1)
    ),
    "tanh": Function(
        np.tanh, lambda info: -_saturation(info), _saturation, (0.0, 0.5, -0.5, 0.625, -0.625, 1.0, -1.0, 9.0, -9.0)
    ),
    "sqrt": Function(np.sqrt, lambda info: 0.0, places=(1.0, 2.0, 4.0)),
    "erf": Function(
        special.erf, lambda info: -6.0, lambda info: 6.0, (0.0, 0.5, -0.5, 0.84375, 1.0, -1.0, 1.25, 3.8, 4.0)
    ),
    "sigmoid": Function(lambda x: 1 / (1 + np.exp(-x)), _log_tiny, lambda info: 1.5 * _saturation(info), _JOINTS),
}
BINARY: Mapping[str, Callable[..., Any]] = {"divide": np.divide, "logaddexp": np.logaddexp}
FUNCTIONS = tuple(sorted((*UNARY, *BINARY)))
"""What an implementation's `elementary()` may offer."""


def points(function: str, dtype: Dtype, count: int = POINTS, seed: int = 0) -> tuple[Array, ...]:
    """The argument arrays, one or two, of at most `count` normal numbers each (and zeros)."""
    random, info = np.random.default_rng([seed, FUNCTIONS.index(function), DTYPES.index(dtype)]), np.finfo(dtype)
    if function == "divide":
        operands = [_binades(random, info, count, -float(info.max), float(info.max)) for _ in range(2)]
        special = np.array([1.0, 2.0, 3.0, 10.0, 0.5])
        operands[1][: count // 20] = random.choice(special, count // 20)
        return operands[0].astype(dtype), operands[1].astype(dtype)
    if function == "logaddexp":
        return _logaddexp_points(random, info, count)
    one = UNARY[function]
    low, high = one.low(info), one.high(info)
    with np.errstate(over="ignore"):
        places = [place for place in (*one.places, low, high) if abs(place) < float(info.max)]
        near = [_around(random, info, count // (4 * len(places)), place) for place in places]
        evenly = random.uniform(max(low, -1e3), min(high, 1e3), count // 8)
        binades = _binades(random, info, count - count // 4 - count // 8, low, high)
        x = np.concatenate([binades, evenly, *near, places]).astype(dtype)
    inside = (x >= low) & (x <= high) & ((np.abs(x) >= info.tiny) | (x == 0))
    return (np.unique(x[inside]),)


def _binades(random: np.random.Generator, info: Any, count: int, low: float, high: float) -> Array:
    """Random mantissas and signs at every exponent of a normal number up to the range's ends; most in the middle.

    Approximations change over between 2**-12 and 2**6 or so, and float64 has 2098 exponents.
    """
    highest = math.frexp(max(abs(low), abs(high)))[1]
    exponents = random.integers(math.frexp(float(info.tiny))[1], highest, count, endpoint=True)
    middle = random.integers(-12, min(6, highest), count, endpoint=True)
    exponents = np.where(random.random(count) < 0.7, middle, exponents)
    signs = np.where(random.random(count) < 0.5, -1.0, 1.0) if low < 0 < high else np.sign(low + high)
    return np.asarray(signs * np.ldexp(random.uniform(0.5, 1.0, count), exponents))


def _around(random: np.random.Generator, info: Any, count: int, place: float) -> Array:
    """Both sides of a place, at distances of 2**-p of it to an eighth of it (or of 1), evenly in the exponent."""
    far = max(abs(place), 2.0**-3) / 8
    distance = far * 2.0 ** -random.uniform(0, info.nmant + 1, count)
    return place + np.where(random.random(count) < 0.5, -distance, distance)


def _logaddexp_points(random: np.random.Generator, info: Any, count: int) -> tuple[Array, ...]:
    """Gaps of all sizes about all sizes of a; half with b = 0 as in a softplus; and sums that nearly cancel.

    They cancel where max(a, b) = -L, at a = -log(1 + exp(-d)): the result is then about 0.
    """
    wide = 2.0 * _saturation(info)
    a = np.where(random.random(count) < 0.5, _binades(random, info, count, -wide, wide), random.normal(0, 4, count))
    gap = np.where(random.random(count) < 0.5, random.uniform(0, wide, count), 2.0 ** -random.uniform(-4, 40, count))
    sign = np.where(random.random(count) < 0.5, -1.0, 1.0)
    kind = random.choice(3, count, p=[0.4, 0.5, 0.1])
    a = np.where(kind == 2, -np.log1p(np.exp(-gap)), a)
    b = np.choose(kind, [a + sign * gap, 0.0, a - gap])
    swapped = random.random(count) < 0.5
    pair = np.where(swapped, b, a).astype(info.dtype), np.where(swapped, a, b).astype(info.dtype)
    normal = np.all([(np.abs(x) >= info.tiny) | (x == 0) for x in pair], axis=0)
    return pair[0][normal], pair[1][normal]


@dataclass(frozen=True)
class Reference:
    """The exact values f at `arguments`: shift f = high + low, and shift |v - f| <= u (B scale + free).

    `shift` holds powers of two that keep `low` from underflowing where f is small.
    """

    arguments: tuple[Array, ...]
    shift: Array
    high: Array
    low: Array
    scale: Array
    free: Array


@lru_cache(maxsize=4)
def reference(function: str, dtype: Dtype, count: int = POINTS, seed: int = 0) -> Reference:
    """The exact values of a function at its points."""
    arguments = points(function, dtype, count, seed)
    info = np.finfo(dtype)
    u, tiny, largest = float(info.eps) / 2, float(info.tiny), float(info.max)
    with np.errstate(all="ignore"), precision(BITS):
        exact = (UNARY[function].exact if function in UNARY else BINARY[function])(*map(BallArray.exact, arguments))
        size = np.abs(exact.mid())
        shift = np.where(size < 2.0**-500, 2.0**200, 1.0)
        shifted = exact * BallArray.exact(shift)
        high = shifted.mid()
        low = (shifted - BallArray.exact(high)).mid()
        scale, free = np.abs(high), np.zeros(high.shape)
        if function == "logaddexp":
            gap = np.abs(arguments[0].astype(np.float64) - arguments[1].astype(np.float64))
            tail = np.log1p(np.exp(-gap))
            scale, free = scale + shift * tail, shift * gap * tail
        elif function == "exp":
            scale = np.where(arguments[0] == 0, 0.0, scale)
        elif function == "divide":
            scale = np.where(power_of_two(arguments[1].astype(np.float64)), 0.0, scale)
        used = np.isfinite(high) & ((size >= tiny) | (high == 0)) & (size * (1 + 1024 * u) <= largest)
        used &= shifted.radius() <= 2.0**-20 * u * np.maximum(scale, np.abs(high))
    return Reference(tuple(x[used] for x in arguments), *(x[used] for x in (shift, high, low, scale, free)))
