"""Exact values: the network in ball arithmetic, its derivatives by a tape, its updates by the optimizer's rule.

The derivative never touches a card's hand-written backward pass: a reverse-mode tape records the forward pass
alone, so a wrong formula cannot agree with itself. Every number is a ball: a midpoint and a radius within which
the real number lies for certain, so each result says itself how good it is. When a comparison cannot be decided,
or a result is too wide, the computation is done again with twice the bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from harness.arrays import (
    BallArray,
    Choice,
    Comparison,
    Known,
    Tape,
    TapeArray,
    UndecidedBranchError,
    precision,
    settling,
)
from harness.case import Case, Network
from harness.judge.updates import After, Before, update
from harness.judge.walk import Choices, differentiated, forward, given_as
from harness.judge.wide import wide_step, work
from harness.registry import Cards
from harness.trace import LOSS

FIRST_BITS = 128
MOST_BITS = 16_384
GOOD = 2.0**-70
"""A result is good when its radius is below this part of its magnitude: 21 significant digits."""
NO_NUMBER = 2.0**1000
"""Stands for the width of a result that is good, but for elements that are not a number."""
ENOUGH_FOR_TIES = 16 * FIRST_BITS
"""A gap that is 0 to so many bits is taken for a tie. Some ties are provable at no precision (tanh k - tanh k), and no
float could tell the difference."""
ENOUGH_FOR_NAN = 16 * FIRST_BITS
"""Too few bits can make a NaN, as exp(x - x) does where x is near float64's largest number and known to 2^-512 only.
One that is still there with so many is the value's own."""

BALLS_UP_TO = 1_000_000
"""So many numbers take balls seconds, forward and backward."""
MOST_WORK_PER_NUMBER = 1_000
"""Below so small a share of them given, the work is not even counted."""
WIDE_BITS = 0
"""Stands for the bits of what was not computed with balls."""

Result = TypeVar("Result")


class Undecided(Exception):  # noqa: N818 - a verdict, and caught as one
    """The exact value could not be had within `MOST_BITS`."""


@dataclass(frozen=True)
class Exact:
    """The exact values and gradients of a network at one point, and the comparisons made on the way."""

    values: dict[str, Known]
    grads: dict[str, Known]
    comparisons: dict[str, list[Comparison]]
    bits: int

    @property
    def tier(self) -> str:
        """How the values were had, in words."""
        if self.bits == WIDE_BITS:
            return "a wider floating-point type with certified radii"
        return f"ball arithmetic with {self.bits:,} bits"


def exact_step(
    network: Network, cards: Cards, given: Mapping[str, Any], choices: Choices | None = None, bits: int = FIRST_BITS
) -> Exact:
    """Values and gradients at given inputs, constants and parameters (floats, taken exactly, or balls).

    A network that computes more than `BALLS_UP_TO` numbers is done in a wider floating-point type
    (`harness.judge.wide`), unless that leaves a branch open.
    """
    if is_large(network, cards, given):
        found = wide_step(network, cards, given, choices)
        if found is not None:
            return Exact(*found, bits=WIDE_BITS)
    return _with_enough_bits(lambda used: _step(network, cards, given, choices, used), bits, _balls_of)


def is_large(network: Network, cards: Cards, given: Mapping[str, Any]) -> bool:
    """Whether balls would take more than seconds."""
    plain = all(isinstance(array, np.ndarray) for array in given.values())
    if not plain or sum(array.size for array in given.values()) < BALLS_UP_TO / MOST_WORK_PER_NUMBER:
        return False
    return work(network, cards, given).count > BALLS_UP_TO


def exact_updates(
    cards: Cards,
    case: Case,
    before: Before,
    choices: Mapping[str, Sequence[Choice]] | None = None,
    bits: int = FIRST_BITS,
) -> dict[str, After]:
    """By parameter, its value and state after an update."""
    return _with_enough_bits(
        lambda _: update(cards, case, before, BallArray.exact, choices),
        bits,
        lambda made: [ball for after in made.values() for ball in (after.w, *after.state.values())],
    )


