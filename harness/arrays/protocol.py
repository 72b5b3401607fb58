"""The glue between NumPy's dispatch protocols and the kinds of number: what a kind has to bring, and no more.

A kind of number brings six things (see `NumberArray`). Everything else of the vocabulary is either a
rearrangement of elements, or is written below in the vocabulary itself, once for every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from harness.arrays.branches import Mask
from harness.spec import Array, Shape

PRIMITIVES = (
    "add", "subtract", "multiply", "divide", "negative", "power", "matmul",
    "exp", "expm1", "log", "log1p", "tanh", "sqrt", "logaddexp",
)  # fmt: skip
COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
CHOOSERS = ("maximum", "minimum")

REARRANGEMENTS = (
    np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.broadcast_to,
    np.flip, np.roll, np.repeat, np.tile, np.take, np.take_along_axis, np.diagonal, np.copy, np.atleast_1d,
    np.atleast_2d,
)  # fmt: skip
JOININGS = (np.concatenate, np.stack, np.vstack, np.hstack)


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
        if method == "reduce" and name in _REDUCTIONS:
            return _REDUCTIONS[name](*inputs, **kwargs)
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
                return _matmul(self, *map(self._lift, inputs))
            if name in _SINGLE:
                return _SINGLE[name](*map(self._lift, inputs))
            return self._elementwise(name, *map(self._lift, inputs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(other, NumberArray) and other._level > self._level for other in types):
            return NotImplemented
        if function not in _FUNCTIONS:
            raise TypeError(f"np.{function.__name__} is outside the vocabulary; see harness.arrays")
        with np.errstate(all="ignore"):
            return _FUNCTIONS[function](self, *args, **kwargs)

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

    def _choose(self, name: str, left: Self, right: Self) -> Self:
        """The operand that a comparison chooses; at a tie, the right one."""
        left, right = _same_shape(left, right)
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
        return _sum(self, self, axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As `numpy.ndarray.mean`."""
        return _mean(self, self, axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As `numpy.ndarray.max`."""
        return _extreme("max", self, axis, keepdims)[0]

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As `numpy.ndarray.min`."""
        return _extreme("min", self, axis, keepdims)[0]


def as_parts(moved: Any, dtype: Any) -> Array:
    """What a rearrangement returned, as an array: indexing down to one element returns it bare."""
    if isinstance(moved, np.ndarray):
        return moved
    bare = np.empty((), dtype=dtype)
    bare[()] = moved
    return bare


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    for one in given:
        if not -ndim <= one < ndim:
            raise np.exceptions.AxisError(one, ndim)
    return tuple(sorted(int(one) % ndim for one in given))


def _kept(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if index in axes else size for index, size in enumerate(shape))


def _same_shape(*arrays: Any) -> list[Any]:
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return [_broadcast(x, shape) for x in arrays]


def _broadcast(x: Any, shape: Shape) -> Any:
    return x if x.shape == shape else x._rearrange([x], lambda part: np.broadcast_to(part, shape))


def _sum(kind: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    x = kind._lift(x)
    axes = _axes(axis, x.ndim)
    total = x._sum_over(axes) if axes else x
    return total.reshape(_kept(x.shape, axes)) if keepdims else total


def _mean(kind: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    count = int(np.prod([x.shape[one] for one in _axes(axis, x.ndim)], dtype=np.int64))
    return _sum(kind, x, axis, keepdims=keepdims) / count


def _var(kind: Any, x: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    count = int(np.prod([x.shape[one] for one in _axes(axis, x.ndim)], dtype=np.int64))
    centred = x - _mean(kind, x, axis, keepdims=True)
    return _sum(kind, centred * centred, axis, keepdims=keepdims) / (count - ddof)


def _extreme(name: str, x: Any, axis: Any, keepdims: bool) -> tuple[Any, Array]:
    """The largest (smallest) element along the axes, and where it stands; among equals, the first.

    One comparison per step: of element j with the best of those before it.
    """
    axes = _axes(axis, x.ndim)
    rest = [index for index in range(x.ndim) if index not in axes]
    kept = tuple(x.shape[index] for index in rest)
    rows = x.transpose((*rest, *axes)).reshape((*kept, -1))
    if not rows.shape[-1]:
        raise ValueError(f"np.{name} of nothing has no value")
    best, where = rows[..., 0], np.zeros(kept, dtype=np.int64)
    for index in range(1, rows.shape[-1]):
        new = rows[..., index]
        taken = (x._compare(name, new, best)[0] | new._isnan()) & ~best._isnan()
        best, where = x._select(taken, new, best), np.where(taken, index, where)
    return (best.reshape(_kept(x.shape, axes)) if keepdims else best), where


def _argument(name: str) -> Callable[..., Any]:
    def run(kind: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Array:
        where = _extreme(name, x, axis, keepdims=False)[1]
        return where.reshape(_kept(x.shape, _axes(axis, x.ndim))) if keepdims else where

    return run


def _where(kind: Any, mask: Any, left: Any, right: Any) -> Any:
    if isinstance(mask, NumberArray):
        raise TypeError("np.where needs a comparison, such as x > 0, as its condition")
    mask, left, right = np.asarray(mask, dtype=bool), kind._lift(left), kind._lift(right)
    shape = np.broadcast_shapes(mask.shape, left.shape, right.shape)
    return kind._select(np.broadcast_to(mask, shape), _broadcast(left, shape), _broadcast(right, shape))


def _clip(kind: Any, x: Any, low: Any, high: Any) -> Any:
    x = x if low is None else kind._choose("clip low", kind._lift(x), kind._lift(low))
    return x if high is None else kind._choose("clip high", kind._lift(x), kind._lift(high))


def _matmul(kind: Any, left: Any, right: Any) -> Any:
    if not left.ndim or not right.ndim:
        raise ValueError("np.matmul needs at least one axis on both sides; multiply by a number with *")
    rows, columns = left.ndim == 1, right.ndim == 1
    left = left.reshape(1, -1) if rows else left
    right = right.reshape(-1, 1) if columns else right
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"np.matmul needs matching sizes, got {left.shape} @ {right.shape}")
    product = kind._elementwise("matmul", left, right)
    product = product[..., 0] if columns else product
    return (product[..., 0] if columns else product[..., 0, :]) if rows else product


def _dot(kind: Any, left: Any, right: Any) -> Any:
    left, right = kind._lift(left), kind._lift(right)
    if not left.ndim or not right.ndim:
        return left * right
    if right.ndim > 2:
        raise TypeError("np.dot beyond two axes is outside the vocabulary; use @")
    return left @ right


def _einsum(kind: Any, subscripts: str, *operands: Any) -> Any:
    """Every operand broadcast to all indices, the product taken, the absent indices summed over."""
    terms, _, result = subscripts.replace(" ", "").partition("->")
    names = terms.split(",")
    if "->" not in subscripts or "." in subscripts or any(len(set(term)) < len(term) for term in names):
        raise TypeError("np.einsum is written out here: 'ij,jk->ik', no dots, no index twice in one operand")
    letters = result + "".join(sorted(set("".join(names)) - set(result)))
    product: Any = None
    for term, operand in zip(names, operands, strict=True):
        x = kind._lift(operand)
        order = [term.index(letter) for letter in letters if letter in term]
        sizes = dict(zip(term, x.shape, strict=True))
        x = x.transpose(order).reshape([sizes.get(letter, 1) for letter in letters])
        product = x if product is None else product * x
    summed = tuple(range(len(result), len(letters)))
    return _sum(kind, product, summed) if summed else product


def _rearranged(function: Any) -> Callable[..., Any]:
    def run(kind: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return kind._lift(x)._rearrange([kind._lift(x)], lambda part: function(part, *args, **kwargs))

    return run


def _joined(function: Any) -> Callable[..., Any]:
    def run(kind: Any, arrays: Any, axis: int | None = None) -> Any:
        extra = {} if axis is None else {"axis": axis}
        return kind._rearrange([kind._lift(x) for x in arrays], lambda *parts: function(parts, **extra))

    return run


def _constant(value: float | None) -> Callable[..., Any]:
    def run(kind: Any, x: Any, fill: float = 0.0, **_: Any) -> Any:
        return kind._lift(np.full(x.shape, fill if value is None else value))

    return run


_SINGLE: Mapping[str, Callable[..., Any]] = {
    "absolute": lambda x: x._absolute(),
    "sign": lambda x: x._sign(),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "positive": lambda x: x,
}
_REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": lambda x, axis=0, keepdims=False: x.sum(axis, keepdims),
    "maximum": lambda x, axis=0, keepdims=False: x.max(axis, keepdims),
    "minimum": lambda x, axis=0, keepdims=False: x.min(axis, keepdims),
}
_FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    np.sum: _sum,
    np.mean: _mean,
    np.var: _var,
    np.max: lambda kind, x, axis=None, *, keepdims=False: x.max(axis, keepdims),
    np.amax: lambda kind, x, axis=None, *, keepdims=False: x.max(axis, keepdims),
    np.min: lambda kind, x, axis=None, *, keepdims=False: x.min(axis, keepdims),
    np.amin: lambda kind, x, axis=None, *, keepdims=False: x.min(axis, keepdims),
    np.argmax: _argument("max"),
    np.argmin: _argument("min"),
    np.where: _where,
    np.clip: _clip,
    np.dot: _dot,
    np.outer: lambda kind, left, right: kind._lift(left).reshape(-1, 1) * kind._lift(right).reshape(1, -1),
    np.einsum: _einsum,
    np.zeros_like: _constant(0.0),
    np.ones_like: _constant(1.0),
    np.full_like: _constant(None),
    np.shape: lambda kind, x: x.shape,
    np.ndim: lambda kind, x: x.ndim,
    np.size: lambda kind, x: x.size,
    **{function: _rearranged(function) for function in REARRANGEMENTS},
    **{function: _joined(function) for function in JOININGS},
}
UFUNCS: tuple[str, ...] = (*PRIMITIVES, *COMPARISONS, *CHOOSERS, *_SINGLE)
"""Every ufunc of the vocabulary, by its NumPy name."""
FUNCTIONS: tuple[str, ...] = tuple(sorted({function.__name__ for function in _FUNCTIONS}))
"""Every other NumPy function of the vocabulary, by its name."""

__all__ = ["CHOOSERS", "COMPARISONS", "FUNCTIONS", "PRIMITIVES", "UFUNCS", "NumberArray", "as_parts"]
