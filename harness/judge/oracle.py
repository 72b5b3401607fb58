"""Exact values: the network in ball arithmetic, its derivatives by a tape, its updates by the optimizer's rule.

The derivative never touches a card's hand-written backward pass: a reverse-mode tape records the forward pass
alone, so a wrong formula cannot agree with itself. Every number is a ball: a midpoint and a radius within which
the real number lies for certain, so each result says itself how good it is. When a comparison cannot be decided,
or a result is too wide, the computation is done again with twice the bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from harness.arrays import BallArray, Comparison, Tape, TapeArray, UndecidedBranchError, precision, settling
from harness.case import Case, Network
from harness.judge.walk import Choices, differentiated, forward, given_as
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
ENOUGH_FOR_NAN = 4 * FIRST_BITS
"""Too few bits can make a NaN; one that is still there with so many is the value's own."""

Result = TypeVar("Result")


class Undecided(Exception):  # noqa: N818 - a verdict, and caught as one
    """The exact value could not be had within `MOST_BITS`."""


@dataclass(frozen=True)
class Exact:
    """The exact values and gradients of a network at one point, and the comparisons made on the way."""

    values: dict[str, BallArray]
    grads: dict[str, BallArray]
    comparisons: dict[str, list[Comparison]]
    bits: int


def exact_step(
    network: Network, cards: Cards, given: Mapping[str, Any], choices: Choices | None = None, bits: int = FIRST_BITS
) -> Exact:
    """Values and gradients at given inputs, constants and parameters (floats, taken exactly, or balls)."""
    return _with_enough_bits(lambda used: _step(network, cards, given, choices, used), bits, _balls_of)


def exact_update(
    cards: Cards, case: Case, name: str, t: int, w: Any, g: Any, state: Mapping[str, Any] | None, bits: int = FIRST_BITS
) -> tuple[BallArray, dict[str, BallArray]]:
    """One parameter and its state after update number t; `state=None` stands for the optimizer's initial state."""
    return _with_enough_bits(
        lambda _: _update(cards, case, w, g, state, t), bits, lambda made: [made[0], *made[1].values()]
    )


def exact_trajectory(case: Case, cards: Cards) -> dict[int, tuple[Exact, dict[str, dict[str, BallArray]]]]:
    """The whole run in real arithmetic: values, gradients and the optimizer's state, by step.

    Kept are the recorded steps and the one after each, where an update leads. Balls widen in every step, by about a
    third of a bit in the small nets that were measured, so a long run begins with a bit for every two steps; where
    that is not enough, it begins again with twice as many. A run that outgrows `MOST_BITS` is kept as far as it is
    known.
    """
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
        if step < case.steps:
            for name in case.network.params:
                given[name], state[name] = _update(
                    cards, case, given[name], exact.grads[name], state.get(name), step + 1
                )
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


def _update(
    cards: Cards, case: Case, w: Any, g: Any, state: Mapping[str, Any] | None, t: int
) -> tuple[BallArray, dict[str, BallArray]]:
    assert case.optimizer is not None
    card = cards.optimizer(case.optimizer.name)
    hypers = {
        name: BallArray.exact(float(value)) if isinstance(value, float) else value
        for name, value in cards.optimizer_hypers(case).items()
    }
    before = card.numpy_init(w if isinstance(w, np.ndarray) else w.mid()) if state is None else state
    balls = {slot: value if isinstance(value, BallArray) else BallArray.exact(value) for slot, value in before.items()}
    w = w if isinstance(w, BallArray) else BallArray.exact(w)
    g = g if isinstance(g, BallArray) else BallArray.exact(g)
    after, slots = card.numpy_update(w, g, balls, t, **hypers)
    return after, dict(slots)


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
    return [*exact.values.values(), *exact.grads.values()]


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