def exact_trajectory(case: Case, cards: Cards) -> dict[int, tuple[Exact, dict[str, dict[str, BallArray]]]]:
    """The whole run in real arithmetic: values, gradients and the optimizer's state, by step.

    Kept are the recorded steps and the one after each, where an update leads. Balls widen in every step, by about a
    third of a bit in the small nets that were measured, so a long run begins with a bit for every two steps; where
    that is not enough, it begins again with twice as many. A run that outgrows `MOST_BITS` is kept as far as it is
    known. Of a large network (see `exact_step`) there is the first step alone.
    """
    if is_large(case.network, cards, case.values):
        return {0: (exact_step(case.network, cards, case.values), {})}
    bits = FIRST_BITS + case.steps // 2
    while True:
        with precision(bits), settling() if bits >= ENOUGH_FOR_TIES else nullcontext():
            kept = _trajectory(case, cards, bits)
        if max(kept, default=-1) == case.steps or 2 * bits > MOST_BITS:
            break
        bits *= 2
    if not kept:
        raise Undecided(f"not within {bits} bits")
    return kept


def _trajectory(case: Case, cards: Cards, bits: int) -> dict[int, tuple[Exact, dict[str, dict[str, BallArray]]]]:
    """The run as far as these bits carry it."""
    recorded = {*case.recorded, *(step + 1 for step in case.recorded if step < case.steps)}
    kept: dict[int, tuple[Exact, dict[str, dict[str, BallArray]]]] = {}
    given = given_as(BallArray.exact, case.values)
    state: dict[str, dict[str, BallArray]] = {}
    for step in range(case.steps + 1):
        try:
            exact = _step(case.network, cards, given, None, bits)
        except UndecidedBranchError:
            break
        if step in recorded:
            width = _width(_balls_of(exact))
            if width > GOOD and not (width == NO_NUMBER and bits >= ENOUGH_FOR_NAN):
                break
            kept[step] = (exact, dict(state))
        if step < case.steps and case.network.params:
            before = Before(
                step + 1,
                {name: given[name] for name in case.network.params},
                {name: exact.grads[name] for name in case.network.params},
                {name: state.get(name) for name in case.network.params},
            )
            try:
                made = update(cards, case, before, BallArray.exact)
            except UndecidedBranchError:
                break
            for name, after in made.items():
                given[name], state[name] = after.w, after.state
    return kept


def _step(
    network: Network, cards: Cards, given: Mapping[str, Any], choices: Choices | None, bits: int
) -> Exact:
    tape = Tape()
    names = differentiated(network)
    # Constants as well: a node that is made of nothing else has a gradient too.
    walk = forward(network, cards, given_as(lambda x: tape.variable(BallArray.exact(x)), given), choices)
    terms = [term.name for term in network.loss]
    wanted = [*names, *terms]
    grads = tape.gradients(walk.values[LOSS], [walk.values[name] for name in wanted])
    values = {name: value.value for name, value in walk.values.items() if isinstance(value, TapeArray)}
    return Exact(values, dict(zip(wanted, grads, strict=True)), walk.comparisons, bits)


def _with_enough_bits(
    compute: Callable[[int], Result], bits: int, balls: Callable[[Result], list[BallArray]]
) -> Result:
    while bits <= MOST_BITS:
        settle = settling() if bits >= ENOUGH_FOR_TIES else nullcontext()
        try:
            with precision(bits), settle:
                result = compute(bits)
            width = _width(balls(result))
            if width <= GOOD or (bits >= ENOUGH_FOR_NAN and width == NO_NUMBER):
                return result
        except UndecidedBranchError:
            pass
        bits *= 2
    raise Undecided(f"not within {MOST_BITS} bits")


def _balls_of(exact: Exact) -> list[BallArray]:
    return [ball for ball in (*exact.values.values(), *exact.grads.values()) if isinstance(ball, BallArray)]


def _width(balls: list[BallArray]) -> float:
    """The largest radius relative to its array's largest magnitude; `NO_NUMBER` when all is well but for NaN."""
    widest, nan = 0.0, False
    for ball in balls:
        size, radius = np.abs(ball.mid()), ball.radius()
        known = np.isfinite(size) & np.isfinite(radius)
        nan = nan or bool((~known & (radius > 0)).any())
        # Below float64's smallest number, radii and magnitudes are no longer told apart, and need not be.
        if known.any() and radius[known].max() > 4 * np.finfo(np.float64).smallest_subnormal:
            largest = size[known].max()
            widest = max(widest, float(radius[known].max() / largest) if largest > 0 else np.inf)
    return NO_NUMBER if nan and widest <= GOOD else widest
