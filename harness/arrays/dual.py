"""Forward-mode derivatives: dual numbers (value, tangent) over balls.

A dual carries the derivative of everything along one direction. It shares no formula with the tape, so that
<gradient, direction> from the tape and the tangent from here check each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from harness.arrays.ball import BallArray
from harness.arrays.branches import Mask
from harness.arrays.protocol import NumberArray
from harness.arrays.tape import PULLS
from harness.arrays.vocabulary import function
from harness.spec import Shape

PUSHES: Mapping[str, Callable[..., Any]] = {
    # The tangent of y = f(a) or f(a, b), from the tangents da and db.
    "add": lambda y, a, da, b, db: da + db,
    "subtract": lambda y, a, da, b, db: da - db,
    "multiply": lambda y, a, da, b, db: a * db + da * b,
    "divide": lambda y, a, da, b, db: (da * b - a * db) / (b * b),
    "negative": lambda y, a, da: -da,
    "power": lambda y, a, da, n: da * (n * np.power(a, n - 1)),
    "matmul": lambda y, a, da, b, db: da @ b + a @ db,
    "exp": lambda y, a, da: np.exp(a) * da,
    "expm1": lambda y, a, da: np.exp(a) * da,
    "log": lambda y, a, da: da / a,
    "log1p": lambda y, a, da: da / (a + 1),
    "tanh": lambda y, a, da: 4 * da / (np.exp(a) + np.exp(-a)) ** 2,
    "sqrt": lambda y, a, da: da * y / (2 * a),
    "logaddexp": lambda y, a, da, b, db: da / (1 + np.exp(b - a)) + db / (1 + np.exp(a - b)),
    "erf": lambda y, a, da: da * a._erf_slope(),
    "where": lambda y, a, da, b, db, mask: np.where(mask, da, db),
}
"""The tangent of every primitive."""


class DualArray(NumberArray):
    """An array of duals, over balls or over another kind of number that is no dual itself.

    >>> x = DualArray(BallArray.exact([3.0]), BallArray.exact([1.0]))
    >>> (x * x).tangent.mid().tolist()
    [6.0]
    """

    _level = 1
    _pushes: ClassVar[Mapping[str, Callable[..., Any]]] = PUSHES

    def __init__(self, value: Any, tangent: Any) -> None:
        self.value: Any = value
        self.tangent: Any = tangent

    def __repr__(self) -> str:
        return f"DualArray({self.value!r}, {self.tangent!r})"

    @classmethod
    def along(cls, value: Any, direction: Any) -> DualArray:
        """A variable, and the direction in which it moves."""
        return cls(BallArray.exact(value), BallArray.exact(direction))

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """The shape of the array."""
        return tuple(self.value.shape)

    def _lift(self, x: Any) -> Any:
        if isinstance(x, DualArray):
            return x
        value = self.value._lift(x)
        return type(self)(value, value._lift(np.zeros(value.shape)))

    def widened(self, other: DualArray) -> DualArray:
        """As `BoundedArray.widened`, of value and tangent."""
        value, tangent = (one.widened(two) for one, two in ((self.value, other.value), (self.tangent, other.tangent)))
        return type(self)(value, tangent)

    def _elementwise(self, name: str, *operands: Any) -> Any:
        y = function(name)(*(x.value if isinstance(x, DualArray) else x for x in operands))
        parts = [(x.value, x.tangent) if isinstance(x, DualArray) else (x,) for x in operands]
        return type(self)(y, self._pushes[name](y, *(part for pair in parts for part in pair)))

    def _rearrange(self, arrays: Sequence[Any], move: Callable[..., Any]) -> Any:
        return type(self)(
            self.value._rearrange([x.value for x in arrays], move),
            self.value._rearrange([x.tangent for x in arrays], move),
        )

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        return type(self)(self.value._sum_over(axes), self.tangent._sum_over(axes))

    def _select(self, mask: Mask, left: Any, right: Any) -> Any:
        y = np.where(mask, left.value, right.value)
        return type(self)(y, PUSHES["where"](y, left.value, left.tangent, right.value, right.tangent, mask))

    def _constant(self) -> Any:
        return self._lift(self.value._constant())

    def _largest(self, axis: int) -> Any:
        return self._lift(self.value._largest(axis))

    def _isnan(self) -> Mask:
        return np.asarray(self.value._isnan())

    def _compare(self, name: str, left: Any, right: Any) -> tuple[Mask, Mask]:
        taken, tie = self.value._compare(name, left.value, right.value)
        return taken, tie


def _usual(name: str) -> Callable[..., Any]:
    """The tangent by the tape's formula, which is linear in the gradient that it is given."""

    def push(y: Any, *parts: Any) -> Any:
        values, tangents = ((parts[0], parts[2]), parts[1:2]) if name == "power" else (parts[::2], parts[1::2])
        pushed = [pull(tangent, y, *values) for pull, tangent in zip(PULLS[name], tangents, strict=True)]
        return pushed[0] if len(pushed) == 1 else pushed[0] + pushed[1]

    return push


class UsualDual(DualArray):
    """Duals with the formulas that frameworks use, such as dy = dx (1 - y^2) for tanh, which round as theirs do."""

    _pushes: ClassVar[Mapping[str, Callable[..., Any]]] = {
        name: push if name == "matmul" else _usual(name) for name, push in PUSHES.items() if name != "where"
    }


__all__ = ["PUSHES", "DualArray", "UsualDual"]
