"""Reverse-mode derivatives: a tape over any kind of number.

The values on a tape are of the kind below it (balls, for the oracle). Each operation computes its value
there and notes how to pull a gradient back through it; nothing of this comes from the cards, whose
hand-written backward passes it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.arrays.blocks import BlockArray
from harness.arrays.branches import Mask
from harness.arrays.protocol import NumberArray
from harness.arrays.vocabulary import broadcast_together, function
from harness.spec import Array, Shape

Pull = Callable[..., Any]

PULLS: Mapping[str, tuple[Pull, ...]] = {
    # y = f(a), or f(a, b). From g = dL/dy: dL/da, then dL/db, as arrays of the shape of y (but for matmul).
    "add": (lambda g, y, a, b: g, lambda g, y, a, b: g),
    "subtract": (lambda g, y, a, b: g, lambda g, y, a, b: -g),
    "multiply": (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "divide": (lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b),
    "negative": (lambda g, y, a: -g,),
    "power": (lambda g, y, a, n: g * n * a ** (n - 1),),
    "matmul": (
        lambda g, y, a, b: g @ np.swapaxes(b, -1, -2),
        lambda g, y, a, b: np.swapaxes(a, -1, -2) @ g,
    ),
    "exp": (lambda g, y, a: g * y,),
    "expm1": (lambda g, y, a: g * (y + 1),),
    "log": (lambda g, y, a: g / a,),
    "log1p": (lambda g, y, a: g / (1 + a),),
    "tanh": (lambda g, y, a: g * (1 - y * y),),
    "sqrt": (lambda g, y, a: g / (2 * y),),
    "logaddexp": (lambda g, y, a, b: g * np.exp(a - y), lambda g, y, a, b: g * np.exp(b - y)),
    "erf": (lambda g, y, a: g * a._erf_slope(),),
    # y = left where mask, else right.
    "where": (
        lambda g, y, a, b, mask: np.where(mask, g, 0),
        lambda g, y, a, b, mask: np.where(mask, 0, g),
    ),
}
"""The derivative of every primitive, one line for each operand."""


class Tape:
    """The operations of one program, in order.

    `cut` says whether something was taken for a constant on the way (`harness.stop_gradient.stop_gradient`).

    >>> import numpy as np
    >>> from harness.arrays import BallArray
    >>> tape = Tape()
    >>> x = tape.variable(BallArray.exact([3.0, -1.0]))
    >>> h = x * x
    >>> y = np.sum(h)
    >>> [g.mid().tolist() for g in tape.gradients(y, [x, h])]
    [[6.0, -2.0], [1.0, 1.0]]
    """

    def __init__(self) -> None:
        self._nodes: list[TapeArray] = []
        self.cut = False

    def variable(self, value: NumberArray) -> TapeArray:
        """An array to differentiate with respect to."""
        return self._record(value, [])

    def constant(self, value: NumberArray) -> TapeArray:
        """An array that is not differentiated."""
        return TapeArray(value, self, -1, [])

    def gradients(
        self, y: TapeArray, wanted: Sequence[TapeArray], upstream: NumberArray | None = None
    ) -> list[Any]:
        """The gradient of `y` with respect to each of `wanted`, of the kind below the tape.

        `y` is a scalar, or `upstream` gives dL/dy. What `y` does not depend on has the gradient 0; what the
        tape does not hold (another tape's, a constant) raises `ValueError`.
        """
        if upstream is None and y.size != 1:
            raise ValueError(f"gradients of an array of shape {y.shape} need an upstream gradient")
        for array in wanted:
            if array.tape is not self or array.index < 0:
                raise ValueError("gradients are of what this tape holds: variables and their results")
        if y.tape is not self:
            raise ValueError("gradients of an array on another tape")
        found: dict[int, Any] = {y.index: np.ones_like(y.value) if upstream is None else upstream}
        for node in reversed(self._nodes[: y.index + 1]):
            if node.index not in found:
                continue
            for parent, pull in node.pulls:
                with np.errstate(all="ignore"):
                    pulled = _unbroadcast(pull(found[node.index]), parent.shape)
                known = found.get(parent.index)
                found[parent.index] = pulled if known is None else known + pulled
        return [found.get(array.index, np.zeros_like(array.value)) for array in wanted]

    def _record(self, value: Any, pulls: list[tuple[TapeArray, Pull]]) -> TapeArray:
        node = TapeArray(value, self, len(self._nodes), pulls)
        self._nodes.append(node)
        return node


class TapeArray(NumberArray):
    """An array on a tape: its value, and how to pull a gradient back to what it was computed from."""

    _level = 2

    def __init__(self, value: Any, tape: Tape, index: int, pulls: list[tuple[TapeArray, Pull]]) -> None:
        self.value = value
        self.tape = tape
        self.index = index
        self.pulls = pulls

    def __repr__(self) -> str:
        return f"TapeArray({self.value!r})"

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """The shape of the array."""
        shape: Shape = self.value.shape
        return shape

    def as_node(self) -> TapeArray:
        """The same array as an entry of its own, with a gradient of its own.

        For what an identity returns, which is its argument itself, and for what turned out to be a constant.
        """
        return self.tape._record(self.value, [(self, lambda g: g)] if self.index >= 0 else [])

    def _lift(self, x: Any) -> Any:
        if isinstance(x, TapeArray):
            if x.tape is not self.tape:
                raise ValueError("arrays of two tapes in one expression")
            return x
        return self.tape.constant(self.value._lift(x))

    def _noted(self, value: Any, parents: Sequence[Any], pulls: Sequence[Pull]) -> Any:
        live = [(parent, pull) for parent, pull in zip(parents, pulls, strict=True) if parent.index >= 0]
        return self.tape._record(value, live) if live else self.tape.constant(value)

    def _elementwise(self, name: str, *operands: Any) -> Any:
        values = [x.value if isinstance(x, TapeArray) else x for x in operands]
        y = function(name)(*values)
        parents = [x for x in operands if isinstance(x, TapeArray)]
        return self._noted(y, parents, [_bound(pull, y, *values) for pull in PULLS[name]])

    def _rearrange(self, arrays: Sequence[Any], move: Callable[..., Any]) -> Any:
        y = arrays[0].value._rearrange([x.value for x in arrays], move)
        starts = np.cumsum([0, *(x.size for x in arrays)])
        begun = list(zip(starts[:-1], arrays, strict=True))
        source = np.asarray(move(*(np.arange(start, start + x.size).reshape(x.shape) for start, x in begun)))
        pulls = [_pull_moved(source - start, x.shape) for start, x in begun]
        return self._noted(y, arrays, pulls)

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        kept = tuple(1 if index in axes else size for index, size in enumerate(self.shape))
        y = np.sum(self.value, axis=axes)
        return self._noted(y, [self], [lambda g: np.broadcast_to(g.reshape(kept), self.shape)])

    def _select(self, mask: Mask, left: Any, right: Any) -> Any:
        y = np.where(mask, left.value, right.value)
        pulls = [_bound(pull, y, left.value, right.value, mask) for pull in PULLS["where"]]
        return self._noted(y, [left, right], pulls)

    def _where(self, mask: Mask, left: Any, right: Any) -> Any:
        if isinstance(self.value, BlockArray):
            return self._select(mask, *broadcast_together(left, right))
        return super()._where(mask, left, right)

    def _constant(self) -> Any:
        self.tape.cut = True
        return self.tape.constant(self.value._constant())

    def _largest(self, axis: int) -> Any:
        return self.tape.constant(self.value._largest(axis))

    def _isnan(self) -> Mask:
        return np.asarray(self.value._isnan())

    def _compare(self, name: str, left: Any, right: Any) -> tuple[Mask, Mask]:
        taken, tie = self.value._compare(name, left.value, right.value)
        return taken, tie


def _bound(pull: Pull, y: Any, *values: Any) -> Pull:
    return lambda g: pull(g, y, *values)


def _unbroadcast(g: Any, shape: Shape) -> Any:
    """The sum over every axis along which an operand of this shape was broadcast."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    stretched = tuple(extra + index for index, size in enumerate(shape) if size == 1)
    return np.sum(g, axis=(*range(extra), *stretched)).reshape(shape)


def _pull_moved(source: Array, shape: Shape) -> Pull:
    """Back through a rearrangement: element i gets the sum of g over every place that it went to.

    `source[j]` is the flat place that result element j came from (out of range: from another array). The
    places that i went to are written into row i of a table, filled up with the place of a zero.
    """
    size = int(np.prod(shape, dtype=np.int64))

    def pull(g: Any) -> Any:
        if not g.size:
            return g._lift(np.zeros(shape))
        came = source.ravel()
        targets = np.flatnonzero((came >= 0) & (came < size))
        targets = targets[np.argsort(came[targets], kind="stable")]
        owners = came[targets]
        copies = np.bincount(owners, minlength=size)
        first = np.cumsum(copies) - copies
        table = np.full((size, max(1, int(copies.max(initial=0)))), came.size)
        table[owners, np.arange(owners.size) - first[owners]] = targets
        spread = np.take(np.concatenate([g.ravel(), np.zeros_like(g.ravel()[:1])]), table.ravel())
        spread = spread.reshape(table.shape)
        return (spread[:, 0] if table.shape[1] == 1 else np.sum(spread, axis=1)).reshape(shape)

    return pull


__all__ = ["PULLS", "Tape", "TapeArray"]
