"""Exact values of large networks, where ball arithmetic would take minutes: wider floats, certified.

The forward pass is run over blocks (`harness.arrays.blocks`), whose centres are of a wider type than the case's, under
the same tape as the balls; the radius says how far an evaluation in the case's own dtype may be off, and a known share
of it how far the wider one may. A comparison that even the wider type cannot decide is left to the balls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.arrays import Comparison, ErrorModel, Tape, TapeArray
from harness.arrays.blocks import BlockArray, centre_share, wider_type
from harness.arrays.plain import PlainArray
from harness.arrays.wide import WideArray
from harness.case import Network
from harness.judge.walk import Choices, differentiated, forward, given_as
from harness.registry import Cards
from harness.spec import Array
from harness.trace import LOSS

PER_PRODUCT = 16
"""A term of a matrix product costs this part of another operation: balls multiply matrices as a whole."""


@dataclass
class Tally:
    """How many numbers a program computes or moves, and by which primitives."""

    count: int = 0
    used: set[str] = field(default_factory=set)


class _Counted(PlainArray):
    """Plain numbers that count themselves."""

    def __init__(self, data: Array, tally: Tally) -> None:
        super().__init__(data)
        self.tally = tally

    def _noted(self, made: PlainArray, times: float = 1.0) -> Any:
        self.tally.count += int(made.size * times)
        return _Counted(made.data, self.tally)

    def _lift(self, x: Any) -> Any:
        return x if isinstance(x, _Counted) else _Counted(np.asarray(x, self.dtype), self.tally)

    def _elementwise(self, name: str, *operands: Any) -> Any:
        self.tally.used.add(name)
        terms = 1 + operands[0].shape[-1] / PER_PRODUCT if name == "matmul" else 1.0
        return self._noted(super()._elementwise(name, *operands), terms)

    def _rearrange(self, arrays: Any, move: Any) -> Any:
        return self._noted(super()._rearrange(arrays, move))

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        return self._noted(super()._sum_over(axes), self.size / max(1, super()._sum_over(axes).size))

    def _select(self, mask: Any, left: Any, right: Any) -> Any:
        return self._noted(super()._select(mask, left, right))

    def _largest(self, axis: int) -> Any:
        return self._noted(super()._largest(axis))


def work(network: Network, cards: Cards, given: Mapping[str, Array]) -> Tally:
    """About how many numbers a forward pass computes or moves."""
    tally = Tally()
    with np.errstate(all="ignore"):
        forward(network, cards, given_as(lambda array: _Counted(array, tally), given))
    return tally


def wide_step(
    network: Network, cards: Cards, given: Mapping[str, Array], choices: Choices | None
) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[Comparison]]] | None:
    """Values, gradients and comparisons; None where a comparison is undecided, or nothing wider is to be had.

    There is no erf in extended precision.
    """
    dtype = next(array.dtype.name for array in given.values() if array.dtype.kind == "f")
    model = ErrorModel.of(dtype)
    share = centre_share(model, wider_type(model))
    if share >= 1 or (dtype == "float64" and "erf" in work(network, cards, given).used):
        return None
    tape = Tape()

    def one(array: Array) -> TapeArray:
        return tape.variable(BlockArray.block(array[None], model))

    walk = forward(network, cards, given_as(one, given), choices)
    comparisons = {name: [_plain(made, share) for made in several] for name, several in walk.comparisons.items()}
    if any(_undecided(one) for several in comparisons.values() for one in several):
        return None
    terms = [term.name for term in network.loss]
    wanted = [*differentiated(network), *terms]
    grads = tape.gradients(walk.values[LOSS], [walk.values[name] for name in wanted])
    values = {name: value.value for name, value in walk.values.items() if isinstance(value, TapeArray)}
    return (
        {name: _known(value, share) for name, value in values.items()},
        {name: _known(grad, share) for name, grad in zip(wanted, grads, strict=True)},
        comparisons,
    )


def _known(number: BlockArray, share: float) -> WideArray:
    centre, radius = (part[0] if number.hidden else part for part in (number.centre, number.radius))
    return WideArray(np.asarray(centre), share * radius)


def _plain(made: Comparison, share: float) -> Comparison:
    """Without the axis of cases; its gap is as sure as the centres are."""
    parts: Sequence[Array] = (made.gap, share * made.radius, made.taken, made.tie)
    gap, radius, taken, tie = (np.asarray(part)[0] for part in parts)
    return Comparison(made.name, gap.astype(np.float64), radius, taken, tie)


def _undecided(made: Comparison) -> bool:
    return bool(((np.abs(made.gap) <= made.radius) & (made.radius > 0)).any())


__all__ = ["wide_step", "work"]
