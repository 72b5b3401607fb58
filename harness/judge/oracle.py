"""Exact values: the network in ball arithmetic, its derivatives by a tape, its updates by the optimizer's rule.

The derivative never touches a card's hand-written backward pass: a reverse-mode tape records the forward pass
alone, so a wrong formula cannot agree with itself. Every number is a ball: a midpoint and a radius within which
the real number lies for certain, so each result says itself how good it is. When a comparison cannot be decided,
or a result is too wide, the computation is done again with twice the bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from harness.arrays import BallArray, Comparison, Tape, UndecidedBranchError, precision
from harness.case import Case, Network
from harness.judge.walk import Choices, differentiated, forward
from harness.registry import Cards
from harness.trace import LOSS

FIRST_BITS = 128
MOST_BITS = 16_384
DIGITS_BITS = 70
"""A result is good when its radius is below 2**-70 of its magnitude, which is 21 significant digits."""

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
    return _with_enough_bits(lambda used: _step(network, cards, given, choices, used), bits, _width_of_step)


def exact_update(
    cards: Cards, case: Case, name: str, t: int, w: Any, g: Any, state: Mapping[str, Any] | None, bits: int = FIRST_BITS
) -> tuple[BallArray, dict[str, BallArray]]:
    """One parameter and its state after update number t; `state=None` stands for the optimizer's initial state."""
    return _with_enough_bits(
        lambda _: _update(cards, case, w, g, state, t), bits, lambda made: _width([made[0], *made[1].values()])
    )


def exact_trajectory(case: Case, cards: Cards) -> dict[int, tuple[Exact, dict[str, dict[str, BallArray]]]]:
    """The whole run in real arithmetic: values, gradients and the optimizer's state, by step.

    Kept are the recorded steps and the one after each, where an update leads. Balls widen a little in every step,
    so the bits are doubled until the last step's are narrow enough.
    """

    def run(bits: int) -> dict[int, tuple[Exact, dict[str, dict[str, BallArray]]]]:
        recorded = {*case.recorded, *(step + 1 for step in case.recorded if step < case.steps)}
        kept = {}
        given = {name: BallArray.exact(array) for name, array in case.values.items()}
        state: dict[str, dict[str, BallArray]] = {}
        for step in range(case.steps + 1):
            exact = _step(case.network, cards, given, None, bits)
            if step in recorded:
                kept[step] = (exact, dict(state))
            if step < case.steps:
                for name in case.network.params:
                    given[name], state[name] = _update(
                        cards, case, given[name], exact.grads[name], state.get(name), step + 1
                    )
        return kept

    return _with_enough_bits(run, FIRST_BITS, lambda kept: _width_of_step(kept[max(kept)][0]))


def _step(
    network: Network, cards: Cards, given: Mapping[str, Any], choices: Choices | None, bits: int
) -> Exact:
    tape = Tape()
    names = differentiated(network)
    balls = {name: value if isinstance(value, BallArray) else BallArray.exact(value) for name, value in given.items()}
    leaves = {name: balls[name] if name in network.constants else tape.variable(balls[name]) for name in balls}
    walk = forward(network, cards, leaves, choices)
    terms = [term.name for term in network.loss]
    wanted = [*names, *terms]
    grads = tape.gradients(walk.values[LOSS], [walk.values[name] for name in wanted])
    values = {name: getattr(value, "value", value) for name, value in walk.values.items()}
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


def _with_enough_bits(compute: Callable[[int], Result], bits: int, width: Callable[[Result], float]) -> Result:
    while bits <= MOST_BITS:
        try:
            with precision(bits):
                result = compute(bits)
                if width(result) <= 2.0**-DIGITS_BITS:
                    return result
        except UndecidedBranchError:
            pass
        bits *= 2
    raise Undecided(f"not within {MOST_BITS} bits")


def _width_of_step(exact: Exact) -> float:
    return _width([*exact.values.values(), *exact.grads.values()])


def _width(balls: list[BallArray]) -> float:
    """The largest radius relative to its array's largest magnitude; what is not finite is left out."""
    widest = 0.0
    for ball in balls:
        size = np.abs(ball.mid())
        size = size[np.isfinite(size)]
        radius = ball.radius()
        radius = radius[np.isfinite(radius)]
        if size.size and radius.size and radius.max() > 0:
            widest = max(widest, float(radius.max() / size.max()) if size.max() > 0 else np.inf)
    return widest
