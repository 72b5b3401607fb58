"""The NumPy vocabulary of cards: which functions they may call, and what those mean for every kind of number.

A kind of number brings the primitives (see `harness.arrays.protocol`). The rest is a rearrangement of elements, or is
written here in the vocabulary itself, once for every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from harness.spec import Array, Shape

PRIMITIVES = (
    "add", "subtract", "multiply", "divide", "negative", "power", "matmul",
    "exp", "expm1", "log", "log1p", "tanh", "sqrt", "logaddexp", "erf",
)  # fmt: skip
"""`erf` is `scipy.special.erf`: NumPy has none."""
COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
CHOOSERS = ("maximum", "minimum")

REARRANGEMENTS = (
    np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.broadcast_to,
    np.flip, np.roll, np.repeat, np.tile, np.take, np.take_along_axis, np.diagonal, np.copy, np.atleast_1d,
    np.atleast_2d,
)  # fmt: skip
JOININGS = (np.concatenate, np.stack, np.vstack, np.hstack)


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


def broadcast_together(*arrays: Any) -> list[Any]:
    """All of the shape that they broadcast to."""
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return [broadcast(x, shape) for x in arrays]


def broadcast(x: Any, shape: Shape) -> Any:
    """x, repeated along new axes and along those of length 1."""
    return x if x.shape == shape else x._rearrange([x], lambda part: np.broadcast_to(part, shape))


def sum_of(kind: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """As `numpy.sum`."""
    x = kind._lift(x)
    axes = _axes(axis, x.ndim)
    total = x._sum_over(axes) if axes else x
    return total.reshape(_kept(x.shape, axes)) if keepdims else total


def mean_of(kind: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """As `numpy.mean`."""
    count = int(np.prod([x.shape[one] for one in _axes(axis, x.ndim)], dtype=np.int64))
    return sum_of(kind, x, axis, keepdims=keepdims) / count


def variance_of(kind: Any, x: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    """As `numpy.var`, by the deviations from the mean."""
    count = int(np.prod([x.shape[one] for one in _axes(axis, x.ndim)], dtype=np.int64))
    centred = x - mean_of(kind, x, axis, keepdims=True)
    return sum_of(kind, centred * centred, axis, keepdims=keepdims) / (count - ddof)


def extreme(name: str, x: Any, axis: Any, keepdims: bool) -> tuple[Any, Array]:
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
        where = extreme(name, x, axis, keepdims=False)[1]
        return where.reshape(_kept(x.shape, _axes(axis, x.ndim))) if keepdims else where

    return run


def _where(kind: Any, mask: Any, left: Any, right: Any) -> Any:
    if hasattr(mask, "_lift"):
        raise TypeError("np.where needs a comparison, such as x > 0, as its condition")
    return kind._where(np.asanyarray(mask, dtype=bool), kind._lift(left), kind._lift(right))


def _clip(kind: Any, x: Any, low: Any, high: Any) -> Any:
    x = x if low is None else kind._choose("clip low", kind._lift(x), kind._lift(low))
    return x if high is None else kind._choose("clip high", kind._lift(x), kind._lift(high))


def matrix_product(kind: Any, left: Any, right: Any) -> Any:
    """As `numpy.matmul`, vectors included."""
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
    return sum_of(kind, product, summed) if summed else product


def _pad(kind: Any, x: Any, widths: Any, mode: str = "constant", *, constant_values: float = 0.0) -> Any:
    """Constants before and after, along every axis: ``((before, after), ...)``, one pair for each."""
    x = kind._lift(x)
    if mode != "constant" or np.shape(widths) != (x.ndim, 2):
        raise TypeError("np.pad is with constants here, and ((before, after), ...) is written out for every axis")
    for axis, pair in enumerate(widths):
        parts = [np.full((*x.shape[:axis], wide, *x.shape[axis + 1 :]), constant_values) for wide in pair]
        if any(pair):
            x = np.concatenate([parts[0], x, parts[1]], axis=axis)
    return x


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


SINGLE: Mapping[str, Callable[..., Any]] = {
    "absolute": lambda x: x._absolute(),
    "sign": lambda x: x._sign(),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "positive": lambda x: x,
}
REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": lambda x, axis=0, keepdims=False: x.sum(axis, keepdims),
    "maximum": lambda x, axis=0, keepdims=False: x.max(axis, keepdims),
    "minimum": lambda x, axis=0, keepdims=False: x.min(axis, keepdims),
}
HANDLERS: Mapping[Any, Callable[..., Any]] = {
    np.sum: sum_of,
    np.mean: mean_of,
    np.var: variance_of,
    np.max: lambda kind, x, axis=None, *, keepdims=False: x.max(axis, keepdims),
    np.amax: lambda kind, x, axis=None, *, keepdims=False: x.max(axis, keepdims),
    np.min: lambda kind, x, axis=None, *, keepdims=False: x.min(axis, keepdims),
    np.amin: lambda kind, x, axis=None, *, keepdims=False: x.min(axis, keepdims),
    np.argmax: _argument("max"),
    np.argmin: _argument("min"),
    np.where: _where,
    np.clip: _clip,
    np.dot: _dot,
    np.pad: _pad,
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
UFUNCS: tuple[str, ...] = (*PRIMITIVES, *COMPARISONS, *CHOOSERS, *SINGLE)
"""Every ufunc of the vocabulary, by its NumPy name."""
FUNCTIONS: tuple[str, ...] = tuple(sorted({function.__name__ for function in HANDLERS}))
"""Every other NumPy function of the vocabulary, by its name."""


def function(name: str) -> Callable[..., Any]:
    """A primitive as cards call it."""
    found: Callable[..., Any] = getattr(special if name == "erf" else np, name)
    return found
