"""Rounding bounds: how far a correct floating-point evaluation may lie from the exact value.

The card's own NumPy source is run over bounded numbers (`harness.arrays.BoundedArray`): each operation adds the
rounding that any correct way of computing it may commit. Nothing here is chosen; see `harness.arrays.bounded`
for the formulas and `ErrorModel` for the budgets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.arrays import BlockArray, BoundedArray, Comparison, ErrorModel
from harness.arrays import Choice as Forced
from harness.case import Case, Network, Node
from harness.judge.updates import After, Before, update
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
    radii |= {name: radius_of(grad) for name, grad in grads.items()}
    return Bounds({name: radius_of(value) for name, value in walk.values.items()}, radii, walk.comparisons)


def update_bounds(
    cards: Cards,
    case: Case,
    before: Before,
    model: ErrorModel,
    choices: Mapping[str, Sequence[Forced]] | None = None,
) -> dict[str, After]:
    """By parameter, the bounded numbers after an update from exactly these numbers; their radii are the bounds."""
    return update(cards, case, before, BoundedArray.given(0.0, model)._lift, choices)


def straddling(comparison: Comparison) -> Array:
    """Where a correct evaluation may land on either side: the gap is within its own bound."""
    gap, radius = np.asarray(comparison.gap), np.asarray(comparison.radius)
    near: Array = (np.abs(gap) <= radius) & (radius > 0)
    return near


def own_branches(
    cards: Cards, node: Node, own: Mapping[str, Array], undetermined: list[Comparison], model: ErrorModel
) -> list[Choice] | None:
    """The side that an implementation took at each undetermined comparison of a node, read from its own numbers.

    None when it did not record what the node works on. Where the node rounds before it compares, this is the side that
    it would take without rounding, as in the local judgement (`harness.judge.local`).
    """
    needed = [*node.inputs, *node.params.values()]
    if any(name not in own for name in needed):
        return None
    numbers = given_as(lambda array: BlockArray.block(np.asarray(array)[None], model), {n: own[n] for n in needed})
    _, _, made = node_forward(cards, node, numbers)
    return [
        (straddling(bound), one.taken.reshape(bound.taken.shape), one.tie.reshape(bound.taken.shape))
        for bound, one in zip(undetermined, made, strict=True)
    ]


def radius_of(number: Any) -> Array:
    """The bound that a bounded number carries; of plain numbers 0."""
    if isinstance(number, BoundedArray):
        return np.asarray(number.radius, dtype=np.float64)
    return np.zeros(np.shape(number))
