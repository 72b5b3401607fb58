"""Comparisons as events: recorded in order, and, where asked, made to come out another way.

A program with branches (ReLU, max, abs, clip, ``where(x > 0, ...)``) is smooth between its kinks. Near a
kink a correct floating-point evaluation may take either side, so every kind of number reports each
comparison that it makes here, in program order. The k-th event of one kind is the k-th of every other, as
they run the same source; so the branches that were seen in one run can be forced upon another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import GradparityError
from harness.spec import Array

Mask = npt.NDArray[np.bool_]
Choice = tuple[Array, Array] | tuple[Array, Array, Array] | None
"""``(mask, taken)``: where mask is true, that comparison takes `taken`. None leaves it alone.

absolute and sign have a third branch, at 0, where value and slope are 0: ``(mask, taken, tie)`` forces it
where tie is true.
"""

TRUTH: Mapping[str, Callable[[Array], Mask]] = {
    "greater": lambda sign: sign > 0,
    "greater_equal": lambda sign: sign >= 0,
    "less": lambda sign: sign < 0,
    "less_equal": lambda sign: sign <= 0,
    "equal": lambda sign: sign == 0,
    "not_equal": lambda sign: sign != 0,
    "maximum": lambda sign: sign > 0,
    "minimum": lambda sign: sign < 0,
    "max": lambda sign: sign > 0,
    "min": lambda sign: sign < 0,
    "clip low": lambda sign: sign > 0,
    "clip high": lambda sign: sign < 0,
    "absolute": lambda sign: sign > 0,
    "sign": lambda sign: sign > 0,
}
"""When a comparison is taken, by its name, from the sign of left - right (nan where there is none)."""


class UndecidedBranchError(GradparityError):
    """A ball straddles a kink: at this precision the exact branch is not known. Retry with more bits."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(f"{name}: {count} comparison(s) undecided at this precision; retry with more bits")
        self.name = name
        self.count = count


@dataclass(frozen=True, eq=False)
class Comparison:
    """One comparison, of whole arrays.

    `gap` is left - right (its centre). `radius` is how far the gap of a correct floating-point evaluation
    may lie from the exact one; of balls, the ball's radius. `taken` is the comparison's truth: of a chooser
    (maximum, minimum, max, min, clip) that the left operand was chosen, of absolute and sign that x > 0.
    `tie` is where left and right are equal (in a forced branch: are taken to be).
    `exact_gap` holds the gap as arb where the kind is exact, and is None elsewhere.
    """

    name: str
    gap: Array
    radius: Array
    taken: Mask
    tie: Mask
    exact_gap: Array | None = None


class _Forced:
    """The choices of one `forcing` block, used up in order."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self._left = iter(choices)

    def next(self) -> Choice:
        return next(self._left, None)


_recorders: ContextVar[tuple[list[Comparison], ...]] = ContextVar("_recorders", default=())
_settled: ContextVar[bool] = ContextVar("_settled", default=False)
_forced: ContextVar[tuple[_Forced, ...]] = ContextVar("_forced", default=())


@contextmanager
def recording() -> Iterator[list[Comparison]]:
    """Collect every comparison made inside the block. Blocks nest; an outer one sees the inner one's too.

    >>> import numpy as np
    >>> from harness.arrays import BoundedArray, ErrorModel
    >>> x = BoundedArray.given([-1.0, 2.0], ErrorModel.of("float64"))
    >>> with recording() as events:
    ...     y = np.maximum(x, 0)
    >>> [(event.name, event.taken.tolist()) for event in events]
    [('maximum', [False, True])]
    """
    events: list[Comparison] = []
    token = _recorders.set((*_recorders.get(), events))
    try:
        yield events
    finally:
        _recorders.reset(token)


@contextmanager
def settling() -> Iterator[None]:
    """Take what a ball cannot decide for a tie, instead of raising: the last resort, when bits do not help."""
    token = _settled.set(True)
    try:
        yield
    finally:
        _settled.reset(token)


@contextmanager
def forcing(choices: Sequence[Choice]) -> Iterator[None]:
    """Make the k-th comparison inside the block take what the k-th choice says, where its mask is true.

    Blocks nest: each sees every comparison inside it, and where several speak, the innermost is obeyed.
    Comparisons beyond the last choice are left alone.
    """
    token = _forced.set((*_forced.get(), _Forced(choices)))
    try:
        yield
    finally:
        _forced.reset(token)


def choices_of(events: Sequence[Comparison]) -> list[Choice]:
    """The choices that force the branches of one run upon another, at every comparison."""
    return [(np.full(event.taken.shape, True), event.taken, event.tie) for event in events]


def decide(
    name: str,
    sign: Array,
    gap: Array,
    radius: Array,
    exact_gap: Array | None = None,
    undecided: Mask | None = None,
) -> tuple[Mask, Mask]:
    """Settle one comparison and report it: which branch is taken, and where it is a tie.

    `sign` is the sign of left - right (nan where it has none: as in IEEE 754, only != holds there).

    Raises:
        UndecidedBranchError: where `undecided` is true and no choice is forced, unless `settling`.
    """
    if undecided is not None and _settled.get():
        sign, undecided = np.where(undecided, 0.0, sign), None
    taken, tie = np.array(TRUTH[name](sign), dtype=bool), np.array(sign == 0, dtype=bool)
    free = np.ones(taken.shape, dtype=bool)
    for block in _forced.get():
        choice = block.next()
        if choice is not None:
            mask, *values = (np.asarray(part, dtype=bool) for part in choice)
            taken = np.where(mask, values[0], taken)
            tie = np.where(mask, values[1] if len(values) == 2 else False, tie)
            free = free & ~mask
    if undecided is not None and (undecided & free).any():
        raise UndecidedBranchError(name, int((undecided & free).sum()))
    for events in _recorders.get():
        events.append(Comparison(name, gap, radius, taken, tie, exact_gap))
    return taken, tie


__all__ = [
    "TRUTH",
    "Choice",
    "Comparison",
    "Mask",
    "UndecidedBranchError",
    "choices_of",
    "decide",
    "forcing",
    "recording",
    "settling",
]
