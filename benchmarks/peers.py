"""How others decide whether two implementations agree: by fixed tolerances.

The only file of this project with an rtol or an atol in it, so that what they see and miss can be counted.

    numpy    numpy.allclose(a, b): rtol 1e-5, atol 1e-8, whatever the dtype
             https://numpy.org/doc/stable/reference/generated/numpy.allclose.html
    torch    torch.testing.assert_close(a, b): rtol 1.3e-6, atol 1e-5 in float32; both 1e-7 in float64
             https://docs.pytorch.org/docs/stable/testing.html, and `_DTYPE_PRECISIONS` in torch/testing/_comparison.py
    jax      the tolerance of its own tests, as rtol and as atol: 1e-6 in float32, 1e-15 in float64
             `_default_tolerance` in jax/_src/public_test_util.py

All three accept a where |a - b| <= atol + rtol |b|, and no NaN. The rule is written out here once; a test runs the
first two against the libraries' own functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.case import Dtype
from harness.spec import Array


@dataclass(frozen=True)
class Peer:
    """One library's defaults: (rtol, atol) by dtype."""

    name: str
    tolerances: Mapping[Dtype, tuple[float, float]]

    def accepts(self, ours: Iterable[Array], theirs: Iterable[Array], dtype: Dtype) -> bool:
        """Whether all these arrays count as equal."""
        rtol, atol = self.tolerances[dtype]
        with np.errstate(invalid="ignore", over="ignore"):
            return all(
                bool(np.all((np.abs(a - b) <= atol + rtol * np.abs(b)) | (a == b)))
                for a, b in zip(ours, theirs, strict=True)
            )

    def smallest_visible(self, size: Array, dtype: Dtype) -> Array:
        """The relative change of numbers of this size from which on they are called different."""
        rtol, atol = self.tolerances[dtype]
        seen: Array = (atol + rtol * np.abs(size)) / np.abs(size)
        return seen


PEERS = (
    Peer("numpy.allclose", {"float32": (1e-5, 1e-8), "float64": (1e-5, 1e-8)}),
    Peer("torch assert_close", {"float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}),
    Peer("JAX's tests", {"float32": (1e-6, 1e-6), "float64": (1e-15, 1e-15)}),
)
