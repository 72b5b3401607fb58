"""Rounding bounds: how far a correct floating-point evaluation may lie from the exact value.

The card's own NumPy source is run over bounded numbers (`harness.arrays.BoundedArray`): each operation adds the
rounding that any correct way of computing it may commit. Nothing here is chosen; see `harness.arrays.bounded`
for the formulas and `ErrorModel` for the budgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.arrays import BoundedArray, Comparison, ErrorModel
from harness.case import Case, Network, Node
from harness.judge.walk import Choice, Choices, backward, differentiated, forward, given_as, node_forward
from harness.registry import Cards
from harness.spec import Array


@dataclass(frozen=True)
class Bounds:
    """By name, the bound of the value and of the gradient, element by element; and the comparisons made."""

    values: dict[str, Array]
    grads: dict[str, Array]
    comparisons: dict[str, list[Comparison]]


def step_bounds(
    network: Network, cards: Cards, given: Mapping[str, Array], model: ErrorModel, choices: Choices | None = None
) -> Bounds:
    """The bounds of every value and gradient of a pass that starts from exactly these numbers."""
    numbers = given_as(lambda array: BoundedArray.given(array, model), given)
    walk = forward(network, cards, numbers, choices)
    grads = backward(network, cards, walk, BoundedArray.given(np.array(1.0), model))
    radii = {name: np.zeros(np.shape(walk.values[name])) for name in differentiated(network)}
    radii |= {name: _radius(grad) for name, grad in grads.items()}
    return Bounds({name: _radius(value) for name, value in walk.values.items()}, radii, walk.comparisons)


def update_bounds(
    cards: Cards, case: Case, t: int, w: Array, g: Array, state: Mapping[str, Array] | None, model: ErrorModel
) -> tuple[Array, dict[str, Array]]:
    """The bounds of one parameter and of its state after update number t, from exactly these numbers."""
    assert case.optimizer is not None
    card = cards.optimizer(case.optimizer.name)
    hypers = {
        name: BoundedArray.given(0.0, model)._lift(value) if isinstance(value, float) else value
        for name, value in cards.optimizer_hypers(case).items()
    }
    before = card.numpy_init(w) if state is None else state
    given = [BoundedArray.given(array, model) for array in (w, g)]
    state_before = {slot: BoundedArray.given(array, model) for slot, array in before.items()}
    with np.errstate(all="ignore"):
        after, slots = card.numpy_update(*given, state_before, t, **hypers)
        for variant in card.variants:
            other, others = variant(*given, state_before, t, **hypers)
            after, slots = after.widened(other), {slot: slots[slot].widened(others[slot]) for slot in slots}
    return _radius(after), {slot: _radius(value) for slot, value in slots.items()}


def straddling(comparison: Comparison) -> Array:
    """Where a correct evaluation may land on either side: the gap is within its own bound."""
    gap, radius = np.asarray(comparison.gap), np.asarray(comparison.radius)
    near: Array = (np.abs(gap) <= radius) & (radius > 0)
    return near


def own_branches(
    cards: Cards, node: Node, own: Mapping[str, Array], undetermined: list[Comparison], model: ErrorModel
) -> list[Choice] | None:
    """The side that an implementation took at each undetermined comparison of a node, read from its own numbers.

    None when it did not record what the node works on.
    """
    needed = [*node.inputs, *node.params.values()]
    if any(name not in own for name in needed):
        return None
    numbers = given_as(lambda array: BoundedArray.given(array, model), {name: own[name] for name in needed})
    _, _, made = node_forward(cards, node, numbers)
    return [(straddling(bound), taken.taken) for bound, taken in zip(undetermined, made, strict=True)]


def _radius(number: Any) -> Array:
    if isinstance(number, BoundedArray):
        return np.asarray(number.radius, dtype=np.float64)
    return np.zeros(np.shape(number))
