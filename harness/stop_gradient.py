"""Constants in the middle of a card: what is computed from the inputs and yet not differentiated.

Plain NumPy has no derivatives, so there these are the array itself, and `numpy.max`. Over the kinds of number that do
have derivatives, or branches, they say that there are none.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def stop_gradient(x: Any) -> Any:
    """x, taken for a constant: `torch.Tensor.detach`, `jax.lax.stop_gradient`."""
    return x._constant() if hasattr(x, "_constant") else x


def largest(x: Any, axis: int) -> Any:
    """The largest number along an axis, which is kept, for shifts that cancel: ``exp(x - m) / sum(exp(x - m))``.

    The result depends on no shift, so it has no kink where two elements tie, as `numpy.max` has.

    >>> largest(np.array([[1.0, 3.0], [5.0, 2.0]]), axis=-1).tolist()
    [[3.0], [5.0]]
    """
    return x._largest(axis) if hasattr(x, "_largest") else np.max(x, axis=axis, keepdims=True)


__all__ = ["largest", "stop_gradient"]
