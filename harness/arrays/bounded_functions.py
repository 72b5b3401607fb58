"""Rounding bounds of elementary functions: of f(v), for v within r of a number, against f of that number.

Each takes the model, the centre c of its operand and the radius r, and returns f(c) and the radius R around it; B is
the function's budget (`harness.arrays.error_model`), u the unit roundoff.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from harness.arrays.error_model import ErrorModel
from harness.spec import Array


def _expm1(model: ErrorModel, x: Array, r: Array) -> tuple[Any, Any]:
    """R = D(r) + B u (|e^c - 1| + D(2r)), with D(t) = e^(c+t) (e^t - 1)."""
    c = np.expm1(x)
    near, far = (np.exp(x + t) * np.expm1(t) for t in (r, 2 * r))
    return c, near + model.budgets["expm1"] * model.u * (np.abs(c) + far)


def _log(model: ErrorModel, x: Array, r: Array) -> tuple[Any, Any]:
    """R = log(1 + r/L) + B u (|log c| + log(1 + 2r/L)), with L = c - 2r, which has to be above 0."""
    c = np.log(x)
    low = x - 2 * r
    bound = np.log1p(r / low) + model.budgets["log"] * model.u * (np.abs(c) + np.log1p(2 * r / low))
    return c, np.where(low > 0, bound, np.inf)


def _log1p(model: ErrorModel, x: Array, r: Array) -> tuple[Any, Any]:
    """As log, with L = 1 + c - 2r."""
    c = np.log1p(x)
    low = (1 + x) * (1 - 2.0**-50) - 2 * r
    bound = np.log1p(r / low) + model.budgets["log1p"] * model.u * (np.abs(c) + np.log1p(2 * r / low))
    return c, np.where(low > 0, bound, np.inf)


def _tanh(model: ErrorModel, x: Array, r: Array) -> tuple[Any, Any]:
    """R = D + B u min(1, |tanh c| + 2D), with D = min(2, r / cosh(t)^2), t = max(0, |c| - 2r)."""
    c = np.tanh(x)
    decay = np.exp(-2 * np.maximum(np.abs(x) - 2 * r, 0.0))
    moved = np.minimum(2.0, 4 * decay / (1 + decay) ** 2 * r)
    bound = moved + model.budgets["tanh"] * model.u * np.minimum(1.0, np.abs(c) + 2 * moved)
    return c, np.where(np.isfinite(r), bound, np.inf)


def _erf(model: ErrorModel, x: Array, r: Array) -> tuple[Any, Any]:
    """R = D + B u min(1, |erf c| + 2D), with D = min(2, 2 / sqrt(pi) e^(-t^2) r), t = max(0, |c| - 2r)."""
    c = special.erf(np.asarray(x, np.float64))
    near = np.maximum(np.abs(x) - 2 * r, 0.0)
    moved = np.minimum(2.0, 2 / math.sqrt(math.pi) * np.exp(-near * near) * r)
    # There is no wider erf: beside wider numbers the centre is SciPy's own, off by 3.6 u, of a rounded operand.
    budget = model.budgets["erf"] + (0 if np.asarray(x).dtype == np.float64 else 5)
    bound = moved + budget * model.u * np.minimum(1.0, np.abs(c) + 2 * moved)
    return c, np.where(np.isfinite(r), bound, np.inf)


def _sqrt(model: ErrorModel, x: Array, r: Array) -> tuple[Any, Any]:
    """R = r / (sqrt(c-2r) + sqrt(c-r)) + B u sqrt(c+2r); infinite where c - 2r is below 0, unless r = 0."""
    c = np.sqrt(x)
    low = x - 2 * r
    rounding = model.budgets["sqrt"] * model.u * np.sqrt(x + 2 * r)
    bound = r / (np.sqrt(low) + np.sqrt(low + r)) + rounding
    return c, np.where(low > 0, bound, np.inf)


FUNCTIONS: Mapping[str, Callable[[ErrorModel, Array, Array], tuple[Any, Any]]] = {
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "tanh": _tanh,
    "erf": _erf,
    "sqrt": _sqrt,
}
"""All are exactly 0 at 0, but log, which is so at 1."""

__all__ = ["FUNCTIONS"]
