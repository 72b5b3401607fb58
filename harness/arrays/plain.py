"""Plain arrays as a kind of number: floating-point arithmetic as it is, for what is built upon kinds (duals)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.arrays.branches import Mask, decide
from harness.arrays.protocol import NumberArray
from harness.arrays.vocabulary import broadcast_together, function
from harness.spec import Array, Shape


class PlainArray(NumberArray):
    """A NumPy array, computed with in its own dtype.

    >>> PlainArray(np.float32([0.1, 0.2])).sum().data.dtype.name
    'float32'
    """

    _level = 0

    def __init__(self, data: Array) -> None:
        self.data = np.asarray(data)

    def __repr__(self) -> str:
        return f"PlainArray({self.data!r})"

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """The shape of the array."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that it computes in."""
        return self.data.dtype

    def _lift(self, x: Any) -> Any:
        return x if isinstance(x, PlainArray) else PlainArray(np.asarray(x, self.dtype))

    def _elementwise(self, name: str, *operands: Any) -> Any:
        return PlainArray(function(name)(*(x.data if isinstance(x, PlainArray) else x for x in operands)))

    def _rearrange(self, arrays: Sequence[Any], move: Callable[..., Any]) -> Any:
        return PlainArray(move(*(x.data for x in arrays)))

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        return PlainArray(np.sum(self.data, axis=axes))

    def _select(self, mask: Mask, left: Any, right: Any) -> Any:
        return PlainArray(np.where(mask, left.data, right.data))

    def _isnan(self) -> Mask:
        return np.asarray(np.isnan(self.data))

    def _largest(self, axis: int) -> Any:
        return PlainArray(np.max(self.data, axis=axis, keepdims=True))

    def _compare(self, name: str, left: Any, right: Any) -> tuple[Mask, Mask]:
        left, right = broadcast_together(left, right)
        gap = left.data - right.data
        return decide(name, np.sign(gap), gap, np.zeros(gap.shape))


__all__ = ["PlainArray"]
