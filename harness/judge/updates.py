"""One update over whatever kind of number: the gradients clipped, the rate of the step, then the optimizer's rule.

The same functions serve exact balls and bounded numbers. Bounded numbers hold every variant of the cards' formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.arrays import BoundedArray, Choice, Comparison, ErrorModel, forcing, recording
from harness.arrays.vocabulary import COMPARISONS
from harness.case import Case
from harness.registry import Cards
from harness.spec import Array, Hyper

JUMPS = frozenset({*COMPARISONS, "sign"})
"""The comparisons that a value may jump at; at those of choosers (maximum, clip, absolute) it has a kink at most."""

Kind = Callable[[Any], Any]
"""Makes a number of some kind out of an array, a float or a number of that kind."""


@dataclass(frozen=True)
class Before:
    """What update number `t` starts from: all gradients, for clipping by norm needs them together, and what is updated.

    A state of None is the optimizer's initial one.
    """

    t: int
    params: Mapping[str, Any]
    grads: Mapping[str, Any]
    states: Mapping[str, Mapping[str, Any] | None]

    def only(self, name: str) -> Before:
        """The update of one parameter."""
        return Before(self.t, {name: self.params[name]}, self.grads, {name: self.states[name]})


@dataclass(frozen=True)
class After:
    """A parameter and its state after the update.

    `comparisons` are those that the card makes. `undecided` has, for each that the update jumps at, where rounding may
    turn it round, in the card's own formula or in a variant; None where it may not. Bounded numbers alone know.
    """

    w: Any
    state: dict[str, Any]
    comparisons: list[Comparison]
    undecided: list[Array | None]


def update(
    cards: Cards, case: Case, before: Before, kind: Kind, choices: Mapping[str, Sequence[Choice]] | None = None
) -> dict[str, After]:
    """By name, every parameter and its state after one update; `choices` force the comparisons of its rule."""
    assert case.optimizer is not None
    card = cards.optimizer(case.optimizer.name)
    grads = clipped(cards, case, {name: kind(g) for name, g in before.grads.items()}, kind)
    hypers = hypers_at(cards, case, before.t, kind)
    after = {}
    for name, given in before.params.items():
        w, state = kind(given), before.states[name]
        slots = card.numpy_init(w, **hypers) if state is None else {slot: kind(x) for slot, x in state.items()}
        chosen = (choices or {}).get(name, ())
        rules = (card.numpy_update, *(card.variants if isinstance(w, BoundedArray) else ()))
        after[name] = _together([_once(rule, w, grads[name], slots, before.t, hypers, chosen) for rule in rules])
    return after


def clipped(cards: Cards, case: Case, grads: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """The gradients that the optimizer sees."""
    found = cards.clipping(case)
    if found is None:
        return grads
    card, hypers = found[0], _lifted(found[1], kind)
    with np.errstate(all="ignore"):
        clip = card.numpy_clip(grads, **hypers)
        if any(isinstance(g, BoundedArray) for g in grads.values()):
            for variant in card.variants:
                other = variant(grads, **hypers)
                clip = {name: g.widened(other[name]) for name, g in clip.items()}
    return clip


def hypers_at(cards: Cards, case: Case, t: int, kind: Kind) -> dict[str, Any]:
    """The optimizer's hyperparameters as numbers of the kind, with the rate that the schedule has for this update."""
    assert case.optimizer is not None
    hypers = _lifted(cards.optimizer_hypers(case), kind)
    found = cards.schedule(case)
    if found is None:
        return hypers
    schedule, given = found
    role = cards.optimizer(case.optimizer.name).rate
    rate = schedule.numpy_rate(hypers[role], t, **_lifted(given, kind))
    if isinstance(rate, BoundedArray):
        double = ErrorModel.of("float64", rate.model.budgets)
        for variant in schedule.variants:
            if variant.double:
                wide = BoundedArray.given(0.0, double)._lift
                lr = wide(float(cards.optimizer_hypers(case)[role]))  # type: ignore[arg-type]
                other = _narrowed(variant.numpy_rate(lr, t, **_lifted(given, wide)), rate.model)
            else:
                other = variant.numpy_rate(hypers[role], t, **_lifted(given, kind))
            rate = rate.widened(other)
    return {**hypers, role: rate}


def _lifted(hypers: Mapping[str, Hyper], kind: Kind) -> dict[str, Any]:
    """Numbers with a point become numbers of the kind; whole ones, names and truth values stay."""
    return {name: kind(value) if isinstance(value, float) else value for name, value in hypers.items()}


def _narrowed(number: BoundedArray, model: ErrorModel) -> BoundedArray:
    """A number that was computed in double precision, rounded to the dtype of the model."""
    rounded = BoundedArray.given(0.0, model)._lift(number.centre)
    return BoundedArray(rounded.centre, rounded.radius + number.radius * (1 + 4 * model.u), model)


def _once(
    rule: Callable[..., Any], w: Any, g: Any, slots: Any, t: int, hypers: Mapping[str, Any], choices: Sequence[Choice]
) -> tuple[Any, dict[str, Any], list[Comparison]]:
    with np.errstate(all="ignore"), forcing(choices), recording() as made:
        after, state = rule(w, g, slots, t, **hypers)
    return after, dict(state), made


def _together(made: Sequence[tuple[Any, dict[str, Any], list[Comparison]]]) -> After:
    """The card's own update, its radii widened to hold the variants', and what is undecided in any of them."""
    w, state, comparisons = made[0]
    for other, slots, _ in made[1:]:
        w, state = w.widened(other), {slot: number.widened(slots[slot]) for slot, number in state.items()}
    undecided = [_undecided(alike) for alike in zip(*(events for _, _, events in made), strict=True)]
    return After(w, state, comparisons, undecided)


def _undecided(alike: Sequence[Comparison]) -> Array | None:
    """Where the same comparison, made in several formulas, may go either way."""
    if alike[0].name not in JUMPS:
        return None
    open_: Array = np.zeros(alike[0].taken.shape, dtype=bool)
    for one in alike:
        gap, radius = np.asarray(one.gap), np.asarray(one.radius)
        open_ = open_ | ((np.abs(gap) <= radius) & (radius > 0)) | (one.taken != alike[0].taken)
    return open_ if open_.any() else None


__all__ = ["After", "Before", "clipped", "hypers_at", "update"]
