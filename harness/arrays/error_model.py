"""What a correct floating-point evaluation may do: the one table that every rounding bound rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

BUDGETS: Mapping[str, float] = MappingProxyType(
    {
        "divide": 2.0,
        "sqrt": 2.0,
        "exp": 6.0,
        "expm1": 8.0,
        "log": 5.0,
        "log1p": 5.0,
        "tanh": 8.0,
        "logaddexp": 6.0,
        "power": 2.0,
        "erf": 12.0,
    }
)
"""The worst relative error of each function, in units of u: measured over NumPy, XLA and torch on CPU, in
float32 and float64, and rounded up (of logaddexp also written out, as max + log1p(exp(-|d|))). logaddexp and
power have further terms: see `_logaddexp` and `_power`. erf is float32 alone: 11.5 at 2.10 inside torch's gelu, which
oneDNN computes by polynomials of |x| whose terms cancel (AVX-512), 6.8 at 3.80 in XLA; in float64 SciPy has 3.6."""


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """What a correct floating-point evaluation may do: unit roundoff, flushing to zero, budgets."""

    dtype: np.dtype[Any]
    u: float
    tiny: float
    largest: float
    budgets: Mapping[str, float] = field(default_factory=lambda: BUDGETS)

    @staticmethod
    def of(dtype: str, budgets: Mapping[str, float] = BUDGETS) -> ErrorModel:
        """The model of a dtype.

        >>> ErrorModel.of("float32").u == 2**-24
        True
        """
        if dtype not in ("float16", "float32", "float64"):
            raise ValueError(f"needs float16, float32 or float64, got {dtype!r}")
        info = np.finfo(dtype)
        return ErrorModel(
            dtype=np.dtype(dtype),
            u=float(info.eps) / 2,
            tiny=float(info.tiny),
            largest=float(info.max),
            budgets=budgets,
        )

    def gamma(self, n: Any) -> Any:
        """gamma_n = n u / (1 - n u): the relative error of n roundings one after another; gamma_0 = 0."""
        return np.where(n * self.u < 1, n * self.u / (1 - n * self.u), np.inf)


__all__ = ["BUDGETS", "ErrorModel"]
