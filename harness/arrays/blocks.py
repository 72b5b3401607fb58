"""Bounded arrays in blocks: many cases of one architecture bounded in one pass.

A program over a `BlockArray` sees the shape of one case. Underneath, every array has one more axis in front, along
which the cases lie, so that the price of a NumPy call is paid once for all of them. The bounds are those of
`harness.arrays.bounded`, formula by formula.

The centres are more precise here: for float32 they are float64, for float64 the platform's extended precision
(`numpy.longdouble`) where it has one. So a centre lies within a small part of the radius of the exact value
(`ErrorModel` of the wider type, see `centre_share`), and a value can be held against it directly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.arrays.bounded import FORMULAS, BoundedArray, envelope
from harness.arrays.branches import Mask
from harness.arrays.error_model import ErrorModel
from harness.arrays.protocol import NumberArray
from harness.arrays.radii import nothing, nowhere
from harness.arrays.vocabulary import broadcast, broadcast_together
from harness.spec import Array, Shape

EXTENDED = bool(np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant)
"""Whether this platform has a wider type than float64."""


def wider_type(model: ErrorModel, *, extended: bool = True) -> Any:
    """The type of the centres for a dtype; `extended=False` keeps to float64, for large arrays."""
    return np.longdouble if model.dtype == np.float64 and EXTENDED and extended else np.float64


def centre_share(model: ErrorModel, wide: Any) -> float:
    """The most that a centre lies off, as a share of the radius: the ratio of the two unit roundoffs.

    A radius is a sum of terms that are proportional to the unit roundoff, to first order, so computing in a type
    with a smaller one shrinks it by their ratio. Doubled, for the terms of higher order.
    """
    return min(1.0, float(np.finfo(wide).eps) / (2 * model.u))


class ByCase(np.ndarray):
    """Truths and positions (of a largest element) with the cases in front, and what NumPy makes of them.

    What comes of whole numbers alone, as of labels, is a plain array, which has no cases.
    """

    def __array_function__(self, *call: Any) -> Any:
        made = super().__array_function__(*call)
        return made.view(ByCase) if isinstance(made, np.ndarray) else made


class BlockArray(NumberArray):
    """Arrays of values with rounding bounds for a block of cases: `centre` and `radius` have the cases in front.

    `hidden` says whether they do: constants of the program have no cases.

    >>> x = BlockArray.block(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), ErrorModel.of("float32"))
    >>> (x.shape, np.sum(x).centre.tolist())
    ((2,), [3.0, 7.0, 11.0])
    """

    _level = 0

    def __init__(
        self, centre: Array, radius: Array, model: ErrorModel, *, hidden: bool, floor: Array | None = None
    ) -> None:
        self.centre = centre
        self.radius = radius
        self.model = model
        self.hidden = hidden
        self.floor = floor

    @classmethod
    def block(cls, arrays: Array, model: ErrorModel, *, extended: bool = True) -> BlockArray:
        """What the cases were given or computed themselves, stacked along the first axis: radius 0."""
        centre = np.asarray(arrays, dtype=wider_type(model, extended=extended))
        return cls(centre, nowhere(centre.shape), model, hidden=True)

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """The shape that one case sees."""
        return self.centre.shape[1:] if self.hidden else self.centre.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype whose rounding is bounded."""
        return self.model.dtype

    def widened(self, other: BlockArray) -> BlockArray:
        """As `BoundedArray.widened`."""
        radius = envelope(self, other)
        return BlockArray(np.broadcast_to(self.centre, radius.shape), radius, self.model, hidden=self.hidden)

    def _plain(self) -> BoundedArray:
        return BoundedArray(self.centre, self.radius, self.model, self.floor)

    def _wrapped(self, plain: BoundedArray, hidden: bool | None = None) -> BlockArray:
        hidden = self.hidden if hidden is None else hidden
        radius = np.asarray(plain.radius, np.float64)
        return BlockArray(plain.centre, radius, self.model, hidden=hidden, floor=plain.floor)

    def _lift(self, x: Any) -> Any:
        """A constant, of the wider type as well: what is computed from constants alone is to be as precise."""
        if isinstance(x, BlockArray):
            return x
        plain = self._plain()._lift(x)
        plain.centre = plain.centre.astype(self.centre.dtype)
        return self._wrapped(plain, hidden=isinstance(x, ByCase))

    def _aligned(self, operands: Sequence[BlockArray]) -> list[BoundedArray]:
        """The operands with as many axes each, so that NumPy broadcasts one case's axes and not the cases."""
        most = max(x.ndim for x in operands)
        return [x._with_axes(most)._plain() for x in operands]

    def _with_axes(self, ndim: int) -> BlockArray:
        if not self.hidden or self.ndim == ndim:
            return self
        shape = (self.centre.shape[0], *(1,) * (ndim - self.ndim), *self.shape)
        return BlockArray(self.centre.reshape(shape), self.radius.reshape(shape), self.model, hidden=True)

    def _elementwise(self, name: str, *operands: Any) -> Any:
        if name == "power":
            base, exponent = operands
            return base._wrapped(FORMULAS[name](self.model, base._plain(), exponent))
        hidden = any(x.hidden for x in operands)
        if name == "negative":
            return BlockArray(-operands[0].centre, operands[0].radius, self.model, hidden=hidden)
        return self._wrapped(FORMULAS[name](self.model, *self._aligned(operands)), hidden)

    def _rearrange(self, arrays: Sequence[Any], move: Callable[..., Any]) -> Any:
        """What `move` does to one case's arrays, done to all."""
        hidden = any(x.hidden for x in arrays)
        cases = max((len(x.centre) for x in arrays if x.hidden), default=1)
        centre = _moved([(x.centre, x.hidden) for x in arrays], cases, move)
        if all(nothing(x.radius) for x in arrays):
            radius = nowhere(centre.shape)
        else:
            radius = _moved([(x.radius, x.hidden) for x in arrays], cases, move)
        if hidden:
            return BlockArray(centre, radius, self.model, hidden=True)
        return BlockArray(centre[0], radius[0], self.model, hidden=False)

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        return self._wrapped(self._plain()._sum_over(tuple(axis + self.hidden for axis in axes)))

    def _select(self, mask: Mask, left: Any, right: Any) -> Any:
        # Of two constants, each case may choose another.
        hidden = left.hidden or right.hidden or isinstance(mask, ByCase)
        return self._wrapped(self._plain()._select(np.asarray(mask), left._plain(), right._plain()), hidden)

    def _largest(self, axis: int) -> Any:
        largest = np.max(self.centre, axis=axis + self.hidden if axis >= 0 else axis, keepdims=True)
        return BlockArray(largest, np.zeros(largest.shape), self.model, hidden=self.hidden)

    def _isnan(self) -> Mask:
        return self._mask(self._plain()._isnan())

    def _mask(self, truths: Mask) -> Mask:
        return truths.view(ByCase) if self.hidden else truths

    def _compare(self, name: str, left: Any, right: Any) -> tuple[Mask, Mask]:
        left, right = broadcast_together(left, right)
        taken, tie = self._plain()._compare(name, left._plain(), right._plain())
        either = left if left.hidden else right
        return either._mask(taken), either._mask(tie)

    def _choose(self, name: str, left: Any, right: Any) -> Any:
        left, right = broadcast_together(left, right)
        return self._wrapped(self._plain()._choose(name, left._plain(), right._plain()), left.hidden or right.hidden)

    def _absolute(self) -> Any:
        return self._wrapped(self._plain()._absolute())

    def _sign(self) -> Any:
        return self._wrapped(self._plain()._sign())

    def _where(self, mask: Mask, left: Any, right: Any) -> Any:
        """As `numpy.where`, axes aligned from the last, the cases apart."""
        own = mask.shape[1:] if isinstance(mask, ByCase) else mask.shape
        shape = np.broadcast_shapes(own, left.shape, right.shape)
        if isinstance(mask, ByCase):
            mask = mask.reshape(len(mask), *(1,) * (len(shape) - len(own)), *own)
        return self._select(mask, broadcast(left, shape), broadcast(right, shape))


def _moved(parts: Sequence[tuple[Array, bool]], cases: int, move: Callable[..., Any]) -> Array:
    """`move` applied to each case's arrays; of several cases it is told by where it takes the indices of one."""
    if cases == 1:
        return np.asarray(move(*(part[0] if hidden else part for part, hidden in parts)))[None]
    shapes = [part.shape[1:] if hidden else part.shape for part, hidden in parts]
    starts = np.cumsum([0, *map(math.prod, shapes)])
    places = [np.arange(*ends).reshape(shape) for ends, shape in zip(itertools.pairwise(starts), shapes, strict=True)]
    flat = [
        np.broadcast_to(part.reshape(len(part) if hidden else 1, end - start), (cases, end - start))
        for (part, hidden), (start, end) in zip(parts, itertools.pairwise(starts), strict=True)
    ]
    whole = flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)
    return whole[:, np.asarray(move(*places))]


__all__ = ["EXTENDED", "BlockArray", "centre_share", "wider_type"]
