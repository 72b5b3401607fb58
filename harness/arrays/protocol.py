"""The glue between NumPy's dispatch protocols and the kinds of number: what a kind has to bring, and no more.

A kind of number brings six things (see `NumberArray`). Everything else is in `harness.arrays.vocabulary`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from harness.arrays.branches import Mask
from harness.arrays.vocabulary import (
    CHOOSERS,
    COMPARISONS,
    HANDLERS,
    REDUCTIONS,
    SINGLE,
    UFUNCS,
    broadcast,
    broadcast_together,
    extreme,
    matrix_product,
    mean_of,
    sum_of,
)
from harness.spec import Array, Shape


class NumberArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of some kind of number, that plain NumPy source can be run over.

    A kind brings:

    - ``_lift(x)``: x as this kind, a Python number or an array taken as an exact constant;
    - ``_elementwise(name, *operands)``: one of `PRIMITIVES`, all operands lifted (but the exponent of power);
    - ``_rearrange(arrays, move)``: `move` applied to its parts; it moves elements and computes nothing;
    - ``_sum_over(axes)``: the sum over these axes, which disappear;
    - ``_compare(name, left, right)``: the comparison, reported, as ``(taken, tie)``;
    - ``_select(mask, left, right)``: left where mask, right elsewhere, all of one shape.

    `_level` orders the kinds: in a mixed expression the highest lifts the others.
    Arrays are values: nothing changes one in place.
    """

    __array_priority__ = 1000.0
    _level: ClassVar[int] = 0

    _lift: Callable[[Any], Self]
    _elementwise: Callable[..., Self]
    _rearrange: Callable[[Sequence[Self], Callable[..., Any]], Self]
    _sum_over: Callable[[tuple[int, ...]], Self]
    _compare: Callable[[str, Self, Self], tuple[Mask, Mask]]
    _select: Callable[[Mask, Self, Self], Self]
    shape: Shape

    def _isnan(self) -> Mask:
        """Where the value is no number: the choosers pass it on, as NumPy's do."""
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(self._outranked_by(other) for other in inputs):
            return NotImplemented
        name = ufunc.__name__
        if method == "reduce" and name in REDUCTIONS:
            return REDUCTIONS[name](*inputs, **kwargs)
        if kwargs.get("out") is not None:
            raise TypeError(f"np.{name}: arrays are never changed in place here; write x = x + y, not x += y")
        if method != "__call__" or kwargs or name not in UFUNCS:
            raise TypeError(f"np.{name} ({method}, {[*kwargs]}) is outside the vocabulary of harness.arrays")
        with np.errstate(all="ignore"):
            if name in COMPARISONS:
                return self._compare(name, *map(self._lift, inputs))[0]
            if name in CHOOSERS:
                return self._choose(name, *map(self._lift, inputs))
            if name == "power":
                return self._power(*inputs)
            if name == "matmul":
                return matrix_product(self, *map(self._lift, inputs))
            if name in SINGLE:
                return SINGLE[name](*map(self._lift, inputs))
            return self._elementwise(name, *map(self._lift, inputs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(other, NumberArray) and other._level > self._level for other in types):
            return NotImplemented
        if function not in HANDLERS:
            raise TypeError(f"np.{function.__name__} is outside the vocabulary; see harness.arrays")
        with np.errstate(all="ignore"):
            return HANDLERS[function](self, *args, **kwargs)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"{type(self).__name__} is not silently made a float array; ask for its centre")

    def _outranked_by(self, other: Any) -> bool:
        unlike = isinstance(other, NumberArray) and type(other) is not type(self)
        return unlike and other._level >= self._level

    def _power(self, base: Any, exponent: Any) -> Any:
        if isinstance(exponent, np.ndarray) and exponent.ndim == 0:
            exponent = exponent.item()
        if not isinstance(exponent, int | float | np.integer | np.floating) or isinstance(exponent, bool):
            raise TypeError("np.power needs a Python number as the exponent here: a constant")
        exponent = exponent.item() if isinstance(exponent, np.generic) else exponent
        base = self._lift(base)
        if exponent in (0, 1):
            return base if exponent else self._lift(np.ones(base.shape))
        if exponent == 2:
            return base._elementwise("multiply", base, base)
        if exponent == 0.5:
            return base._elementwise("sqrt", base)
        return base._elementwise("power", base, int(exponent) if exponent == int(exponent) else exponent)

    def _where(self, mask: Mask, left: Self, right: Self) -> Self:
        """As `numpy.where`, everything lifted."""
        shape = np.broadcast_shapes(mask.shape, left.shape, right.shape)
        return self._select(np.broadcast_to(mask, shape), broadcast(left, shape), broadcast(right, shape))

    def _choose(self, name: str, left: Self, right: Self) -> Self:
        """The operand that a comparison chooses; at a tie, the right one."""
        left, right = broadcast_together(left, right)
        taken, _ = self._compare(name, left, right)
        return self._select(taken | left._isnan(), left, right)

    def _absolute(self) -> Self:
        """|x| = x where x > 0, else -x. At an exact tie the constant 0, so that its derivative is 0."""
        zero = self._lift(np.zeros(self.shape))
        taken, tie = self._compare("absolute", self, zero)
        return self._select(tie, zero, self._select(taken, self, -self))

    def _sign(self) -> Self:
        taken, tie = self._compare("sign", self, self._lift(np.zeros(self.shape)))
        plain = np.where(tie, 0.0, np.where(taken, 1.0, -1.0))
        return self._lift(np.where(self._isnan(), np.nan, plain))

    def _constant(self) -> Self:
        """The same numbers, through which no derivative flows (`harness.stop_gradient`)."""
        return self

    def _largest(self, axis: int) -> Self:
        """About the largest along an axis, kept, as a constant that rounds nothing; no branch is reported."""
        raise NotImplementedError

    def _erf_slope(self) -> Self:
        """2 / sqrt(pi) exp(-x^2), the derivative of erf."""
        slope: Self = (2 / math.sqrt(math.pi)) * np.exp(-(self * self))
        return slope

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that a constant made to go with this array may have."""
        return np.dtype(np.float64)

    @property
    def T(self) -> Self:  # noqa: N802 - NumPy's name
        """The transpose."""
        return self.transpose()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __bool__(self) -> bool:
        raise TypeError("an array has no truth value; compare it, and use np.where")

    def __getitem__(self, key: Any) -> Self:
        return self._rearrange([self], lambda part: part[key])

    def __iter__(self) -> Any:
        return map(self.__getitem__, range(len(self)))

    def reshape(self, *shape: Any) -> Self:
        """As `numpy.ndarray.reshape`."""
        wanted = shape[0] if len(shape) == 1 else shape
        if wanted == self.shape:
            return self
        return self._rearrange([self], lambda part: np.reshape(part, wanted))

    def transpose(self, *axes: Any) -> Self:
        """As `numpy.ndarray.transpose`."""
        order = axes[0] if len(axes) == 1 else axes or None
        return self._rearrange([self], lambda part: np.transpose(part, order))

    def ravel(self) -> Self:
        """As `numpy.ndarray.ravel`."""
        return self.reshape(-1)

    def astype(self, dtype: Any, copy: bool = True) -> Self:
        """The array itself: these numbers have no dtype to lose digits in."""
        return self

    def copy(self) -> Self:
        """The array itself: nothing changes it."""
        return self

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As `numpy.ndarray.sum`."""
        return sum_of(self, self, axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As `numpy.ndarray.mean`."""
        return mean_of(self, self, axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As `numpy.ndarray.max`."""
        return extreme("max", self, axis, keepdims)[0]

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As `numpy.ndarray.min`."""
        return extreme("min", self, axis, keepdims)[0]


def as_parts(moved: Any, dtype: Any) -> Array:
    """What a rearrangement returned, as an array: indexing down to one element returns it bare."""
    if isinstance(moved, np.ndarray):
        return moved
    bare = np.empty((), dtype=dtype)
    bare[()] = moved
    return bare


__all__ = ["NumberArray", "as_parts"]
