"""What a function of one number makes of a draw: f(a + t) - f(a), in forms that keep their digits for any small t."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import erf, erfc

from harness.spec import Array

NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
"""Gauss's rule on (-1, 1)."""
SMALL_STEP = 0.05
"""Up to here an integral over t is taken by Gauss's rule: of e^(-2as), |a| <= 30, with a relative error of 1e-15."""


def _tanh(a: Array, t: Array, c: Array) -> Array:
    """T (1 - c^2) / (1 + c T) with T = tanh t: the addition theorem; 1 - c^2 = 1 / cosh(a)^2."""
    decay, T = np.exp(-2 * np.abs(a)), np.tanh(t)
    return np.asarray(4 * decay / (1 + decay) ** 2 * T / (1 + c * T))


def _erf(a: Array, t: Array, c: Array) -> Array:
    """2 / sqrt(pi) e^(-a^2) times the integral of e^(-2as - s^2) from 0 to t; beyond small t the difference itself.

    That is taken of 1 - erf |a|, which has digits left where erf is near 1.
    """
    s = (NODES + 1) / 2 * np.where(np.abs(t) < SMALL_STEP, t, 0.0)[..., None]
    integral = t / 2 * np.sum(WEIGHTS * np.exp(-s * (2 * a[..., None] + s)), axis=-1)
    near = 2 / math.sqrt(math.pi) * np.exp(-a * a) * integral
    side = np.where(a < 0, -1.0, 1.0)
    far = np.where(side * t < -np.abs(a), erf(a + t) - c, side * (erfc(side * a) - erfc(side * (a + t))))
    return np.asarray(np.where(np.abs(t) < SMALL_STEP, near, far))


DIFFERENCES: Mapping[str, Callable[[Array, Array, Array], Array]] = {
    "exp": lambda a, t, c: c * np.expm1(t),
    "expm1": lambda a, t, c: np.exp(a) * np.expm1(t),
    "log": lambda a, t, c: np.log1p(t / a),
    "log1p": lambda a, t, c: np.log1p(t / (1 + a)),
    "tanh": _tanh,
    "sqrt": lambda a, t, c: t / (np.sqrt(a + t) + c),
    "erf": _erf,
}
"""f(a + t) - f(a); c = f(a)."""
ENDS: Mapping[str, float] = {"log": 0.0, "log1p": -1.0, "sqrt": 0.0}
"""Where a function's domain ends, on the left: unknown within the noise's reach of it."""

__all__ = ["DIFFERENCES", "ENDS"]
